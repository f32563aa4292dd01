/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "reason.h"

#define REFUSE(...) attn_refuse(why, ATTN_E_OPTIONS, __VA_ARGS__)

/* Where the fields begin that a later version added. A struct with a size of its own ends before one of them. */
#define OPTIONS_BYTES_0_1_0 offsetof(struct attn_options, variant)

int attn_options_take(struct attn_options *own, const struct attn_options *options, struct attn_reason *why)
{
    if (options->size != sizeof(*options) && options->size != OPTIONS_BYTES_0_1_0)
        return REFUSE("size is %zu; this version knows options of %zu bytes: set it to sizeof(struct attn_options)",
                      options->size, sizeof(*options));
    memset(own, 0, sizeof(*own));
    memcpy(own, options, options->size);
    own->size = sizeof(*own);
    return 0;
}

/* "generic, avx2 and avx512": those that are here. */
static void list_variants(char *text, size_t n_bytes)
{
    const char *names[ATTN_VARIANT_NEON];
    size_t n = 0, used = 0;
    for (int variant = ATTN_VARIANT_GENERIC; variant <= ATTN_VARIANT_NEON; variant++)
        if (attn_variant_name((enum attn_variant)variant) != NULL)
            names[n++] = attn_variant_name((enum attn_variant)variant);
    for (size_t i = 0; i < n && used < n_bytes; i++) {
        const char *before = i == 0 ? "" : i + 1 < n ? ", " : " and ";
        used += (size_t)snprintf(text + used, n_bytes - used, "%s%s", before, names[i]);
    }
}

static int check_variant(enum attn_variant variant, struct attn_reason *why)
{
    static const char *const names[] = {"best", "generic", "avx2", "avx512", "neon"};
    char here[64] = "";
    if (attn_variant_name(variant) != NULL)
        return 0;
    list_variants(here, sizeof(here));
    if ((size_t)variant >= sizeof(names) / sizeof(names[0]))
        return REFUSE("variant is %d, which is none; it must be best, or one of those that are here: %s", (int)variant,
                      here);
    return REFUSE("variant is %s, which this machine or this build has not got; it must be best, or one of those that "
                  "are here: %s",
                  names[variant], here);
}

int attn_model_options_take(struct attn_model_options *own, const struct attn_model_options *options,
                            struct attn_reason *why)
{
    *own = (struct attn_model_options){.size = sizeof(*own)};
    if (options == NULL)
        return 0;
    if (options->size != sizeof(*options))
        return REFUSE("size is %zu; this version knows options of a model of %zu bytes: set it to "
                      "sizeof(struct attn_model_options)",
                      options->size, sizeof(*options));
    *own = *options;
    return check_variant(own->variant, why);
}

static int check_names(const struct attn_options *options, struct attn_reason *why)
{
    if (options->method != ATTN_EXACT && options->method != ATTN_NYSTROM)
        return REFUSE("method is %d, which is none; it must be exact or nystrom", (int)options->method);
    if (options->landmark_policy != ATTN_LANDMARKS_MEANS && options->landmark_policy != ATTN_LANDMARKS_FIXED)
        return REFUSE("landmark_policy is %d, which is none; it must be means or fixed", (int)options->landmark_policy);
    if (options->refresh != ATTN_REFRESH_IMMEDIATE && options->refresh != ATTN_REFRESH_SPREAD)
        return REFUSE("refresh is %d, which is none; it must be immediate or spread", (int)options->refresh);
    if (options->inverse_scale != ATTN_INVERSE_MATRIX && options->inverse_scale != ATTN_INVERSE_HEADS)
        return REFUSE("inverse_scale is %d, which is none; it must be matrix or heads", (int)options->inverse_scale);
    return check_variant(options->variant, why);
}

static int check_shape(const struct attn_options *options, struct attn_reason *why)
{
    if (options->heads < 1 || options->heads > ATTN_MAX_HEADS)
        return REFUSE("heads is %u; it must be 1 to %u", options->heads, ATTN_MAX_HEADS);
    if (options->head_dim < 1 || options->head_dim > ATTN_MAX_WIDTH / options->heads)
        return REFUSE("head_dim is %u; with %u heads it must be 1 to %u", options->head_dim, options->heads,
                      ATTN_MAX_WIDTH / options->heads);
    if (options->window < 1 || options->window > ATTN_MAX_WINDOW)
        return REFUSE("window is %u frames; it must be 1 to %u", options->window, ATTN_MAX_WINDOW);
    return 0;
}

static int check_exact(const struct attn_options *options, struct attn_reason *why)
{
    if (options->landmarks != 0)
        return REFUSE("landmarks is %u; the exact method has none (0), or the method must be nystrom",
                      options->landmarks);
    if (options->landmark_policy != ATTN_LANDMARKS_MEANS || options->q_landmarks != NULL ||
        options->k_landmarks != NULL)
        return REFUSE("fixed landmarks are given, but the exact method has no landmarks");
    if (options->refresh != ATTN_REFRESH_IMMEDIATE)
        return REFUSE("refresh is spread, but the exact method has no landmarks to refresh; leave it immediate");
    return 0;
}

static int check_finite(const struct attn_options *options, const float *landmarks, const char *name,
                        struct attn_reason *why)
{
    size_t n_floats = (size_t)options->heads * options->landmarks * options->head_dim;
    size_t at = attn_first_not_finite(landmarks, n_floats);
    if (at < n_floats)
        return REFUSE("%s holds a NaN or an infinity at index %zu of %zu", name, at, n_floats);
    return 0;
}

static int check_nystrom(const struct attn_options *options, struct attn_reason *why)
{
    if (options->landmarks < 1 || options->landmarks > ATTN_MAX_LANDMARKS)
        return REFUSE("landmarks is %u; the nystrom method needs 1 to %u", options->landmarks, ATTN_MAX_LANDMARKS);
    if (options->landmark_policy == ATTN_LANDMARKS_MEANS) {
        if (options->q_landmarks != NULL || options->k_landmarks != NULL)
            return REFUSE("landmarks are given, but landmark_policy is means (of segments); make it fixed");
        return 0;
    }
    if (options->q_landmarks == NULL || options->k_landmarks == NULL)
        return REFUSE("landmark_policy is fixed, but %s is missing",
                      options->q_landmarks == NULL ? "q_landmarks" : "k_landmarks");
    int error = check_finite(options, options->q_landmarks, "q_landmarks", why);
    return error != 0 ? error : check_finite(options, options->k_landmarks, "k_landmarks", why);
}

/* No less than the multiply-adds with which a frame computes all its rows. */
static double retroactive_work(const struct attn_options *options)
{
    double n = options->window, m = options->landmarks, d = options->head_dim;
    bool means = options->landmark_policy == ATTN_LANDMARKS_MEANS;
    if (options->method == ATTN_EXACT || (means && m >= n))
        return options->heads * 2 * n * n * d;
    return options->heads * m * (n * (4 * d + m) + m * d);
}

static int check_retroactive(const struct attn_options *options, struct attn_reason *why)
{
    uint64_t n_floats = (uint64_t)options->window * options->heads * options->head_dim;
    double work = retroactive_work(options);
    if (n_floats > ATTN_MAX_ROW_FLOATS)
        return REFUSE("a retroactive output of %u frames x %u heads x %u would have %" PRIu64
                      " floats, and %u are allowed: make window, heads or head_dim smaller",
                      options->window, options->heads, options->head_dim, n_floats, ATTN_MAX_ROW_FLOATS);
    if (work > ATTN_MAX_ALL_ROWS_WORK)
        return REFUSE("a retroactive frame would take %.1f billion multiply-adds, and %.1f are allowed: make window, "
                      "landmarks, heads or head_dim smaller",
                      work / 1e9, ATTN_MAX_ALL_ROWS_WORK / 1e9);
    return 0;
}

int attn_options_check(const struct attn_options *options, struct attn_reason *why)
{
    int error = check_names(options, why);
    if (error == 0)
        error = check_shape(options, why);
    if (error == 0)
        error = options->method == ATTN_EXACT ? check_exact(options, why) : check_nystrom(options, why);
    if (error == 0 && options->retroactive)
        error = check_retroactive(options, why);
    return error;
}
