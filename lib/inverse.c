/* SPDX-License-Identifier: MIT */
#include "inverse.h"

#include <string.h>

enum {
    STEPS = 6,
    PRODUCTS = 4 /* of a step */
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

void attn_inverse_start(struct attn_run *run, const float *gamma, size_t m, struct attn_norms norms, float *z)
{
    run->kernels->transpose(m, m, z, 1.0f / (norms.column * norms.row), gamma);
    attn_run_count(run, m * m, 2 * m * m);
}

/* Rows first … end − 1 of one product of a step. With E = I − ΓZ, Z ← ¼ Z(13I − X(15I − X(7I − X))) is Z(I + E + E² +
 * ¼E³), whose terms die away as Z gets better, so that less is lost to rounding. */
static void product_rows(struct attn_run *run, const float *gamma, const struct attn_inverse_matrices *of, size_t m,
                         size_t which, size_t first, size_t end)
{
    size_t n_rows = end - first, at = first * m;
    switch (which) {
    case 0: /* E = I − ΓZ */
        attn_run_product(run, n_rows, m, m, of->e + at, -1.0f, gamma + at, of->z);
        for (size_t i = first; i < end; i++)
            of->e[i * m + i] += 1.0f;
        break;
    case 1: /* S = E + ¼E² */
        attn_run_product_shifted(run, n_rows, m, of->s + at, 0.25f, of->e + at, of->e, 4.0f);
        break;
    case 2: /* P = E + ES */
        attn_run_product_shifted(run, n_rows, m, of->p + at, 1.0f, of->e + at, of->s, 1.0f);
        break;
    default: /* Z ← Z + ZP, into S, whose time is over */
        attn_run_product_shifted(run, n_rows, m, of->s + at, 1.0f, of->z + at, of->p, 1.0f);
        break;
    }
}

void attn_inverse_rows(struct attn_run *run, const float *gamma, size_t m, struct attn_inverse_matrices of,
                       size_t first, size_t end)
{
    while (first < end) {
        size_t product = first / m, row = first % m;
        size_t n_rows = end - first < m - row ? end - first : m - row;
        struct attn_inverse_matrices now = of;
        if (product / PRODUCTS % 2 != 0) { /* Z stands where S was, and the other way round */
            now.z = of.s;
            now.s = of.z;
        }
        product_rows(run, gamma, &now, m, product % PRODUCTS, row, row + n_rows);
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
        attn_inverse_invert(run, own, m, norms, work);
    }
}

void attn_inverse_invert(struct attn_run *run, float *gamma, size_t m, struct attn_norms norms, float *work)
{
    attn_inverse_start(run, gamma, m, norms, work);
    attn_inverse_rows(run, gamma, m, attn_inverse_matrices(work, work + m * m, m), 0, attn_inverse_n_rows(m));
    memcpy(gamma, work, m * m * sizeof(float));
    attn_run_count(run, 0, 2 * m * m);
}
