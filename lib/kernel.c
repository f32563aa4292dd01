/* SPDX-License-Identifier: MIT */
/*
 * Written for the compiler's vectoriser without relaxed floating point: sums run over LANES independent lanes, which
 * are then added in pairs, so that the result depends on the shapes alone. Long sums go in blocks, which keeps the
 * error of a window of thousands near that of one of tens.
 */
#include "kernel.h"

#include "exp2.h"

enum {
    LANES = 8,
    BLOCK = 64 /* rows that are summed before their sum joins the total */
};

static float sum_of_lanes(const float lanes[static LANES])
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

void attn_kernel_scale(float *y, const float *x, float a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i];
}

void attn_kernel_add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void attn_kernel_blend(float *z, const float *x, float a, const float *y, float b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = a * x[i] + b * y[i];
}

/* x[d] · y[d] */
static inline float dot(const float *restrict x, const float *restrict y, size_t d)
{
    float lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= d; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] += x[i + lane] * y[i + lane];
    for (size_t lane = 0; i < d; i++, lane++)
        lanes[lane] += x[i] * y[i];
    return sum_of_lanes(lanes);
}

void attn_kernel_logits(float *logits, const float *x, const float *rows, size_t n_rows, size_t d)
{
    for (size_t r = 0; r < n_rows; r++) {
        float logit = dot(x, rows + r * d, d);
        logit = logit > -ATTN_LOGIT_LIMIT ? logit : -ATTN_LOGIT_LIMIT;
        logits[r] = logit < ATTN_LOGIT_LIMIT ? logit : ATTN_LOGIT_LIMIT;
    }
}

float attn_kernel_max(const float *x, size_t n)
{
    float most = x[0];
    for (size_t i = 1; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

float attn_kernel_weights(float *weights, const float *logits, float offset, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weights[i] = attn_exp2(logits[i] - offset);
    float lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] += weights[i + lane];
    for (size_t lane = 0; i < n; i++, lane++)
        lanes[lane] += weights[i];
    return sum_of_lanes(lanes);
}

void attn_kernel_softmax(float *x, size_t n)
{
    float sum = attn_kernel_weights(x, x, attn_kernel_max(x, n), n);
    attn_kernel_scale(x, x, 1.0f / sum, n);
}

/* y[WIDTH] = w[R] · rows[R×stride], the first WIDTH columns: kept in registers over the rows. */
#define COMBINE(WIDTH)                                                                                                 \
    static void combine_##WIDTH(float *restrict y, const float *restrict w, const float *restrict rows, size_t n_rows, \
                                size_t stride)                                                                         \
    {                                                                                                                  \
        float total[WIDTH] = {0};                                                                                      \
        for (size_t first = 0; first < n_rows; first += BLOCK) {                                                       \
            size_t end = n_rows - first < BLOCK ? n_rows : first + BLOCK;                                              \
            float sum[WIDTH] = {0};                                                                                    \
            for (size_t r = first; r < end; r++)                                                                       \
                for (size_t c = 0; c < WIDTH; c++)                                                                     \
                    sum[c] += w[r] * rows[r * stride + c];                                                             \
            for (size_t c = 0; c < WIDTH; c++)                                                                         \
                total[c] += sum[c];                                                                                    \
        }                                                                                                              \
        memcpy(y, total, sizeof(total));                                                                               \
    }

COMBINE(16)
COMBINE(4)
COMBINE(1)

void attn_kernel_combine(float *y, const float *w, const float *rows, size_t n_rows, size_t d)
{
    size_t c = 0;
    for (; c + 16 <= d; c += 16)
        combine_16(y + c, w, rows + c, n_rows, d);
    for (; c + 4 <= d; c += 4)
        combine_4(y + c, w, rows + c, n_rows, d);
    for (; c < d; c++)
        combine_1(y + c, w, rows + c, n_rows, d);
}
