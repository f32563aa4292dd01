/* SPDX-License-Identifier: MIT */
#include "protocol/writer.h"

#include <stdlib.h>
#include <string.h>

/* msgpack-c's buffer, but for the sticky error: after one failure nothing is written. */
static int append(void *data, const char *bytes, size_t n)
{
    struct attnp_writer *writer = data;
    if (!writer->failed && msgpack_sbuffer_write(&writer->buffer, bytes, n) < 0)
        writer->failed = true;
    return writer->failed ? -1 : 0;
}

void attnp_writer_init(struct attnp_writer *writer)
{
    msgpack_sbuffer_init(&writer->buffer);
    msgpack_packer_init(&writer->packer, writer, append);
    writer->failed = false;
}

void attnp_writer_done(struct attnp_writer *writer)
{
    if (!writer)
        return;
    msgpack_sbuffer_destroy(&writer->buffer);
    msgpack_sbuffer_init(&writer->buffer);
}

static void start(struct attnp_writer *writer, uint32_t n, enum attnp_kind kind)
{
    static const char no_length_yet[ATTNP_LENGTH_BYTES];
    msgpack_sbuffer_clear(&writer->buffer);
    writer->failed = false;
    append(writer, no_length_yet, sizeof(no_length_yet));
    attnp_write_array(writer, n);
    attnp_write_uint(writer, kind);
}

void attnp_write_request(struct attnp_writer *writer, uint32_t id, enum attnp_method method)
{
    start(writer, 4, ATTNP_REQUEST);
    attnp_write_uint(writer, id);
    attnp_write_key(writer, attnp_method_name(method));
}

void attnp_write_response(struct attnp_writer *writer, uint32_t id)
{
    start(writer, 4, ATTNP_RESPONSE);
    attnp_write_uint(writer, id);
    msgpack_pack_nil(&writer->packer);
}

void attnp_write_notification(struct attnp_writer *writer, enum attnp_method method)
{
    start(writer, 3, ATTNP_NOTIFICATION);
    attnp_write_key(writer, attnp_method_name(method));
}

static void write_error_map(struct attnp_writer *writer, const struct attnp_error *error)
{
    const char *text = error->text[0] ? error->text : attnp_error_general_text(error->code);
    unsigned n_frame_keys = error->has_stream + error->has_frame + error->has_count + error->has_expected;
    attnp_write_map(writer, 3 + n_frame_keys + error->has_offset + 2 * error->has_left + error->has_retry);
    attnp_put_uint(writer, "code", error->code);
    attnp_put_string(writer, "name", attnp_error_name(error->code));
    attnp_put_string(writer, "message", text);
    if (error->has_stream)
        attnp_put_uint(writer, "stream", error->stream);
    if (error->has_frame)
        attnp_put_uint(writer, "frame", error->frame);
    if (error->has_count)
        attnp_put_uint(writer, "count", error->count);
    if (error->has_expected)
        attnp_put_uint(writer, "expected", error->expected);
    if (error->has_offset)
        attnp_put_uint(writer, "offset", error->offset);
    if (error->has_left) {
        attnp_put_double(writer, "left_shard", error->left_shard);
        attnp_put_double(writer, "left_all", error->left_all);
    }
    if (error->has_retry)
        attnp_put_uint(writer, "retry_ms", error->retry_ms);
}

void attnp_write_error_response(struct attnp_writer *writer, uint32_t id, const struct attnp_error *error)
{
    start(writer, 4, ATTNP_RESPONSE);
    attnp_write_uint(writer, id);
    write_error_map(writer, error);
    msgpack_pack_nil(&writer->packer);
}

void attnp_write_error_notification(struct attnp_writer *writer, const struct attnp_error *error)
{
    attnp_write_notification(writer, ATTNP_M_ERROR);
    write_error_map(writer, error);
}

void attnp_write_map(struct attnp_writer *writer, uint32_t n)
{
    msgpack_pack_map(&writer->packer, n);
}

void attnp_write_array(struct attnp_writer *writer, uint32_t n)
{
    msgpack_pack_array(&writer->packer, n);
}

void attnp_write_key(struct attnp_writer *writer, const char *key)
{
    attnp_write_string(writer, key, strlen(key));
}

void attnp_write_uint(struct attnp_writer *writer, uint64_t value)
{
    msgpack_pack_uint64(&writer->packer, value);
}

void attnp_write_string(struct attnp_writer *writer, const char *data, size_t n)
{
    msgpack_pack_str_with_body(&writer->packer, data, n);
}

void attnp_put_uint(struct attnp_writer *writer, const char *key, uint64_t value)
{
    attnp_write_key(writer, key);
    attnp_write_uint(writer, value);
}

void attnp_put_double(struct attnp_writer *writer, const char *key, double value)
{
    attnp_write_key(writer, key);
    msgpack_pack_double(&writer->packer, value);
}

void attnp_put_bool(struct attnp_writer *writer, const char *key, bool value)
{
    attnp_write_key(writer, key);
    if (value)
        msgpack_pack_true(&writer->packer);
    else
        msgpack_pack_false(&writer->packer);
}

void attnp_put_string(struct attnp_writer *writer, const char *key, const char *terminated)
{
    attnp_write_key(writer, key);
    attnp_write_key(writer, terminated);
}

void attnp_put_bin(struct attnp_writer *writer, const char *key, const void *data, size_t n)
{
    attnp_write_key(writer, key);
    msgpack_pack_bin_with_body(&writer->packer, data, n);
}

void attnp_put_nil(struct attnp_writer *writer, const char *key)
{
    attnp_write_key(writer, key);
    msgpack_pack_nil(&writer->packer);
}

int attnp_write_end(struct attnp_writer *writer, size_t max_message, const uint8_t **bytes, size_t *n_bytes)
{
    if (writer->failed || writer->buffer.size - ATTNP_LENGTH_BYTES > max_message)
        return -1;
    size_t n = writer->buffer.size - ATTNP_LENGTH_BYTES;
    uint8_t *message = (uint8_t *)writer->buffer.data;
    for (int i = 0; i < ATTNP_LENGTH_BYTES; i++)
        message[i] = (uint8_t)(n >> 8 * (ATTNP_LENGTH_BYTES - 1 - i));
    *bytes = message;
    *n_bytes = writer->buffer.size;
    return 0;
}
