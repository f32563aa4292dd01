/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "libattnclient/field.h"

#include "protocol/message.h"
#include "protocol/utf8.h"

bool attnc_field_number(const msgpack_object *map, const char *key, uint64_t most, uint64_t *value)
{
    const msgpack_object *object = attnp_map_get(map, key);
    if (!object || object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > most)
        return false;
    *value = object->via.u64;
    return true;
}

uint64_t attnc_field_number_or_0(const msgpack_object *map, const char *key)
{
    uint64_t value = 0;
    attnc_field_number(map, key, UINT64_MAX, &value);
    return value;
}

bool attnc_field_text(const msgpack_object *map, const char *key, char *text, size_t n_text)
{
    const msgpack_object *object = attnp_map_get(map, key);
    text[0] = '\0';
    if (!object || object->type != MSGPACK_OBJECT_STR)
        return false;
    attnp_utf8_copy(text, n_text - 1, attnp_text_of(object), object->via.str.size);
    return true;
}
