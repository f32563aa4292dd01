/* SPDX-License-Identifier: MIT */
/* The rows of the packed product y = W x + b against sgemm and sgemv. */
#pragma once

#include <jansson.h>

/* Measures, prints and adds the rows. Returns 0, or −1 with a message printed. */
int bench_packed_rows(json_t *table, double product_rate);
