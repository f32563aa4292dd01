/* SPDX-License-Identifier: MIT */
/*
 * libattnclient: frames to attnd, outputs back, over a Unix socket. Blocking and small: no threads, no loop, no
 * signals. It reads whenever it waits, also while it waits to write, so that a client and a daemon never wait for each
 * other.
 *
 *     #include <attnc/client.h>
 *     #include <stdio.h>
 *
 *     static void on_output(void *ctx, const struct attnc_output *output)
 *     {
 *         (void)ctx;
 *         printf("frame %llu: %f\n", (unsigned long long)output->frame, output->values[0]);
 *     }
 *
 *     int main(void)
 *     {
 *         struct attnc_open_options options = {.size = sizeof(options), .model = "sounds", .on_output = on_output};
 *         struct attnc_client *client;
 *         struct attnc_stream *stream;
 *         struct attnc_error error;
 *
 *         if (attnc_connect(&client, NULL, &error) < 0) {
 *             fprintf(stderr, "%s\n", error.text);
 *             return 1;
 *         }
 *         float frame[4096] = {0};
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

#define ATTNC_E_CONNECT  -1 /**< the daemon cannot be reached; `system` of the error is the errno */
#define ATTNC_E_TIMEOUT  -2 /**< nothing came for as long as the options allow; the connection is of no more use */
#define ATTNC_E_CLOSED   -3 /**< the connection or the stream has ended; the text says why, as far as the daemon told */
#define ATTNC_E_REFUSED  -4 /**< the daemon refused the request; `name` is the protocol's name of the error */
#define ATTNC_E_PROTOCOL -5 /**< what came is not what the protocol says; the connection is of no more use */
#define ATTNC_E_OPTIONS  -6 /**< the arguments contradict each other or are out of range; nothing was sent */
#define ATTNC_E_MEMORY   -7 /**< no memory */

/** What went wrong last. */
struct attnc_error {
    int result;     /**< ATTNC_E_… */
    int system;     /**< errno of ATTNC_E_CONNECT, else 0 */
    char name[32];  /**< the daemon's name of the error ("unknown_model"), or "" where the daemon did not say it */
    char text[512]; /**< one sentence for people: what is wrong, with the number, and what to do */
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

/** What the daemon tells without having been asked, other than outputs. Pointers live until the callback returns. */
struct attnc_notice {
    const char *what; /**< "dropped", "skipped", "reset", "idle", "ended", "superseded", "drain", … or "error" */
    const struct attnc_stream *stream; /**< NULL where it concerns the connection or a stream that is not open here */
    uint64_t first, count;             /**< the frames named, which have no output; count 0: none is named */
    const char *name; /**< the error's name ("bad_frame"), or the event's reason; "" where there is none */
    const char *text; /**< the error's text; "" for events */
};

/** How to connect; zero is the default of each. */
struct attnc_connect_options {
    size_t size;         /**< sizeof(struct attnc_connect_options), so that the struct can grow */
    const char *socket;  /**< path of the Unix socket; NULL: ATTNC_DEFAULT_SOCKET */
    const char *name;    /**< how the client calls itself to the daemon; NULL: "libattnclient" */
    uint32_t connect_ms; /**< longest wait for the connection and the daemon's greeting; 0: 5000 */
    uint32_t silence_ms; /**< longest wait with nothing from the daemon in any later call; 0: 30000 */
    void (*on_notice)(void *ctx, const struct attnc_notice *notice); /**< of the connection; NULL: they are not told */
    void *ctx;
};

/** Connects and greets. *client is the caller's, to be freed with attnc_close; NULL on failure. `options` may be NULL,
 *  and so may `error`, which tells what attnc_last_error cannot where there is no client.
 *  Errors: ATTNC_E_CONNECT, _TIMEOUT, _CLOSED, _REFUSED (the greeting was), _PROTOCOL, _OPTIONS, _MEMORY. */
ATTNC_API int attnc_connect(struct attnc_client **client, const struct attnc_connect_options *options,
                            struct attnc_error *error);

/** Ends the connection and frees the client with all its streams; NULL is allowed. The daemon keeps the streams for its
 *  park_timeout unless attnc_close_stream was called. */
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
};

/** What the daemon said when the stream was opened, and where it stands. Pointers live as long as the stream. */
struct attnc_stream_info {
    uint64_t stream;                /**< the daemon's number of it */
    uint32_t input_dim, output_dim; /**< floats of a frame and of an output */
    uint32_t credit;                /**< most frames sent and not yet settled */
    uint64_t next_frame;            /**< number of the frame that is pushed next */
    uint64_t settled;               /**< frames below this number have their output, or were named by a notice */
    uint32_t n_labels;
    const char *const *labels; /**< [n_labels], names of the output's values */
};

/** Opens a stream; *stream belongs to the client. Errors: ATTNC_E_REFUSED, _OPTIONS, _MEMORY and those of waiting
 * (_TIMEOUT, _CLOSED, _PROTOCOL). */
ATTNC_API int attnc_open(struct attnc_client *client, struct attnc_stream **stream,
                         const struct attnc_open_options *options);

/** Where the stream stands; lives as long as the stream. */
ATTNC_API const struct attnc_stream_info *attnc_stream_info(const struct attnc_stream *stream);

/** Sends k frames, [k][input_dim]; returns once all are handed to the kernel. It waits where the stream has no credit,
 * and calls on_output and on_notice for all that comes meanwhile, the answers to other streams included. Where the
 * daemon did not take frames (the notice "error" names frame_gap or credit_exceeded), next_frame goes back to the one
 * it expects. Errors: those of waiting; ATTNC_E_CLOSED where the stream has ended. */
ATTNC_API int attnc_push(struct attnc_stream *stream, const float *frames, size_t k);

/** Reads what has come and calls the callbacks; where nothing has, waits up to timeout_ms (−1: as long as it takes).
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
 *  first to have them all). */
ATTNC_API int attnc_close_stream(struct attnc_stream *stream);

/** Any other request, such as "ping", "models", "streams", "info", "stats" (attnd-protocol(7)). `params` is one
 * MessagePack map, NULL for an empty one; *result is one MessagePack value, the client's, valid until its next call.
 *  Errors: ATTNC_E_REFUSED, ATTNC_E_OPTIONS (no such method, params no single value) and those of waiting. */
ATTNC_API int attnc_call(struct attnc_client *client, const char *method, const void *params, size_t n_params,
                         const void **result, size_t *n_result);

#ifdef __cplusplus
}
#endif
