/* SPDX-License-Identifier: MIT */
/*
 * Fields that decide what is computed for the whole model must all be there, for a default that is wrong for a
 * checkpoint gives wrong outputs without a word. Within a layer the defaults are those of struct attn_options. A field
 * that is not known is an error: it may be one that a later version computes something else for.
 *
 * The fields are read through one cursor whose error sticks, so that they read as a list.
 */
#include "model_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "bounds.h"
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

/* A retroactive layer and what belongs to it: well-formed or not, this version does not compute it. */
static int refuse_unsupported(struct fields *fields, uint32_t index, uint32_t n_layers, bool raw)
{
    bool retroactive = read_flag(fields, "retroactive");
    if (fields->error < 0)
        return fields->error;
    if (raw && !retroactive)
        return attn_refuse(fields->why, ATTN_E_MODEL,
                           "configuration: %shead_merge is raw, which only a retroactive layer can have",
                           fields->where);
    if (retroactive && (index != 0 || n_layers != 2))
        return attn_refuse(fields->why, ATTN_E_MODEL,
                           "configuration: %sretroactive is true, which only the first layer of exactly two can be",
                           fields->where);
    if (retroactive)
        return attn_refuse(fields->why, ATTN_E_SUPPORT,
                           "configuration: %sretroactive is true; this version computes single-output layers only",
                           fields->where);
    return 0;
}

static int read_layer(struct attn_model_config *config, uint32_t index, json_t *json, struct attn_reason *why)
{
    static const char *const known[] = {"method",        "landmarks",  "landmark_policy", "refresh",
                                        "inverse_scale", "head_merge", "retroactive",     NULL};
    static const char *const methods[3] = {"exact", "nystrom"};
    static const char *const policies[3] = {"means", "fixed"};
    static const char *const refreshes[3] = {"immediate", "spread"};
    static const char *const scales[3] = {"matrix", "heads"};
    static const char *const merges[3] = {"concat", "raw"};
    struct attn_layer_config *layer = &config->layers[index];
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
    bool raw = read_choice(&fields, "head_merge", merges, 0) == 1;
    if (fields.error == 0 && exact && layer->landmark_policy == ATTN_LANDMARKS_FIXED)
        return attn_refuse(why, ATTN_E_MODEL,
                           "configuration: %slandmark_policy is fixed, but the exact method has no landmarks",
                           fields.where);
    return refuse_unsupported(&fields, index, config->n_layers, raw);
}

static int read_layers(struct attn_model_config *config, struct attn_reason *why)
{
    json_t *layers = json_object_get(config->json, "layers");
    size_t n_layers = json_array_size(layers);
    if (!json_is_array(layers) || n_layers == 0 || n_layers > ATTN_MAX_LAYERS)
        return attn_refuse(why, ATTN_E_MODEL, "configuration: layers is not a list of 1 to %d layers", ATTN_MAX_LAYERS);
    config->n_layers = (uint32_t)n_layers;
    config->layers = calloc(n_layers, sizeof(*config->layers));
    if (config->layers == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for %zu layers", n_layers);
    for (uint32_t i = 0; i < config->n_layers; i++) {
        int error = read_layer(config, i, json_array_get(layers, i), why);
        if (error < 0)
            return error;
    }
    return 0;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static int check_distinct(const struct attn_model_config *config, struct attn_reason *why)
{
    const char **sorted = malloc(config->n_labels * sizeof(*sorted));
    if (sorted == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for %" PRIu32 " labels", config->n_labels);
    memcpy(sorted, config->labels, config->n_labels * sizeof(*sorted));
    qsort(sorted, config->n_labels, sizeof(*sorted), by_text);
    int error = 0;
    for (uint32_t i = 1; error == 0 && i < config->n_labels; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            error = attn_refuse(why, ATTN_E_MODEL, "configuration: label %.100s is there twice", sorted[i]);
    free(sorted);
    return error;
}

/* Labels are shown on terminals: U+0000 to U+001F and U+007F to U+009F, in text that is known to be UTF-8. */
static bool has_control(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return true;
    return false;
}

/* Absent, null and [] are the same: no labels. That there are as many as outputs is checked where the head is known. */
static int read_labels(struct attn_model_config *config, struct attn_reason *why)
{
    json_t *labels = json_object_get(config->json, "labels");
    if (labels == NULL || json_is_null(labels))
        return 0;
    size_t n_labels = json_array_size(labels);
    if (!json_is_array(labels) || n_labels > ATTN_MAX_WIDTH)
        return attn_refuse(why, ATTN_E_MODEL, "configuration: labels is not a list of at most %d strings",
                           ATTN_MAX_WIDTH);
    if (n_labels == 0)
        return 0;
    config->labels = calloc(n_labels, sizeof(*config->labels));
    if (config->labels == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for %zu labels", n_labels);
    config->n_labels = (uint32_t)n_labels;
    for (size_t i = 0; i < n_labels; i++) {
        json_t *label = json_array_get(labels, i);
        if (!json_is_string(label) || json_string_length(label) == 0 ||
            json_string_length(label) > ATTN_MAX_LABEL_BYTES || has_control(json_string_value(label)))
            return attn_refuse(
                why, ATTN_E_MODEL,
                "configuration: labels[%zu] is not a string of 1 to %d bytes without control characters", i,
                ATTN_MAX_LABEL_BYTES);
        config->labels[i] = json_string_value(label);
    }
    return check_distinct(config, why);
}

/* {"type": "vggish", "hops": h, "stride": s}: frame i is the log-mels of hops i·s … i·s+h−1, oldest first. */
static int read_frontend(struct attn_model_config *config, struct attn_reason *why)
{
    static const char *const known[] = {"type", "hops", "stride", NULL};
    json_t *frontend = json_object_get(config->json, "frontend");
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
    if (config->input_dim != LOG_MELS * hops)
        return attn_refuse(why, ATTN_E_MODEL,
                           "configuration: frontend gives frames of %d * %" PRIu32 " = %" PRIu32
                           " values, but input_dim is %" PRIu32,
                           LOG_MELS, hops, LOG_MELS * hops, config->input_dim);
    config->frontend = json_dumps(frontend, JSON_COMPACT);
    return config->frontend != NULL ? 0 : attn_refuse(why, ATTN_E_MEMORY, "no memory for the front-end");
}

static int read_model(struct attn_model_config *config, struct attn_reason *why)
{
    static const char *const known[] = {"version",   "input_dim",    "model_dim", "heads",      "window",
                                        "positions", "residual_tap", "norm",      "activation", "head",
                                        "layers",    "labels",       "frontend",  "training",   NULL};
    static const char *const taps[3] = {"newest", "oldest"};
    static const char *const norms[3] = {"post", "pre"};
    static const char *const activations[3] = {"gelu", "relu"};
    static const char *const heads[3] = {"softmax", "sigmoid", "identity"};
    struct fields fields = {.where = ""};
    open_fields(&fields, config->json, known, why);
    read_number(&fields, "version", CONFIGURATION_VERSION, CONFIGURATION_VERSION, REQUIRED);
    config->input_dim = read_number(&fields, "input_dim", 1, ATTN_MAX_WIDTH, REQUIRED);
    config->model_dim = read_number(&fields, "model_dim", 1, ATTN_MAX_WIDTH, REQUIRED);
    config->heads = read_number(&fields, "heads", 1, ATTN_MAX_HEADS, REQUIRED);
    config->window = read_number(&fields, "window", 1, ATTN_MAX_WINDOW, REQUIRED);
    config->positions = read_number(&fields, "positions", 0, ATTN_MAX_POSITIONS, REQUIRED);
    config->residual_tap = (enum attn_residual_tap)read_choice(&fields, "residual_tap", taps, REQUIRED);
    config->norm = (enum attn_norm_place)read_choice(&fields, "norm", norms, REQUIRED);
    config->activation = (enum attn_activation)read_choice(&fields, "activation", activations, REQUIRED);
    config->head = (enum attn_head)read_choice(&fields, "head", heads, REQUIRED);
    if (fields.error < 0)
        return fields.error;
    if (config->model_dim % config->heads != 0)
        return attn_refuse(why, ATTN_E_MODEL,
                           "configuration: model_dim %" PRIu32 " is not a multiple of heads %" PRIu32,
                           config->model_dim, config->heads);
    json_t *training = json_object_get(config->json, "training");
    if (training != NULL && !json_is_null(training) && !json_is_object(training))
        return attn_refuse(why, ATTN_E_MODEL, "configuration: training is neither an object nor null");
    return 0;
}

int attn_model_config_init(struct attn_model_config *config, const char *text, struct attn_reason *why)
{
    memset(config, 0, sizeof(*config));
    int error = 0;
    config->json = attn_json_read(text, strlen(text), "the configuration", &error, why);
    if (config->json == NULL)
        return error;
    if ((error = read_model(config, why)) < 0 || (error = read_layers(config, why)) < 0 ||
        (error = read_labels(config, why)) < 0)
        return error;
    return read_frontend(config, why);
}

void attn_model_config_done(struct attn_model_config *config)
{
    json_decref(config->json);
    free(config->layers);
    free(config->labels);
    free(config->frontend);
    memset(config, 0, sizeof(*config));
}
