/* SPDX-License-Identifier: MIT */
/* Fields of the daemon's answers. Any of them may be missing or of another type, whatever the protocol says; what is
 * read here is never NULL, and no sum overflows. The module knows no method. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The text at a key; `otherwise` where there is none. */
const char *field_text(const json_t *object, const char *key, const char *otherwise);

/* The whole number at a key; 0 where there is none. */
json_int_t field_number(const json_t *object, const char *key);

/* Whether there is a whole number from `least` to `most`, and then *value. */
bool field_number_within(const json_t *object, const char *key, json_int_t least, json_int_t most, json_int_t *value);

/* Any number at a key; 0 where there is none. */
double field_real(const json_t *object, const char *key);

/* A count: a whole number from 0 on; 0 for anything else. */
uint64_t field_count(const json_t *value);

/* Sum and difference, at most and at least what a json_int_t holds. */
json_int_t field_sum(json_int_t a, json_int_t b);
json_int_t field_difference(json_int_t a, json_int_t b);
