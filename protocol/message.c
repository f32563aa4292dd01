/* SPDX-License-Identifier: MIT */
/*
 * The envelope is read with the cursor, so that its errors name a byte, and so that a request whose params are refused
 * can still be answered by its id. Only then msgpack-c makes objects of it, in a zone that lives as long as the
 * message.
 */
#include "protocol/message.h"

#include <math.h>
#include <string.h>

#include "protocol/cursor.h"
#include "protocol/scan.h"
#include "protocol/utf8.h"

_Static_assert(ATTNP_MAX_ELEMENTS * sizeof(msgpack_object) <= 1024 * 1024, "twice this is what limits.h promises");

static const msgpack_object empty_map = {.type = MSGPACK_OBJECT_MAP};

static const char *const method_names[] = {
#define X(name, string) string,
    ATTNP_METHODS(X)
#undef X
};

const char *attnp_method_name(enum attnp_method method)
{
    return method < ATTNP_M_UNKNOWN ? method_names[method] : "unknown";
}

int attnp_message_find(const uint8_t *bytes, size_t n_bytes, size_t max_message, const uint8_t **body, size_t *n_body,
                       struct attnp_error *error)
{
    if (n_bytes < ATTNP_LENGTH_BYTES)
        return 0;
    size_t n = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    if (n == 0)
        return attnp_fail_at(error, ATTNP_LIMIT_EXCEEDED, 0, "a message of 0 bytes: the shortest has 1");
    if (n > max_message)
        return attnp_fail_at(error, ATTNP_LIMIT_EXCEEDED, 0, "a message of %zu bytes: the limit max_message is %zu", n,
                             max_message);
    if (n_bytes - ATTNP_LENGTH_BYTES < n)
        return 0;
    *body = bytes + ATTNP_LENGTH_BYTES;
    *n_body = n;
    return 1;
}

static int is_notification(const uint8_t *body, size_t n_body, const char *method)
{
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, body, n_body);
    struct attnp_head root = attnp_cursor_head(&cursor);
    if (root.type != ATTNP_TYPE_ARRAY || root.n < 3)
        return 0;
    struct attnp_head kind = attnp_cursor_head(&cursor);
    if (kind.type != ATTNP_TYPE_UINT || kind.n != ATTNP_NOTIFICATION)
        return 0;
    struct attnp_head name = attnp_cursor_head(&cursor);
    return name.type == ATTNP_TYPE_STR && attnp_cursor_string_is(&cursor, name, method);
}

int attnp_is_push(const uint8_t *body, size_t n_body)
{
    return is_notification(body, n_body, method_names[ATTNP_M_PUSH]);
}

int attnp_is_output(const uint8_t *body, size_t n_body)
{
    return is_notification(body, n_body, method_names[ATTNP_M_OUTPUT]);
}

/* Looks for `[0, id, …` whatever follows. */
static bool find_id(const uint8_t *body, size_t n_body, uint32_t *id)
{
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, body, n_body);
    struct attnp_head root = attnp_cursor_head(&cursor);
    struct attnp_head kind = attnp_cursor_head(&cursor);
    struct attnp_head number = attnp_cursor_head(&cursor);
    *id = (uint32_t)number.n;
    return root.type == ATTNP_TYPE_ARRAY && root.n >= 2 && kind.type == ATTNP_TYPE_UINT && kind.n == ATTNP_REQUEST &&
           number.type == ATTNP_TYPE_UINT && number.n <= UINT32_MAX;
}

static int read_id(struct attnp_message *message, struct attnp_cursor *cursor, struct attnp_error *error)
{
    struct attnp_head id = attnp_cursor_head(cursor);
    if (id.type != ATTNP_TYPE_UINT || id.n > UINT32_MAX)
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, id.at, "the id is %s, but should be an integer below 2^32",
                             id.type == ATTNP_TYPE_UINT ? "larger" : attnp_type_text(id.type));
    message->id = (uint32_t)id.n;
    return 0;
}

static enum attnp_method find_method(const uint8_t *name, size_t n)
{
    for (int method = 0; method < ATTNP_M_UNKNOWN; method++)
        if (n == strlen(method_names[method]) && memcmp(name, method_names[method], n) == 0)
            return method;
    return ATTNP_M_UNKNOWN;
}

static int read_method(struct attnp_message *message, struct attnp_cursor *cursor, struct attnp_error *error)
{
    struct attnp_head head = attnp_cursor_head(cursor);
    if (head.type != ATTNP_TYPE_STR)
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, head.at, "the method is %s, but should be a string",
                             attnp_type_text(head.type));
    const uint8_t *name = attnp_cursor_take(cursor, head.n);
    message->method = find_method(name, head.n);
    attnp_utf8_copy(message->method_name, sizeof(message->method_name) - 1, (const char *)name, head.n);
    return 0;
}

/* Params are a map, of push and output an array, of an unknown method whatever came: that is answered by
 * unknown_method. */
static int check_params(const struct attnp_message *message, bool present, struct attnp_cursor *cursor,
                        struct attnp_error *error)
{
    bool hot = message->method == ATTNP_M_PUSH || message->method == ATTNP_M_OUTPUT;
    struct attnp_head head = {ATTNP_TYPE_NIL, 0, cursor->at};
    if (present)
        head = attnp_cursor_head(cursor);
    if (message->method == ATTNP_M_UNKNOWN || head.type == (hot ? ATTNP_TYPE_ARRAY : ATTNP_TYPE_MAP) ||
        (!hot && head.type == ATTNP_TYPE_NIL))
        return 0;
    return attnp_fail_at(error, ATTNP_BAD_MESSAGE, head.at, "the params of %s are %s, but should be %s",
                         message->method_name, attnp_type_text(head.type), hot ? "an array" : "a map");
}

static int check_response(struct attnp_cursor *cursor, struct attnp_error *error)
{
    struct attnp_head head = attnp_cursor_head(cursor);
    if (head.type == ATTNP_TYPE_NIL || head.type == ATTNP_TYPE_MAP)
        return 0;
    return attnp_fail_at(error, ATTNP_BAD_MESSAGE, head.at, "the error of a response is %s, but should be nil or a map",
                         attnp_type_text(head.type));
}

static int read_kind(struct attnp_message *message, struct attnp_cursor *cursor, uint64_t *n, struct attnp_error *error)
{
    static const uint8_t least[] = {[ATTNP_REQUEST] = 3, [ATTNP_RESPONSE] = 4, [ATTNP_NOTIFICATION] = 2};
    struct attnp_head root = attnp_cursor_head(cursor);
    if (root.type != ATTNP_TYPE_ARRAY || root.n == 0)
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, 0, "the message is %s, but should be an array of 3 or 4",
                             root.type == ATTNP_TYPE_ARRAY ? "an empty array" : attnp_type_text(root.type));
    struct attnp_head kind = attnp_cursor_head(cursor);
    if (kind.type != ATTNP_TYPE_UINT || kind.n > ATTNP_NOTIFICATION)
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, kind.at,
                             "the message does not begin with 0 (request), 1 (response) or 2 (notification)");
    if (root.n < least[kind.n])
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, 0, "an array of %d, but a message of kind %d has at least %d",
                             (int)root.n, (int)kind.n, least[kind.n]);
    message->kind = kind.n;
    *n = root.n;
    return 0;
}

/* Kind, id and method, and the types of the rest. *n_before: values before params (before error in a response). The
 * scan has shown that nothing is cut off. */
static int read_envelope(struct attnp_message *message, const uint8_t *body, size_t n_body, uint32_t *n_before,
                         struct attnp_error *error)
{
    struct attnp_cursor cursor;
    uint64_t n = 0;
    attnp_cursor_init(&cursor, body, n_body);
    if (read_kind(message, &cursor, &n, error) < 0)
        return -1;
    *n_before = message->kind == ATTNP_REQUEST ? 3 : 2;
    if (message->kind != ATTNP_NOTIFICATION && read_id(message, &cursor, error) < 0)
        return -1;
    if (message->kind == ATTNP_RESPONSE)
        return check_response(&cursor, error);
    if (read_method(message, &cursor, error) < 0)
        return -1;
    return check_params(message, n > *n_before, &cursor, error);
}

void attnp_message_done(struct attnp_message *message)
{
    if (!message || !message->zone.chunk_list.head)
        return;
    msgpack_zone_destroy(&message->zone);
    message->zone = (msgpack_zone){0};
    message->params = message->error = message->result = NULL;
}

static int unpack(struct attnp_message *message, const uint8_t *body, size_t n_body, struct attnp_error *error)
{
    size_t at = 0;
    if (!msgpack_zone_init(&message->zone, MSGPACK_ZONE_CHUNK_SIZE))
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for a message of %zu bytes", n_body);
    switch (msgpack_unpack((const char *)body, n_body, &at, &message->zone, &message->root)) {
    case MSGPACK_UNPACK_SUCCESS:
        return 0;
    case MSGPACK_UNPACK_NOMEM_ERROR:
        attnp_fail(error, ATTNP_NO_MEMORY, "no memory for a message of %zu bytes", n_body);
        break;
    default:
        attnp_fail_at(error, ATTNP_BAD_MESSAGE, at, "msgpack-c refuses the message at byte %zu", at);
    }
    attnp_message_done(message);
    return -1;
}

int attnp_message_read(struct attnp_message *message, const uint8_t *body, size_t n_body, bool *id_known,
                       struct attnp_error *error)
{
    uint32_t n_before;
    *message = (struct attnp_message){.method = ATTNP_M_UNKNOWN};
    *id_known = find_id(body, n_body, &message->id);
    if (attnp_scan(body, n_body, error) < 0 || read_envelope(message, body, n_body, &n_before, error) < 0 ||
        unpack(message, body, n_body, error) < 0)
        return -1;
    const msgpack_object_array *root = &message->root.via.array;
    if (message->kind == ATTNP_RESPONSE) {
        message->error = &root->ptr[2];
        message->result = &root->ptr[3];
        return 0;
    }
    message->params = root->size > n_before ? &root->ptr[n_before] : &empty_map;
    if (message->params->type == MSGPACK_OBJECT_NIL)
        message->params = &empty_map;
    return 0;
}

const msgpack_object *attnp_map_get(const msgpack_object *map, const char *key)
{
    size_t n = strlen(key);
    if (!map || map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == n &&
            memcmp(pair->key.via.str.ptr, key, n) == 0)
            return &pair->val;
    }
    return NULL;
}

const char *attnp_text_of(const msgpack_object *string)
{
    return string->via.str.size > 0 ? string->via.str.ptr : "";
}

static void read_optional(const msgpack_object *map, const char *key, bool *has, uint64_t *value)
{
    const msgpack_object *object = attnp_map_get(map, key);
    *has = object && object->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
    *value = *has ? object->via.u64 : 0;
}

/* A rate, written as a float or as an integer. */
static bool read_rate(const msgpack_object *map, const char *key, double *rate)
{
    const msgpack_object *object = attnp_map_get(map, key);
    if (object && object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        *rate = (double)object->via.u64;
    else if (object && (object->type == MSGPACK_OBJECT_FLOAT32 || object->type == MSGPACK_OBJECT_FLOAT64))
        *rate = object->via.f64;
    else
        return false;
    return isfinite(*rate) && *rate >= 0;
}

int attnp_error_read(const msgpack_object *map, struct attnp_error *error)
{
    const msgpack_object *code = attnp_map_get(map, "code");
    const msgpack_object *text = attnp_map_get(map, "message");
    if (!code || code->type != MSGPACK_OBJECT_POSITIVE_INTEGER || code->via.u64 == 0 || code->via.u64 > INT32_MAX)
        return -1;
    *error = (struct attnp_error){.code = (enum attnp_code)code->via.u64};
    if (text && text->type == MSGPACK_OBJECT_STR)
        attnp_utf8_copy(error->text, ATTNP_ERROR_TEXT, text->via.str.ptr, text->via.str.size);
    read_optional(map, "stream", &error->has_stream, &error->stream);
    read_optional(map, "frame", &error->has_frame, &error->frame);
    read_optional(map, "count", &error->has_count, &error->count);
    read_optional(map, "expected", &error->has_expected, &error->expected);
    read_optional(map, "offset", &error->has_offset, &error->offset);
    read_optional(map, "retry_ms", &error->has_retry, &error->retry_ms);
    error->has_left = read_rate(map, "left_shard", &error->left_shard) && read_rate(map, "left_all", &error->left_all);
    if (!error->has_left)
        error->left_shard = error->left_all = 0;
    return 0;
}
