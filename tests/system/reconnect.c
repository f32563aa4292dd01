/* SPDX-License-Identifier: MIT */
/*
 * A caller of libattnclient that loses its connection again and again, and no answer:
 *
 *     reconnect whole|attach|replay K SOCKET...
 *
 * pushes frames of a raw attention, one of which is no number, and writes all outputs to standard output, that of the
 * refused frame as zeros. With `attach` it drops its connection after every K frames, without waiting for all of their
 * answers, and goes on with the stream; with `replay` it opens a new one at the next SOCKET, in turn, and rebuilds
 * its state from the frames that it kept.
 */
#include <attnc/client.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FRAMES   300
#define REFUSED    123 /* the frame with a NaN */
#define HEADS      2
#define HEAD_DIM   4
#define WINDOW     24
#define LANDMARKS  4
#define INPUT_DIM  (3 * HEADS * HEAD_DIM)
#define OUTPUT_DIM (HEADS * HEAD_DIM)

struct caller {
    float frames[N_FRAMES][INPUT_DIM];
    float outputs[N_FRAMES][OUTPUT_DIM];
    bool settled[N_FRAMES];
    struct attnc_client *client;
    struct attnc_stream *stream;
    bool failed;
};

static void on_output(void *ctx, const struct attnc_output *output)
{
    struct caller *caller = ctx;
    float *kept = caller->outputs[output->frame];
    if (caller->settled[output->frame] && memcmp(kept, output->values, sizeof(caller->outputs[0])) != 0) {
        fprintf(stderr, "frame %llu was answered twice, with other bits\n", (unsigned long long)output->frame);
        caller->failed = true;
    }
    memcpy(kept, output->values, sizeof(caller->outputs[0]));
    caller->settled[output->frame] = true;
}

static void on_notice(void *ctx, const struct attnc_notice *notice)
{
    struct caller *caller = ctx;
    if (strcmp(notice->what, "error") == 0 && notice->first == REFUSED && notice->count == 1) {
        caller->settled[REFUSED] = true;
    } else if (strcmp(notice->what, "skipped") != 0 || strcmp(notice->name, "replay") != 0) {
        fprintf(stderr, "%s: %s %s\n", notice->what, notice->name, notice->text);
        caller->failed = true;
    }
}

static void check(struct caller *caller, int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, attnc_last_error(caller->client)->text);
    exit(1);
}

static void connect_to(struct caller *caller, const char *socket)
{
    struct attnc_connect_options options = {.size = sizeof(options), .socket = socket};
    struct attnc_error error;
    if (attnc_connect(&caller->client, &options, &error) == 0)
        return;
    fprintf(stderr, "%s\n", error.text);
    exit(1);
}

static void open_stream(struct caller *caller, const struct attnc_open_options *terms)
{
    struct attnc_attention attention = {.size = sizeof(attention),
                                        .method = "nystrom",
                                        .heads = HEADS,
                                        .head_dim = HEAD_DIM,
                                        .window = WINDOW,
                                        .landmarks = LANDMARKS};
    struct attnc_open_options options = *terms;
    options.size = sizeof(options);
    options.attention = &attention;
    options.on_output = on_output;
    options.on_notice = on_notice;
    options.ctx = caller;
    check(caller, attnc_open(caller->client, &caller->stream, &options), "open");
}

static void attach(struct caller *caller, const struct attnc_stream_info *was)
{
    struct attnc_attach_options options = {.size = sizeof(options),
                                           .stream = was->stream,
                                           .token = was->token,
                                           .again = 1,
                                           .settled = was->settled,
                                           .position = was->position,
                                           .on_output = on_output,
                                           .on_notice = on_notice,
                                           .ctx = caller};
    check(caller, attnc_attach(caller->client, &caller->stream, &options), "attach");
}

/* A new stream with the state that the old one had after the frames below was->settled. */
static void replay(struct caller *caller, const struct attnc_stream_info *was)
{
    uint64_t n = was->replay_frames - 1 < was->position ? was->replay_frames - 1 : was->position;
    struct attnc_open_options terms = {
        .replay = 1, .first_frame = was->settled - n, .position = was->position - n, .answer_from = was->settled};
    open_stream(caller, &terms);
    /* The n frames before it that were applied: the one that was refused is none of them. */
    uint64_t first = was->settled - n - (was->settled > REFUSED && was->settled - n <= REFUSED);
    for (uint64_t i = first; i < was->settled; i++)
        if (i != REFUSED)
            check(caller, attnc_push(caller->stream, caller->frames[i], 1), "push of a replay");
}

/* Pushes up to k frames, and lets go of the connection as soon as one of them is settled, with what is under way on it.
 */
static struct attnc_stream_info push_and_break(struct caller *caller, uint64_t k)
{
    const struct attnc_stream_info *info = attnc_stream_info(caller->stream);
    uint64_t settled = info->settled;
    for (uint64_t i = 0; i < k && info->next_frame < N_FRAMES; i++)
        check(caller, attnc_push(caller->stream, caller->frames[info->next_frame], 1), "push");
    while (info->settled == settled && settled < N_FRAMES)
        check(caller, attnc_wait(caller->client, -1), "wait");
    struct attnc_stream_info was = *info;
    attnc_close(caller->client);
    return was;
}

static void run(struct caller *caller, const char *mode, uint64_t k, char **sockets, int n_sockets)
{
    const struct attnc_open_options fresh = {0};
    connect_to(caller, sockets[0]);
    open_stream(caller, &fresh);
    for (int i = 1; strcmp(mode, "whole") != 0; i++) {
        struct attnc_stream_info was = push_and_break(caller, k);
        connect_to(caller, sockets[strcmp(mode, "replay") == 0 ? i % n_sockets : 0]);
        if (strcmp(mode, "replay") == 0)
            replay(caller, &was);
        else
            attach(caller, &was);
        if (was.next_frame == N_FRAMES)
            break;
    }
    const struct attnc_stream_info *info = attnc_stream_info(caller->stream);
    while (info->next_frame < N_FRAMES)
        check(caller, attnc_push(caller->stream, caller->frames[info->next_frame], 1), "push");
    check(caller, attnc_finish(caller->stream), "finish");
    check(caller, attnc_close_stream(caller->stream), "close");
    attnc_close(caller->client);
}

int main(int argc, char **argv)
{
    static struct caller caller;
    if (argc < 4)
        return 2;
    srand(7);
    for (int i = 0; i < N_FRAMES * INPUT_DIM; i++)
        caller.frames[i / INPUT_DIM][i % INPUT_DIM] = (float)rand() / (float)RAND_MAX - 0.5f;
    caller.frames[REFUSED][3] = NAN;
    run(&caller, argv[1], strtoull(argv[2], NULL, 10), argv + 3, argc - 3);
    for (int i = 0; i < N_FRAMES; i++)
        if (!caller.settled[i]) {
            fprintf(stderr, "frame %d has no answer\n", i);
            return 1;
        }
    fwrite(caller.outputs, sizeof(caller.outputs), 1, stdout);
    return caller.failed;
}
