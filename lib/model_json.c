/* SPDX-License-Identifier: MIT */
/*
 * Fields that decide what is computed for the whole model must all be there, for a default that is wrong for a
 * checkpoint gives wrong outputs without a word. Within a layer the defaults are those of struct attn_options. A field
 * that is not known is an error: it may be one that a later version computes something else for.
 *
 * The fields are read through one cursor whose error sticks, so that they read as a list.
 */
#include "model_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "json.h"
#include "reason.h"

#define CONFIGURATION_VERSION 1
#define REQUIRED              (-1)
#define LOG_MELS              64 /* of a hop of the vggish front-end */

/* One object that is being read. */
struct fields {
    json_t *object;
    char where[24]; /* before the names of its fields in messages: "layers[3]." */
    int error;      /* the first one */
    struct attn_reason *why;
};

static void open_fields(struct fields *fields, json_t *object, const char *const *known, struct attn_reason *why)
{
    fields->object = object;
    fields->error = 0;
    fields->why = why;
    const char *unknown = attn_json_unknown(object, known);
    if (unknown != NULL)
        fields->error = attn_refuse(why, ATTN_E_MODEL, "configuration: unknown field %s%.40s", fields->where, unknown);
}

/* An integer in range; `missing` where there is none, unless that is REQUIRED. */
static uint32_t read_number(struct fields *fields, const char *name, uint32_t least, uint32_t most, int64_t missing)
{
    if (fields->error < 0)
        return 0;
    json_t *json = json_object_get(fields->object, name);
    if (json == NULL && missing != REQUIRED)
        return (uint32_t)missing;
    json_int_t value = json_integer_value(json);
    if (json == NULL) {
        fields->error = attn_refuse(fields->why, ATTN_E_MODEL, "configuration: %s%s is missing", fields->where, name);
    } else if (!json_is_integer(json)) {
        fields->error =
            attn_refuse(fields->why, ATTN_E_MODEL, "configuration: %s%s is not an integer", fields->where, name);
    } else if (least == most && value != least) {
        fields->error = attn_refuse(fields->why, ATTN_E_MODEL,
                                    "configuration: %s%s is %" JSON_INTEGER_FORMAT "; it must be %" PRIu32,
                                    fields->where, name, value, least);
    } else if (value < least || value > most) {
        fields->error =
            attn_refuse(fields->why, ATTN_E_MODEL,
                        "configuration: %s%s is %" JSON_INTEGER_FORMAT "; it must be %" PRIu32 " to %" PRIu32,
                        fields->where, name, value, least, most);
    }
    return fields->error < 0 ? 0 : (uint32_t)value;
}

/* The index of a name in a list of two or three. */
static int read_choice(struct fields *fields, const char *name, const char *const choices[3], int missing)
{
    if (fields->error < 0)
        return 0;
    json_t *json = json_object_get(fields->object, name);
    if (json == NULL && missing != REQUIRED)
        return missing;
    const char *text = json_string_value(json);
    for (int i = 0; text != NULL && i < 3 && choices[i] != NULL; i++)
        if (strcmp(text, choices[i]) == 0)
            return i;
    const char *third = choices[2] != NULL ? choices[2] : "";
    fields->error = attn_refuse(fields->why, ATTN_E_MODEL,
                                "configuration: %s%s is %.40s; it must be \"%s\"%s\"%s\"%s%s%s", fields->where, name,
                                text != NULL   ? text
                                : json == NULL ? "missing"
                                               : "not a string",
                                choices[0], choices[2] != NULL ? ", " : " or ", choices[1],
                                choices[2] != NULL ? " or \"" : "", third, choices[2] != NULL ? "\"" : "");
    return 0;
}

static bool read_flag(struct fields *fields, const char *name)
{
    json_t *json = json_object_get(fields->object, name);
    if (fields->error == 0 && json != NULL && !json_is_boolean(json))
        fields->error = attn_refuse(fields->why, ATTN_E_MODEL, "configuration: %s%s is neither true nor false",
                                    fields->where, name);
    return json_is_true(json);
}

static int read_layer(struct attn_layer_config *layer, uint32_t index, json_t *json, struct attn_reason *why)
{
    static const char *const known[] = {"method",        "landmarks",  "landmark_policy", "refresh",
                                        "inverse_scale", "head_merge", "retroactive",     NULL};
    static const char *const methods[3] = {"exact", "nystrom"};
    static const char *const policies[3] = {"means", "fixed"};
    static const char *const refreshes[3] = {"immediate", "spread"};
    static const char *const scales[3] = {"matrix", "heads"};
    static const char *const merges[3] = {"concat", "raw"};
    struct fields fields;
    snprintf(fields.where, sizeof(fields.where), "layers[%" PRIu32 "].", index);
    if (!json_is_object(json))
        return attn_refuse(why, ATTN_E_MODEL, "configuration: layers[%" PRIu32 "] is not an object", index);
    open_fields(&fields, json, known, why);
    layer->method = (enum attn_method)read_choice(&fields, "method", methods, REQUIRED);
    bool exact = layer->method == ATTN_EXACT;
    layer->landmarks =
        read_number(&fields, "landmarks", exact ? 0 : 1, exact ? 0 : ATTN_MAX_LANDMARKS, exact ? 0 : REQUIRED);
    layer->landmark_policy = (enum attn_landmark_policy)read_choice(&fields, "landmark_policy", policies, 0);
    layer->refresh = (enum attn_refresh)read_choice(&fields, "refresh", refreshes, 0);
    layer->inverse_scale = (enum attn_inverse_scale)read_choice(&fields, "inverse_scale", scales, 0);
    layer->head_merge = (enum attn_head_merge)read_choice(&fields, "head_merge", merges, 0);
    layer->retroactive = read_flag(&fields, "retroactive");
    return fields.error;
}

static int read_layers(struct attn_model_json *json, struct attn_reason *why)
{
    json_t *layers = json_object_get(json->json, "layers");
    size_t n_layers = json_array_size(layers);
    if (!json_is_array(layers) || n_layers == 0 || n_layers > ATTN_MAX_LAYERS)
        return attn_refuse(why, ATTN_E_MODEL, "configuration: layers is not a list of 1 to %d layers", ATTN_MAX_LAYERS);
    json->layers = calloc(n_layers, sizeof(*json->layers));
    if (json->layers == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for %zu layers", n_layers);
    json->config.layers = json->layers;
    json->config.n_layers = (uint32_t)n_layers;
    for (uint32_t i = 0; i < json->config.n_layers; i++) {
        int error = read_layer(&json->layers[i], i, json_array_get(layers, i), why);
        if (error < 0)
            return error;
    }
    return 0;
}

/* Absent, null and [] are the same: no labels. A label that is no string is one that cannot be. */
static int read_labels(struct attn_model_json *json, struct attn_reason *why)
{
    json_t *labels = json_object_get(json->json, "labels");
    if (labels == NULL || json_is_null(labels))
        return 0;
    size_t n_labels = json_array_size(labels);
    if (!json_is_array(labels) || n_labels > ATTN_MAX_WIDTH)
        return attn_refuse(why, ATTN_E_MODEL, "configuration: labels is not a list of at most %d strings",
                           ATTN_MAX_WIDTH);
    if (n_labels == 0)
        return 0;
    json->labels = calloc(n_labels, sizeof(*json->labels));
    if (json->labels == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for %zu labels", n_labels);
    json->config.labels = json->labels;
    json->config.n_labels = (uint32_t)n_labels;
    for (size_t i = 0; i < n_labels; i++) {
        const char *text = json_string_value(json_array_get(labels, i));
        json->labels[i] = text != NULL ? text : "";
    }
    return 0;
}

/* {"type": "vggish", "hops": h, "stride": s}: frame i is the log-mels of hops i·s … i·s+h−1, oldest first. */
static int read_frontend(struct attn_model_json *json, struct attn_reason *why)
{
    static const char *const known[] = {"type", "hops", "stride", NULL};
    json_t *frontend = json_object_get(json->json, "frontend");
    if (frontend == NULL || json_is_null(frontend))
        return 0;
    if (!json_is_object(frontend))
        return attn_refuse(why, ATTN_E_MODEL, "configuration: frontend is neither an object nor null");
    struct fields fields = {.where = "frontend."};
    open_fields(&fields, frontend, known, why);
    const char *type = json_string_value(json_object_get(frontend, "type"));
    if (fields.error == 0 && (type == NULL || strcmp(type, "vggish") != 0))
        return attn_refuse(why, ATTN_E_MODEL, "configuration: frontend.type is %.40s; it must be \"vggish\"",
                           type != NULL ? type : "missing or not a string");
    uint32_t hops = read_number(&fields, "hops", 1, ATTN_MAX_HOPS, REQUIRED);
    read_number(&fields, "stride", 1, ATTN_MAX_HOPS, REQUIRED);
    if (fields.error < 0)
        return fields.error;
    if (json->config.input_dim != LOG_MELS * hops)
        return attn_refuse(why, ATTN_E_MODEL,
                           "configuration: frontend gives frames of %d * %" PRIu32 " = %" PRIu32
                           " values, but input_dim is %" PRIu32,
                           LOG_MELS, hops, LOG_MELS * hops, json->config.input_dim);
    json->config.frontend = json->frontend = json_dumps(frontend, JSON_COMPACT);
    return json->frontend != NULL ? 0 : attn_refuse(why, ATTN_E_MEMORY, "no memory for the front-end");
}

/* One threshold of events; `most` is what it may be at most. */
static int check_threshold(const char *list, uint32_t label, const json_t *json, double most, struct attn_reason *why)
{
    double value = json_number_value(json);
    if (!json_is_number(json) || !(value > 0) || !(value <= most))
        return attn_refuse(why, ATTN_E_MODEL,
                           "configuration: events.%s[%" PRIu32 "] is not a number above 0 and at most %g", list, label,
                           most);
    return 0;
}

static int check_thresholds(const json_t *on, const json_t *off, uint32_t n_labels, struct attn_reason *why)
{
    if (json_array_size(on) != n_labels || json_array_size(off) != n_labels)
        return attn_refuse(why, ATTN_E_MODEL,
                           "configuration: events.on and events.off are not lists of one number for each of %" PRIu32
                           " labels",
                           n_labels);
    for (uint32_t i = 0; i < n_labels; i++) {
        int error = check_threshold("on", i, json_array_get(on, i), 1, why);
        if (error == 0)
            error = check_threshold("off", i, json_array_get(off, i), json_number_value(json_array_get(on, i)), why);
        if (error < 0)
            return error;
    }
    return 0;
}

/* {"frames": k, "on": [...], "off": [...]}: an event of label i begins where the mean of its newest k scores reaches
 * on[i], and ends where the mean falls below off[i]. Scores of the identity head have no range, so that events need
 * another. */
static int read_events(struct attn_model_json *json, struct attn_reason *why)
{
    static const char *const known[] = {"frames", "on", "off", NULL};
    json_t *events = json_object_get(json->json, "events");
    if (events == NULL || json_is_null(events))
        return 0;
    if (!json_is_object(events))
        return attn_refuse(why, ATTN_E_MODEL, "configuration: events is neither an object nor null");
    struct fields fields = {.where = "events."};
    open_fields(&fields, events, known, why);
    read_number(&fields, "frames", 1, ATTN_MAX_EVENT_FRAMES, REQUIRED);
    if (fields.error < 0)
        return fields.error;
    if (json->config.n_labels == 0 || json->config.head == ATTN_HEAD_IDENTITY)
        return attn_refuse(why, ATTN_E_MODEL,
                           "configuration: events is there, but the model has no labels, or its head is identity");
    int error =
        check_thresholds(json_object_get(events, "on"), json_object_get(events, "off"), json->config.n_labels, why);
    if (error < 0)
        return error;
    json->config.events = json->events = json_dumps(events, JSON_COMPACT | JSON_REAL_PRECISION(6));
    return json->events != NULL ? 0 : attn_refuse(why, ATTN_E_MEMORY, "no memory for the events");
}

/* How many scores there are is the head's business. */
static int read_scores(struct attn_model_json *json, const json_t *scores, struct attn_reason *why)
{
    size_t n = json_array_size(scores);
    if (!json_is_array(scores) || n == 0 || n > ATTN_MAX_WIDTH)
        return attn_refuse(why, ATTN_E_MODEL, "configuration: digest.scores is not a list of 1 to %d numbers",
                           ATTN_MAX_WIDTH);
    json->scores = malloc(n * sizeof(*json->scores));
    if (json->scores == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for the digest");
    for (size_t i = 0; i < n; i++) {
        if (!json_is_number(json_array_get(scores, i)))
            return attn_refuse(why, ATTN_E_MODEL, "configuration: digest.scores[%zu] is not a number", i);
        json->scores[i] = json_number_value(json_array_get(scores, i));
    }
    json->digest.scores = json->scores;
    json->digest.n_scores = (uint32_t)n;
    return 0;
}

/* {"frames": n, "scores": [...]}: what digest.h asks for. */
static int read_digest(struct attn_model_json *json, struct attn_reason *why)
{
    static const char *const known[] = {"frames", "scores", NULL};
    json_t *digest = json_object_get(json->json, "digest");
    if (digest == NULL || json_is_null(digest))
        return 0;
    if (!json_is_object(digest))
        return attn_refuse(why, ATTN_E_MODEL, "configuration: digest is neither an object nor null");
    struct fields fields = {.where = "digest."};
    open_fields(&fields, digest, known, why);
    json->digest.frames = read_number(&fields, "frames", 1, ATTN_MAX_DIGEST_FRAMES, REQUIRED);
    return fields.error < 0 ? fields.error : read_scores(json, json_object_get(digest, "scores"), why);
}

static int read_model(struct attn_model_json *json, struct attn_reason *why)
{
    static const char *const known[] = {"version",      "input_dim", "model_dim",  "heads",    "window", "positions",
                                        "residual_tap", "norm",      "activation", "head",     "layers", "labels",
                                        "frontend",     "events",    "digest",     "training", NULL};
    static const char *const taps[3] = {"newest", "oldest"};
    static const char *const norms[3] = {"post", "pre"};
    static const char *const activations[3] = {"gelu", "relu"};
    static const char *const heads[3] = {"softmax", "sigmoid", "identity"};
    struct attn_model_config *config = &json->config;
    struct fields fields = {.where = ""};
    open_fields(&fields, json->json, known, why);
    read_number(&fields, "version", CONFIGURATION_VERSION, CONFIGURATION_VERSION, REQUIRED);
#define X(name, least, most) config->name = read_number(&fields, #name, least, most, REQUIRED);
    ATTN_MODEL_NUMBERS(X)
#undef X
    config->residual_tap = (enum attn_residual_tap)read_choice(&fields, "residual_tap", taps, REQUIRED);
    config->norm = (enum attn_norm_place)read_choice(&fields, "norm", norms, REQUIRED);
    config->activation = (enum attn_activation)read_choice(&fields, "activation", activations, REQUIRED);
    config->head = (enum attn_head)read_choice(&fields, "head", heads, REQUIRED);
    if (fields.error < 0)
        return fields.error;
    json_t *training = json_object_get(json->json, "training");
    if (training != NULL && !json_is_null(training) && !json_is_object(training))
        return attn_refuse(why, ATTN_E_MODEL, "configuration: training is neither an object nor null");
    return 0;
}

int attn_model_json_init(struct attn_model_json *json, const char *text, struct attn_reason *why)
{
    memset(json, 0, sizeof(*json));
    int error = 0;
    json->json = attn_json_read(text, strlen(text), "the configuration", &error, why);
    if (json->json == NULL)
        return error;
    if ((error = read_model(json, why)) < 0 || (error = read_layers(json, why)) < 0 ||
        (error = read_labels(json, why)) < 0 || (error = attn_model_config_check(&json->config, why)) < 0)
        return error;
    if ((error = read_frontend(json, why)) < 0)
        return error;
    error = read_events(json, why);
    return error < 0 ? error : read_digest(json, why);
}

void attn_model_json_done(struct attn_model_json *json)
{
    json_decref(json->json);
    free(json->layers);
    free(json->labels);
    free(json->frontend);
    free(json->events);
    free(json->scores);
    memset(json, 0, sizeof(*json));
}
