/* SPDX-License-Identifier: MIT */
#include "inverse.h"

#include <string.h>

enum {
    STEPS = 6,
    PRODUCTS = 4 /* of a step */
};

/* The matrices in the work memory. Each step leaves Z where R was, and the other way round. */
struct matrices {
    float *z, *x, *p, *r;
};

struct attn_norms attn_inverse_norms(struct attn_run *run, const float *gamma, size_t m, float *work)
{
    float *ones = work, *sums = work + m;
    struct attn_norms norms;
    for (size_t i = 0; i < m; i++)
        ones[i] = 1.0f;
    attn_run_logits(run, m, m, sums, gamma, ones);
    norms.row = run->kernels->max(m, sums);
    attn_run_combine(run, m, m, sums, 0.0f, NULL, ones, gamma);
    norms.column = run->kernels->max(m, sums);
    return norms;
}

struct attn_norms attn_inverse_larger(struct attn_norms a, struct attn_norms b)
{
    return (struct attn_norms){.column = a.column > b.column ? a.column : b.column,
                               .row = a.row > b.row ? a.row : b.row};
}

size_t attn_inverse_work(size_t m)
{
    return 4 * m * m;
}

double attn_inverse_multiply_adds(size_t m)
{
    return (double)STEPS * PRODUCTS * (double)m * (double)m * (double)m;
}

size_t attn_inverse_n_rows(size_t m)
{
    return STEPS * PRODUCTS * m;
}

void attn_inverse_start(struct attn_run *run, const float *gamma, size_t m, struct attn_norms norms, float *work)
{
    float scale = 1.0f / (norms.column * norms.row);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            work[j * m + i] = scale * gamma[i * m + j];
    attn_run_count(run, m * m, 2 * m * m);
}

/* Rows first … end − 1 of C = a · L · R + b · I */
static void product(struct attn_run *run, float *c, float a, const float *left, const float *right, float b, size_t m,
                    size_t first, size_t end)
{
    attn_run_product(run, end - first, m, m, c + first * m, a, left + first * m, right);
    for (size_t i = first; b != 0.0f && i < end; i++)
        c[i * m + i] += b;
}

/* Rows of the first product of a step: X = ΓZ, and P = 7I − X. */
static void first_product(struct attn_run *run, const float *gamma, const struct matrices *of, size_t m, size_t first,
                          size_t end)
{
    product(run, of->x, 1.0f, gamma, of->z, 0.0f, m, first, end);
    run->kernels->scale((end - first) * m, of->p + first * m, -1.0f, of->x + first * m);
    for (size_t i = first; i < end; i++)
        of->p[i * m + i] += 7.0f;
}

static void product_rows(struct attn_run *run, const float *gamma, const struct matrices *of, size_t m, size_t which,
                         size_t first, size_t end)
{
    switch (which) {
    case 0:
        first_product(run, gamma, of, m, first, end);
        break;
    case 1:
        product(run, of->r, -1.0f, of->x, of->p, 15.0f, m, first, end); /* R = 15I − XP */
        break;
    case 2:
        product(run, of->p, -1.0f, of->x, of->r, 13.0f, m, first, end); /* P = 13I − XR */
        break;
    default:
        product(run, of->r, 0.25f, of->z, of->p, 0.0f, m, first, end); /* Z ← ¼ZP */
        break;
    }
}

static struct matrices matrices_of(float *work, size_t m, size_t step)
{
    float *even = work, *odd = work + 3 * m * m;
    bool swapped = step % 2 != 0;
    return (struct matrices){
        .z = swapped ? odd : even, .x = work + m * m, .p = work + 2 * m * m, .r = swapped ? even : odd};
}

void attn_inverse_rows(struct attn_run *run, const float *gamma, size_t m, float *work, size_t first, size_t end)
{
    while (first < end) {
        size_t product_index = first / m, row = first % m;
        size_t n_rows = end - first < m - row ? end - first : m - row;
        struct matrices of = matrices_of(work, m, product_index / PRODUCTS);
        product_rows(run, gamma, &of, m, product_index % PRODUCTS, row, row + n_rows);
        first += n_rows;
    }
}

void attn_inverse_heads(struct attn_run *run, float *gamma, size_t heads, size_t stride, size_t m, bool shared,
                        float *work)
{
    struct attn_norms largest = {0};
    for (size_t h = 0; h < heads; h++) {
        attn_run_softmax2(run, m, m, gamma + h * stride);
        if (shared)
            largest = attn_inverse_larger(largest, attn_inverse_norms(run, gamma + h * stride, m, work));
    }
    for (size_t h = 0; h < heads; h++) {
        float *own = gamma + h * stride;
        struct attn_norms norms = shared ? largest : attn_inverse_norms(run, own, m, work);
        attn_inverse_start(run, own, m, norms, work);
        attn_inverse_rows(run, own, m, work, 0, attn_inverse_n_rows(m));
        memcpy(own, work, m * m * sizeof(float));
    }
}
