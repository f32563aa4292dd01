/* SPDX-License-Identifier: MIT */
#include "linears.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"

static int add(struct bench_linears *linears, uint32_t n_out, uint32_t n_in, size_t n_rows)
{
    size_t i = linears->n, n = (size_t)n_out * n_in;
    float *w = malloc((n + n_out) * sizeof(float));
    if (w == NULL || attn_linear_init(&linears->linear[i], n_out, n_in) != 0) {
        free(w);
        return -1;
    }
    bench_random(n + n_out, w, 0.1f, n);
    attn_linear_set_rows(&linears->linear[i], 0, n_out, w, w + n);
    linears->n_rows[i] = n_rows;
    linears->n++;
    free(w);
    return 0;
}

/* Behind a retroactive layer, norms and feed-forward run on all rows of the window, and the second layer projects them.
 */
static int add_all(struct bench_linears *linears, const struct bench_model *model)
{
    uint32_t e = model->model_dim, f = model->ff_dim;
    if (add(linears, e, model->n_in, 1) < 0 || add(linears, model->n_out, e, 1) < 0)
        return -1;
    for (uint32_t i = 0; i < model->layers; i++) {
        size_t in_rows = model->retroactive && i == 1 ? model->window : 1;
        size_t out_rows = model->retroactive && i == 0 ? model->window : 1;
        if (add(linears, 3 * e, e, in_rows) < 0 || add(linears, f, e, out_rows) < 0 || add(linears, e, f, out_rows) < 0)
            return -1;
    }
    return 0;
}

int bench_linears_init(struct bench_linears *linears, const struct bench_model *model, size_t batch)
{
    size_t width = 0, rows = model->retroactive && model->window > batch ? model->window : batch;
    memset(linears, 0, sizeof(*linears));
    linears->kernels = attn_kernels_of(ATTN_VARIANT_BEST);
    linears->batch = batch;
    if (add_all(linears, model) < 0)
        return -1;
    for (size_t i = 0; i < linears->n; i++) {
        size_t n_in = linears->linear[i].n_in, n_out = linears->linear[i].n_out, wider = n_in > n_out ? n_in : n_out;
        width = wider > width ? wider : width;
    }
    linears->x = malloc(rows * width * sizeof(float));
    linears->y = malloc(rows * width * sizeof(float));
    if (linears->x == NULL || linears->y == NULL)
        return -1;
    bench_random(rows * width, linears->x, 1, rows);
    return 0;
}

void bench_linears_done(struct bench_linears *linears)
{
    for (size_t i = 0; i < linears->n; i++)
        attn_linear_done(&linears->linear[i]);
    free(linears->x);
    free(linears->y);
}

void bench_linears_apply(void *self)
{
    struct bench_linears *linears = self;
    for (size_t i = 0; i < linears->n; i++) {
        const struct attn_linear *l = &linears->linear[i];
        size_t products = linears->n_rows[i] == 1 ? 1 : linears->batch;
        size_t rows = linears->n_rows[i] == 1 ? linears->batch : linears->n_rows[i];
        for (size_t j = 0; j < products; j++)
            linears->kernels->packed(rows, l->n_in, l->n_out, linears->y, linears->x, l->panels, l->bias);
    }
}
