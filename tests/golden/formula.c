/* SPDX-License-Identifier: MIT */
/*
 * Landmarks and g(Γ) are recomputed when L_t changes, all else for each output. Landmarks are kept transposed, so that
 * the loops over them vectorise without any reordering of sums.
 */
#include "formula.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum part { Q, K, V };

/* The frames of one window, and where they are. */
struct window {
    const float *frames; /* from position `from` on */
    uint64_t from, first;
    size_t heads, d, w;
};

static const float *vector_of(const struct window *window, uint64_t position, enum part part, size_t h)
{
    return window->frames + (((position - window->from) * 3 + part) * window->heads + h) * window->d;
}

void formula_init(struct formula *formula, const struct attn_options *options)
{
    size_t heads = options->heads, n = options->window, m = options->landmarks, d = options->head_dim;
    *formula = (struct formula){.options = options};
    formula->bounds = calloc(3 * m + 1, sizeof(*formula->bounds));
    formula->q_landmarks = calloc(heads * d * m + 1, sizeof(double));
    formula->k_landmarks = calloc(heads * d * m + 1, sizeof(double));
    formula->inverse = calloc(heads * m * m + 1, sizeof(double));
    formula->work = calloc(4 * m * m + n * (m + 1) + m * d + 4 * m, sizeof(double));
    if (formula->bounds == NULL || formula->q_landmarks == NULL || formula->k_landmarks == NULL ||
        formula->inverse == NULL || formula->work == NULL)
        abort();
}

void formula_done(struct formula *formula)
{
    free(formula->bounds);
    free(formula->q_landmarks);
    free(formula->k_landmarks);
    free(formula->inverse);
    free(formula->work);
}

uint64_t formula_reach(const struct attn_options *options)
{
    return 3 * (uint64_t)options->window;
}

/* x[r][c] ← softmax over r of each column; largest[c] is work. */
static void column_softmax(double *x, double *largest, size_t r, size_t c)
{
    for (size_t j = 0; j < c; j++)
        largest[j] = x[j];
    for (size_t i = 1; i < r; i++)
        for (size_t j = 0; j < c; j++)
            largest[j] = x[i * c + j] > largest[j] ? x[i * c + j] : largest[j];
    double *sum = largest + c;
    memset(sum, 0, c * sizeof(double));
    for (size_t i = 0; i < r; i++)
        for (size_t j = 0; j < c; j++)
            sum[j] += x[i * c + j] = exp(x[i * c + j] - largest[j]);
    for (size_t i = 0; i < r; i++)
        for (size_t j = 0; j < c; j++)
            x[i * c + j] /= sum[j];
}

/* logits[c] of one float vector with landmarks [d][c] */
static void logits_of(double *logits, const float *x, const double *landmarks, size_t d, size_t c)
{
    memset(logits, 0, c * sizeof(double));
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < c; j++)
            logits[j] += x[i] * landmarks[i * c + j];
}

/* C[m×m] = A · B */
static void multiply(double *c, const double *a, const double *b, size_t m)
{
    memset(c, 0, m * m * sizeof(double));
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < m; k++)
            for (size_t j = 0; j < m; j++)
                c[i * m + j] += a[i * m + k] * b[k * m + j];
}

/* a ← s · I − a */
static void from_identity(double *a, double s, size_t m)
{
    for (size_t i = 0; i < m * m; i++)
        a[i] = (i % (m + 1) == 0 ? s : 0) - a[i];
}

/* γ ← g(γ); work [4m²] */
static void invert(double *gamma, size_t m, double scale, double *work)
{
    double *z = work, *x = z + m * m, *a = x + m * m, *b = a + m * m;
    for (size_t i = 0; i < m * m; i++)
        z[i] = gamma[i % m * m + i / m] / scale;
    for (int step = 0; step < 6; step++) {
        multiply(x, gamma, z, m);
        memcpy(a, x, m * m * sizeof(double));
        from_identity(a, 7, m);
        multiply(b, x, a, m);
        from_identity(b, 15, m);
        multiply(a, x, b, m);
        from_identity(a, 13, m);
        multiply(b, z, a, m);
        for (size_t i = 0; i < m * m; i++)
            z[i] = b[i] / 4;
    }
    memcpy(gamma, z, m * m * sizeof(double));
}

/* Raises *column and *row to the largest sums of columns and rows of γ. */
static void raise_norms(const double *gamma, size_t m, double *column, double *row)
{
    for (size_t i = 0; i < m; i++) {
        double down = 0, across = 0;
        for (size_t j = 0; j < m; j++) {
            down += gamma[j * m + i];
            across += gamma[i * m + j];
        }
        *column = fmax(*column, down);
        *row = fmax(*row, across);
    }
}

/* Γ[i][j] = softmax over j of ℓ(q̃_i, k̃_j); the landmarks are over √d already, both of them. */
static void fill_gamma(double *gamma, const double *q, const double *k, size_t d, size_t c)
{
    for (size_t i = 0; i < c; i++) {
        double largest = -INFINITY, sum = 0;
        for (size_t j = 0; j < c; j++) {
            double logit = 0;
            for (size_t x = 0; x < d; x++)
                logit += q[x * c + i] * k[x * c + j];
            gamma[i * c + j] = logit * sqrt((double)d);
            largest = fmax(largest, gamma[i * c + j]);
        }
        for (size_t j = 0; j < c; j++)
            sum += gamma[i * c + j] = exp(gamma[i * c + j] - largest);
        for (size_t j = 0; j < c; j++)
            gamma[i * c + j] /= sum;
    }
}

static void invert_heads(struct formula *formula)
{
    size_t heads = formula->options->heads, d = formula->options->head_dim, c = formula->c;
    double column = 0, row = 0;
    for (size_t h = 0; h < heads; h++) {
        double *gamma = formula->inverse + h * c * c;
        fill_gamma(gamma, formula->q_landmarks + h * d * c, formula->k_landmarks + h * d * c, d, c);
        raise_norms(gamma, c, &column, &row);
    }
    for (size_t h = 0; h < heads; h++) {
        double *gamma = formula->inverse + h * c * c, own_column = 0, own_row = 0;
        raise_norms(gamma, c, &own_column, &own_row);
        bool shared = formula->options->inverse_scale == ATTN_INVERSE_HEADS;
        invert(gamma, c, shared ? column * row : own_column * own_row, formula->work);
    }
}

/* Fills bounds with the segments of the newest laps that are closed at t; returns how many. */
static size_t list_closed(struct formula *formula, uint64_t t)
{
    size_t n = formula->options->window, m = formula->options->landmarks, found = 0;
    for (uint64_t lap = t / n < 2 ? 0 : t / n - 2; lap <= t / n; lap++) {
        uint64_t first = lap * n;
        for (size_t j = 0; j < m; j++) {
            uint64_t end = first + n / m + (j < n % m);
            if (end <= t + 1) {
                formula->bounds[found][0] = first;
                formula->bounds[found++][1] = end;
            }
            first = end;
        }
    }
    return found;
}

static void take_means(struct formula *formula, const struct window *window, uint64_t (*bounds)[2])
{
    size_t c = formula->c, d = window->d;
    double root = sqrt((double)d);
    memset(formula->q_landmarks, 0, window->heads * d * c * sizeof(double));
    memset(formula->k_landmarks, 0, window->heads * d * c * sizeof(double));
    for (size_t i = 0; i < window->heads * d * c; i++) {
        size_t h = i / (d * c), x = i / c % d, j = i % c;
        for (uint64_t position = bounds[j][0]; position < bounds[j][1]; position++) {
            formula->q_landmarks[i] += vector_of(window, position, Q, h)[x];
            formula->k_landmarks[i] += vector_of(window, position, K, h)[x];
        }
        formula->q_landmarks[i] /= (double)(bounds[j][1] - bounds[j][0]) * root;
        formula->k_landmarks[i] /= (double)(bounds[j][1] - bounds[j][0]) * root;
    }
}

static void take_fixed(struct formula *formula)
{
    size_t heads = formula->options->heads, c = formula->c, d = formula->options->head_dim;
    for (size_t i = 0; i < heads * d * c; i++) {
        size_t h = i / (d * c), x = i / c % d, j = i % c;
        formula->q_landmarks[i] = formula->options->q_landmarks[(h * c + j) * d + x] / sqrt((double)d);
        formula->k_landmarks[i] = formula->options->k_landmarks[(h * c + j) * d + x] / sqrt((double)d);
    }
}

/* Makes the landmarks those of L_t. */
static void move_landmarks(struct formula *formula, const struct window *window, uint64_t t)
{
    const struct attn_options *options = formula->options;
    size_t m = options->landmarks;
    if (options->landmark_policy == ATTN_LANDMARKS_FIXED) {
        if (formula->c == m)
            return;
        formula->c = m;
        take_fixed(formula);
        invert_heads(formula);
        return;
    }
    if (options->method == ATTN_EXACT || m >= options->window)
        return;
    size_t closed = list_closed(formula, t);
    if (options->refresh == ATTN_REFRESH_SPREAD && closed > 0)
        closed--;
    if (closed == 0 || formula->bounds[closed - 1][1] == formula->end)
        return;
    formula->end = formula->bounds[closed - 1][1];
    formula->c = closed < m ? closed : m;
    take_means(formula, window, formula->bounds + closed - formula->c);
    invert_heads(formula);
}

/* o[d] = attention of q over the window; weights[w] is work. */
static void attend(const struct window *window, const float *q, size_t h, double *weights, double *output)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < window->w; i++) {
        const float *k = vector_of(window, window->first + i, K, h);
        weights[i] = 0;
        for (size_t x = 0; x < window->d; x++)
            weights[i] += (double)q[x] * k[x];
        weights[i] /= sqrt((double)window->d);
        largest = fmax(largest, weights[i]);
    }
    for (size_t i = 0; i < window->w; i++)
        sum += weights[i] = exp(weights[i] - largest);
    memset(output, 0, window->d * sizeof(double));
    for (size_t i = 0; i < window->w; i++) {
        const float *v = vector_of(window, window->first + i, V, h);
        for (size_t x = 0; x < window->d; x++)
            output[x] += weights[i] / sum * v[x];
    }
}

/* ΔV [c][d] of one head; delta [w][c] is work */
static void fill_delta_v(const struct formula *formula, const struct window *window, size_t h, double *delta_v,
                         double *delta)
{
    size_t c = formula->c, d = window->d;
    for (size_t i = 0; i < window->w; i++)
        logits_of(delta + i * c, vector_of(window, window->first + i, K, h), formula->q_landmarks + h * d * c, d, c);
    double *pair = delta + window->w * c;
    column_softmax(delta, pair, window->w, c);
    memset(delta_v, 0, c * d * sizeof(double));
    for (size_t i = 0; i < window->w; i++) {
        const float *v = vector_of(window, window->first + i, V, h);
        for (size_t j = 0; j < c; j++)
            for (size_t x = 0; x < d; x++)
                delta_v[j * d + x] += delta[i * c + j] * v[x];
    }
}

/* o[d] = β · g(Γ) · ΔV for one q; work [2c] */
static void read_out(const struct formula *formula, const float *q, size_t h, const double *delta_v, double *work,
                     double *output)
{
    size_t c = formula->c, d = formula->options->head_dim;
    double *beta = work, largest = -INFINITY, sum = 0;
    logits_of(beta, q, formula->k_landmarks + h * d * c, d, c);
    for (size_t j = 0; j < c; j++)
        largest = fmax(largest, beta[j]);
    for (size_t j = 0; j < c; j++)
        sum += beta[j] = exp(beta[j] - largest);
    memset(output, 0, d * sizeof(double));
    for (size_t j = 0; j < c; j++) {
        double weight = 0;
        for (size_t i = 0; i < c; i++)
            weight += beta[i] / sum * formula->inverse[(h * c + i) * c + j];
        for (size_t x = 0; x < d; x++)
            output[x] += weight * delta_v[j * d + x];
    }
}

void formula_output(struct formula *formula, const float *frames, uint64_t from, uint64_t t, double *output)
{
    const struct attn_options *options = formula->options;
    size_t heads = options->heads, d = options->head_dim, n = options->window;
    size_t w = t < n ? (size_t)t + 1 : n, rows = options->retroactive ? w : 1;
    struct window window = {frames, from, t + 1 - w, heads, d, w};
    move_landmarks(formula, &window, t);
    if (options->retroactive) {
        memset(output, 0, (n - w) * heads * d * sizeof(double));
        output += (n - w) * heads * d;
    }
    double *delta_v = formula->work, *work = delta_v + formula->c * d;
    for (size_t h = 0; h < heads; h++) {
        if (formula->c > 0)
            fill_delta_v(formula, &window, h, delta_v, work);
        for (size_t r = 0; r < rows; r++) {
            const float *q = vector_of(&window, t + 1 - rows + r, Q, h);
            double *row = output + (r * heads + h) * d;
            if (formula->c > 0)
                read_out(formula, q, h, delta_v, work, row);
            else
                attend(&window, q, h, work, row);
        }
    }
}
