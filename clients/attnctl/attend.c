/* SPDX-License-Identifier: MIT */
/* attnctl attend: raw attention of an array, through a daemon, as a check of either and for use from scripts. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attnctl/arguments.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/interrupt.h"
#include "attnctl/npy.h"
#include "attnctl/session.h"
#include "attnctl/settings.h"
#include "attnctl/terms.h"

#define CHUNK_BYTES (256 * 1024)

struct attend {
    struct settings *settings;
    struct attnc_attention attention;
    const char *in_path, *out_path, *landmark_path;
    float *landmarks; /* [2][H][M][d] of --landmark-file */
    struct terms terms;
    struct npy in, out;
    bool failed; /* `problem` tells why no more can be written */
    struct problem problem;
};

enum {
    OPTION_METHOD = 256,
    OPTION_WINDOW,
    OPTION_LANDMARKS,
    OPTION_LANDMARK_FILE,
    OPTION_REFRESH,
    OPTION_SCALE,
    OPTION_RETROACTIVE
};

static uint32_t parse_number(const char *what, const char *text, const struct argp_state *state)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || number < 1 || number > UINT32_MAX)
        argp_error(state, "--%s is a number from 1 on, not '%s'", what, text);
    return number;
}

static void check(const struct attend *attend, const struct argp_state *state)
{
    if (!attend->in_path)
        argp_error(state, "attend needs an input: IN.npy, float32 [T, 3, H, d]");
    if (attend->attention.window == 0)
        argp_error(state, "attend needs --window, the number of frames that are attended to");
    if (!attend->out_path && isatty(STDOUT_FILENO))
        argp_error(state, "the output is binary: name a file with -o OUT.npy, or pipe it");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct attend *attend = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = attend->settings;
        state->child_inputs[1] = &attend->terms;
        return 0;
    case OPTION_METHOD:
        attend->attention.method = argument;
        return 0;
    case OPTION_WINDOW:
        attend->attention.window = parse_number("window", argument, state);
        return 0;
    case OPTION_LANDMARKS:
        attend->attention.landmarks = parse_number("landmarks", argument, state);
        return 0;
    case OPTION_LANDMARK_FILE:
        attend->landmark_path = argument;
        return 0;
    case OPTION_REFRESH:
        attend->attention.refresh = argument;
        return 0;
    case OPTION_SCALE:
        attend->attention.inverse_scale = argument;
        return 0;
    case OPTION_RETROACTIVE:
        attend->attention.retroactive = 1;
        return 0;
    case 'o':
        attend->out_path = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (attend->in_path)
            argp_error(state, "one input at a time");
        attend->in_path = argument;
        return 0;
    case ARGP_KEY_END:
        check(attend, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int open_input(struct attend *attend, struct problem *problem)
{
    if (npy_open(&attend->in, attend->in_path, problem) < 0)
        return -1;
    const uint64_t *shape = attend->in.shape;
    bool fits = attend->in.n_dims == 4 && shape[1] == 3 && shape[2] <= UINT32_MAX && shape[3] <= UINT32_MAX;
    if (!fits) {
        problem_set(problem,
                    "%s: raw attention takes float32 [T, 3, H, d], q, k and v of each frame; this has %d dimensions%s",
                    attend->in_path, attend->in.n_dims, attend->in.n_dims == 4 ? ", the second of which is not 3" : "");
        npy_close(&attend->in);
        return -1;
    }
    attend->attention.heads = shape[2];
    attend->attention.head_dim = shape[3];
    return 0;
}

/* Takes M from the file's shape, which has to agree with what was given. */
static int use_landmarks(struct attend *attend, struct npy *file, struct problem *problem)
{
    struct attnc_attention *attention = &attend->attention;
    const uint64_t *shape = file->shape;
    bool fits = file->n_dims == 4 && shape[0] == 2 && shape[1] == attention->heads && shape[3] == attention->head_dim &&
                shape[2] <= UINT32_MAX;
    if (!fits)
        return problem_set(problem, "%s: landmarks are float32 [2, H, M, d], q then k, here [2, %u, M, %u]",
                           attend->landmark_path, attention->heads, attention->head_dim);
    if (attention->landmarks && attention->landmarks != shape[2])
        return problem_set(problem, "%s holds %" PRIu64 " landmarks, not the %u of --landmarks", attend->landmark_path,
                           shape[2], attention->landmarks);
    attend->landmarks = calloc(2 * file->row_floats, sizeof(float));
    if (!attend->landmarks)
        return problem_set(problem, "no memory for the landmarks");
    ssize_t n = npy_read_rows(file, attend->landmarks, 2, problem);
    if (n != 2)
        return n < 0 ? -1 : problem_set(problem, "%s is cut off", attend->landmark_path);
    attention->landmarks = shape[2];
    attention->landmark_policy = "fixed";
    attention->q_landmarks = attend->landmarks;
    attention->k_landmarks = attend->landmarks + file->row_floats;
    return 0;
}

static int read_landmarks(struct attend *attend, struct problem *problem)
{
    struct npy file;
    if (!attend->landmark_path)
        return 0;
    if (npy_open(&file, attend->landmark_path, problem) < 0)
        return -1;
    int result = use_landmarks(attend, &file, problem);
    npy_close(&file);
    return result;
}

static void on_output(void *ctx, const struct attnc_output *output)
{
    struct attend *attend = ctx;
    if (attend->failed)
        return;
    if (output->frame != attend->out.n_rows)
        attend->failed = problem_set(&attend->problem, "frame %" PRIu64 " has no output", attend->out.n_rows) < 0;
    else
        attend->failed = npy_write_rows(&attend->out, output->values, 1, &attend->problem) < 0;
}

static void on_notice(void *ctx, const struct attnc_notice *notice)
{
    struct attend *attend = ctx;
    if (attend->failed || notice->count == 0)
        return;
    if (terms_count_late(&attend->terms, notice)) {
        attend->failed = npy_write_missing(&attend->out, notice->count, &attend->problem) < 0;
        return;
    }
    attend->failed = true;
    problem_set(&attend->problem, "frame %" PRIu64 " has no output: %s (%s)", notice->first,
                session_notice_text(notice), notice->name);
}

/* Pushes all rows, a chunk at a time. EXIT_DATA after having complained. */
static enum exit_code push_all(struct attend *attend, const struct session *session, struct attnc_stream *stream)
{
    struct problem problem;
    size_t row_bytes = attend->in.row_floats * sizeof(float),
           chunk = row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1;
    float *rows = calloc(chunk, row_bytes);
    ssize_t n = rows ? 1 : problem_set(&problem, "no memory for %zu frames", chunk);
    int result = 0;
    while (n > 0 && result == 0 && !attend->failed && !interrupted()) {
        n = npy_read_rows(&attend->in, rows, chunk, &problem);
        if (n > 0)
            result = attnc_push(stream, rows, n);
    }
    if (result == 0 && !attend->failed)
        result = attnc_finish(stream);
    free(rows);
    terms_tell(&attend->terms, attend->in_path, attnc_stream_info(stream)->next_frame);
    if (attend->failed)
        return complain(EXIT_DATA, "%s: %s", attend->in_path, attend->problem.text);
    if (result < 0)
        return session_complain(session, attend->in_path);
    if (n < 0 && !interrupted())
        return complain(EXIT_DATA, "%s", problem.text);
    return interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

static int create_output(struct attend *attend, const struct attnc_stream_info *info, struct problem *problem)
{
    const struct attnc_attention *attention = &attend->attention;
    uint64_t plain[3] = {attend->in.shape[0], attention->heads, attention->head_dim};
    uint64_t windows[4] = {attend->in.shape[0], attention->window, attention->heads, attention->head_dim};
    uint64_t floats = plain[1] * plain[2] * (attention->retroactive ? windows[1] : 1);
    const char *path = attend->out_path ? attend->out_path : "-";
    if (info->input_dim != attend->in.row_floats)
        return problem_set(problem, "the daemon's frames have %u floats, those of %s %zu", info->input_dim,
                           attend->in_path, attend->in.row_floats);
    if (info->output_dim != floats)
        return problem_set(problem, "the daemon's outputs have %u floats, not %" PRIu64, info->output_dim, floats);
    if (input_check_output(attend->in_path, path, problem) < 0)
        return -1;
    return npy_create(&attend->out, path, attention->retroactive ? 4 : 3, attention->retroactive ? windows : plain,
                      problem);
}

/* Through the open stream into the output. */
static enum exit_code attend_stream(struct attend *attend, const struct session *session, struct attnc_stream *stream)
{
    struct problem problem;
    if (create_output(attend, attnc_stream_info(stream), &problem) < 0)
        return interrupted() ? EXIT_INTERRUPTED : complain(EXIT_DATA, "%s", problem.text);
    enum exit_code code = push_all(attend, session, stream);
    if (code != EXIT_DONE) {
        attend->failed = true; /* nothing is written of what still comes */
        npy_abandon(&attend->out);
        return code;
    }
    return npy_finish(&attend->out, &problem) < 0 ? complain(EXIT_DATA, "%s", problem.text) : EXIT_DONE;
}

/* The stream is closed whatever came of it: the daemon would keep it for a client that lost its connection. */
static enum exit_code attend_through(struct attend *attend, const struct session *session)
{
    struct attnc_open_options options = {.size = sizeof(options),
                                         .attention = &attend->attention,
                                         .on_output = on_output,
                                         .on_notice = on_notice,
                                         .ctx = attend};
    struct attnc_stream *stream;
    terms_apply(&attend->terms, &options);
    if (attnc_open(session->client, &stream, &options) < 0)
        return session_complain(session, "attend");
    enum exit_code code = attend_stream(attend, session, stream);
    if (!session_is_lost(session))
        attnc_close_stream(stream);
    return code;
}

static enum exit_code attend_all(struct attend *attend)
{
    struct problem problem;
    struct session session;
    if (open_input(attend, &problem) < 0)
        return complain(EXIT_DATA, "%s", problem.text);
    enum exit_code code = EXIT_DONE;
    if (read_landmarks(attend, &problem) < 0)
        code = complain(EXIT_DATA, "%s", problem.text);
    if (code == EXIT_DONE && !attend->attention.method)
        attend->attention.method = attend->attention.landmarks ? "nystrom" : "exact";
    if (code == EXIT_DONE)
        code = session_open(&session, attend->settings, NULL, SESSION_OR_PRIVATE);
    if (code == EXIT_DONE) {
        interrupt_start();
        code = attend_through(attend, &session);
        session_close(&session);
    }
    free(attend->landmarks);
    npy_close(&attend->in);
    return code;
}

int attend_run(struct settings *settings, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"method", OPTION_METHOD, "METHOD", 0, "exact, or nystrom (default: nystrom where there are landmarks)", 0},
        {"window", OPTION_WINDOW, "N", 0, "Frames that are attended to, the newest included", 0},
        {"landmarks", OPTION_LANDMARKS, "M", 0, "Landmarks: means of segments of the window", 0},
        {"landmark-file", OPTION_LANDMARK_FILE, "L.npy", 0, "Fixed landmarks: float32 [2, H, M, d], q then k", 0},
        {"refresh", OPTION_REFRESH, "HOW", 0, "immediate (the default) or spread", 0},
        {"inverse-scale", OPTION_SCALE, "OVER", 0, "matrix (the default) or heads", 0},
        {"retroactive", OPTION_RETROACTIVE, NULL, 0, "All outputs of the window at each frame: OUT is [T, N, H, d]", 0},
        {"output", 'o', "OUT.npy", 0, "Where the outputs go (default: standard output)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&settings_argp, 0, NULL, 0}, {&terms_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "IN.npy",
        .doc = "Raw continual attention: IN is float32 [T, 3, H, d], the q, k and v of each frame; OUT is float32 [T, "
               "H, d].",
        .children = children,
    };
    struct attend attend = {.settings = settings, .attention = {.size = sizeof(attend.attention)}};
    arguments_parse(&argp, argc, argv, 0, &attend);
    return attend_all(&attend);
}
