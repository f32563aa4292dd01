/* SPDX-License-Identifier: MIT */
/*
 * The formulas of maths sections 2 and 4, written plainly on the slots that hold frames. Only two things come from the
 * state besides the window: the query, and the landmarks, since the queries that they are means of are not kept.
 */
#include "verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct window {
    size_t n, d, w;
    size_t oldest; /* slot */
};

/* Everything of one head in double, c landmarks. */
struct work {
    size_t c;
    double *inverse;      /* [H][c][c] */
    double *x, *p, *r;    /* [c][c] each */
    double *z;            /* [c][c] */
    double *weights;      /* [n] */
    double *beta, *share; /* [c] each */
    double *output;       /* [d] */
    size_t *places;       /* [c] */
};

static size_t slot_of(const struct window *window, size_t i)
{
    return (window->oldest + i) % window->n;
}

/* x ← softmax x */
static void softmax(double *x, size_t n)
{
    double most = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        most = fmax(most, x[i]);
    for (size_t i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - most);
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

/* C[c×c] = a · L · R + b · I */
static void product(double *to, double a, const double *left, const double *right, double b, size_t c)
{
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) {
            double sum = 0;
            for (size_t k = 0; k < c; k++)
                sum += left[i * c + k] * right[k * c + j];
            to[i * c + j] = a * sum + (i == j ? b : 0);
        }
}

/* Largest column sum times largest row sum, each of them joined to what it is given. */
static void join_norms(const double *gamma, size_t c, double *column, double *row)
{
    for (size_t i = 0; i < c; i++) {
        double rows = 0, columns = 0;
        for (size_t j = 0; j < c; j++) {
            rows += gamma[i * c + j];
            columns += gamma[j * c + i];
        }
        *row = fmax(*row, rows);
        *column = fmax(*column, columns);
    }
}

/* gamma ← g(gamma) */
static void invert(double *gamma, double scale, const struct work *work)
{
    size_t c = work->c;
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++)
            work->z[j * c + i] = gamma[i * c + j] / scale;
    for (int step = 0; step < 6; step++) {
        product(work->x, 1, gamma, work->z, 0, c);
        for (size_t i = 0; i < c * c; i++)
            work->p[i] = (i % (c + 1) == 0 ? 7 : 0) - work->x[i];
        product(work->r, -1, work->x, work->p, 15, c);
        product(work->p, -1, work->x, work->r, 13, c);
        product(work->r, 0.25, work->z, work->p, 0, c);
        memcpy(work->z, work->r, c * c * sizeof(double));
    }
    memcpy(gamma, work->z, c * c * sizeof(double));
}

/* ℓ in base e of two vectors, one of whose floats are `q_stride` apart; their product times `scale` is in base 2.
 * Within the limits of the kernels, beyond which the steps do not tell one from another; a NaN stays one. */
static double logit(const float *q, size_t q_stride, const float *k, size_t k_stride, size_t d, double scale)
{
    const double limit = (double)ATTN_LOGIT_LIMIT;
    double sum = 0;
    for (size_t i = 0; i < d; i++)
        sum += (double)q[i * q_stride] * k[i * k_stride];
    double base_2 = scale * sum;
    return M_LN2 * (base_2 > limit ? limit : base_2 < -limit ? -limit : base_2);
}

static void invert_heads(const struct attn_landmarks *landmarks, const struct attn_verified *heads,
                         const struct work *work)
{
    size_t m = landmarks->count, c = work->c, d = landmarks->shape.head_dim;
    double column = 0, row = 0;
    for (size_t h = 0; h < landmarks->shape.heads; h++) {
        double *gamma = work->inverse + h * c * c;
        for (size_t i = 0; i < c; i++) {
            for (size_t j = 0; j < c; j++)
                gamma[i * c + j] = logit(heads[h].landmarks.q_by_d + work->places[i], m,
                                         heads[h].landmarks.k_by_d + work->places[j], m, d, 1 / landmarks->shape.scale);
            softmax(gamma + i * c, c);
        }
        join_norms(gamma, c, &column, &row);
    }
    for (size_t h = 0; h < landmarks->shape.heads; h++) {
        double own_column = landmarks->share_norms ? column : 0, own_row = landmarks->share_norms ? row : 0;
        join_norms(work->inverse + h * c * c, c, &own_column, &own_row);
        invert(work->inverse + h * c * c, own_column * own_row, work);
    }
}

/* output[d] += a · (softmax of weights, in base e) · V */
static void add_mean(const struct window *window, const struct attn_verified *head, double a, const struct work *work)
{
    softmax(work->weights, window->w);
    for (size_t i = 0; i < window->w; i++)
        for (size_t k = 0; k < window->d; k++)
            work->output[k] += a * work->weights[i] * head->values[slot_of(window, i) * window->d + k];
}

static void attend_exactly(const struct window *window, const struct attn_verified *head, const struct work *work)
{
    for (size_t i = 0; i < window->w; i++)
        work->weights[i] = logit(head->query, 1, head->keys + slot_of(window, i) * window->d, 1, window->d,
                                 M_LOG2E / sqrt((double)window->d));
    add_mean(window, head, 1, work);
}

static void attend(const struct attn_landmarks *landmarks, const struct window *window,
                   const struct attn_verified *head, const double *inverse, const struct work *work)
{
    size_t m = landmarks->count, c = work->c, d = window->d;
    for (size_t j = 0; j < c; j++)
        work->beta[j] = logit(head->query, 1, head->landmarks.k_by_d + work->places[j], m, d, 1);
    softmax(work->beta, c);
    for (size_t j = 0; j < c; j++) {
        work->share[j] = 0;
        for (size_t i = 0; i < c; i++)
            work->share[j] += work->beta[i] * inverse[i * c + j];
    }
    for (size_t j = 0; j < c; j++) {
        for (size_t i = 0; i < window->w; i++)
            work->weights[i] =
                logit(head->landmarks.q_by_d + work->places[j], m, head->keys + slot_of(window, i) * d, 1, d, 1);
        add_mean(window, head, work->share[j], work);
    }
}

/* max |output − recomputed| / max|v| of one head. */
static double compare(const struct window *window, const struct attn_verified *head, const struct work *work)
{
    double worst = 0, largest = 0;
    for (size_t k = 0; k < window->d; k++) {
        double error = fabs(head->output[k] - work->output[k]);
        worst = error > worst || isnan(error) ? error : worst;
    }
    for (size_t i = 0; i < window->w * window->d; i++)
        largest = fmax(largest, fabs(head->values[slot_of(window, i / window->d) * window->d + i % window->d]));
    if (isnan(worst))
        return INFINITY;
    return worst == 0 ? 0 : worst / largest;
}

static int take_memory(struct work *work, const struct attn_shape *shape, size_t m)
{
    size_t c = work->c;
    work->inverse = calloc((shape->heads + 4) * c * c + shape->window + 2 * c + shape->head_dim, sizeof(double));
    work->places = calloc(m + 1, sizeof(size_t));
    if (work->inverse == NULL || work->places == NULL)
        return ATTN_E_MEMORY;
    work->x = work->inverse + shape->heads * c * c;
    work->p = work->x + c * c;
    work->r = work->p + c * c;
    work->z = work->r + c * c;
    work->weights = work->z + c * c;
    work->beta = work->weights + shape->window;
    work->share = work->beta + c;
    work->output = work->share + c;
    return 0;
}

int attn_verify_heads(const struct attn_shape *shape, const struct attn_landmarks *landmarks, struct attn_when newest,
                      const struct attn_verified *heads, double *difference)
{
    struct window window = {shape->window, shape->head_dim, attn_when_rows(newest, shape->window), 0};
    window.oldest = (size_t)((newest.t - (window.w - 1)) % window.n);
    struct attn_arc now = {0};
    if (landmarks != NULL) {
        struct attn_place place = attn_place_of(&landmarks->segments, newest);
        now = attn_landmarks_now(landmarks, &place);
    }
    struct work work = {.c = now.count};
    int error = take_memory(&work, shape, now.m);
    for (size_t i = 0; error == 0 && i < now.count; i++)
        work.places[i] = (now.newest + now.m - i) % now.m;
    if (error == 0 && now.count > 0)
        invert_heads(landmarks, heads, &work);
    *difference = 0;
    for (size_t h = 0; error == 0 && h < shape->heads; h++) {
        memset(work.output, 0, shape->head_dim * sizeof(double));
        if (now.count == 0)
            attend_exactly(&window, &heads[h], &work);
        else
            attend(landmarks, &window, &heads[h], work.inverse + h * now.count * now.count, &work);
        *difference = fmax(*difference, compare(&window, &heads[h], &work));
    }
    free(work.inverse);
    free(work.places);
    return error;
}
