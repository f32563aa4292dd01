/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/stats.h"

#include <msgpack.h>
#include <string.h>

#include "attnctl/json.h"

static void pack_string(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

/* One part: the models behind `after`; NULL: all but models, and the first of these. */
static json_t *ask_part(struct attnc_client *client, bool detail, const char *after)
{
    msgpack_sbuffer params;
    msgpack_packer packer;
    const void *result;
    size_t n_result;
    msgpack_sbuffer_init(&params);
    msgpack_packer_init(&packer, &params, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, after ? 2 : 1);
    pack_string(&packer, "detail");
    detail ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer);
    if (after) {
        pack_string(&packer, "after");
        pack_string(&packer, after);
    }
    int outcome = attnc_call(client, "stats", params.data, params.size, &result, &n_result);
    msgpack_sbuffer_destroy(&params);
    return outcome < 0 ? NULL : json_of_msgpack(result, n_result);
}

static const char *last_model(const json_t *models)
{
    size_t n = json_array_size(models);
    const char *name = n > 0 ? json_string_value(json_object_get(json_array_get(models, n - 1), "model")) : NULL;
    return name ? name : "";
}

/* Names rise from part to part: one that does not get further is the last. */
json_t *stats_ask(struct attnc_client *client, bool detail)
{
    json_t *all = ask_part(client, detail, NULL), *models = json_object_get(all, "models");
    bool more = json_is_true(json_object_get(all, "more"));
    while (more) {
        char after[256];
        snprintf(after, sizeof(after), "%s", last_model(models));
        json_t *part = ask_part(client, detail, after), *others = json_object_get(part, "models");
        if (!part) {
            json_decref(all);
            return NULL;
        }
        more = json_is_true(json_object_get(part, "more")) && strcmp(last_model(others), after) > 0;
        json_array_extend(models, others);
        json_decref(part);
    }
    json_object_del(all, "more");
    return all;
}

/* The number of a list's last stream, after which the next part begins; 0 where there is none. */
static json_int_t last_stream(const json_t *rows)
{
    size_t n = json_array_size(rows);
    return n > 0 ? json_integer_value(json_object_get(json_array_get(rows, n - 1), "stream")) : 0;
}

/* Numbers rise from part to part: one that does not get further is the last. */
json_t *stats_ask_streams(struct attnc_client *client)
{
    json_t *all = json_call(client, "streams", NULL), *rows = json_object_get(all, "streams");
    while (json_is_true(json_object_get(all, "more")) && json_array_size(rows) > 0) {
        json_int_t last = last_stream(rows);
        json_t *part = json_call_after(client, "streams", last);
        if (!part) {
            json_decref(all);
            return NULL;
        }
        bool more = last_stream(json_object_get(part, "streams")) > last && json_is_true(json_object_get(part, "more"));
        json_array_extend(rows, json_object_get(part, "streams"));
        json_object_set_new(all, "more", json_boolean(more));
        json_decref(part);
    }
    json_object_del(all, "more");
    return all;
}

void stats_add_lags(const json_t *model, uint64_t counts[ATTNP_HISTOGRAM_BUCKETS])
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(model, "histogram"), i, pair)
    {
        json_int_t bucket = json_integer_value(json_array_get(pair, 0)),
                   count = json_integer_value(json_array_get(pair, 1));
        if (bucket >= 0 && bucket < ATTNP_HISTOGRAM_BUCKETS && count > 0)
            counts[bucket] += (uint64_t)count;
    }
}
