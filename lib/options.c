/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "bounds.h"
#include "reason.h"

#define REFUSE(...) attn_refuse(why, ATTN_E_OPTIONS, __VA_ARGS__)

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
        return REFUSE("refresh is %d; the exact method has nothing to refresh (%d)", (int)options->refresh,
                      (int)ATTN_REFRESH_IMMEDIATE);
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

static int check_landmarks(const struct attn_options *options, struct attn_reason *why)
{
    if (options->landmarks < 1 || options->landmarks > ATTN_MAX_LANDMARKS)
        return REFUSE("landmarks is %u; the nystrom method needs 1 to %u", options->landmarks, ATTN_MAX_LANDMARKS);
    if (options->landmark_policy == ATTN_LANDMARKS_MEANS) {
        if (options->q_landmarks != NULL || options->k_landmarks != NULL)
            return REFUSE("landmarks are given, but landmark_policy is %d (means of segments)",
                          (int)ATTN_LANDMARKS_MEANS);
        return 0;
    }
    if (options->landmark_policy != ATTN_LANDMARKS_FIXED)
        return REFUSE("landmark_policy is %d; it must be %d (means) or %d (fixed)", (int)options->landmark_policy,
                      (int)ATTN_LANDMARKS_MEANS, (int)ATTN_LANDMARKS_FIXED);
    if (options->q_landmarks == NULL || options->k_landmarks == NULL)
        return REFUSE("landmark_policy is fixed, but %s is missing",
                      options->q_landmarks == NULL ? "q_landmarks" : "k_landmarks");
    int error = check_finite(options, options->q_landmarks, "q_landmarks", why);
    return error != 0 ? error : check_finite(options, options->k_landmarks, "k_landmarks", why);
}

static int check_nystrom(const struct attn_options *options, struct attn_reason *why)
{
    int error = check_landmarks(options, why);
    if (error != 0)
        return error;
    if (options->refresh != ATTN_REFRESH_IMMEDIATE && options->refresh != ATTN_REFRESH_SPREAD)
        return REFUSE("refresh is %d; it must be %d (immediate) or %d (spread)", (int)options->refresh,
                      (int)ATTN_REFRESH_IMMEDIATE, (int)ATTN_REFRESH_SPREAD);
    if (options->refresh == ATTN_REFRESH_SPREAD)
        return attn_refuse(why, ATTN_E_SUPPORT, "refresh = spread is not supported by this version; use immediate");
    return 0;
}

int attn_options_check(const struct attn_options *options, struct attn_reason *why)
{
    if (options->size != sizeof(*options))
        return REFUSE("size is %zu; this version knows options of %zu bytes: set it to sizeof(struct attn_options)",
                      options->size, sizeof(*options));
    if (options->method != ATTN_EXACT && options->method != ATTN_NYSTROM)
        return REFUSE("method is %d; it must be %d (exact) or %d (nystrom)", (int)options->method, (int)ATTN_EXACT,
                      (int)ATTN_NYSTROM);
    if (options->inverse_scale != ATTN_INVERSE_MATRIX && options->inverse_scale != ATTN_INVERSE_HEADS)
        return REFUSE("inverse_scale is %d; it must be %d (matrix) or %d (heads)", (int)options->inverse_scale,
                      (int)ATTN_INVERSE_MATRIX, (int)ATTN_INVERSE_HEADS);
    int error = check_shape(options, why);
    if (error == 0)
        error = options->method == ATTN_EXACT ? check_exact(options, why) : check_nystrom(options, why);
    if (error == 0 && options->retroactive)
        error = attn_refuse(why, ATTN_E_SUPPORT, "retroactive attention is not supported by this version");
    return error;
}
