/* SPDX-License-Identifier: MIT */
/* The rows of a run, as they stand in bench.json. It knows nothing of how they came about. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "measure.h"
#include "naive.h"

/* What all rows have; 0, NULL or NaN: does not apply, null in JSON. */
struct bench_row {
    const char *name, *method, *refresh, *kernels;
    struct bench_shape shape;
    size_t batch;                   /* streams in turn, or frames in a call */
    double mean_us;                 /* of a frame */
    struct bench_percentiles times; /* of calls with one frame each */
    double naive_us, exact_us, floor_us;
    size_t state_bytes;
};

/* Adds a row; returns it, the table's, for what else is to stand in it. */
json_t *bench_table_add(json_t *table, const struct bench_row *row);

/* Sets a number of a row; NaN is null. */
void bench_table_set(json_t *row, const char *key, double value);

/* A number of a row; NaN where it has none. */
double bench_table_get(const json_t *row, const char *key);

/* A text of a row; "" where it has none. */
const char *bench_table_text(const json_t *row, const char *key);

/* Writes the table to a file. Returns 0 or −1. */
int bench_table_write(const json_t *table, const char *path);

/* Prints a number in a column of 9 places, or a dash where it is NaN. */
void bench_table_print(double value);
