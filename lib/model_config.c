/* SPDX-License-Identifier: MIT */
/*
 * What holds of a configuration wherever it comes from. A struct that a program filled is trusted no more than a file:
 * an enum may hold any number.
 */
#include "model_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inverse.h"
#include "reason.h"

#define REFUSE(...) attn_refuse(why, ATTN_E_MODEL, "configuration: " __VA_ARGS__)

static int check_number(const char *name, uint32_t value, uint32_t least, uint32_t most, struct attn_reason *why)
{
    if (value >= least && value <= most)
        return 0;
    return REFUSE("%s is %" PRIu32 "; it must be %" PRIu32 " to %" PRIu32, name, value, least, most);
}

static int check_choice(const char *name, unsigned value, unsigned last, struct attn_reason *why)
{
    return value <= last ? 0 : REFUSE("%s is %u; it must be 0 to %u", name, value, last);
}

static int check_shape(const struct attn_model_config *config, struct attn_reason *why)
{
    int error = 0;
#define X(name, least, most)                                                                                           \
    if (error == 0)                                                                                                    \
        error = check_number(#name, config->name, least, most, why);
    ATTN_MODEL_NUMBERS(X)
#undef X
    if (error == 0 && config->model_dim % config->heads != 0)
        error = REFUSE("model_dim %" PRIu32 " is not a multiple of heads %" PRIu32, config->model_dim, config->heads);
    if (error == 0)
        error = check_choice("residual_tap", config->residual_tap, ATTN_TAP_OLDEST, why);
    if (error == 0)
        error = check_choice("norm", config->norm, ATTN_NORM_PRE, why);
    if (error == 0)
        error = check_choice("activation", config->activation, ATTN_RELU, why);
    return error < 0 ? error : check_choice("head", config->head, ATTN_HEAD_IDENTITY, why);
}

static int check_choices(const struct attn_layer_config *layer, uint32_t index, struct attn_reason *why)
{
    const struct {
        const char *name;
        unsigned value, last;
    } choices[] = {
        {"method", layer->method, ATTN_NYSTROM},
        {"landmark_policy", layer->landmark_policy, ATTN_LANDMARKS_FIXED},
        {"refresh", layer->refresh, ATTN_REFRESH_SPREAD},
        {"inverse_scale", layer->inverse_scale, ATTN_INVERSE_HEADS},
        {"head_merge", layer->head_merge, ATTN_MERGE_RAW},
    };
    int error = 0;
    for (size_t i = 0; error == 0 && i < sizeof(choices) / sizeof(choices[0]); i++) {
        char name[40];
        snprintf(name, sizeof(name), "layers[%" PRIu32 "].%s", index, choices[i].name);
        error = check_choice(name, choices[i].value, choices[i].last, why);
    }
    return error;
}

/* Landmarks belong to one method, and refreshing to landmarks that a state keeps. */
static int check_method(const struct attn_layer_config *layer, uint32_t index, bool recomputed, struct attn_reason *why)
{
    bool exact = layer->method == ATTN_EXACT;
    if (exact && layer->landmarks != 0)
        return REFUSE("layers[%" PRIu32 "].landmarks is %" PRIu32 "; it must be 0, for the exact method has none",
                      index, layer->landmarks);
    if (!exact && (layer->landmarks < 1 || layer->landmarks > ATTN_MAX_LANDMARKS))
        return REFUSE("layers[%" PRIu32 "].landmarks is %" PRIu32 "; it must be 1 to %d", index, layer->landmarks,
                      ATTN_MAX_LANDMARKS);
    if (exact && layer->landmark_policy == ATTN_LANDMARKS_FIXED)
        return REFUSE("layers[%" PRIu32 "].landmark_policy is fixed, but the exact method has no landmarks", index);
    if (exact && layer->refresh == ATTN_REFRESH_SPREAD)
        return REFUSE("layers[%" PRIu32 "].refresh is spread, but the exact method has nothing to refresh", index);
    if (recomputed && layer->refresh == ATTN_REFRESH_SPREAD)
        return REFUSE("layers[%" PRIu32
                      "].refresh is spread, but the layer after a retroactive one is recomputed at each "
                      "frame and has nothing to refresh: leave it out",
                      index);
    return 0;
}

/* A retroactive layer and what belongs to it. */
static int check_retroactive(const struct attn_model_config *config, uint32_t index, struct attn_reason *why)
{
    const struct attn_layer_config *layer = &config->layers[index];
    if (layer->retroactive && (index != 0 || config->n_layers != 2))
        return REFUSE("layers[%" PRIu32 "].retroactive is true, which only the first layer of exactly two can be; the "
                      "model has %" PRIu32,
                      index, config->n_layers);
    if (layer->head_merge == ATTN_MERGE_RAW && !layer->retroactive)
        return REFUSE("layers[%" PRIu32 "].head_merge is raw, which only a retroactive layer can have", index);
    return 0;
}

/* Every layer's g is computed when the model is loaded, or falls due in the same frame as the others'. */
static int check_inverses(const struct attn_model_config *config, struct attn_reason *why)
{
    double work = 0;
    for (uint32_t i = 0; i < config->n_layers; i++) {
        const struct attn_layer_config *layer = &config->layers[i];
        bool means = layer->landmark_policy == ATTN_LANDMARKS_MEANS;
        bool inverts = layer->method == ATTN_NYSTROM && !(means && layer->landmarks >= config->window);
        work += inverts ? config->heads * attn_inverse_multiply_adds(layer->landmarks) : 0;
    }
    if (work <= ATTN_MAX_INVERSE_WORK)
        return 0;
    return REFUSE("the inverses of %" PRIu32 " heads in all layers would take %.1f billion multiply-adds, and %.1f are "
                  "allowed: make landmarks or heads smaller",
                  config->heads, work / 1e9, ATTN_MAX_INVERSE_WORK / 1e9);
}

static int check_layers(const struct attn_model_config *config, struct attn_reason *why)
{
    if (config->n_layers < 1 || config->n_layers > ATTN_MAX_LAYERS || config->layers == NULL)
        return REFUSE("layers is not a list of 1 to %d layers", ATTN_MAX_LAYERS);
    for (uint32_t i = 0; i < config->n_layers; i++) {
        bool recomputed = i == 1 && config->layers[0].retroactive;
        int error = check_choices(&config->layers[i], i, why);
        if (error == 0)
            error = check_method(&config->layers[i], i, recomputed, why);
        if (error == 0)
            error = check_retroactive(config, i, why);
        if (error < 0)
            return error;
    }
    return check_inverses(config, why);
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
            error = REFUSE("label %.100s is there twice", sorted[i]);
    free(sorted);
    return error;
}

/* That there are as many labels as outputs is checked where the head is known. Labels are shown on terminals. */
static int check_labels(const struct attn_model_config *config, struct attn_reason *why)
{
    if (config->n_labels == 0)
        return 0;
    if (config->n_labels > ATTN_MAX_WIDTH || config->labels == NULL)
        return REFUSE("labels is not a list of at most %d strings", ATTN_MAX_WIDTH);
    for (uint32_t i = 0; i < config->n_labels; i++) {
        const char *label = config->labels[i];
        if (label == NULL || label[0] == '\0' || strlen(label) > ATTN_MAX_LABEL_BYTES || !attn_reason_printable(label))
            return REFUSE("labels[%" PRIu32 "] is not a string of 1 to %d bytes without control characters", i,
                          ATTN_MAX_LABEL_BYTES);
    }
    return check_distinct(config, why);
}

int attn_model_config_check(const struct attn_model_config *config, struct attn_reason *why)
{
    int error = check_shape(config, why);
    if (error == 0)
        error = check_layers(config, why);
    return error < 0 ? error : check_labels(config, why);
}

/* One block for the list and the text of the labels, which done frees by the list. */
static const char *const *copy_labels(const struct attn_model_config *config)
{
    size_t n_bytes = config->n_labels * sizeof(char *);
    for (uint32_t i = 0; i < config->n_labels; i++)
        n_bytes += strlen(config->labels[i]) + 1;
    const char **labels = malloc(n_bytes);
    if (labels == NULL)
        return NULL;
    char *text = (char *)(labels + config->n_labels);
    for (uint32_t i = 0; i < config->n_labels; i++) {
        labels[i] = text;
        text = stpcpy(text, config->labels[i]) + 1;
    }
    return labels;
}

int attn_model_config_copy(struct attn_model_config *copy, const struct attn_model_config *config,
                           struct attn_reason *why)
{
    struct attn_layer_config *layers = malloc(config->n_layers * sizeof(*layers));
    if (layers != NULL)
        memcpy(layers, config->layers, config->n_layers * sizeof(*layers));
    *copy = *config;
    copy->layers = layers;
    copy->labels = config->n_labels > 0 ? copy_labels(config) : NULL;
    copy->frontend = config->frontend != NULL ? strdup(config->frontend) : NULL;
    copy->events = config->events != NULL ? strdup(config->events) : NULL;
    if (layers == NULL || (config->n_labels > 0 && copy->labels == NULL) ||
        (config->frontend != NULL && copy->frontend == NULL) || (config->events != NULL && copy->events == NULL))
        return attn_refuse(why, ATTN_E_MEMORY,
                           "no memory for a configuration of %" PRIu32 " layers and %" PRIu32 " labels",
                           config->n_layers, config->n_labels);
    return 0;
}

void attn_model_config_done(struct attn_model_config *copy)
{
    free((void *)copy->layers);
    free((void *)copy->labels);
    free((void *)copy->frontend);
    free((void *)copy->events);
    memset(copy, 0, sizeof(*copy));
}
