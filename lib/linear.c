/* SPDX-License-Identifier: MIT */
/*
 * A panel is 16 outputs: their weights for one k lie side by side, so that a vector of outputs is one broadcast of x[k]
 * times one load. No sum is split over k, so nothing is reassociated and vectors of any width give the same sums. Two
 * panels are worked on together, for otherwise each addition would wait for the one before.
 */
#include "linear.h"

#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"

#define PANEL 16u
#define QUADS (PANEL / 4)

/* Vectors by name, because a compiler that is left alone may turn the loops round and gather. */
typedef float quad __attribute__((vector_size(16), may_alias));

static size_t n_panels(const struct attn_linear *linear)
{
    return ((size_t)linear->n_out + PANEL - 1) / PANEL;
}

static float *new_zeros(size_t n)
{
    float *values = aligned_alloc(ATTN_ALIGN, n * sizeof(float)); /* n is a multiple of 16 */
    if (values != NULL)
        memset(values, 0, n * sizeof(float));
    return values;
}

int attn_linear_init(struct attn_linear *linear, uint32_t n_out, uint32_t n_in)
{
    linear->n_in = n_in;
    linear->n_out = n_out;
    linear->panels = new_zeros(n_panels(linear) * n_in * PANEL);
    linear->bias = new_zeros(n_panels(linear) * PANEL);
    return linear->panels != NULL && linear->bias != NULL ? 0 : ATTN_E_MEMORY;
}

void attn_linear_done(struct attn_linear *linear)
{
    free(linear->panels);
    free(linear->bias);
    memset(linear, 0, sizeof(*linear));
}

void attn_linear_set_rows(struct attn_linear *linear, uint32_t first, uint32_t n_rows, const void *weight,
                          const void *bias)
{
    const char *source = weight;
    memcpy(linear->bias + first, bias, n_rows * sizeof(float));
    for (uint32_t row = first; row < first + n_rows; row++) {
        float *column = linear->panels + (size_t)(row / PANEL) * linear->n_in * PANEL + row % PANEL;
        for (size_t k = 0; k < linear->n_in; k++, source += sizeof(float))
            memcpy(&column[k * PANEL], source, sizeof(float));
    }
}

/* y[n_panels·16] = W[n_panels·16 × n_in] · x[n_in] + b, of which the first n_out are written; n_panels is 1 or 2. */
static inline __attribute__((always_inline)) void panels(size_t n_panels, float *restrict y,
                                                         const float *restrict weights, const float *restrict bias,
                                                         const float *restrict x, size_t n_in, size_t n_out)
{
    quad sum[2 * QUADS];
    memcpy(sum, bias, n_panels * sizeof(sum) / 2);
    for (size_t k = 0; k < n_in; k++)
        for (size_t p = 0; p < n_panels; p++)
            for (size_t j = 0; j < QUADS; j++)
                sum[p * QUADS + j] += x[k] * ((const quad *)(weights + (p * n_in + k) * PANEL))[j];
    memcpy(y, sum, n_out * sizeof(float));
}

void attn_linear_apply(const struct attn_linear *linear, float *restrict y, const float *restrict x)
{
    size_t n_in = linear->n_in, n_out = linear->n_out, done = 0;
    if (n_out == 0)
        memcpy(y, x, n_in * sizeof(float));
    for (; n_out - done >= 2 * PANEL; done += 2 * PANEL)
        panels(2, y + done, linear->panels + done * n_in, linear->bias + done, x, n_in, 2 * PANEL);
    for (; done < n_out; done += PANEL)
        panels(1, y + done, linear->panels + done * n_in, linear->bias + done, x, n_in,
               n_out - done < PANEL ? n_out - done : PANEL);
}
