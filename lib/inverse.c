/* SPDX-License-Identifier: MIT */
#include "inverse.h"

#include <string.h>

#include "kernel.h"

enum {
    STEPS = 6,
    PRODUCTS = 4 /* of a step */
};

struct attn_norms attn_inverse_norms(const float *gamma, size_t m, float *work)
{
    struct attn_norms norms = {0};
    memset(work, 0, m * sizeof(float));
    for (size_t i = 0; i < m; i++) {
        float row = 0.0f;
        for (size_t j = 0; j < m; j++)
            row += gamma[i * m + j];
        norms.row = row > norms.row ? row : norms.row;
        attn_kernel_add(work, gamma + i * m, m);
    }
    norms.column = attn_kernel_max(work, m);
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

/* C[m×m] = a · L[m×m] · R[m×m] + b · I */
static void product(float *c, float a, const float *left, const float *right, float b, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        attn_kernel_combine(c + i * m, left + i * m, right, m, m);
        attn_kernel_scale(c + i * m, c + i * m, a, m);
        c[i * m + i] += b;
    }
}

/* Z[m×m] = Γ[m×m]ᵀ / (‖Γ‖₁ · ‖Γ‖_∞) */
static void start(float *z, const float *gamma, size_t m, struct attn_norms norms)
{
    float scale = 1.0f / (norms.column * norms.row);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            z[j * m + i] = scale * gamma[i * m + j];
}

void attn_inverse(float *gamma, size_t m, struct attn_norms norms, float *work)
{
    float *z = work, *x = z + m * m, *p = x + m * m, *r = p + m * m;
    start(z, gamma, m, norms);
    for (int step = 0; step < STEPS; step++) {
        product(x, 1.0f, gamma, z, 0.0f, m); /* X = ΓZ */
        attn_kernel_scale(p, x, -1.0f, m * m);
        for (size_t i = 0; i < m; i++)
            p[i * m + i] += 7.0f;          /* P = 7I − X */
        product(r, -1.0f, x, p, 15.0f, m); /* R = 15I − XP */
        product(p, -1.0f, x, r, 13.0f, m); /* P = 13I − XR */
        product(r, 0.25f, z, p, 0.0f, m);  /* Z ← ¼ZP */
        float *next = r;
        r = z;
        z = next;
    }
    memcpy(gamma, z, m * m * sizeof(float));
}

void attn_inverse_heads(float *gamma, size_t heads, size_t stride, size_t m, bool shared, float *work)
{
    struct attn_norms largest = {0};
    for (size_t h = 0; h < heads; h++) {
        for (size_t i = 0; i < m; i++)
            attn_kernel_softmax(gamma + h * stride + i * m, m);
        if (shared)
            largest = attn_inverse_larger(largest, attn_inverse_norms(gamma + h * stride, m, work));
    }
    for (size_t h = 0; h < heads; h++) {
        struct attn_norms norms = shared ? largest : attn_inverse_norms(gamma + h * stride, m, work);
        attn_inverse(gamma + h * stride, m, norms, work);
    }
}
