/* SPDX-License-Identifier: MIT */
/* What attnctl hears in files, pipes and rubbish. */
#include "attnctl/audio.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/clients/wave.h"
#include "tests/unit/run.h"

#define MOST (1 << 18)

static struct wave wave;
static struct problem problem;
static float heard[MOST];
static const struct audio_options itself; /* what the file says */

static struct audio *open_audio(const char *path, const struct audio_options *options)
{
    struct audio *audio;

    ck_assert_msg(audio_open(&audio, path, options, &problem) == 0, "%s", problem.text);
    return audio;
}

/* Reads to the end into `heard`, and closes. *failed says whether a problem came in the place of the end. */
static size_t hear(struct audio *audio, int *failed)
{
    size_t n = 0;
    ssize_t got;

    while ((got = audio_read(audio, heard + n, n % 2 == 0 ? 160 : 77, &problem)) > 0)
        n += (size_t)got;
    *failed = got < 0;
    audio_close(audio);
    return n;
}

static void expect_wave(size_t n, size_t n_expected, uint32_t channels)
{
    ck_assert_uint_eq(n, n_expected);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(heard[i] == wave_mono(i, channels), "sample %zu: %g, not %g", i, (double)heard[i],
                      (double)wave_mono(i, channels));
}

static void expect_refused(const char *path, const struct audio_options *options, const char *words)
{
    struct audio *audio;

    ck_assert_int_lt(audio_open(&audio, path, options, &problem), 0);
    ck_assert_ptr_null(audio);
    ck_assert_msg(strstr(problem.text, words) != NULL, "'%s' does not say '%s'", problem.text, words);
}

/* 4 formats × 1, 2, 3 channels × plain and extensible */
static struct wave_options shape(int i)
{
    return (struct wave_options){.format = (enum pcm_format)(PCM_S16LE + i % 4),
                                 .rate = 16000,
                                 .channels = 1 + (uint32_t)i / 4 % 3,
                                 .n_frames = 1001,
                                 .extensible = i / 12};
}

START_TEST(wav_files_are_heard_as_they_are)
{
    struct wave_options options = shape(_i);
    const char *path;
    int failed;

    wave_make(&wave, &options);
    path = wave_save(&wave);
    expect_wave(hear(open_audio(path, &itself), &failed), 1001, options.channels);
    ck_assert(!failed);
    unlink(path);
    wave_pipe(wave.bytes, wave.n_bytes);
    expect_wave(hear(open_audio("-", &itself), &failed), 1001, options.channels);
    ck_assert(!failed);
}
END_TEST

START_TEST(raw_pcm_is_heard_as_it_is)
{
    struct wave_options options = shape(_i);
    struct audio_options raw = {.format = options.format, .rate = 16000, .channels = options.channels};
    int failed;

    wave_make_raw(&wave, &options);
    wave_pipe(wave.bytes, wave.n_bytes);
    expect_wave(hear(open_audio("-", &raw), &failed), 1001, options.channels);
    ck_assert(!failed);
}
END_TEST

START_TEST(other_chunks_are_no_samples)
{
    struct wave_options options = shape(_i);
    int failed;

    options.before = "JUNK";
    options.after = "LIST";
    wave_make(&wave, &options);
    wave_pipe(wave.bytes, wave.n_bytes);
    expect_wave(hear(open_audio("-", &itself), &failed), 1001, options.channels);
    ck_assert(!failed);
}
END_TEST

START_TEST(a_pipe_is_heard_to_its_end_whatever_its_header_claims)
{
    static const uint32_t claims[] = {0, 1, 100, 1999, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 123456789};
    struct wave_options options = shape(0);
    int failed;

    options.lies = 1;
    options.claimed = claims[_i];
    wave_make(&wave, &options);
    wave_pipe(wave.bytes, wave.n_bytes);
    expect_wave(hear(open_audio("-", &itself), &failed), 1001, 1);
    ck_assert(!failed);
}
END_TEST

START_TEST(a_file_that_is_cut_off_is_heard_and_reported)
{
    struct wave_options options = shape(_i);
    size_t frame_bytes = pcm_bytes(options.format) * options.channels;
    char words[64];
    const char *path;
    int failed;

    wave_make(&wave, &options);
    wave.n_bytes = wave.header_bytes + 501 * frame_bytes - 1;
    path = wave_save(&wave);
    expect_wave(hear(open_audio(path, &itself), &failed), 500, options.channels);
    ck_assert(failed);
    snprintf(words, sizeof(words), "claims 1001 samples a channel, and the last 501");
    ck_assert_msg(strstr(problem.text, words) != NULL, "%s", problem.text);
    unlink(path);
}
END_TEST

START_TEST(a_header_that_is_cut_off_is_refused)
{
    struct wave_options options = shape(0);

    options.before = "LIST";
    wave_make(&wave, &options);
    for (size_t n = 12; n <= wave.header_bytes - 1; n++) {
        wave_pipe(wave.bytes, n);
        expect_refused("-", &itself, "cut off");
    }
}
END_TEST

START_TEST(a_live_source_is_heard_as_it_arrives)
{
    int16_t samples[160];
    int ends[2];
    struct audio_options raw = {.format = PCM_S16LE, .rate = 16000};
    struct audio *audio;

    for (int i = 0; i < 160; i++)
        samples[i] = (int16_t)wave_value((size_t)i, 0);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(write(ends[1], samples, sizeof(samples)), sizeof(samples));
    audio = open_audio("-", &raw);
    ck_assert_int_ge(audio_fd(audio), 0);
    for (size_t n = 0; n < 160;)
        n += (size_t)audio_read(audio, heard + n, 1000, &problem);
    expect_wave(160, 160, 1);
    /* Half a sample waits for its other half. */
    ck_assert_int_eq(write(ends[1], samples, 3), 3);
    ck_assert_int_eq(audio_read(audio, heard, 1000, &problem), 1);
    ck_assert_int_eq(write(ends[1], (char *)samples + 3, 1), 1);
    ck_assert_int_eq(audio_read(audio, heard + 1, 1000, &problem), 1);
    expect_wave(2, 2, 1);
    audio_close(audio);
    close(ends[1]);
}
END_TEST

/* The resampler has to see a few milliseconds more; were it any more than 6, this would wait for ever. */
START_TEST(a_live_source_of_another_rate_is_hardly_held_back)
{
    static const uint32_t rates[] = {8000, 22050, 44100, 48000};
    struct audio_options raw = {.format = PCM_S16LE, .rate = rates[_i]};
    struct wave_options options = {.format = PCM_S16LE, .channels = 1, .n_frames = rates[_i] / 10};
    struct audio *audio;
    int ends[2];

    wave_make_raw(&wave, &options);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(write(ends[1], wave.bytes, wave.n_bytes), (ssize_t)wave.n_bytes);
    audio = open_audio("-", &raw);
    for (size_t n = 0; n < 1600 - 96;)
        n += (size_t)audio_read(audio, heard, 160, &problem);
    audio_close(audio);
    close(ends[1]);
}
END_TEST

START_TEST(other_rates_become_16_khz)
{
    static const uint32_t rates[] = {8000, 11025, 22050, 44100, 48000, 96000};
    static float tone[96000];
    uint32_t rate = rates[_i];
    struct audio_options raw = {.format = PCM_F32LE, .rate = rate, .channels = 2};
    struct wave *bytes = &wave;
    const char *path;
    size_t n;
    int failed;

    for (uint32_t i = 0; i < rate / 2; i++)
        tone[2 * i] = tone[2 * i + 1] = (float)sin(2 * M_PI * 440 * i / rate);
    bytes->n_bytes = rate / 2 * 2 * sizeof(float);
    memcpy(bytes->bytes, tone, bytes->n_bytes);
    path = wave_save(bytes);
    n = hear(open_audio(path, &raw), &failed);
    ck_assert(!failed);
    ck_assert_msg(n >= 7998 && n <= 8001, "half a second became %zu samples", n);
    for (size_t i = 500; i < 7500; i++)
        ck_assert_double_eq_tol((double)heard[i], sin(2 * M_PI * 440 * (double)i / 16000), 2e-3);
    unlink(path);
}
END_TEST

/* Writes half a second of a stereo tone as libsndfile does. */
static const char *save_sndfile(int format, int rate)
{
    static char path[64];
    static float tone[2 * 24000];
    SF_INFO info = {.samplerate = rate, .channels = 2, .format = format};
    int fd;
    SNDFILE *file;

    for (int i = 0; i < rate; i++)
        tone[i] = (float)(0.5 * sin(2 * M_PI * 440 * (i / 2) / rate));
    strcpy(path, "/tmp/attnctl-test-XXXXXX");
    fd = mkstemp(path);
    file = sf_open_fd(fd, SFM_WRITE, &info, SF_TRUE);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(sf_writef_float(file, tone, rate / 2), rate / 2);
    sf_close(file);
    return path;
}

static const struct {
    int format, rate;
} library[] = {
    {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000}, {SF_FORMAT_AIFF | SF_FORMAT_PCM_24, 44100},
    {SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000},     {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 16000},
    {SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100},
};

START_TEST(what_libsndfile_reads_is_heard)
{
    const char *path = save_sndfile(library[_i].format, library[_i].rate);
    size_t n;
    int failed;

    n = hear(open_audio(path, &itself), &failed);
    ck_assert_msg(!failed, "%s", problem.text);
    ck_assert_msg(n >= 7999 && n <= 8001, "half a second became %zu samples", n);
    for (size_t i = 500; i < 7500; i++)
        ck_assert_double_eq_tol((double)heard[i], 0.5 * sin(2 * M_PI * 440 * (double)i / 16000), 0.03);
    ck_assert_ptr_nonnull(freopen(path, "rb", stdin));
    n = hear(open_audio("-", &itself), &failed);
    ck_assert_msg(n >= 7999 && n <= 8001, "half a second became %zu samples from standard input", n);
    unlink(path);
}
END_TEST

static const struct {
    int format;
    size_t n_heard;
} cuts[] = {{SF_FORMAT_WAV | SF_FORMAT_ULAW, 3900}, {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1000}};

START_TEST(a_compressed_file_that_is_cut_off_is_heard_and_reported)
{
    const char *path = save_sndfile(cuts[_i].format, 16000);
    struct stat status;
    size_t n;
    int failed;

    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(truncate(path, status.st_size * 3 / 4), 0);
    n = hear(open_audio(path, &itself), &failed);
    ck_assert_msg(n > cuts[_i].n_heard && n < 7990, "%zu samples", n);
    ck_assert(failed);
    ck_assert_ptr_nonnull(strstr(problem.text, "is cut off"));
    unlink(path);
}
END_TEST

static const struct {
    const char *bytes;
    size_t n_bytes;
    struct audio_options options;
    const char *words;
} rubbish[] = {
    {"RIFF\x10\0\0\0WAVE", 12, {PCM_S16LE, 16000, 1}, "these bytes are a WAV file"},
    {"fLaC\0\0\0\x22zzzz", 12, {PCM_F32LE, 16000, 1}, "these bytes are a FLAC file"},
    {"OggS\0\0\0\0zzzz", 12, {PCM_S24LE, 16000, 1}, "leave out -f"},
    {"\0\0\0\0", 4, {PCM_S16LE, 0, 1}, "give its rate with -r"},
    {"\0\0\0\0", 4, {PCM_S16LE, 16, 1}, "a rate of 16 Hz"},
    {"\0\0\0\0", 4, {PCM_S16LE, 16000, 65}, "65 channels"},
    {"", 0, {PCM_S16LE, 16000, 1}, "is empty"},
    {"", 0, {PCM_NONE, 0, 0}, "is empty"},
    {"It was a bright cold day", 24, {PCM_NONE, 0, 0}, "looks like text"},
    {"\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7", 15, {PCM_NONE, 0, 0}, "-f s16le -r 16000"},
    {"fLaC\0\0\0\x22zzzzzzzzzzzzzzzz", 24, {PCM_NONE, 0, 0}, "FLAC file"},
    {"RIFF\x10\0\0\0WAVEdata\4\0\0\0abcd", 24, {PCM_NONE, 0, 0}, "no format chunk before the data"},
    {"RIFF\x10\0\0\0WAVEfmt \4\0\0\0abcd", 24, {PCM_NONE, 0, 0}, "format chunk has 4 bytes"},
    {"RIFF\x10\0\0\0WAVEfmt \xF0\xFF\xFF\xFF", 20, {PCM_NONE, 0, 0}, "claims 4294967280 bytes"},
    {"RIFF\x10\0\0\0WAVEfmt \x10\0\0\0\1\0\0\0\x80\x3E\0\0\0\x7D\0\0\2\0\x10\0", 36, {PCM_NONE, 0, 0}, "0 channels"},
    {"RIFF\x10\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3E\0\0\0\x7D\0\0\3\0\x10\0",
     36,
     {PCM_NONE, 0, 0},
     "3 bytes for the samples of one moment"},
    {"RIFF\x10\0\0\0WAVEfmt \x10\0\0\0\7\0\1\0\x80\x3E\0\0\0\x7D\0\0\1\0\x08\0data\0\0\0\0",
     44,
     {PCM_NONE, 0, 0},
     "codec 7, 8 bits"},
};

#define N_RUBBISH (int)(sizeof(rubbish) / sizeof(rubbish[0]))

START_TEST(rubbish_on_a_pipe_is_refused_by_its_name)
{
    wave_pipe(rubbish[_i].bytes, rubbish[_i].n_bytes);
    expect_refused("-", &rubbish[_i].options, rubbish[_i].words);
}
END_TEST

START_TEST(rubbish_in_a_file_is_refused)
{
    const char *path;
    struct audio *audio;

    memcpy(wave.bytes, rubbish[_i].bytes, rubbish[_i].n_bytes);
    wave.n_bytes = rubbish[_i].n_bytes;
    path = wave_save(&wave);
    problem.text[0] = '\0';
    /* A µ-law WAV without samples is read, and only on a pipe too much to ask. */
    if (_i < N_RUBBISH - 1) {
        ck_assert_int_lt(audio_open(&audio, path, &rubbish[_i].options, &problem), 0);
        ck_assert_msg(strstr(problem.text, path) != NULL, "%s", problem.text);
    }
    unlink(path);
}
END_TEST

START_TEST(a_rate_or_channels_that_do_not_match_are_refused)
{
    struct wave_options options = shape(4);
    const char *path;

    wave_make(&wave, &options);
    path = wave_save(&wave);
    expect_refused(path, &(struct audio_options){.rate = 44100}, "is sampled at 16000 Hz, not at 44100 as -r says");
    expect_refused(path, &(struct audio_options){.channels = 1}, "has 2 channels, not 1");
    audio_close(open_audio(path, &(struct audio_options){.rate = 16000, .channels = 2}));
    unlink(path);
    expect_refused(path, &itself, "cannot be opened: No such file");
    expect_refused("/tmp", &itself, "is a directory");
}
END_TEST

START_TEST(bytes_left_over_are_reported)
{
    struct wave_options options = {.format = PCM_S16LE, .channels = 3, .n_frames = 10};
    struct audio_options raw = {.format = PCM_S16LE, .rate = 16000, .channels = 3};
    int failed;

    wave_make_raw(&wave, &options);
    wave_pipe(wave.bytes, wave.n_bytes - 2);
    expect_wave(hear(open_audio("-", &raw), &failed), 9, 3);
    ck_assert(failed);
    ck_assert_ptr_nonnull(strstr(problem.text, "4 bytes are left over, where 3 channels of s16le make 6"));
}
END_TEST

START_TEST(a_sample_that_is_no_number_is_named)
{
    static const float bad[] = {NAN, -INFINITY, 1000.0f};
    struct audio_options raw = {.format = PCM_F32LE, .rate = 16000};
    float samples[500];
    int failed;

    for (size_t i = 0; i < 500; i++)
        samples[i] = wave_mono(i, 1);
    samples[321] = bad[_i];
    wave_pipe(samples, sizeof(samples));
    expect_wave(hear(open_audio("-", &raw), &failed), 321, 1);
    ck_assert(failed);
    ck_assert_msg(strstr(problem.text, "sample 321 (0.020 s)") != NULL, "%s", problem.text);
}
END_TEST

static Suite *audio(void)
{
    Suite *suite = suite_create("audio");
    TCase *tcase = tcase_create("audio");

    tcase_add_loop_test(tcase, wav_files_are_heard_as_they_are, 0, 24);
    tcase_add_loop_test(tcase, raw_pcm_is_heard_as_it_is, 0, 12);
    tcase_add_loop_test(tcase, other_chunks_are_no_samples, 0, 12);
    tcase_add_loop_test(tcase, a_pipe_is_heard_to_its_end_whatever_its_header_claims, 0, 8);
    tcase_add_loop_test(tcase, a_file_that_is_cut_off_is_heard_and_reported, 0, 12);
    tcase_add_test(tcase, a_header_that_is_cut_off_is_refused);
    tcase_add_test(tcase, a_live_source_is_heard_as_it_arrives);
    tcase_add_loop_test(tcase, a_live_source_of_another_rate_is_hardly_held_back, 0, 4);
    tcase_add_loop_test(tcase, other_rates_become_16_khz, 0, 6);
    tcase_add_loop_test(tcase, what_libsndfile_reads_is_heard, 0, (int)(sizeof(library) / sizeof(library[0])));
    tcase_add_loop_test(tcase, a_compressed_file_that_is_cut_off_is_heard_and_reported, 0, 2);
    tcase_add_loop_test(tcase, rubbish_on_a_pipe_is_refused_by_its_name, 0, N_RUBBISH);
    tcase_add_loop_test(tcase, rubbish_in_a_file_is_refused, 0, N_RUBBISH);
    tcase_add_test(tcase, a_rate_or_channels_that_do_not_match_are_refused);
    tcase_add_test(tcase, bytes_left_over_are_reported);
    tcase_add_loop_test(tcase, a_sample_that_is_no_number_is_named, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(audio());
