/* SPDX-License-Identifier: MIT */
/* The rows of whole encoders, beside what their parts take. */
#pragma once

#include <jansson.h>

/* Measures, prints and adds the rows; `source` is the folder in which etc/models is. Returns 0, or −1 with a message
 * printed. */
int bench_encoder_rows(json_t *table, const char *source);
