/* SPDX-License-Identifier: MIT */
#include "summary.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "table.h"

static bool is(const json_t *row, const char *key, const char *text)
{
    return strcmp(bench_table_text(row, key), text) == 0;
}

static void print_ratio(const json_t *row, const char *what, double ratio, const char *relation, double goal)
{
    bool met = relation[0] == '<' ? ratio <= goal : ratio >= goal;
    if (isnan(ratio))
        return;
    printf("  %-34s %-24s", what, bench_table_text(row, "label"));
    printf("%8.2f   goal %s %g%s\n", ratio, relation, goal, met ? "" : "   MISSED");
}

/* The shape of a row in words, for those who read the summary alone. */
static void label(json_t *row)
{
    char text[96];
    if (isnan(bench_table_get(row, "n")))
        snprintf(text, sizeof(text), "%s x %.0f", bench_table_text(row, "name"), bench_table_get(row, "batch"));
    else if (strncmp(bench_table_text(row, "name"), "encoder ", 8) == 0)
        snprintf(text, sizeof(text), "%s x %.0f", bench_table_text(row, "name") + 8, bench_table_get(row, "batch"));
    else
        snprintf(text, sizeof(text), "%.0f,%.0f,%.0f,%.0f%s", bench_table_get(row, "n"), bench_table_get(row, "m"),
                 bench_table_get(row, "d"), bench_table_get(row, "heads"),
                 bench_table_get(row, "batch") > 1 ? " many streams" : "");
    json_object_set_new(row, "label", json_string(text));
}

static void summarise_nystrom(const json_t *row)
{
    double mean = bench_table_get(row, "mean_us"), n = bench_table_get(row, "n"), d = bench_table_get(row, "d");
    double width = bench_table_get(row, "heads") * bench_table_get(row, "m") * d;
    bool many = bench_table_get(row, "batch") > 1, spread = is(row, "refresh", "spread");
    if (spread)
        print_ratio(row, "spread p99.9 / mean", bench_table_get(row, "p999_us") / mean, "<=", 3);
    if (spread || !is(row, "name", "nystrom"))
        return;
    if (width >= 2000 || many)
        print_ratio(row, "nystrom immediate / floor", mean / bench_table_get(row, "floor_us"), "<=", 2);
    if (n >= 4096)
        print_ratio(row, "exact / nystrom", bench_table_get(row, "exact_us") / mean, ">=", n >= 16384 ? 40 : 10);
    if (d == 12)
        print_ratio(row, "published update / nystrom", bench_table_get(row, "naive_us") / mean, ">=", 2);
}

static void summarise_packed(const json_t *row)
{
    double gflops = bench_table_get(row, "gflops"), batch = bench_table_get(row, "batch");
    if (batch >= 4 && bench_table_get(row, "n_in") == 192)
        print_ratio(row, "packed / best sgemm of the run", bench_table_get(row, "share_of_best_sgemm"), ">=", 0.75);
    if (batch <= 16)
        print_ratio(row, "packed / faster of sgemm, sgemv",
                    gflops / fmax(bench_table_get(row, "sgemm_gflops"), bench_table_get(row, "sgemv_gflops")), ">=", 1);
}

static void summarise_encoder(const json_t *row)
{
    if (bench_table_get(row, "batch") == 64)
        print_ratio(row, "encoder / parts", bench_table_get(row, "ratio"), "<=", 1.3);
}

/* What else would a comparison of their times be worth? */
static void print_difference(const json_t *table)
{
    double largest = NAN;
    for (size_t i = 0; i < json_array_size(table); i++)
        largest = fmax(largest, bench_table_get(json_array_get(table, i), "naive_difference"));
    if (!isnan(largest))
        printf("the published update's outputs differ from ours by at most %.1e\n", largest);
}

void bench_summary_print(const json_t *table)
{
    printf("\nratios that have a goal\n");
    for (size_t i = 0; i < json_array_size(table); i++) {
        json_t *row = json_array_get(table, i);
        label(row);
        if (is(row, "method", "packed"))
            summarise_packed(row);
        else if (strncmp(bench_table_text(row, "name"), "encoder ", 8) == 0)
            summarise_encoder(row);
        else if (is(row, "method", "nystrom"))
            summarise_nystrom(row);
    }
    print_difference(table);
}
