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
    QUAD = 4,  /* floats of a quad */
    BLOCK = 64 /* rows that are summed before their sum joins the total */
};

/* Four floats that the compiler keeps in one register where the machine has such, anywhere in memory. */
typedef float quad __attribute__((vector_size(QUAD * sizeof(float)), aligned(sizeof(float)), may_alias));

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
static inline float dot(const float *x, const float *y, size_t d)
{
    quad low = {0}, high = {0};
    size_t i = 0;
    for (; i + LANES <= d; i += LANES) {
        low += *(const quad *)(x + i) * *(const quad *)(y + i);
        high += *(const quad *)(x + i + QUAD) * *(const quad *)(y + i + QUAD);
    }
    float lanes[LANES] = {low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]};
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

/* y[16] = w[R] · the first 16 columns of rows[R×stride], in registers */
static void combine_16(float *y, const float *w, const float *rows, size_t n_rows, size_t stride)
{
    quad total[4] = {{0}};
    for (size_t first = 0; first < n_rows; first += BLOCK) {
        size_t end = n_rows - first < BLOCK ? n_rows : first + BLOCK;
        quad a = {0}, b = {0}, c = {0}, d = {0};
        for (size_t r = first; r < end; r++) {
            const float *row = rows + r * stride;
            a += w[r] * *(const quad *)row;
            b += w[r] * *(const quad *)(row + QUAD);
            c += w[r] * *(const quad *)(row + 2 * QUAD);
            d += w[r] * *(const quad *)(row + 3 * QUAD);
        }
        total[0] += a;
        total[1] += b;
        total[2] += c;
        total[3] += d;
    }
    memcpy(y, total, sizeof(total));
}

/* The same for 4 columns. */
static void combine_4(float *y, const float *w, const float *rows, size_t n_rows, size_t stride)
{
    quad total = {0};
    for (size_t first = 0; first < n_rows; first += BLOCK) {
        size_t end = n_rows - first < BLOCK ? n_rows : first + BLOCK;
        quad sum = {0};
        for (size_t r = first; r < end; r++)
            sum += w[r] * *(const quad *)(rows + r * stride);
        total += sum;
    }
    memcpy(y, &total, sizeof(total));
}

/* The same for one. */
static void combine_1(float *y, const float *w, const float *rows, size_t n_rows, size_t stride)
{
    float total = 0.0f;
    for (size_t first = 0; first < n_rows; first += BLOCK) {
        size_t end = n_rows - first < BLOCK ? n_rows : first + BLOCK;
        float sum = 0.0f;
        for (size_t r = first; r < end; r++)
            sum += w[r] * rows[r * stride];
        total += sum;
    }
    *y = total;
}

void attn_kernel_combine(float *y, const float *w, const float *rows, size_t n_rows, size_t d)
{
    size_t c = 0;
    for (; c + 16 <= d; c += 16)
        combine_16(y + c, w, rows + c, n_rows, d);
    for (; c + QUAD <= d; c += QUAD)
        combine_4(y + c, w, rows + c, n_rows, d);
    for (; c < d; c++)
        combine_1(y + c, w, rows + c, n_rows, d);
}
