/* SPDX-License-Identifier: MIT */
/* Opening a stream: the options as parameters of `open`. */
#include "config.h"

#include "libattnclient/client.h"
#include "libattnclient/error.h"
#include "libattnclient/options.h"

/* Where the fields begin that later versions added. */
#define OPEN_BYTES_FIRST offsetof(struct attnc_open_options, rate)

/* Copies of the caller's options in today's size; options->attention then points to `attention`. */
static int take_options(struct attnc_open_options *options, struct attnc_attention *attention,
                        const struct attnc_open_options *given, struct attnc_error *error)
{
    int result = attnc_options_take(options, sizeof(*options), OPEN_BYTES_FIRST, given, "attnc_open_options", error);
    if (result < 0 || !options->attention)
        return result;
    result = attnc_options_take(attention, sizeof(*attention), sizeof(*attention), options->attention,
                                "attnc_attention", error);
    options->attention = attention;
    return result;
}

static bool fits_bin(const struct attnc_attention *attention, size_t *n_bytes)
{
    size_t n = attention->heads;
    bool too_large = __builtin_mul_overflow(n, (size_t)attention->landmarks, &n) ||
                     __builtin_mul_overflow(n, (size_t)attention->head_dim, &n) ||
                     __builtin_mul_overflow(n, sizeof(float), n_bytes);
    return !too_large && *n_bytes <= UINT32_MAX;
}

static int check_options(struct attnc_client *client, const struct attnc_open_options *options,
                         size_t *n_landmark_bytes)
{
    const struct attnc_attention *attention = options->attention;
    if (!options->model == !attention)
        return attnc_fail(&client->error, ATTNC_E_OPTIONS, "a stream needs either a model or an attention");
    if (attention && !attention->q_landmarks != !attention->k_landmarks)
        return attnc_fail(&client->error, ATTNC_E_OPTIONS, "fixed landmarks need both, those of q and those of k");
    if (attention && attention->q_landmarks && !fits_bin(attention, n_landmark_bytes))
        return attnc_fail(&client->error, ATTNC_E_OPTIONS,
                          "%u heads of %u landmarks of %u floats are too large to be sent", attention->heads,
                          attention->landmarks, attention->head_dim);
    if (!options->replay && (options->position || options->answer_from))
        return attnc_fail(&client->error, ATTNC_E_OPTIONS,
                          "position and answer_from belong to a replay, and `replay` is not set");
    return 0;
}

static void put_optional(struct attnp_writer *writer, const char *key, const char *value)
{
    if (value)
        attnp_put_string(writer, key, value);
}

static void put_attention(struct attnp_writer *writer, const struct attnc_attention *attention, size_t n_landmark_bytes)
{
    uint32_t n = 4 + !!attention->method + !!attention->landmark_policy + !!attention->refresh +
                 !!attention->inverse_scale + !!attention->retroactive + 2 * !!attention->q_landmarks;
    attnp_write_key(writer, "attention");
    attnp_write_map(writer, n);
    attnp_put_uint(writer, "heads", attention->heads);
    attnp_put_uint(writer, "head_dim", attention->head_dim);
    attnp_put_uint(writer, "window", attention->window);
    attnp_put_uint(writer, "landmarks", attention->landmarks);
    put_optional(writer, "method", attention->method);
    put_optional(writer, "landmark_policy", attention->landmark_policy);
    put_optional(writer, "refresh", attention->refresh);
    put_optional(writer, "inverse_scale", attention->inverse_scale);
    if (attention->retroactive)
        attnp_put_bool(writer, "retroactive", true);
    if (attention->q_landmarks) {
        attnp_put_bin(writer, "q_landmarks", attention->q_landmarks, n_landmark_bytes);
        attnp_put_bin(writer, "k_landmarks", attention->k_landmarks, n_landmark_bytes);
    }
}

static void put_terms(struct attnp_writer *writer, const struct attnc_open_options *options)
{
    if (options->rate != 0)
        attnp_put_double(writer, "rate", options->rate);
    if (options->deadline_ms > 0)
        attnp_put_uint(writer, "deadline_ms", options->deadline_ms);
    put_optional(writer, "late", options->late);
    if (options->first_frame > 0 || options->replay)
        attnp_put_uint(writer, "first_frame", options->first_frame);
    if (options->replay) {
        attnp_put_uint(writer, "position", options->position);
        attnp_put_uint(writer, "answer_from", options->answer_from);
    }
}

static int send_open(struct attnc_client *client, const struct attnc_open_options *options, size_t n_landmark_bytes)
{
    struct attnp_writer *writer = attnc_request_begin(client, ATTNP_M_OPEN);
    uint32_t n_terms = (options->rate != 0) + (options->deadline_ms > 0) + !!options->late +
                       (options->first_frame > 0 || options->replay) + 2 * !!options->replay;
    attnp_write_map(writer, 1 + !!options->name + !!options->output + n_terms);
    if (options->attention)
        put_attention(writer, options->attention, n_landmark_bytes);
    put_optional(writer, "model", options->model);
    put_optional(writer, "name", options->name);
    put_optional(writer, "output", options->output);
    put_terms(writer, options);
    return attnc_request_end(client);
}

int attnc_open(struct attnc_client *client, struct attnc_stream **out, const struct attnc_open_options *given)
{
    struct attnc_open_options options;
    struct attnc_attention attention;
    size_t n_landmark_bytes = 0;
    *out = NULL;
    int result = take_options(&options, &attention, given, &client->error);
    if (result == 0)
        result = check_options(client, &options, &n_landmark_bytes);
    if (result == 0)
        result = send_open(client, &options, n_landmark_bytes);
    if (result < 0)
        return result;
    const struct attnc_listener listener = {options.on_output, options.on_notice, options.ctx};
    result = attnc_stream_opened(client, out, &listener);
    if (result < 0 || (*out)->info.next_frame == options.first_frame)
        return result;
    /* Frames that were never pushed would have outputs. */
    result = attnc_fail(&client->error, ATTNC_E_PROTOCOL,
                        "the daemon expects frame %llu of a new stream, whose first one is %llu",
                        (unsigned long long)(*out)->info.next_frame, (unsigned long long)options.first_frame);
    attnc_stream_leave(*out);
    *out = NULL;
    return result;
}
