/* SPDX-License-Identifier: MIT */
/* JSON for people: lists of objects as tables, objects as lines. It knows no method's answer. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* Prints an answer. `empty` is printed where it is a list without entries. */
void table_print(FILE *out, const json_t *json, const char *empty);
