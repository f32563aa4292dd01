/* SPDX-License-Identifier: MIT */
/* Saved states: they go on with the same bits, and nothing that is wrong with one is overlooked. */
#include <string.h>

#include "../run.h"
#include "config.h"
#include "draft.h"
#include "stream.h"

enum { HEADS = 2, DIM = 5, WINDOW = 9, FRAME = 3 * HEADS * DIM, MOST_OUTPUT = WINDOW * HEADS * DIM };
enum { EXACT, MEANS, SPREAD, FIXED, RETROACTIVE, MODEL };
#ifdef HAVE_LOADER
enum { N_KINDS = MODEL + 1 };
#else
enum { N_KINDS = MODEL };
#endif

static float *fixed_landmarks;

static void setup(void)
{
    fixed_landmarks = noise(11, 4 * HEADS * DIM, 1);
}

static void teardown(void)
{
    free(fixed_landmarks);
}

static struct attn_options options_of(int kind)
{
    struct attn_options options = nystrom_options(HEADS, DIM, WINDOW, 4);
    if (kind == EXACT)
        options = exact_options(HEADS, DIM, WINDOW);
    options.refresh = kind == SPREAD ? ATTN_REFRESH_SPREAD : ATTN_REFRESH_IMMEDIATE;
    options.retroactive = kind == RETROACTIVE;
    if (kind == FIXED) {
        options.landmark_policy = ATTN_LANDMARKS_FIXED;
        options.q_landmarks = options.k_landmarks = fixed_landmarks;
    }
    return options;
}

static void open_model(struct stream *stream)
{
    struct draft draft;
    struct attn_reason why = {""};
    draft_init(&draft);
    struct draft_file file = draft_write(&draft);
    ck_assert_msg(attn_plan_parse(&stream->plan, file.bytes, file.n_bytes, NULL, &why) == 0, "%s", why.text);
    stream_start(stream);
    free(file.bytes);
    draft_done(&draft);
}

static void open_kind(struct stream *stream, int kind)
{
    struct attn_options options = options_of(kind);
    if (kind == MODEL)
        open_model(stream);
    else
        stream_open(stream, &options);
}

/* What attn_save writes, in memory of exactly that size and of no alignment. */
struct blob {
    unsigned char *memory, *bytes;
};

static struct blob save(const struct stream *stream)
{
    struct blob blob = {.memory = malloc(stream->info.saved_bytes + 1)};
    ck_assert_ptr_nonnull(blob.memory);
    blob.bytes = blob.memory + 1;
    attn_save(stream->plan, stream->state, blob.bytes);
    return blob;
}

/* Refused for a reason that says this; no state comes out. */
static void refused(const struct stream *stream, const void *bytes, size_t n_bytes, const char *text)
{
    struct attn_state *state = NULL;
    struct attn_reason why = {""};
    ck_assert_int_eq(attn_load(stream->plan, stream->state, &state, bytes, n_bytes, &why), ATTN_E_STATE);
    ck_assert_ptr_null(state);
    ck_assert_msg(strstr(why.text, text) != NULL, "'%s' does not say '%s'", why.text, text);
    ck_assert_int_eq(attn_load(stream->plan, stream->state, &state, bytes, n_bytes, NULL), ATTN_E_STATE);
}

static void same_state(const struct stream *a, const struct stream *b)
{
    struct attn_work works[] = {attn_last_work(a->state), attn_last_work(b->state)};
    ck_assert_uint_eq(attn_applied(a->state), attn_applied(b->state));
    ck_assert_uint_eq(attn_position(a->state), attn_position(b->state));
    ck_assert_int_eq(memcmp(&works[0], &works[1], sizeof(works[0])), 0);
    ck_assert_int_eq(memcmp(a->state, b->state, a->info.state_bytes), 0);
}

/* Saved after each frame in turn, of a stream that begins at position `begin`. */
static void save_and_go_on(int kind, uint64_t begin)
{
    struct stream first, second;
    float outputs[2][MOST_OUTPUT];
    open_kind(&first, kind);
    open_kind(&second, kind);
    attn_init_at(first.plan, first.state, begin);
    size_t n_frames = 4 * WINDOW;
    float *frames = noise(1, n_frames * FRAME, 1);
    for (size_t t = 0; t < n_frames; t++) {
        struct blob blob = save(&first), again;
        struct attn_state *state;
        memset(second.state, 0xff, second.info.state_bytes);
        ck_assert_int_eq(attn_load(second.plan, second.state, &state, blob.bytes, second.info.saved_bytes, NULL), 0);
        ck_assert_ptr_eq(state, second.state);
        same_state(&first, &second);
        again = save(&second);
        ck_assert_int_eq(memcmp(blob.bytes, again.bytes, first.info.saved_bytes), 0);
        stream_push(&first, frames + t * FRAME, outputs[0]);
        stream_push(&second, frames + t * FRAME, outputs[1]);
        ck_assert_int_eq(memcmp(outputs[0], outputs[1], first.output_dim * sizeof(float)), 0);
        same_state(&first, &second);
        free(blob.memory);
        free(again.memory);
    }
    stream_close(&first);
    stream_close(&second);
    free(frames);
}

START_TEST(loaded_states_go_on_with_the_same_bits)
{
    save_and_go_on(_i, 0);
    save_and_go_on(_i, 5);
}
END_TEST

static void open_used(struct stream *stream, int kind)
{
    float *frames = noise(1, 2 * WINDOW * FRAME, 1);
    open_kind(stream, kind);
    for (size_t t = 0; t < 2 * WINDOW; t++)
        stream_push(stream, frames + t * FRAME, NULL);
    free(frames);
}

/* In memory that ends where the bytes do, so that the sanitizers see any read behind it. */
START_TEST(every_truncation_is_refused)
{
    struct stream stream;
    open_used(&stream, _i);
    struct blob blob = save(&stream);
    for (size_t n = 0; n < stream.info.saved_bytes; n++) {
        unsigned char *cut = malloc(n > 0 ? n : 1);
        memcpy(cut, blob.bytes, n);
        refused(&stream, cut, n, "bytes");
        free(cut);
    }
    stream_close(&stream);
    free(blob.memory);
}
END_TEST

START_TEST(bytes_too_many_are_refused)
{
    struct stream stream;
    open_used(&stream, _i);
    struct blob blob = save(&stream);
    unsigned char *longer = calloc(stream.info.saved_bytes + 8, 1);
    memcpy(longer, blob.bytes, stream.info.saved_bytes);
    refused(&stream, longer, stream.info.saved_bytes + 1, "bytes");
    refused(&stream, longer, stream.info.saved_bytes + 8, "bytes");
    stream_close(&stream);
    free(blob.memory);
    free(longer);
}
END_TEST

/* Each bit of each byte. */
START_TEST(every_wrong_bit_is_refused)
{
    struct stream stream;
    open_used(&stream, _i);
    struct blob blob = save(&stream);
    for (size_t i = 0; i < 8 * stream.info.saved_bytes; i++) {
        blob.bytes[i / 8] ^= (unsigned char)(1 << i % 8);
        refused(&stream, blob.bytes, stream.info.saved_bytes, "state");
        blob.bytes[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    struct attn_state *state;
    ck_assert_int_eq(attn_load(stream.plan, stream.state, &state, blob.bytes, stream.info.saved_bytes, NULL), 0);
    stream_close(&stream);
    free(blob.memory);
}
END_TEST

/* Two bytes that changed places, as a transfer in pieces may do. */
START_TEST(exchanged_words_are_refused)
{
    struct stream stream;
    open_used(&stream, _i);
    struct blob blob = save(&stream);
    size_t n_words = stream.info.saved_bytes / 8;
    for (size_t i = 8; i + 1 < n_words; i++) {
        unsigned char words[2][8];
        memcpy(words, blob.bytes + 8 * i, 16);
        if (memcmp(words[0], words[1], 8) == 0)
            continue;
        memcpy(blob.bytes + 8 * i, words[1], 8);
        memcpy(blob.bytes + 8 * (i + 1), words[0], 8);
        refused(&stream, blob.bytes, stream.info.saved_bytes, "damaged");
        memcpy(blob.bytes + 8 * i, words, 16);
    }
    stream_close(&stream);
    free(blob.memory);
}
END_TEST

START_TEST(states_of_other_plans_are_refused)
{
    struct stream streams[N_KINDS];
    for (int i = 0; i < N_KINDS; i++)
        open_used(&streams[i], i);
    for (int i = 0; i < N_KINDS; i++) {
        struct blob blob = save(&streams[i]);
        for (int j = 0; j < N_KINDS; j++)
            if (i != j)
                refused(&streams[j], blob.bytes, streams[i].info.saved_bytes, "another plan: its hash is");
        free(blob.memory);
    }
    for (int i = 0; i < N_KINDS; i++)
        stream_close(&streams[i]);
}
END_TEST

START_TEST(states_of_other_variants_are_refused)
{
    struct attn_options options = options_of(MEANS);
    struct stream best, generic;
    stream_open(&best, &options);
    options.variant = ATTN_VARIANT_GENERIC;
    stream_open(&generic, &options);
    ck_assert_int_eq(generic.info.variant, ATTN_VARIANT_GENERIC);
    ck_assert_int_ne(best.info.variant, ATTN_VARIANT_BEST);
    ck_assert_uint_eq(best.info.hash, generic.info.hash);
    if (best.info.variant != ATTN_VARIANT_GENERIC) {
        struct blob blob = save(&generic);
        refused(&best, blob.bytes, generic.info.saved_bytes, "with the kernel variant generic");
        free(blob.memory);
    }
    stream_close(&best);
    stream_close(&generic);
}
END_TEST

/* The next format: its bytes may mean anything. */
START_TEST(states_of_other_formats_are_refused)
{
    struct stream stream;
    open_used(&stream, EXACT);
    struct blob blob = save(&stream);
    blob.bytes[8]++;
    refused(&stream, blob.bytes, stream.info.saved_bytes, "in format 2");
    stream_close(&stream);
    free(blob.memory);
}
END_TEST

START_TEST(what_is_no_saved_state_is_refused)
{
    static const unsigned char zeros[4096];
    struct stream stream;
    open_used(&stream, EXACT);
    refused(&stream, zeros, sizeof(zeros), "do not begin as a saved state does");
    refused(&stream, zeros, 0, "at least");
    stream_close(&stream);
}
END_TEST

/* What a forger with a right checksum could bring about: a state of any bytes. Outputs may be anything, but nothing
 * else happens, and it is over once the state is reset. */
START_TEST(forged_states_do_no_harm)
{
    struct stream stream, fresh;
    float outputs[2][MOST_OUTPUT];
    float *frames = noise(1, 3 * WINDOW * FRAME, 1);
    uint64_t random = 1;
    open_kind(&stream, _i);
    open_kind(&fresh, _i);
    for (int round = 0; round < 200; round++) {
        unsigned char *bytes = (unsigned char *)stream.state;
        for (size_t i = 0; i < stream.info.state_bytes; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[i] = round % 4 == 3 ? 0xff : (unsigned char)(random >> 56);
        }
        for (size_t t = 0; t < 3 * WINDOW; t++)
            stream_push(&stream, frames + t * FRAME, outputs[0]);
    }
    attn_reset(stream.plan, stream.state);
    for (size_t t = 0; t < 3 * WINDOW; t++) {
        stream_push(&stream, frames + t * FRAME, outputs[0]);
        stream_push(&fresh, frames + t * FRAME, outputs[1]);
        ck_assert_int_eq(memcmp(outputs[0], outputs[1], stream.output_dim * sizeof(float)), 0);
    }
    same_state(&stream, &fresh);
    stream_close(&stream);
    stream_close(&fresh);
    free(frames);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("saved");
    TCase *cases = tcase_create("saved");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, loaded_states_go_on_with_the_same_bits, 0, N_KINDS);
    tcase_add_loop_test(cases, every_truncation_is_refused, 0, N_KINDS);
    tcase_add_loop_test(cases, bytes_too_many_are_refused, 0, N_KINDS);
    tcase_add_loop_test(cases, every_wrong_bit_is_refused, 0, N_KINDS);
    tcase_add_loop_test(cases, exchanged_words_are_refused, 0, N_KINDS);
    tcase_add_loop_test(cases, forged_states_do_no_harm, 0, N_KINDS);
    tcase_add_test(cases, states_of_other_plans_are_refused);
    tcase_add_test(cases, states_of_other_variants_are_refused);
    tcase_add_test(cases, states_of_other_formats_are_refused);
    tcase_add_test(cases, what_is_no_saved_state_is_refused);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
