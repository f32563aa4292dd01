/* SPDX-License-Identifier: MIT */
/* A program of which other threads keep a threaded OpenBLAS busy: a stream's bits are those that it has alone. */
#include <cblas.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "../run.h"
#include "config.h"
#include "draft.h"
#include "stream.h"

enum { N_THREADS = 3, SIZE = 192, ROUNDS = 20, N_FRAMES = 200, MODEL = 3 };
#ifdef HAVE_LOADER
enum { N_KINDS = MODEL + 1 };
#else
enum { N_KINDS = MODEL };
#endif

struct neighbours {
    pthread_t threads[N_THREADS];
    atomic_bool over;
    atomic_uint products; /* that have been computed */
};

static void *multiply(void *argument)
{
    struct neighbours *neighbours = argument;
    float *x = noise(1, 3 * SIZE * SIZE, 1), *y = x + SIZE * SIZE, *z = y + SIZE * SIZE;
    while (!neighbours->over) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIZE, SIZE, SIZE, 1.0f, x, SIZE, y, SIZE, 0.0f, z, SIZE);
        neighbours->products++;
    }
    free(x);
    return NULL;
}

static void start(struct neighbours *neighbours)
{
    openblas_set_num_threads(4);
    neighbours->over = false;
    neighbours->products = 0;
    for (int i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&neighbours->threads[i], NULL, multiply, neighbours), 0);
    while (neighbours->products < N_THREADS)
        ;
}

static void stop(struct neighbours *neighbours)
{
    neighbours->over = true;
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(neighbours->threads[i], NULL);
}

static void open_kind(struct stream *stream, int kind)
{
    struct attn_options options = nystrom_options(4, 48, 30, 7);
    options.retroactive = kind == 1;
    options.refresh = kind == 2 ? ATTN_REFRESH_SPREAD : ATTN_REFRESH_IMMEDIATE;
    if (kind < MODEL) {
        stream_open(stream, &options);
        return;
    }
    struct draft draft;
    draft_init(&draft);
    struct draft_file file = draft_write(&draft);
    ck_assert_int_eq(attn_plan_parse(&stream->plan, file.bytes, file.n_bytes, NULL, NULL), 0);
    stream_start(stream);
    free(file.bytes);
    draft_done(&draft);
}

static void push_all(struct stream *stream, const float *frames, float *outputs)
{
    attn_reset(stream->plan, stream->state);
    for (size_t t = 0; t < N_FRAMES; t++)
        stream_push(stream, frames + t * stream->info.input_dim, outputs + t * stream->output_dim);
}

/* Pushed again and again until the neighbours have done some work. */
START_TEST(bits_stay_the_same)
{
    struct stream stream;
    struct neighbours neighbours;
    open_kind(&stream, _i);
    size_t n_bytes = N_FRAMES * stream.output_dim * sizeof(float);
    float *frames = noise(2, N_FRAMES * stream.info.input_dim, 1), *alone = malloc(n_bytes), *beside = malloc(n_bytes);
    push_all(&stream, frames, alone);
    start(&neighbours);
    for (int round = 0; round < ROUNDS || neighbours.products < 10 * N_THREADS; round++) {
        push_all(&stream, frames, beside);
        ck_assert_msg(memcmp(alone, beside, n_bytes) == 0, "other outputs in round %d", round);
    }
    stop(&neighbours);
    stream_close(&stream);
    free(frames);
    free(alone);
    free(beside);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("beside_blas");
    TCase *cases = tcase_create("beside_blas");
    tcase_add_loop_test(cases, bits_stay_the_same, 0, N_KINDS);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
