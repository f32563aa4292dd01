/* SPDX-License-Identifier: MIT */
/*
 * attnctl stream: a frame leaves when its last sample has arrived, and an answer is shown when it comes. So the loop
 * never waits for one of the two alone: it polls the source and the daemon together, and reads no more than one hop at
 * a time.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attnctl/arguments.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/interrupt.h"
#include "attnctl/report.h"
#include "attnctl/session.h"
#include "attnctl/settings.h"
#include "attnctl/source.h"
#include "attnctl/terms.h"

struct stream_options {
    struct settings *settings;
    struct source_options source;
    struct report_options report;
    struct terms terms;
    const char *model;
    bool realtime;
    char **files; /* [n_files] */
    int n_files;
};

/* One file on its way through the daemon. */
struct run {
    const struct stream_options *options;
    struct session *session;
    struct source source;
    struct attnc_stream *stream;
    struct report report;
    double *times;      /* [credit] of the frames that wait for their answer, by number */
    struct terms terms; /* with the count of what was late */
    uint64_t n_refused;
    struct timespec start; /* of the audio clock */
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct stream_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->settings;
        state->child_inputs[1] = &options->source;
        state->child_inputs[2] = &options->terms;
        return 0;
    case 'm':
        options->model = argument;
        return 0;
    case 'o':
        options->report.out_path = argument;
        return 0;
    case 'R':
        options->realtime = true;
        return 0;
    case 'T':
        options->report.timeline = true;
        return 0;
    case ARGP_KEY_ARGS:
        options->files = state->argv + state->next;
        options->n_files = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "stream what? Name a file, or - for standard input");
        return 0;
    case ARGP_KEY_END:
        source_check_options(&options->source, state);
        if (options->report.out_path && options->n_files > 1)
            argp_error(state, "-o takes the outputs of one file, not of %d", options->n_files);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void on_output(void *ctx, const struct attnc_output *output)
{
    struct run *run = ctx;
    report_output(&run->report, output, run->times[output->frame % attnc_stream_info(output->stream)->credit]);
}

/* What a line calls the reason why a frame has no answer: an error where the frame's own numbers are it. */
static const char *fate_of(const struct attnc_notice *notice)
{
    return strcmp(notice->name, "not_finite") == 0 ? "error" : notice->what;
}

/* A frame without answer is no end, but the exit code tells of it, unless it was to be left out when late. */
static void on_notice(void *ctx, const struct attnc_notice *notice)
{
    struct run *run = ctx;
    uint32_t credit = attnc_stream_info(run->stream)->credit;
    for (uint64_t i = notice->first; i < notice->first + notice->count; i++)
        report_missing(&run->report, i, run->times[i % credit], fate_of(notice), notice->name);
    if (terms_count_late(&run->terms, notice))
        return;
    run->n_refused += notice->count;
    report_clear(&run->report);
    session_complain_notice(run->source.name, notice);
}

/* Whether no more is to be sent. */
static bool is_over(const struct run *run)
{
    return interrupted() || run->report.failed || attnc_stream_info(run->stream)->ended;
}

static int milliseconds_until(const struct timespec *start, double time_s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double left_s = time_s - (now.tv_sec - start->tv_sec) - (now.tv_nsec - start->tv_nsec) / 1e9;
    return left_s > 3600 ? 3600000 : left_s > 0 ? (int)(left_s * 1000) + 1 : 0;
}

/* Shows answers until the source has something (descriptor ≥ 0), or the time has come. 0, or ATTNC_E_…. */
static int wait_for(struct run *run, int descriptor, double due_s)
{
    int result = 0;
    while (result >= 0 && !is_over(run)) {
        int timeout = descriptor >= 0 ? -1 : milliseconds_until(&run->start, due_s);
        struct pollfd polls[] = {
            {.fd = descriptor, .events = POLLIN},
            {.fd = attnc_descriptor(run->session->client), .events = POLLIN},
            {.fd = interrupt_descriptor(), .events = POLLIN},
        };
        int n = timeout == 0 ? 0 : poll(polls, 3, timeout);
        if (n > 0 && polls[1].revents)
            result = attnc_wait(run->session->client, 0);
        if ((n == 0 && descriptor < 0) || (n > 0 && polls[0].revents))
            break;
    }
    return result < 0 ? result : 0;
}

/* Pushes one frame, when its time has come. */
static int push_frame(struct run *run, const float *frame, double time_s)
{
    const struct attnc_stream_info *info = attnc_stream_info(run->stream);
    int result = run->options->realtime ? wait_for(run, -1, time_s) : 0;
    /* The place is free: a frame as old as the credit is settled before push returns credit for this one. */
    while (result >= 0 && info->next_frame - info->settled >= info->credit && !run->report.failed && !info->ended)
        result = attnc_wait(run->session->client, -1);
    if (result < 0 || run->report.failed || info->ended)
        return result;
    run->times[info->next_frame % info->credit] = time_s;
    return attnc_push(run->stream, frame, 1);
}

/* From the source to the daemon until either ends. Returns what the source said last. */
static int pump(struct run *run, float *frame, int *result, struct problem *problem)
{
    int got = 0;
    while (*result >= 0 && got >= 0 && !is_over(run)) {
        double time_s;
        int descriptor = source_fd(&run->source);
        if (descriptor >= 0)
            *result = wait_for(run, descriptor, 0);
        if (*result < 0 || is_over(run))
            break;
        got = source_next(&run->source, frame, &time_s, problem);
        if (got == 1)
            *result = push_frame(run, frame, time_s);
        if (*result >= 0)
            *result = attnc_wait(run->session->client, 0);
    }
    return got;
}

/* All answers to what has been pushed are shown, whatever ended the source. */
static enum exit_code conclude(struct run *run, int got, int result, const struct problem *problem)
{
    if (result >= 0 && !run->report.failed)
        result = attnc_finish(run->stream);
    enum exit_code code = run->n_refused ? EXIT_DATA : EXIT_DONE;
    report_clear(&run->report);
    terms_tell(&run->terms, run->source.name, attnc_stream_info(run->stream)->next_frame);
    if (report_end(&run->report) < 0)
        code = run->report.problem.text[0] ? complain(EXIT_DATA, "%s", run->report.problem.text) : EXIT_DATA;
    if (result < 0)
        code = session_complain(run->session, run->source.name);
    if (got == -1 && !interrupted())
        code = complain(EXIT_DATA, "%s", problem->text);
    struct problem none;
    /* Without a single answer silence would look like success. */
    if (got == SOURCE_END && source_check_any(&run->source, &none) < 0)
        code = complain(EXIT_DATA, "%s", none.text);
    return interrupted() && code == EXIT_DONE ? EXIT_INTERRUPTED : code;
}

/* Reports what comes of the source through the open stream. */
static enum exit_code report_source(struct run *run, const char *shown_name)
{
    struct problem problem;
    enum exit_code code;
    const struct attnc_stream_info *info = attnc_stream_info(run->stream);
    run->times = calloc(info->credit, sizeof(double));
    float *frame = calloc(info->input_dim, sizeof(float));
    bool has_times = source_time(&run->source, 0) >= 0;
    int result = 0;
    if (!run->times || !frame)
        code = complain(EXIT_DATA, "no memory");
    else if (info->input_dim != run->source.model.input_dim)
        code = complain(EXIT_DATA, "the daemon says that frames of model '%s' have %u floats, and in its list %u",
                        run->session->model, info->input_dim, run->source.model.input_dim);
    else if (run->options->realtime && !has_times)
        code =
            complain(EXIT_USAGE, "%s has no clock for --realtime: give the frames a second with -r", run->source.name);
    else if (report_start(&run->report, &run->options->report, info, shown_name, has_times) < 0)
        code = interrupted() ? EXIT_INTERRUPTED : complain(EXIT_DATA, "%s", run->report.problem.text);
    else {
        int got = pump(run, frame, &result, &problem);
        code = conclude(run, got, result, &problem);
    }
    free(frame);
    return code;
}

/* The stream is closed whatever came of it, so that no late answer finds a run that is over. */
static enum exit_code stream_source(struct run *run, const char *shown_name)
{
    struct attnc_open_options open = {
        .size = sizeof(open), .model = run->session->model, .on_output = on_output, .on_notice = on_notice, .ctx = run};
    terms_apply(&run->terms, &open);
    if (attnc_open(run->session->client, &run->stream, &open) < 0)
        return session_complain(run->session, run->session->model);
    enum exit_code code = report_source(run, shown_name);
    if (!session_is_lost(run->session) && attnc_close_stream(run->stream) < 0)
        code = session_complain(run->session, run->source.name);
    free(run->times);
    return code;
}

static enum exit_code stream_file(const struct stream_options *options, struct session *session,
                                  const struct source_model *model, const char *path)
{
    struct run run = {.options = options, .session = session, .terms = options->terms};
    struct problem problem;
    const char *out_path = options->report.out_path;
    if (out_path && input_check_output(path, out_path, &problem) < 0)
        return complain(EXIT_DATA, "%s", problem.text);
    clock_gettime(CLOCK_MONOTONIC, &run.start);
    if (source_open(&run.source, path, &options->source, model, &problem) < 0)
        return interrupted() ? EXIT_INTERRUPTED : complain(EXIT_DATA, "%s", problem.text);
    enum exit_code code = stream_source(&run, options->n_files > 1 ? path : NULL);
    source_close(&run.source);
    return code;
}

/* Each file is a stream of its own; one that fails does not keep the others from being heard, unless the daemon is
 * gone. */
static enum exit_code stream_all(const struct stream_options *options, struct session *session)
{
    struct source_model model;
    enum exit_code worst = EXIT_DONE, code = session_choose_model(session);
    if (code == EXIT_DONE)
        code = session_frontend(session, &model.hops, &model.stride, &model.input_dim);
    if (code != EXIT_DONE)
        return code;
    interrupt_start();
    for (int i = 0; i < options->n_files && worst < EXIT_INTERRUPTED; i++) {
        code = stream_file(options, session, &model, options->files[i]);
        worst = code > worst ? code : worst;
        if (code != EXIT_DONE && session_is_lost(session))
            break;
    }
    return worst;
}

int stream_run(struct settings *settings, int argc, char **argv)
{
    static const struct argp_option option_table[] = {
        {"model", 'm', "MODEL", 0,
         "The model's name; with a slash in it: that file, in a private daemon (default: 'sounds', or the only one)",
         0},
        {"output", 'o', "OUT.npy", 0, "The scores as an array, float32 [T, classes]; lines of JSON only with --json",
         0},
        {"realtime", 'R', NULL, 0, "Send each frame when its time has come, as if the recording were live", 0},
        {"timeline", 'T', NULL, 0, "Show what was heard when, also where standard output is no terminal", 0},
        {0},
    };
    static const struct argp_child children[] = {
        {&settings_argp, 0, NULL, 0}, {&source_argp, 0, NULL, 0}, {&terms_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .args_doc = "FILE...",
        .doc = "Streams audio or features through a model and shows the scores of each frame: on a terminal live and "
               "then as a timeline, else as lines of JSON. FILE is what libsndfile reads, raw PCM with -f and -r, or "
               ".npy features [T, input_dim]; - is standard input.\v"
               "  attnctl stream dog.flac\n"
               "  arecord -f S16_LE -r 16000 -t raw | attnctl stream -f s16le -r 16000 -\n"
               "  ffmpeg -i film.mkv -f wav - | attnctl stream - | jq .scores.speech",
        .children = children,
    };
    struct stream_options options = {.settings = settings};
    struct session session;
    arguments_parse(&argp, argc, argv, 0, &options);
    options.report.json = settings->json;
    enum exit_code code = session_open(&session, settings, options.model, SESSION_OR_PRIVATE);
    if (code != EXIT_DONE)
        return code;
    code = stream_all(&options, &session);
    session_close(&session);
    return code;
}
