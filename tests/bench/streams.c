/* SPDX-License-Identifier: MIT */
#include "streams.h"

#include <stdlib.h>
#include <string.h>

size_t bench_streams_warming(size_t warming_frames, size_t window, size_t i, size_t n_streams)
{
    return warming_frames + window + i * window / n_streams;
}

static struct attn_state *state_at(const struct bench_streams *streams, size_t i)
{
    return (struct attn_state *)(void *)(streams->states + i * streams->state_bytes);
}

/* Outputs are only asked for in the newest frames, for those before cost less without. */
static void warm(struct bench_streams *streams, const struct attn_info *info)
{
    for (size_t i = 0; i < streams->n_streams; i++) {
        struct attn_state *state = attn_init(streams->plan, streams->states + i * streams->state_bytes);
        size_t n = bench_streams_warming(info->warming_frames, info->window, i, streams->n_streams);
        for (size_t t = 0; t < n; t++)
            attn_push(streams->plan, state, bench_frames_at(&streams->frames, t), ATTN_SCORES,
                      t + 1 == n ? streams->output : NULL, streams->scratch);
    }
}

static void fill_batch(struct bench_streams *streams, size_t output_dim)
{
    for (size_t i = 0; i < streams->n_streams; i++)
        streams->batch[i] = (struct attn_frame){
            .state = state_at(streams, i),
            .output = streams->output + i * output_dim,
            .kind = ATTN_SCORES,
        };
}

int bench_streams_init(struct bench_streams *streams, const struct attn_plan *plan, size_t n_streams)
{
    struct attn_info info = {.size = sizeof(info)};
    size_t output_dim = attn_output_dim(plan, ATTN_SCORES);
    attn_plan_info(plan, &info);
    memset(streams, 0, sizeof(*streams));
    streams->plan = plan;
    streams->n_streams = n_streams;
    streams->state_bytes = info.state_bytes;
    streams->states = aligned_alloc(ATTN_ALIGN, n_streams * info.state_bytes);
    streams->output = malloc(n_streams * output_dim * sizeof(float));
    streams->batch = calloc(n_streams, sizeof(*streams->batch));
    streams->scratch = aligned_alloc(ATTN_ALIGN, attn_scratch_bytes(plan, n_streams));
    if (bench_frames_init(&streams->frames, info.input_dim) < 0 || streams->states == NULL || streams->output == NULL ||
        streams->batch == NULL || streams->scratch == NULL)
        return -1;
    warm(streams, &info);
    fill_batch(streams, output_dim);
    return 0;
}

void bench_streams_done(struct bench_streams *streams)
{
    bench_frames_done(&streams->frames);
    free(streams->states);
    free(streams->output);
    free(streams->batch);
    free(streams->scratch);
    memset(streams, 0, sizeof(*streams));
}

void bench_streams_push(void *self)
{
    struct bench_streams *streams = self;
    size_t i = streams->pushed++;
    attn_push(streams->plan, state_at(streams, i % streams->n_streams), bench_frames_at(&streams->frames, i),
              ATTN_SCORES, streams->output, streams->scratch);
}

void bench_streams_push_batch(void *self)
{
    struct bench_streams *streams = self;
    for (size_t i = 0; i < streams->n_streams; i++)
        streams->batch[i].frame = bench_frames_at(&streams->frames, streams->pushed + i);
    attn_push_batch(streams->plan, streams->batch, streams->n_streams, streams->scratch);
    streams->pushed += streams->n_streams;
}
