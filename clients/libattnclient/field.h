/* SPDX-License-Identifier: MIT */
/* Fields of what a daemon sends, which may be missing, or of any type. The module knows no method. */
#pragma once

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole number at a key, at most `most`, into *value, which else stays as it was. False: there is none. Also where
 * `map` is NULL or no map. */
bool attnc_field_number(const msgpack_object *map, const char *key, uint64_t most, uint64_t *value);

/* The same, 0 where there is none. */
uint64_t attnc_field_number_or_0(const msgpack_object *map, const char *key);

/* Copies the string at a key as one line of clean UTF-8, cut where it is longer than n_text − 1 bytes; "" and false
 * where there is none. */
bool attnc_field_text(const msgpack_object *map, const char *key, char *text, size_t n_text);
