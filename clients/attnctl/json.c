/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <msgpack.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "protocol/utf8.h"

static json_t *of_object(const msgpack_object *object);

static json_t *of_bin(const msgpack_object_bin *bin)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * (size_t)bin->size + 1);
    if (!text)
        return NULL;
    for (uint32_t i = 0; i < bin->size; i++) {
        text[2 * i] = digits[(uint8_t)bin->ptr[i] >> 4];
        text[2 * i + 1] = digits[(uint8_t)bin->ptr[i] & 15];
    }
    json_t *string = json_stringn(text, 2 * (size_t)bin->size);
    free(text);
    return string;
}

/* A copy as clean UTF-8 without control characters, to be freed; NULL without memory. */
static char *clean_copy(const msgpack_object *string)
{
    size_t n = string->via.str.size;
    char *copy = malloc(n + 1);
    if (copy)
        attnp_utf8_copy(copy, n, attnp_text_of(string), n);
    return copy;
}

/* A string of JSON is UTF-8; one that is not is made so. */
static json_t *of_string(const msgpack_object *string)
{
    json_t *json = json_stringn(attnp_text_of(string), string->via.str.size);
    if (json)
        return json;
    char *copy = clean_copy(string);
    json = copy ? json_string(copy) : NULL;
    free(copy);
    return json;
}

static json_t *of_array(const msgpack_object_array *array)
{
    json_t *json = json_array();
    for (uint32_t i = 0; i < array->size; i++)
        json_array_append_new(json, of_object(&array->ptr[i]));
    return json;
}

static json_t *of_map(const msgpack_object_map *map)
{
    json_t *json = json_object();
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *key = &map->ptr[i].key;
        char *name = key->type == MSGPACK_OBJECT_STR ? clean_copy(key) : NULL;
        if (name)
            json_object_set_new(json, name, of_object(&map->ptr[i].val));
        free(name);
    }
    return json;
}

static json_t *of_object(const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        return json_boolean(object->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return object->via.u64 <= INT64_MAX ? json_integer(object->via.u64) : json_real(object->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return json_integer(object->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return isfinite(object->via.f64) ? json_real(object->via.f64) : json_null();
    case MSGPACK_OBJECT_STR:
        return of_string(object);
    case MSGPACK_OBJECT_BIN:
        return of_bin(&object->via.bin);
    case MSGPACK_OBJECT_ARRAY:
        return of_array(&object->via.array);
    case MSGPACK_OBJECT_MAP:
        return of_map(&object->via.map);
    default:
        return json_null();
    }
}

json_t *json_of_msgpack(const void *bytes, size_t n_bytes)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    json_t *json = NULL;
    if (msgpack_unpack_next(&unpacked, bytes, n_bytes, NULL) == MSGPACK_UNPACK_SUCCESS)
        json = of_object(&unpacked.data);
    msgpack_unpacked_destroy(&unpacked);
    return json;
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

/* A number names a stream by its number, anything else by its name. */
static void pack_target(msgpack_packer *packer, const char *target)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(target, &end, 10);
    bool by_number = isdigit((unsigned char)target[0]) && *end == '\0' && errno == 0;
    pack_text(packer, by_number ? "stream" : "name");
    if (by_number)
        msgpack_pack_uint64(packer, number);
    else
        pack_text(packer, target);
}

json_t *json_call_packed(struct attnc_client *client, const char *method, const msgpack_sbuffer *params)
{
    const void *result;
    size_t n_result;
    int outcome = attnc_call(client, method, params->size > 0 ? params->data : NULL, params->size, &result, &n_result);
    json_t *json = outcome < 0 ? NULL : json_of_msgpack(result, n_result);
    return json || outcome < 0 ? json : json_null();
}

json_t *json_call(struct attnc_client *client, const char *method, const char *target)
{
    return json_call_with(client, method, target, NULL, NULL);
}

json_t *json_call_with(struct attnc_client *client, const char *method, const char *target, const char *key,
                       const char *text)
{
    msgpack_sbuffer params;
    msgpack_packer packer;
    msgpack_sbuffer_init(&params);
    msgpack_packer_init(&packer, &params, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, !!target + !!text);
    if (target)
        pack_target(&packer, target);
    if (text) {
        pack_text(&packer, key);
        pack_text(&packer, text);
    }
    json_t *answer = json_call_packed(client, method, &params);
    msgpack_sbuffer_destroy(&params);
    return answer;
}

json_t *json_call_after(struct attnc_client *client, const char *method, uint64_t after)
{
    msgpack_sbuffer params;
    msgpack_packer packer;
    msgpack_sbuffer_init(&params);
    msgpack_packer_init(&packer, &params, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, 1);
    pack_text(&packer, "after");
    msgpack_pack_uint64(&packer, after);
    json_t *answer = json_call_packed(client, method, &params);
    msgpack_sbuffer_destroy(&params);
    return answer;
}
