/* SPDX-License-Identifier: MIT */
/* The formulas of maths sections 2 to 4 in double, as plainly as they can be written: no attempt at speed. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

enum part { Q, K, V };

struct problem {
    const struct attn_options *options;
    const float *frames;
    size_t t, first, c; /* the newest position, the first of W_t, landmarks */
    double *q_landmarks, *k_landmarks, *gamma;
};

static const float *at(const struct problem *problem, size_t frame, enum part part, size_t h)
{
    return problem->frames + ((frame * 3 + part) * problem->options->heads + h) * problem->options->head_dim;
}

static void softmax(double *x, size_t n)
{
    double most = x[0], sum = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, x[i]);
    for (size_t i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - most);
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

/* to[d] = softmax over W_t of (q · k_i / √d) times v_i */
static void attend(const struct problem *problem, const double *q, size_t h, double *to)
{
    size_t d = problem->options->head_dim, w = problem->t + 1 - problem->first;
    double *weights = calloc(w, sizeof(double));
    for (size_t i = 0; i < w; i++) {
        for (size_t x = 0; x < d; x++)
            weights[i] += q[x] * at(problem, problem->first + i, K, h)[x];
        weights[i] /= sqrt((double)d);
    }
    softmax(weights, w);
    memset(to, 0, d * sizeof(double));
    for (size_t i = 0; i < w; i++)
        for (size_t x = 0; x < d; x++)
            to[x] += weights[i] * at(problem, problem->first + i, V, h)[x];
    free(weights);
}

static void multiply(double *c, const double *a, const double *b, size_t m)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++) {
            c[i * m + j] = 0;
            for (size_t k = 0; k < m; k++)
                c[i * m + j] += a[i * m + k] * b[k * m + j];
        }
}

/* a[m×m] = s · I − a */
static void from_identity(double *a, double s, size_t m)
{
    for (size_t i = 0; i < m * m; i++)
        a[i] = (i % (m + 1) == 0 ? s : 0) - a[i];
}

static void norms(const double *gamma, size_t m, double *column, double *row)
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

static void invert(double *gamma, size_t m, double scale)
{
    double *z = malloc(4 * m * m * sizeof(double)), *x = z + m * m, *a = x + m * m, *b = a + m * m;
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
    free(z);
}

/* Γ of a head before g. */
static void fill_gamma(struct problem *problem, size_t h)
{
    size_t c = problem->c, d = problem->options->head_dim;
    for (size_t i = 0; i < c; i++) {
        double *row = problem->gamma + (h * c + i) * c;
        for (size_t j = 0; j < c; j++) {
            row[j] = 0;
            for (size_t x = 0; x < d; x++)
                row[j] += problem->q_landmarks[(h * c + i) * d + x] * problem->k_landmarks[(h * c + j) * d + x];
            row[j] /= sqrt((double)d);
        }
        softmax(row, c);
    }
}

static void invert_all(struct problem *problem)
{
    size_t c = problem->c, heads = problem->options->heads;
    bool shared = problem->options->inverse_scale == ATTN_INVERSE_HEADS;
    double column = 0, row = 0;
    for (size_t h = 0; h < heads; h++) {
        fill_gamma(problem, h);
        norms(problem->gamma + h * c * c, c, &column, &row);
    }
    for (size_t h = 0; h < heads; h++) {
        double own_column = shared ? column : 0, own_row = shared ? row : 0;
        norms(problem->gamma + h * c * c, c, &own_column, &own_row);
        invert(problem->gamma + h * c * c, c, own_column * own_row);
    }
}

/* Lists the closed segments by cutting every lap anew, as first and last position; the newest m of them are landmarks.
 */
static size_t list_closed(const struct problem *problem, size_t (*bounds)[2])
{
    size_t n = problem->options->window, m = problem->options->landmarks, found = 0, first = 0;
    for (size_t segment = 0;; segment++) {
        size_t length = n / m + (segment % m < n % m);
        if (first + length > problem->t + 1)
            return found;
        bounds[found][0] = first;
        bounds[found++][1] = first + length - 1;
        first += length;
    }
}

static void take_means(struct problem *problem, size_t (*bounds)[2])
{
    size_t c = problem->c, d = problem->options->head_dim;
    for (size_t i = 0; i < problem->options->heads * c * d; i++) {
        size_t h = i / (c * d), j = i / d % c, x = i % d, length = bounds[j][1] - bounds[j][0] + 1;
        problem->q_landmarks[i] = problem->k_landmarks[i] = 0;
        for (size_t frame = bounds[j][0]; frame <= bounds[j][1]; frame++) {
            problem->q_landmarks[i] += at(problem, frame, Q, h)[x] / (double)length;
            problem->k_landmarks[i] += at(problem, frame, K, h)[x] / (double)length;
        }
    }
}

static void find_landmarks(struct problem *problem)
{
    const struct attn_options *options = problem->options;
    size_t m = options->landmarks, n_floats = (size_t)options->heads * m * options->head_dim;
    problem->q_landmarks = malloc((n_floats + 1) * sizeof(double));
    problem->k_landmarks = malloc((n_floats + 1) * sizeof(double));
    problem->gamma = malloc((options->heads * m * m + 1) * sizeof(double));
    if (options->landmark_policy == ATTN_LANDMARKS_FIXED) {
        problem->c = m;
        for (size_t i = 0; i < n_floats; i++) {
            problem->q_landmarks[i] = options->q_landmarks[i];
            problem->k_landmarks[i] = options->k_landmarks[i];
        }
    } else if (options->method == ATTN_NYSTROM && m < options->window) {
        size_t(*bounds)[2] = malloc((problem->t + 1) * sizeof(*bounds));
        size_t closed = list_closed(problem, bounds);
        problem->c = closed < m ? closed : m;
        take_means(problem, bounds + closed - problem->c);
        free(bounds);
    }
}

/* β · g(Γ) · (ΔV) of one head */
static void approximate(const struct problem *problem, const double *q, size_t h, double *to)
{
    size_t c = problem->c, d = problem->options->head_dim;
    double *beta = calloc(c, sizeof(double)), *delta_v = malloc(d * sizeof(double));
    for (size_t j = 0; j < c; j++) {
        for (size_t x = 0; x < d; x++)
            beta[j] += q[x] * problem->k_landmarks[(h * c + j) * d + x];
        beta[j] /= sqrt((double)d);
    }
    softmax(beta, c);
    memset(to, 0, d * sizeof(double));
    for (size_t j = 0; j < c; j++) {
        attend(problem, problem->q_landmarks + (h * c + j) * d, h, delta_v);
        for (size_t i = 0; i < c; i++)
            for (size_t x = 0; x < d; x++)
                to[x] += beta[i] * problem->gamma[(h * c + i) * c + j] * delta_v[x];
    }
    free(beta);
    free(delta_v);
}

void naive(const struct attn_options *options, const float *frames, size_t n_frames, double *output)
{
    size_t d = options->head_dim, n = options->window;
    struct problem problem = {.options = options, .frames = frames, .t = n_frames - 1};
    problem.first = n_frames > n ? n_frames - n : 0;
    find_landmarks(&problem);
    if (problem.c > 0)
        invert_all(&problem);
    double *q = malloc(d * sizeof(double));
    for (size_t h = 0; h < options->heads; h++) {
        for (size_t x = 0; x < d; x++)
            q[x] = at(&problem, problem.t, Q, h)[x];
        if (problem.c > 0)
            approximate(&problem, q, h, output + h * d);
        else
            attend(&problem, q, h, output + h * d);
    }
    free(q);
    free(problem.q_landmarks);
    free(problem.k_landmarks);
    free(problem.gamma);
}
