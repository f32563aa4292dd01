/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "attnctl/complain.h"
#include "attnctl/ndjson.h"
#include "attnctl/terminal.h"

#define BAR_COLUMNS 40

/* The largest latency bounds the upper end of its bucket. */
static uint64_t quantile(const struct bench_result *result, double share)
{
    uint64_t us = attnp_histogram_quantile(result->latency, share);
    return us < result->max_us ? us : result->max_us;
}

static json_t *number_or_null(bool is_known, double value)
{
    return is_known ? json_real(value) : json_null();
}

static json_t *count_or_null(bool is_known, uint64_t value)
{
    return is_known ? json_integer((json_int_t)value) : json_null();
}

static json_t *of_attention(const struct attnc_attention *attention)
{
    json_t *json = json_object();
    json_object_set_new(json, "method", json_string(attention->method));
    json_object_set_new(json, "window", json_integer(attention->window));
    json_object_set_new(json, "landmarks", count_or_null(attention->landmarks > 0, attention->landmarks));
    json_object_set_new(json, "heads", json_integer(attention->heads));
    json_object_set_new(json, "head_dim", json_integer(attention->head_dim));
    json_object_set_new(json, "refresh", json_string(attention->refresh ? attention->refresh : "immediate"));
    return json;
}

static void put_latency(json_t *json, const struct bench_report *report)
{
    const struct bench_result *result = report->result;
    bool any = result->answered + result->unsent > 0, has_p50 = report->echo && report->echo->pairs > 0;
    double p50_us = has_p50 ? report->echo->p50_us : (double)quantile(result, 0.5);
    json_object_set_new(json, "p50_us", number_or_null(any, p50_us));
    json_object_set_new(json, "p99_us", count_or_null(any, quantile(result, 0.99)));
    json_object_set_new(json, "p999_us", count_or_null(any, quantile(result, 0.999)));
    json_object_set_new(json, "max_us", count_or_null(any, result->max_us));
    json_object_set_new(json, "lag_us_p99",
                        count_or_null(result->answered > 0, attnp_histogram_quantile(result->lag, 0.99)));
}

static void put_echo(json_t *json, const struct bench_echo_figures *echo)
{
    bool any = echo && echo->pairs > 0;
    json_object_set_new(json, "echo_p50_us", number_or_null(any, any ? echo->echo_p50_us : 0));
    json_object_set_new(json, "echo_ratio", number_or_null(any, any ? echo->ratio : 0));
    json_object_set_new(json, "echo_ratio_min", number_or_null(any, any ? echo->ratio_min : 0));
    json_object_set_new(json, "echo_ratio_max", number_or_null(any, any ? echo->ratio_max : 0));
    json_object_set_new(json, "pairs", count_or_null(any, any ? echo->pairs : 0));
}

static void put_capacity(json_t *json, const struct bench_capacity *capacity)
{
    json_object_set_new(json, "capacity_streams", count_or_null(capacity, capacity ? capacity->found : 0));
    json_object_set_new(json, "capacity_confirmed", capacity ? json_boolean(capacity->confirmed) : json_null());
    json_t *trials = capacity ? json_array() : json_null();
    for (uint32_t i = 0; capacity && i < capacity->n_trials; i++) {
        const struct bench_trial *trial = &capacity->trials[i];
        json_array_append_new(trials, json_pack("{s:i, s:i, s:b, s:o, s:o*}", "streams", (int)trial->streams, "runs",
                                                (int)trial->runs, "passed", trial->passed, "p99_us",
                                                count_or_null(trial->p99_us > 0, trial->p99_us), "why",
                                                trial->passed ? NULL : ndjson_string(trial->why.text)));
    }
    json_object_set_new(json, "trials", trials);
}

static json_t *as_json(const struct bench_report *report)
{
    const struct bench_plan *plan = report->plan;
    const struct bench_result *result = report->result;
    bool comparable = plan->rate > 0 && !result->interrupted && !result->over && !report->capacity;
    char checksum[32];
    json_t *json = json_object();
    json_object_set_new(json, "model", plan->model ? ndjson_string(plan->model) : json_null());
    json_object_set_new(json, "attention", plan->attention ? of_attention(plan->attention) : json_null());
    json_object_set_new(json, "streams", json_integer(result->streams));
    json_object_set_new(json, "connections", json_integer(plan->connections));
    json_object_set_new(json, "rate", number_or_null(plan->rate > 0, plan->rate));
    json_object_set_new(json, "seconds", json_real(result->seconds));
    json_object_set_new(json, "sent", json_integer((json_int_t)result->sent));
    json_object_set_new(json, "answered", json_integer((json_int_t)result->answered));
    json_object_set_new(json, "dropped", json_integer((json_int_t)result->dropped));
    json_object_set_new(json, "lost", json_integer((json_int_t)result->lost));
    json_object_set_new(json, "unsent", json_integer((json_int_t)result->unsent));
    json_object_set_new(json, "refused", json_integer(result->refused));
    put_latency(json, report);
    json_object_set_new(json, "frames_per_s",
                        number_or_null(result->seconds > 0, (double)result->answered / result->seconds));
    json_object_set_new(json, "client_us_per_frame",
                        number_or_null(result->sent > 0, result->cpu_us / (double)result->sent));
    put_echo(json, report->echo);
    put_capacity(json, report->capacity);
    snprintf(checksum, sizeof(checksum), "%016" PRIx64, result->checksum);
    json_object_set_new(json, "checksum", comparable ? json_string(checksum) : json_null());
    return json;
}

/* "0.31 ms", in the unit that suits it. */
static const char *duration(uint64_t us, char text[32])
{
    if (us < 1000)
        snprintf(text, 32, "%" PRIu64 " us", us);
    else if (us < 1000000)
        snprintf(text, 32, "%.3g ms", (double)us / 1e3);
    else
        snprintf(text, 32, "%.3g s", (double)us / 1e6);
    return text;
}

/* Octaves from the first to the last that hold anything, each with its share as a bar. */
static void print_histogram(const struct bench_result *result)
{
    struct terminal terminal = terminal_of(stdout);
    char from[32], to[32], bar[TERMINAL_BAR_BYTES];
    uint64_t octaves[ATTNP_HISTOGRAM_OCTAVES + 1] = {0}, most = 1, total = 0;
    int first = -1, last = 0;
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++)
        octaves[i / ATTNP_HISTOGRAM_PARTS] += result->latency[i];
    for (int i = 0; i <= ATTNP_HISTOGRAM_OCTAVES; i++) {
        first = first < 0 && octaves[i] ? i : first;
        last = octaves[i] ? i : last;
        most = octaves[i] > most ? octaves[i] : most;
        total += octaves[i];
    }
    for (int i = first; first >= 0 && i <= last; i++) {
        terminal_bar(&terminal, bar, (double)octaves[i] / (double)most, BAR_COLUMNS);
        printf("  %8s to %-8s %s %5.1f %%\n", duration(attnp_histogram_floor((size_t)i * ATTNP_HISTOGRAM_PARTS), from),
               duration(attnp_histogram_floor((size_t)(i + 1) * ATTNP_HISTOGRAM_PARTS), to), bar,
               100.0 * (double)octaves[i] / (double)total);
    }
}

static void print_table(const struct bench_report *report)
{
    const struct bench_plan *plan = report->plan;
    const struct bench_result *result = report->result;
    char a[32], b[32], c[32], d[32];
    printf("streams   %u over %u connections", result->streams, plan->connections);
    if (plan->rate > 0)
        printf(", %.6g frames/s each", plan->rate);
    printf("%s\n", plan->rate > 0 ? "" : ", closed loop");
    printf("frames    %" PRIu64 " sent, %" PRIu64 " answered, %" PRIu64 " dropped, %" PRIu64 " lost, %" PRIu64
           " unsent\n",
           result->sent, result->answered, result->dropped, result->lost, result->unsent);
    if (result->refused > 0)
        printf("refused   %u streams\n", result->refused);
    if (result->seconds > 0)
        printf("through   %.6g frames/s for %.3g s\n", (double)result->answered / result->seconds, result->seconds);
    printf("latency   p50 %s, p99 %s, p99.9 %s, max %s\n", duration(quantile(result, 0.5), a),
           duration(quantile(result, 0.99), b), duration(quantile(result, 0.999), c), duration(result->max_us, d));
    printf("in attnd  p99 %s\n", duration(attnp_histogram_quantile(result->lag, 0.99), a));
    print_histogram(result);
    if (report->echo && report->echo->pairs > 0)
        printf("echo      p50 %.1f us against %.1f us of the bare echo: %.2f times (%.2f to %.2f, %u pairs)\n",
               report->echo->p50_us, report->echo->echo_p50_us, report->echo->ratio, report->echo->ratio_min,
               report->echo->ratio_max, report->echo->pairs);
    if (report->capacity)
        printf("capacity  %u streams%s\n", report->capacity->found,
               report->capacity->confirmed ? "" : ", not confirmed");
}

int bench_report_print(const struct bench_report *report, bool json)
{
    if (json || !isatty(STDOUT_FILENO)) {
        return ndjson_write_compact(stdout, as_json(report));
    }
    print_table(report);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

void bench_report_tick(const struct bench_result *result, double seconds)
{
    char p99[32];
    struct terminal terminal = terminal_of(stderr);
    if (terminal.escapes)
        fprintf(stderr, "\r%.1f s: %" PRIu64 " answers, p99 %s\033[K", seconds, result->answered,
                duration(quantile(result, 0.99), p99));
}

void bench_report_end_ticks(void)
{
    struct terminal terminal = terminal_of(stderr);
    if (terminal.escapes)
        fprintf(stderr, "\r\033[K");
}

void bench_report_trial(const struct bench_trial *trial)
{
    char p99[32] = "";
    bench_report_end_ticks();
    if (trial->p99_us > 0)
        duration(trial->p99_us, p99);
    complain(EXIT_DONE, "%u streams%s: %s%s%s%s", trial->streams, trial->confirms ? ", longer" : "",
             trial->passed ? "in time" : trial->why.text, p99[0] ? " (p99 " : "", p99, p99[0] ? ")" : "");
}
