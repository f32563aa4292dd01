/* SPDX-License-Identifier: MIT */
#include "linear.h"

#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"

static size_t n_panels(const struct attn_linear *linear)
{
    return ((size_t)linear->n_out + ATTN_PANEL - 1) / ATTN_PANEL;
}

static float *new_zeros(size_t n)
{
    float *values = aligned_alloc(ATTN_ALIGN, n * sizeof(float)); /* n is a multiple of ATTN_PANEL */
    if (values != NULL)
        memset(values, 0, n * sizeof(float));
    return values;
}

int attn_linear_init(struct attn_linear *linear, uint32_t n_out, uint32_t n_in)
{
    linear->n_in = n_in;
    linear->n_out = n_out;
    linear->panels = new_zeros(n_panels(linear) * n_in * ATTN_PANEL);
    linear->bias = new_zeros(n_panels(linear) * ATTN_PANEL);
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
        float *column = linear->panels + (size_t)(row / ATTN_PANEL) * linear->n_in * ATTN_PANEL + row % ATTN_PANEL;
        for (size_t k = 0; k < linear->n_in; k++, source += sizeof(float))
            memcpy(&column[k * ATTN_PANEL], source, sizeof(float));
    }
}

void attn_linear_apply(const struct attn_linear *linear, const struct attn_kernels *kernels, size_t m,
                       float *restrict y, const float *restrict x)
{
    if (linear->n_out == 0)
        memcpy(y, x, m * linear->n_in * sizeof(float));
    else
        kernels->packed(m, linear->n_in, linear->n_out, y, x, linear->panels, linear->bias);
}
