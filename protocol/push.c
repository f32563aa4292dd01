/* SPDX-License-Identifier: MIT */
/*
 * push is `[2, "push", [stream, first, bin, {time}?]]`, output `[2, "output", [stream, first, bin, {position, lag_us,
 * warming, time}]]`. They are scanned like every message and then read in place: what the scan has passed is complete,
 * so that here only types are checked. Every legal encoding of a number or length is read; the shortest is written.
 * Unknown keys and values after the last one known are stepped over; of a key that comes twice the first counts.
 */
#include "protocol/push.h"

#include <string.h>

#include "protocol/cursor.h"
#include "protocol/message.h"
#include "protocol/pen.h"
#include "protocol/scan.h"

/* What push and output have in common: the stream, the first number, the bin, and the map of options. */
struct hot {
    const char *method;
    uint64_t stream, first;
    const uint8_t *data;
    size_t n_bytes;
    uint64_t n_options; /* pairs of the map, which the cursor stands at */
};

static int wrong(struct attnp_error *error, const struct hot *hot, const char *field, struct attnp_head found,
                 const char *wanted)
{
    return attnp_fail_at(error, ATTNP_BAD_MESSAGE, found.at, "the %s of a %s is %s, but should be %s", field,
                         hot->method, attnp_type_text(found.type), wanted);
}

static int read_uint(struct attnp_cursor *cursor, const struct hot *hot, const char *field, uint64_t *value,
                     struct attnp_error *error)
{
    struct attnp_head head = attnp_cursor_head(cursor);
    if (head.type != ATTNP_TYPE_UINT)
        return wrong(error, hot, field, head, "an integer of 0 or more");
    *value = head.n;
    return 0;
}

static int read_options_head(struct attnp_cursor *cursor, struct hot *hot, struct attnp_error *error)
{
    struct attnp_head options = attnp_cursor_head(cursor);
    if (options.type != ATTNP_TYPE_MAP && options.type != ATTNP_TYPE_NIL)
        return wrong(error, hot, "fourth value", options, "a map");
    hot->n_options = options.type == ATTNP_TYPE_MAP ? options.n : 0;
    return 0;
}

/* Steps over `[2, "push", `, which has been looked at, and reads params up to the pairs of the map. */
static int read_hot(struct attnp_cursor *cursor, struct hot *hot, struct attnp_error *error)
{
    attnp_cursor_head(cursor);
    attnp_cursor_skip(cursor, 2);
    struct attnp_head params = attnp_cursor_head(cursor);
    if (params.type != ATTNP_TYPE_ARRAY)
        return wrong(error, hot, "params", params, "an array");
    if (params.n < 3)
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, params.at,
                             "the params of a %s have %d values, but should have stream, first frame number and bin",
                             hot->method, (int)params.n);
    if (read_uint(cursor, hot, "stream", &hot->stream, error) < 0 ||
        read_uint(cursor, hot, "first frame number", &hot->first, error) < 0)
        return -1;
    struct attnp_head bin = attnp_cursor_head(cursor);
    if (bin.type != ATTNP_TYPE_BIN)
        return wrong(error, hot, "data", bin, "a bin of float32");
    hot->data = attnp_cursor_take(cursor, bin.n);
    hot->n_bytes = bin.n;
    return params.n > 3 ? read_options_head(cursor, hot, error) : 0;
}

/* The time is not looked into: the bytes of its number go back as they came. */
static int read_time(struct attnp_cursor *cursor, const struct hot *hot, struct attnp_time *time,
                     struct attnp_error *error)
{
    struct attnp_head head = attnp_cursor_head(cursor);
    if (head.type == ATTNP_TYPE_NIL)
        return 0;
    if (head.type != ATTNP_TYPE_UINT && head.type != ATTNP_TYPE_INT && head.type != ATTNP_TYPE_FLOAT)
        return wrong(error, hot, "time", head, "a number");
    time->n_bytes = (uint8_t)(cursor->at - head.at);
    memcpy(time->bytes, cursor->bytes + head.at, time->n_bytes);
    return 0;
}

/* Steps over the key that comes next and says which of the n keys it is; n for any other. */
static int next_key(struct attnp_cursor *cursor, const char *const *keys, int n)
{
    struct attnp_head head = attnp_cursor_head(cursor);
    size_t body = cursor->at;
    int found = n;
    for (int i = 0; i < n && found == n; i++) {
        cursor->at = body;
        if (attnp_cursor_string_is(cursor, head, keys[i]))
            found = i;
    }
    return found;
}

int attnp_push_read(struct attnp_push *push, const uint8_t *body, size_t n_body, struct attnp_error *error)
{
    static const char *const keys[] = {"time"};
    struct hot hot = {.method = "push"};
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, body, n_body);
    if (!attnp_is_push(body, n_body))
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, 0, "the message is no push");
    if (attnp_scan(body, n_body, error) < 0 || read_hot(&cursor, &hot, error) < 0)
        return -1;
    *push = (struct attnp_push){.stream = hot.stream, .first = hot.first, .frames = hot.data, .n_bytes = hot.n_bytes};

    for (bool seen = false; hot.n_options > 0; hot.n_options--) {
        if (next_key(&cursor, keys, 1) == 1 || seen) {
            attnp_cursor_skip(&cursor, 1);
            continue;
        }
        seen = true;
        if (read_time(&cursor, &hot, &push->time, error) < 0)
            return -1;
    }
    return 0;
}

enum { POSITION, LAG_US, WARMING, TIME, N_KEYS };

static const char *const output_keys[N_KEYS] = {"position", "lag_us", "warming", "time"};

static int read_output_option(struct attnp_cursor *cursor, const struct hot *hot, int key, struct attnp_output *output,
                              struct attnp_error *error)
{
    uint64_t value = 0;
    if (key == TIME)
        return read_time(cursor, hot, &output->time, error);
    if (read_uint(cursor, hot, output_keys[key], &value, error) < 0)
        return -1;
    if (key == POSITION)
        output->position = value;
    else if (key == LAG_US)
        output->lag_us = value;
    else
        output->warming = value <= UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    return 0;
}

int attnp_output_read(struct attnp_output *output, const uint8_t *body, size_t n_body, struct attnp_error *error)
{
    struct hot hot = {.method = "output"};
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, body, n_body);
    if (!attnp_is_output(body, n_body))
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, 0, "the message is no output");
    if (attnp_scan(body, n_body, error) < 0 || read_hot(&cursor, &hot, error) < 0)
        return -1;
    *output =
        (struct attnp_output){.stream = hot.stream, .first = hot.first, .outputs = hot.data, .n_bytes = hot.n_bytes};

    for (unsigned seen = 0; hot.n_options > 0; hot.n_options--) {
        int key = next_key(&cursor, output_keys, N_KEYS);
        if (key == N_KEYS || (seen & 1u << key)) {
            attnp_cursor_skip(&cursor, 1);
            continue;
        }
        seen |= 1u << key;
        if (read_output_option(&cursor, &hot, key, output, error) < 0)
            return -1;
    }
    return 0;
}

static void put_start(struct attnp_pen *pen, const char *method, uint8_t n_params)
{
    attnp_pen_array(pen, 3);
    attnp_pen_uint(pen, 2);
    attnp_pen_string(pen, method);
    attnp_pen_array(pen, n_params);
}

static void put_body(struct attnp_pen *pen, uint64_t stream, uint64_t first, const uint8_t *data, size_t n_bytes)
{
    attnp_pen_uint(pen, stream);
    attnp_pen_uint(pen, first);
    attnp_pen_bin(pen, (uint32_t)n_bytes);
    attnp_pen_raw(pen, data, n_bytes);
}

static void put_time(struct attnp_pen *pen, const struct attnp_time *time)
{
    if (time->n_bytes == 0)
        return;
    attnp_pen_string(pen, "time");
    attnp_pen_raw(pen, time->bytes, time->n_bytes);
}

static void put_push(struct attnp_pen *pen, const struct attnp_push *push)
{
    put_start(pen, "push", push->time.n_bytes ? 4 : 3);
    put_body(pen, push->stream, push->first, push->frames, push->n_bytes);
    if (push->time.n_bytes)
        attnp_pen_map(pen, 1);
    put_time(pen, &push->time);
}

static void put_output(struct attnp_pen *pen, const struct attnp_output *output, size_t *gap)
{
    put_start(pen, "output", 4);
    put_body(pen, output->stream, output->first, output->outputs, output->n_bytes);
    if (gap)
        *gap = pen->at - output->n_bytes;
    attnp_pen_map(pen, output->time.n_bytes ? 4 : 3);
    attnp_pen_string(pen, output_keys[POSITION]);
    attnp_pen_uint(pen, output->position);
    attnp_pen_string(pen, output_keys[LAG_US]);
    attnp_pen_uint(pen, output->lag_us);
    attnp_pen_string(pen, output_keys[WARMING]);
    attnp_pen_uint(pen, output->warming);
    put_time(pen, &output->time);
}

size_t attnp_push_bytes(const struct attnp_push *push)
{
    struct attnp_pen pen;
    attnp_pen_init(&pen, NULL, 0);
    put_push(&pen, push);
    return ATTNP_LENGTH_BYTES + pen.at;
}

size_t attnp_push_write(uint8_t *bytes, const struct attnp_push *push)
{
    struct attnp_pen pen;
    size_t n_bytes = attnp_push_bytes(push);
    attnp_pen_init(&pen, bytes, n_bytes);
    attnp_pen_be32(&pen, (uint32_t)(n_bytes - ATTNP_LENGTH_BYTES));
    put_push(&pen, push);
    return pen.at;
}

size_t attnp_output_bytes(const struct attnp_output *output)
{
    struct attnp_pen pen;
    attnp_pen_init(&pen, NULL, 0);
    put_output(&pen, output, NULL);
    return ATTNP_LENGTH_BYTES + pen.at;
}

size_t attnp_output_write(uint8_t *bytes, const struct attnp_output *output, size_t *gap)
{
    struct attnp_pen pen;
    size_t n_bytes = attnp_output_bytes(output);
    attnp_pen_init(&pen, bytes, n_bytes);
    attnp_pen_be32(&pen, (uint32_t)(n_bytes - ATTNP_LENGTH_BYTES));
    put_output(&pen, output, gap);
    return pen.at;
}
