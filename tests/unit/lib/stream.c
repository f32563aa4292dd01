/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct attn_options exact_options(uint32_t heads, uint32_t head_dim, uint32_t window)
{
    return (struct attn_options){
        .size = sizeof(struct attn_options), .heads = heads, .head_dim = head_dim, .window = window};
}

struct attn_options nystrom_options(uint32_t heads, uint32_t head_dim, uint32_t window, uint32_t landmarks)
{
    struct attn_options options = exact_options(heads, head_dim, window);
    options.method = ATTN_NYSTROM;
    options.landmarks = landmarks;
    return options;
}

void stream_open(struct stream *stream, const struct attn_options *options)
{
    struct attn_reason why = {""};
    ck_assert_msg(attn_plan_new(&stream->plan, options, &why) == 0, "%s", why.text);
    stream_start(stream);
}

void stream_start(struct stream *stream)
{
    stream->info = (struct attn_info){.size = sizeof(stream->info)};
    ck_assert_int_eq(attn_plan_info(stream->plan, &stream->info), 0);
    stream->output_dim = attn_output_dim(stream->plan, ATTN_SCORES);
    void *memory = aligned_alloc(ATTN_ALIGN, stream->info.state_bytes);
    stream->scratch = aligned_alloc(ATTN_ALIGN, stream->info.scratch_bytes);
    ck_assert(memory != NULL && stream->scratch != NULL);
    stream->state = attn_init(stream->plan, memory);
}

void stream_close(struct stream *stream)
{
    free(stream->state);
    free(stream->scratch);
    attn_plan_free(stream->plan);
}

void stream_push(struct stream *stream, const float *frame, float *output)
{
    ck_assert_int_eq(attn_push(stream->plan, stream->state, frame, ATTN_SCORES, output, stream->scratch), 0);
}

float *noise(uint32_t seed, size_t n, double deviation)
{
    float *x = malloc((n > 0 ? n : 1) * sizeof(float));
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    ck_assert(x != NULL);
    for (size_t i = 0; i < n; i++) {
        double sum = 0; /* of four uniform numbers, each with the variance 1/12 */
        for (int draw = 0; draw < 4; draw++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            sum += (double)(random >> 11) / (double)(UINT64_C(1) << 53) - 0.5;
        }
        x[i] = (float)(deviation * sum * sqrt(3.0));
    }
    return x;
}

float *giants(uint32_t seed, size_t n)
{
    float *x = malloc((n > 0 ? n : 1) * sizeof(float));
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    ck_assert(x != NULL);
    for (size_t i = 0; i < n; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint32_t drawn = (uint32_t)(random >> 32), exponent = drawn % 8 == 0 ? 0 : 227 + drawn / 8 % 28;
        uint32_t bits = (drawn & 0x80000000) | exponent << 23 | (uint32_t)(random >> 9 & 0x7fffff);
        memcpy(&x[i], &bits, sizeof(bits));
    }
    return x;
}

double distance(const float *a, const double *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)a[i] - b[i]);
        if (!isfinite(error))
            return INFINITY;
        most = fmax(most, error);
    }
    return most;
}
