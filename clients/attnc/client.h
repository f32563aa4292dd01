/* SPDX-License-Identifier: MIT */
/*
 * libattnclient: frames to attnd, outputs back, over a Unix socket. Blocking and small: no threads, no loop, no
 * signals. It reads whenever it waits, also while it waits to write, so that a client and a daemon never wait for each
 * other.
 *
 *     #include <attnc/client.h>
 *     #include <stdio.h>
 *     #include <string.h>
 *
 *     static void on_output(void *ctx, const struct attnc_output *output)
 *     {
 *         (void)ctx;
 *         printf("frame %llu: %f\n", (unsigned long long)output->frame, output->values[0]);
 *     }
 *
 *     int main(void)
 *     {
 *         struct attnc_open_options options;
 *         struct attnc_client *client;
 *         struct attnc_stream *stream;
 *         struct attnc_error error;
 *
 *         if (attnc_connect(&client, NULL, &error) < 0) {
 *             fprintf(stderr, "%s\n", error.text);
 *             return 1;
 *         }
 *         float frame[4096] = {0};
 *         memset(&options, 0, sizeof(options)); // the default of all that is not set below
 *         options.size = sizeof(options);
 *         options.model = "sounds";
 *         options.on_output = on_output;
 *         int result = attnc_open(client, &stream, &options);
 *         for (int i = 0; i < 100 && result >= 0 && attnc_stream_info(stream)->input_dim <= 4096; i++)
 *             result = attnc_push(stream, frame, 1);
 *         if (result >= 0)
 *             result = attnc_finish(stream);
 *         if (result < 0)
 *             fprintf(stderr, "%s\n", attnc_last_error(client)->text);
 *         attnc_close(client);
 *         return result < 0;
 *     }
 *
 * A client and all its streams belong to one thread at a time; several clients are independent of each other. Functions
 * that return int return 0 or more for success and one of ATTNC_E_* for failure, of which attnc_last_error then tells
 * more; where the connection is of no more use, every later call that needs it fails at once with the same error.
 * Callbacks run inside the functions that wait, and must not call any function of the same client but
 * attnc_stream_info.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attnc/api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ATTNC_DEFAULT_SOCKET "/run/attnd/attnd.sock"

#define ATTNC_E_CONNECT -1 /**< the daemon cannot be reached; `system` of the error is the errno */
#define ATTNC_E_TIMEOUT                                                                                                \
    -2 /**< what was waited for did not come within the options' time; the connection is of no more use */
#define ATTNC_E_CLOSED   -3 /**< the connection or the stream has ended; the text says why, as far as the daemon told */
#define ATTNC_E_REFUSED  -4 /**< the daemon refused the request; `name` is the protocol's name of the error */
#define ATTNC_E_PROTOCOL -5 /**< what came is not what the protocol says; the connection is of no more use */
#define ATTNC_E_OPTIONS  -6 /**< the arguments contradict each other or are out of range; nothing was sent */
#define ATTNC_E_MEMORY   -7 /**< no memory */

/** What went wrong last. The caller's struct in attnc_connect: it does not grow. */
struct attnc_error {
    int result;        /**< ATTNC_E_… */
    int system;        /**< errno of ATTNC_E_CONNECT, else 0 */
    char name[32];     /**< the daemon's name of the error ("unknown_model"), or why it ended the stream ("superseded",
                            "idle", …); "" where the daemon did not say it */
    char text[488];    /**< one sentence for people: what is wrong, with the number, and what to do */
    uint64_t retry_ms; /**< after so many milliseconds it may be worth trying again; 0: the daemon did not say */
    double left_shard, left_all; /**< of over_capacity: frames/s of this kind that one of the daemon's threads, and all
                                      of them together, still take; a stream has to fit one. Else 0 */
};

/** A connection to a daemon. */
struct attnc_client;

/** A stream of a client's: a sequence of frames with its state in the daemon. */
struct attnc_stream;

/** One output, which answers one frame. Pointers live until the callback returns. */
struct attnc_output {
    const struct attnc_stream *stream;
    uint64_t frame;    /**< number of the frame answered */
    uint64_t position; /**< t: frames applied since open or reset, less one */
    uint64_t lag_us;   /**< from the frame's arrival to the output's departure, in the daemon */
    int warming;       /**< not 0 while the window is not full yet */
    uint32_t n_values; /**< floats in `values`: output_dim of the stream */
    const float *values;
};

/** What the daemon tells without having been asked, other than outputs. Pointers live until the callback returns. A
 * `what` that is not listed here is to be ignored.
 *
 * - "dropped": `first` and `count` frames were not applied; `name` says why ("late": they could not meet deadline_ms).
 * - "skipped": `first` and `count` frames were applied, but have no output ("late"; "replay"; "not_finite": numbers that
 *   still count are so large that the output would hold an infinity or NaN).
 * - "reset": another connection emptied the state; the frame `next_frame` will have position 0.
 * - "idle": the daemon ends the stream unless it is used within `left_ms`.
 * - "ended": the stream is no more, `name` says why ("closed", "killed", "idle"), and `text` what an operator added.
 *   "superseded": another connection has taken it over. After either it takes no more frames, and attnc_push says why.
 * - "drain": the daemon stops, and ends the connection within `left_ms`.
 * - "error": `name` and `text` say which; with a count it refuses a frame. */
struct attnc_notice {
    const char *what;
    const struct attnc_stream *stream; /**< NULL where it concerns the connection or a stream that is not open here */
    uint64_t first, count;             /**< the frames named, which have no output; count 0: none is named */
    const char *name;    /**< the error's name ("bad_frame"), or the event's reason; "" where there is none */
    const char *text;    /**< the error's text; "" where there is none */
    uint64_t next_frame; /**< of "reset"; else 0 */
    uint64_t left_ms;    /**< of "idle" and "drain"; else 0 */
};

/** How to connect; zero is the default of each. Like all structs that begin with their size it may get more fields at
 *  its end: those that a caller's does not have yet are zero. */
struct attnc_connect_options {
    size_t size;         /**< sizeof(struct attnc_connect_options) */
    const char *socket;  /**< path of the Unix socket; NULL: ATTNC_DEFAULT_SOCKET */
    const char *name;    /**< how the client calls itself to the daemon; NULL: "libattnclient" */
    uint32_t connect_ms; /**< longest wait for the connection and the daemon's greeting in all; 0: 5000 */
    uint32_t silence_ms; /**< longest wait with nothing from the daemon in any later call; 0: 30000 */
    void (*on_notice)(void *ctx, const struct attnc_notice *notice); /**< of the connection; NULL: they are not told */
    void *ctx;
    uint32_t call_ms; /**< longest wait of any later call in all, whatever else the daemon sends meanwhile; 0: 60000, or
                           silence_ms where that is longer. Frames of the stream that is pushed to, finished, reset or
                           closed begin this time anew when they are settled. Time within callbacks does not count. A
                           call that takes longer is ATTNC_E_TIMEOUT. attnc_wait has its own time */
};

/** Connects and greets. *client is the caller's, to be freed with attnc_close; NULL on failure. `options` may be NULL,
 *  and so may `error`, which tells what attnc_last_error cannot where there is no client.
 *  Errors: ATTNC_E_CONNECT, _TIMEOUT, _CLOSED, _REFUSED (the greeting was), _PROTOCOL, _OPTIONS, _MEMORY. */
ATTNC_API int attnc_connect(struct attnc_client **client, const struct attnc_connect_options *options,
                            struct attnc_error *error);

/** Ends the connection and frees the client with all its streams; NULL is allowed. The daemon keeps the streams for its
 *  park_ms (attnd.conf(5)) unless attnc_close_stream was called. */
ATTNC_API void attnc_close(struct attnc_client *client);

/** The last failure of this client's; valid until its next call. */
ATTNC_API const struct attnc_error *attnc_last_error(const struct attnc_client *client);

/** The daemon's name and version as it gave them ("attnd 0.1.0"); lives as long as the client. */
ATTNC_API const char *attnc_server(const struct attnc_client *client);

/** A raw attention instead of a model: method, sizes and options as attnd-model(7) names them. NULL and 0 are the
 * daemon's defaults. Only read during attnc_open. */
struct attnc_attention {
    size_t size;                            /**< sizeof(struct attnc_attention) */
    const char *method;                     /**< "exact" or "nystrom" */
    uint32_t heads, head_dim;               /**< H and d, floats */
    uint32_t window, landmarks;             /**< n and m, frames */
    const char *landmark_policy;            /**< "means" or "fixed" */
    const char *refresh;                    /**< "immediate" or "spread" */
    const char *inverse_scale;              /**< "matrix" or "heads" */
    int retroactive;                        /**< not 0: an output is [n][H][d], a row for each frame of the window */
    const float *q_landmarks, *k_landmarks; /**< [H][m][d] each, for the policy "fixed"; else NULL */
};

/** What to open: either `model` or `attention`, not both. Only read during attnc_open. */
struct attnc_open_options {
    size_t size;       /**< sizeof(struct attnc_open_options) */
    const char *model; /**< a name that the daemon knows */
    const struct attnc_attention *attention;
    const char *name;   /**< of the stream, unique per user; NULL: none */
    const char *output; /**< "scores", "logits" or "embedding"; NULL: "scores" */
    void (*on_output)(void *ctx, const struct attnc_output *output); /**< NULL: outputs are not told */
    void (*on_notice)(void *ctx, const struct attnc_notice *notice); /**< NULL: as the connection's */
    void *ctx;
    double rate;          /**< frames a second that will be pushed at most, for which the daemon keeps room or refuses
                               the stream (over_capacity); 0: nothing is promised */
    const char *late;     /**< what becomes of frames that cannot meet deadline_ms: "block" (they wait), "drop-oldest"
                               or "skip-output", either of which needs a deadline; NULL: "block" */
    uint32_t deadline_ms; /**< longest time from a frame's arrival to its output; 0: none */
    int replay;           /**< not 0: rebuild a stream from its newest frames, see below */
    uint64_t first_frame; /**< number of the frame that is pushed first */
    uint64_t position;    /**< replay: position of first_frame, which is how many were applied before it */
    uint64_t answer_from; /**< replay: frames below this number are applied without output ("skipped", "replay") */
};

/* A replay. The state is a function of the last `replay_frames` frames that were applied, so that a caller who keeps
 * the last R = replay_frames − 1 of them (no dropped or refused ones) can rebuild a stream in any daemon that has the
 * model. With p = info.position, the frames applied so far, and n = min(R, p): first_frame = info.settled − n, position
 * = p − n, answer_from = info.settled; then the n frames are pushed, and after them the frame info.settled and all
 * later ones, whose outputs are, to the bit, those that the lost stream would have given (from the same version of the
 * daemon on a machine with the same instructions). */

/** What the daemon said when the stream was opened, and where it stands. Pointers live as long as the stream. */
struct attnc_stream_info {
    uint64_t stream;                /**< the daemon's number of it */
    uint32_t input_dim, output_dim; /**< floats of a frame and of an output */
    uint32_t credit;                /**< most frames sent and not yet settled */
    uint64_t next_frame;            /**< number of the frame that is pushed next */
    uint64_t settled;               /**< frames below this number have their output, or were named by a notice */
    uint32_t n_labels;
    const char *const *labels; /**< [n_labels], names of the output's values */
    uint8_t token[16];         /**< the stream's secret, for attnc_attach; zeros where the daemon gave none */
    uint64_t position;         /**< that the frame `settled` will have: how many were applied since open or reset */
    uint64_t replay_frames;    /**< the state is a function of so many of the newest applied frames */
    uint64_t state_bytes;      /**< memory that the stream takes in the daemon */
    uint64_t warming_frames;   /**< so many outputs after open or reset are warming */
    int ended;                 /**< not 0: the daemon has ended it, or another connection has taken it over */
};

/** Opens a stream; *stream belongs to the client. Errors: ATTNC_E_REFUSED, _OPTIONS, _MEMORY and those of waiting
 * (_TIMEOUT, _CLOSED, _PROTOCOL). */
ATTNC_API int attnc_open(struct attnc_client *client, struct attnc_stream **stream,
                         const struct attnc_open_options *options);

/** Which stream to go on with: `name`, or else `stream`. Only read during attnc_attach. */
struct attnc_attach_options {
    size_t size;          /**< sizeof(struct attnc_attach_options) */
    const char *name;     /**< NULL: `stream` says which */
    uint64_t stream;      /**< the daemon's number of it, info.stream */
    const uint8_t *token; /**< [16], info.token of when it was opened */
    int again;            /**< not 0: the frames from `settled` on are pushed again, for the answers that were lost */
    uint64_t settled;     /**< again: info.settled of before the break */
    uint64_t position;    /**< again: info.position of before the break */
    void (*on_output)(void *ctx, const struct attnc_output *output); /**< as in attnc_open_options */
    void (*on_notice)(void *ctx, const struct attnc_notice *notice);
    void *ctx;
};

/** Goes on with a stream whose connection broke, or takes it over from another connection, which is told "superseded".
 * The daemon keeps the state and the newest `credit` answers of a stream for its park_ms. Errors: as attnc_open; a
 * stream that is no more is ATTNC_E_REFUSED with the name unknown_stream: attnc_open with a replay rebuilds it; and
 * ATTNC_E_OPTIONS also where `settled` is beyond all that the daemon has.
 *
 * Without `again` info.next_frame is the first number that the daemon does not have, and answers that were lost stay
 * lost. With it nothing is lost: a caller keeps the frames that are not settled yet, which are never more than the
 * credit, and after the break pushes them again. info.next_frame then is `settled`; the frames that the daemon has had
 * are answered with the same bits and not applied twice, and those that never arrived are new:
 *
 *     struct attnc_stream_info was = *attnc_stream_info(stream);    // before attnc_close, which frees it
 *     attnc_close(client);
 *     result = attnc_connect(&client, &connect, &error);
 *     struct attnc_attach_options options;
 *     memset(&options, 0, sizeof(options));
 *     options.size = sizeof(options);
 *     options.stream = was.stream;
 *     options.token = was.token;
 *     options.again = 1;
 *     options.settled = was.settled;
 *     options.position = was.position;
 *     options.on_output = on_output;
 *     if (result == 0)
 *         result = attnc_attach(client, &stream, &options);
 *     while (result == 0 && attnc_stream_info(stream)->next_frame < n_frames)
 *         result = attnc_push(stream, frames[attnc_stream_info(stream)->next_frame], 1);
 */
ATTNC_API int attnc_attach(struct attnc_client *client, struct attnc_stream **stream,
                           const struct attnc_attach_options *options);

/** Where the stream stands; lives as long as the stream. */
ATTNC_API const struct attnc_stream_info *attnc_stream_info(const struct attnc_stream *stream);

/** Sends k frames, [k][input_dim]; returns once all are handed to the kernel. It waits where the stream has no credit,
 * and calls on_output and on_notice for all that comes meanwhile, the answers to other streams included. Where the
 * daemon did not take frames (the notice "error" names frame_gap or credit_exceeded), next_frame goes back to the one
 * it expects. Errors: those of waiting; ATTNC_E_CLOSED where the stream has ended. */
ATTNC_API int attnc_push(struct attnc_stream *stream, const float *frames, size_t k);

/** Reads what has come and calls the callbacks; where nothing has, waits up to timeout_ms (−1: up to silence_ms of the
 *  connect options, after which nothing at all is ATTNC_E_TIMEOUT).
 *  Returns 1 where something came, 0 where not. Errors: those of waiting. */
ATTNC_API int attnc_wait(struct attnc_client *client, int timeout_ms);

/** Descriptor of the connection, for a poll of one's own: POLLIN, then attnc_wait. It stays the client's. After any
 * other function call attnc_wait(client, 0) first: that function may have read more than it told. */
ATTNC_API int attnc_descriptor(const struct attnc_client *client);

/** Waits until every frame pushed is settled, its outputs told. The stream goes on. */
ATTNC_API int attnc_finish(struct attnc_stream *stream);

/** Empties the stream's state: the next frame has position 0. Answers to frames pushed before are told first. */
ATTNC_API int attnc_reset(struct attnc_stream *stream);

/** Ends the stream in the daemon and frees it, also where that fails; frames that still wait are dropped (attnc_finish
 *  first to have them all). A stream that was ended or taken over by others is only freed. */
ATTNC_API int attnc_close_stream(struct attnc_stream *stream);

/** Any other request, such as "ping", "models", "streams", "info", "stats" (attnd-protocol(7)). `params` is one
 * MessagePack map, NULL for an empty one; *result is one MessagePack value, the client's, valid until its next call.
 *  Errors: ATTNC_E_REFUSED, ATTNC_E_OPTIONS (no such method, params no single value) and those of waiting. */
ATTNC_API int attnc_call(struct attnc_client *client, const char *method, const void *params, size_t n_params,
                         const void **result, size_t *n_result);

#ifdef __cplusplus
}
#endif
