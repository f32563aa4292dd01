/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <math.h>
#include <stdio.h>

static void set_text(json_t *row, const char *key, const char *text)
{
    json_object_set_new(row, key, text == NULL ? json_null() : json_string(text));
}

static void set_count(json_t *row, const char *key, size_t count)
{
    json_object_set_new(row, key, count == 0 ? json_null() : json_integer((json_int_t)count));
}

json_t *bench_table_add(json_t *table, const struct bench_row *row)
{
    json_t *json = json_object();
    set_text(json, "name", row->name);
    set_text(json, "method", row->method);
    set_text(json, "refresh", row->refresh);
    set_text(json, "kernels", row->kernels);
    set_count(json, "n", row->shape.n);
    set_count(json, "m", row->shape.m);
    set_count(json, "d", row->shape.d);
    set_count(json, "heads", row->shape.heads);
    set_count(json, "batch", row->batch);
    bench_table_set(json, "mean_us", row->mean_us);
    bench_table_set(json, "p50_us", row->times.p50);
    bench_table_set(json, "p99_us", row->times.p99);
    bench_table_set(json, "p999_us", row->times.p999);
    bench_table_set(json, "max_us", row->times.max);
    bench_table_set(json, "naive_us", row->naive_us);
    bench_table_set(json, "exact_us", row->exact_us);
    bench_table_set(json, "floor_us", row->floor_us);
    set_count(json, "state_bytes", row->state_bytes);
    json_array_append_new(table, json);
    return json;
}

void bench_table_set(json_t *row, const char *key, double value)
{
    json_object_set_new(row, key, isfinite(value) ? json_real(value) : json_null());
}

double bench_table_get(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *bench_table_text(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    return json_is_string(value) ? json_string_value(value) : "";
}

int bench_table_write(const json_t *table, const char *path)
{
    return json_dump_file(table, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
}

void bench_table_print(double value)
{
    if (isfinite(value))
        printf("%9.*f", value < 100 ? 2 : value < 1000 ? 1 : 0, value);
    else
        printf("%9s", "-");
}
