/* SPDX-License-Identifier: MIT */
/* The rows of raw attention: the methods of the library, the published update, and the floor. */
#pragma once

#include <jansson.h>

#include "naive.h"

struct bench_attention_case {
    struct bench_shape shape;
    size_t n_streams;
};

/* Measures the cases, prints their rows and adds them to the table. Returns 0, or −1 with a message printed. */
int bench_attention_rows(json_t *table, const struct bench_attention_case *cases, size_t n_cases, double product_rate);
