/* SPDX-License-Identifier: MIT */
#include "attnctl/field.h"

#include <limits.h>

_Static_assert(sizeof(json_int_t) == sizeof(long long), "the bounds of sums are those of long long");

const char *field_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

json_int_t field_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

bool field_number_within(const json_t *object, const char *key, json_int_t least, json_int_t most, json_int_t *value)
{
    const json_t *number = json_object_get(object, key);
    if (!json_is_integer(number) || json_integer_value(number) < least || json_integer_value(number) > most)
        return false;
    *value = json_integer_value(number);
    return true;
}

double field_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

uint64_t field_count(const json_t *value)
{
    json_int_t count = json_integer_value(value);
    return count > 0 ? (uint64_t)count : 0;
}

json_int_t field_sum(json_int_t a, json_int_t b)
{
    json_int_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a > 0 ? LLONG_MAX : LLONG_MIN;
}

json_int_t field_difference(json_int_t a, json_int_t b)
{
    json_int_t difference;
    if (!__builtin_sub_overflow(a, b, &difference))
        return difference;
    return b < 0 ? LLONG_MAX : LLONG_MIN;
}
