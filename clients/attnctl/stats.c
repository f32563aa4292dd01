/* SPDX-License-Identifier: MIT */
/*
 * An answer in parts is as long as the daemon says, and a broken one says so for ever. So the whole has a limit of time
 * and one of rows, both far above what the fullest daemon needs.
 */
#include "config.h"

#include "attnctl/stats.h"

#include <inttypes.h>
#include <msgpack.h>
#include <string.h>
#include <time.h>

#include "attnctl/field.h"
#include "attnctl/json.h"

#define MOST_SECONDS 60
#define MOST_ROWS    (1u << 20)

static void pack_string(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

/* One part of `stats`: the models behind `after`; NULL: all but models, and the first of these. */
static json_t *ask_part(struct attnc_client *client, bool detail, const char *after)
{
    msgpack_sbuffer params;
    msgpack_packer packer;
    msgpack_sbuffer_init(&params);
    msgpack_packer_init(&packer, &params, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, after ? 2 : 1);
    pack_string(&packer, "detail");
    detail ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer);
    if (after) {
        pack_string(&packer, "after");
        pack_string(&packer, after);
    }
    json_t *part = json_call_packed(client, "stats", &params);
    msgpack_sbuffer_destroy(&params);
    return part;
}

int stats_fail(const struct attnc_client *client, const char *method, struct problem *problem)
{
    const struct attnc_error *error = attnc_last_error(client);
    const char *open = error->name[0] ? " (" : "", *close = error->name[0] ? ")" : "";
    return problem_set(problem, "%s: %s%s%s%s", method, error->text, open, error->name, close);
}

int stats_check(const json_t *answer, const char *method, const char *list, struct problem *problem)
{
    if (!json_is_object(answer))
        return problem_set(problem, "the daemon's answer to %s is no map", method);
    if (list && !json_is_array(json_object_get(answer, list)))
        return problem_set(problem, "the daemon's answer to %s has no list of %s", method, list);
    return 0;
}

static bool has_more(const json_t *part)
{
    return json_is_true(json_object_get(part, "more"));
}

static const json_t *last_row(const json_t *rows)
{
    size_t n = json_array_size(rows);
    return n > 0 ? json_array_get(rows, n - 1) : NULL;
}

/* Adds the rows of a part. Takes the reference. 0, or −1 and a problem. */
static int add_part(struct attnc_client *client, json_t *rows, json_t *part, const char *method, const char *list,
                    const struct timespec *start, struct problem *problem)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int result = part ? stats_check(part, method, list, problem) : stats_fail(client, method, problem);
    if (result == 0)
        json_array_extend(rows, json_object_get(part, list));
    if (result == 0 && (json_array_size(rows) > MOST_ROWS || now.tv_sec - start->tv_sec > MOST_SECONDS))
        result = problem_set(problem, "the daemon's list of %s has no end: %zu came within %lld s", list,
                             json_array_size(rows), (long long)(now.tv_sec - start->tv_sec));
    json_decref(part);
    return result;
}

/* Names rise from part to part: one that does not get further is the last. A daemon without models has no list. */
static int ask_models(struct attnc_client *client, bool detail, json_t *all, struct problem *problem)
{
    json_t *models = json_object_get(all, "models");
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (bool more = has_more(all) && json_is_array(models); more;) {
        char after[256];
        snprintf(after, sizeof(after), "%s", field_text(last_row(models), "model", ""));
        json_t *part = ask_part(client, detail, after);
        more = has_more(part);
        if (add_part(client, models, part, "stats", "models", &start, problem) < 0)
            return -1;
        more = more && strcmp(field_text(last_row(models), "model", ""), after) > 0;
    }
    return 0;
}

json_t *stats_ask(struct attnc_client *client, bool detail, struct problem *problem)
{
    json_t *all = ask_part(client, detail, NULL);
    int result = all ? stats_check(all, "stats", NULL, problem) : stats_fail(client, "stats", problem);
    if (result == 0)
        result = ask_models(client, detail, all, problem);
    if (result == 0) {
        json_object_del(all, "more");
        return all;
    }
    json_decref(all);
    return NULL;
}

/* Numbers rise from part to part: one that does not get further is the last. */
static int ask_rows(struct attnc_client *client, json_t *all, struct problem *problem)
{
    json_t *rows = json_object_get(all, "streams");
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (bool more = has_more(all); more && json_array_size(rows) > 0;) {
        json_int_t last = field_number(last_row(rows), "stream");
        json_t *part = json_call_after(client, "streams", (uint64_t)last);
        more = has_more(part);
        if (add_part(client, rows, part, "streams", "streams", &start, problem) < 0)
            return -1;
        more = more && field_number(last_row(rows), "stream") > last;
    }
    return 0;
}

json_t *stats_ask_streams(struct attnc_client *client, struct problem *problem)
{
    json_t *all = json_call(client, "streams", NULL);
    int result = all ? stats_check(all, "streams", "streams", problem) : stats_fail(client, "streams", problem);
    if (result == 0)
        result = ask_rows(client, all, problem);
    if (result == 0) {
        json_object_del(all, "more");
        return all;
    }
    json_decref(all);
    return NULL;
}

void stats_add_lags(const json_t *model, uint64_t counts[ATTNP_HISTOGRAM_BUCKETS])
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(model, "histogram"), i, pair)
    {
        const json_t *bucket = json_array_get(pair, 0);
        if (json_is_integer(bucket) && json_integer_value(bucket) >= 0 &&
            json_integer_value(bucket) < ATTNP_HISTOGRAM_BUCKETS)
            counts[json_integer_value(bucket)] += field_count(json_array_get(pair, 1));
    }
}
