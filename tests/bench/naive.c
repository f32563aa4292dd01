/* SPDX-License-Identifier: MIT */
/*
 * Of each head: the window's keys and values in rings; sums[j] = Σ_i exp(ℓ(q̃_j, k_i)) and totals[j] = Σ_i exp(ℓ(q̃_j,
 * k_i)) v_i over the window, to which each frame adds its own and from which it subtracts the oldest's; g(Γ). A
 * landmark that closes has its sums made anew. Letters as in maths section 4.
 */
#include "naive.h"

#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct head {
    float *keys, *values;             /* [n][d] */
    float *q_sum, *k_sum;             /* [d] of the open segment */
    float *q_landmarks, *k_landmarks; /* [m][d] */
    float *sums, *totals;             /* [m], [m][d] */
    float *exponentials;              /* [m][m]: exp ℓ(q̃_i, k̃_j), of which Γ is the row softmax */
    float *inverse;                   /* g(Γ) [m][m] */
};

struct bench_naive {
    int n, m, d, heads;
    bool fixed;
    uint64_t *t;                                      /* [S]: the position of each stream's next frame */
    struct head *head;                                /* [S][H] */
    float *memory;                                    /* of all heads and of what follows */
    float *row;                                       /* [max(n, m)] */
    float *new_weights, *old_weights, *beta, *shares; /* [m] */
    float *gamma, *x, *y, *z;                         /* [m][m] */
};

static size_t head_floats(const struct bench_shape *s)
{
    return 2 * s->n * s->d + 2 * s->d + 3 * s->m * s->d + s->m + 2 * s->m * s->m;
}

static size_t work_floats(const struct bench_shape *s)
{
    return (s->n > s->m ? s->n : s->m) + 4 * s->m + 4 * s->m * s->m;
}

static float *take(float **memory, size_t n)
{
    float *taken = *memory;
    *memory += n;
    return taken;
}

static float *lay_out_head(struct head *head, const struct bench_shape *s, float *memory)
{
    head->keys = take(&memory, s->n * s->d);
    head->values = take(&memory, s->n * s->d);
    head->q_sum = take(&memory, s->d);
    head->k_sum = take(&memory, s->d);
    head->q_landmarks = take(&memory, s->m * s->d);
    head->k_landmarks = take(&memory, s->m * s->d);
    head->sums = take(&memory, s->m);
    head->totals = take(&memory, s->m * s->d);
    head->exponentials = take(&memory, s->m * s->m);
    head->inverse = take(&memory, s->m * s->m);
    return memory;
}

static void lay_out(struct bench_naive *naive, const struct bench_shape *s, size_t n_heads)
{
    float *memory = naive->memory;
    for (size_t h = 0; h < n_heads; h++)
        memory = lay_out_head(&naive->head[h], s, memory);
    naive->new_weights = take(&memory, s->m);
    naive->old_weights = take(&memory, s->m);
    naive->beta = take(&memory, s->m);
    naive->shares = take(&memory, s->m);
    naive->gamma = take(&memory, s->m * s->m);
    naive->x = take(&memory, s->m * s->m);
    naive->y = take(&memory, s->m * s->m);
    naive->z = take(&memory, s->m * s->m);
    naive->row = memory;
}

static void set_landmarks(struct bench_naive *naive, size_t n_heads, const float *q_landmarks, const float *k_landmarks)
{
    size_t floats = (size_t)naive->m * naive->d;
    for (size_t h = 0; h < n_heads; h++) {
        size_t from = h % naive->heads * floats;
        memcpy(naive->head[h].q_landmarks, q_landmarks + from, floats * sizeof(float));
        memcpy(naive->head[h].k_landmarks, k_landmarks + from, floats * sizeof(float));
    }
}

struct bench_naive *bench_naive_new(const struct bench_shape *s, size_t n_streams, const float *q_landmarks,
                                    const float *k_landmarks)
{
    size_t n_heads = n_streams * s->heads;
    struct bench_naive *naive = calloc(1, sizeof(*naive));
    if (naive == NULL)
        return NULL;
    naive->n = (int)s->n, naive->m = (int)s->m, naive->d = (int)s->d, naive->heads = (int)s->heads;
    naive->fixed = q_landmarks != NULL;
    naive->t = calloc(n_streams, sizeof(*naive->t));
    naive->head = calloc(n_heads, sizeof(*naive->head));
    naive->memory = calloc(n_heads * head_floats(s) + work_floats(s), sizeof(float));
    if (naive->t == NULL || naive->head == NULL || naive->memory == NULL) {
        bench_naive_free(naive);
        return NULL;
    }
    lay_out(naive, s, n_heads);
    if (naive->fixed)
        set_landmarks(naive, n_heads, q_landmarks, k_landmarks);
    return naive;
}

void bench_naive_free(struct bench_naive *naive)
{
    if (naive == NULL)
        return;
    free(naive->t);
    free(naive->memory);
    free(naive->head);
    free(naive);
}

/* y[rows] = exp(rows[rows×d] · x[d] / √d) */
static void exponentials(const struct bench_naive *naive, int n_rows, float *y, int stride, const float *rows,
                         const float *x)
{
    cblas_sgemv(CblasRowMajor, CblasNoTrans, n_rows, naive->d, 1 / sqrtf((float)naive->d), rows, naive->d, x, 1, 0, y,
                stride);
    for (int i = 0; i < n_rows; i++)
        y[i * stride] = expf(y[i * stride]);
}

/* c[m×m] = scale · a · b */
static void multiply(const struct bench_naive *naive, float *c, float scale, const float *a, const float *b)
{
    int m = naive->m;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, m, m, scale, a, m, b, m, 0, c, m);
}

/* a[m×m] = diagonal · I − a */
static void subtract_from(const struct bench_naive *naive, float *a, float diagonal)
{
    int m = naive->m;
    for (int i = 0; i < m * m; i++)
        a[i] = -a[i];
    for (int i = 0; i < m; i++)
        a[i * m + i] += diagonal;
}

/* Γ, and g's first guess Γᵀ / (largest column sum · largest row sum) */
static void first_guess(struct bench_naive *naive, const struct head *head)
{
    int m = naive->m;
    float largest_column = 0, largest_row = 0;
    for (int i = 0; i < m; i++) {
        float sum = cblas_sasum(m, head->exponentials + i * m, 1);
        for (int j = 0; j < m; j++)
            naive->gamma[i * m + j] = head->exponentials[i * m + j] / sum;
    }
    for (int i = 0; i < m; i++) {
        largest_column = fmaxf(largest_column, cblas_sasum(m, naive->gamma + i, m));
        largest_row = fmaxf(largest_row, cblas_sasum(m, naive->gamma + i * m, 1));
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++)
            naive->z[i * m + j] = naive->gamma[j * m + i] / (largest_column * largest_row);
}

/* g(Γ): six times X = ΓZ, Z ← ¼ Z (13I − X (15I − X (7I − X))), arXiv 2102.03902 */
static void invert(struct bench_naive *naive, struct head *head)
{
    size_t bytes = (size_t)naive->m * naive->m * sizeof(float);
    first_guess(naive, head);
    for (int step = 0; step < 6; step++) {
        multiply(naive, naive->x, 1, naive->gamma, naive->z);
        memcpy(naive->y, naive->x, bytes);
        subtract_from(naive, naive->y, 7);
        multiply(naive, head->inverse, 1, naive->x, naive->y);
        subtract_from(naive, head->inverse, 15);
        multiply(naive, naive->y, 1, naive->x, head->inverse);
        subtract_from(naive, naive->y, 13);
        multiply(naive, head->inverse, 0.25f, naive->z, naive->y);
        memcpy(naive->z, head->inverse, bytes);
    }
}

/* The sums of landmark j over the whole window, and its row and column of Γ. */
static void renew(struct bench_naive *naive, struct head *head, int j)
{
    int n = naive->n, m = naive->m, d = naive->d;
    const float *q = head->q_landmarks + j * d, *k = head->k_landmarks + j * d;
    exponentials(naive, n, naive->row, 1, head->keys, q);
    head->sums[j] = cblas_sasum(n, naive->row, 1);
    cblas_sgemv(CblasRowMajor, CblasTrans, n, d, 1, head->values, d, naive->row, 1, 0, head->totals + j * d, 1);
    exponentials(naive, m, head->exponentials + j * m, 1, head->k_landmarks, q);
    exponentials(naive, m, head->exponentials + j, m, head->q_landmarks, k);
}

static void slide(struct bench_naive *naive, struct head *head, size_t slot, const float *k, const float *v)
{
    int m = naive->m, d = naive->d;
    float *oldest_key = head->keys + slot * d, *oldest_value = head->values + slot * d;
    exponentials(naive, m, naive->new_weights, 1, head->q_landmarks, k);
    exponentials(naive, m, naive->old_weights, 1, head->q_landmarks, oldest_key);
    cblas_saxpy(m, 1, naive->new_weights, 1, head->sums, 1);
    cblas_saxpy(m, -1, naive->old_weights, 1, head->sums, 1);
    cblas_sger(CblasRowMajor, m, d, 1, naive->new_weights, 1, v, 1, head->totals, d);
    cblas_sger(CblasRowMajor, m, d, -1, naive->old_weights, 1, oldest_value, 1, head->totals, d);
}

/* The segment that the frame in `slot` closes, or −1. The first n mod m segments are one slot longer. */
static int closes(const struct bench_naive *naive, size_t slot)
{
    size_t n = (size_t)naive->n, m = (size_t)naive->m, longer = n % m * (n / m + 1);
    if (slot < longer)
        return (slot + 1) % (n / m + 1) == 0 ? (int)(slot / (n / m + 1)) : -1;
    return (slot - longer + 1) % (n / m) == 0 ? (int)(n % m + (slot - longer) / (n / m)) : -1;
}

/* Landmarks j are the means of the open segment, which is empty then. */
static void close_segment(struct bench_naive *naive, struct head *head, int j)
{
    int n = naive->n, m = naive->m, d = naive->d;
    float length = (float)(n / m + (j < n % m));
    for (int i = 0; i < d; i++) {
        head->q_landmarks[j * d + i] = head->q_sum[i] / length;
        head->k_landmarks[j * d + i] = head->k_sum[i] / length;
    }
    memset(head->q_sum, 0, (size_t)d * sizeof(float));
    memset(head->k_sum, 0, (size_t)d * sizeof(float));
}

/* output[d] = β · g(Γ) · (totals / sums) */
static void read_out(struct bench_naive *naive, struct head *head, const float *q, float *output)
{
    int m = naive->m, d = naive->d;
    exponentials(naive, m, naive->beta, 1, head->k_landmarks, q);
    cblas_sscal(m, 1 / cblas_sasum(m, naive->beta, 1), naive->beta, 1);
    cblas_sgemv(CblasRowMajor, CblasTrans, m, m, 1, head->inverse, m, naive->beta, 1, 0, naive->shares, 1);
    for (int j = 0; j < m; j++)
        naive->shares[j] /= head->sums[j];
    cblas_sgemv(CblasRowMajor, CblasTrans, m, d, 1, head->totals, d, naive->shares, 1, 0, output, 1);
}

/* The landmarks of the first full window, all at once, or the one that has just closed. */
static void refresh(struct bench_naive *naive, struct head *head, uint64_t t, int closed)
{
    bool first = t + 1 == (uint64_t)naive->n;
    if (!first && (closed < 0 || t < (uint64_t)naive->n))
        return;
    for (int j = first ? 0 : closed; j < (first ? naive->m : closed + 1); j++)
        renew(naive, head, j);
    invert(naive, head);
}

static void step(struct bench_naive *naive, struct head *head, uint64_t t, const float *frame, float *output)
{
    int d = naive->d, closed;
    const float *q = frame, *k = q + naive->heads * d, *v = k + naive->heads * d;
    size_t slot = t % (size_t)naive->n;
    if (t >= (uint64_t)naive->n)
        slide(naive, head, slot, k, v);
    memcpy(head->keys + slot * d, k, (size_t)d * sizeof(float));
    memcpy(head->values + slot * d, v, (size_t)d * sizeof(float));
    cblas_saxpy(d, 1, q, 1, head->q_sum, 1);
    cblas_saxpy(d, 1, k, 1, head->k_sum, 1);
    closed = naive->fixed ? -1 : closes(naive, slot);
    if (closed >= 0)
        close_segment(naive, head, closed);
    refresh(naive, head, t, closed);
    if (t + 1 >= (uint64_t)naive->n)
        read_out(naive, head, q, output);
    else
        memset(output, 0, (size_t)d * sizeof(float));
}

void bench_naive_push(struct bench_naive *naive, size_t stream, const float *frame, float *output)
{
    for (int h = 0; h < naive->heads; h++)
        step(naive, &naive->head[stream * naive->heads + h], naive->t[stream], frame + h * naive->d,
             output + h * naive->d);
    naive->t[stream]++;
}
