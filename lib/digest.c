/* SPDX-License-Identifier: MIT */
#include "digest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "denormals.h"
#include "reason.h"

/* Scores of an identity head have any size: of the largest, so much may be another machine's rounding. */
#define TOLERANCE 1e-3

struct run {
    const struct attn_encoder *encoder;
    struct attn_info info;
    uint32_t n_scores, random;
    void *state, *scratch;
    float *frame, *output;
};

static size_t aligned(size_t n_bytes)
{
    return (n_bytes + ATTN_ALIGN) / ATTN_ALIGN * ATTN_ALIGN;
}

static int prepare(struct run *run, struct attn_reason *why)
{
    run->state = aligned_alloc(ATTN_ALIGN, aligned(run->info.state_bytes));
    run->scratch = aligned_alloc(ATTN_ALIGN, aligned(run->info.scratch_bytes));
    run->frame = aligned_alloc(ATTN_ALIGN, aligned(run->info.input_dim * sizeof(float)));
    run->output = aligned_alloc(ATTN_ALIGN, aligned(run->n_scores * sizeof(float)));
    if (run->state == NULL || run->scratch == NULL || run->frame == NULL || run->output == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory to compute the digest of the model");
    attn_encoder_reset(run->encoder, run->state);
    return 0;
}

static void finish(struct run *run)
{
    free(run->state);
    free(run->scratch);
    free(run->frame);
    free(run->output);
}

/* The next number of the sequence, from -1 to 1. */
static float next(struct run *run)
{
    run->random = run->random * 1664525 + 1013904223;
    return (float)(run->random >> 8) / (1 << 23) - 1;
}

/* Frames as loud and as different as those of sound: were they alike, the window and the landmarks would not matter. */
static void make_frame(struct run *run)
{
    float mean = 3 * next(run);
    for (uint32_t i = 0; i < run->info.input_dim; i++)
        run->frame[i] = mean + 2 * next(run);
}

static void compute(struct run *run, uint32_t n_frames)
{
    uint64_t mode = attn_denormals_flush();
    run->random = 1;
    for (uint32_t t = 0; t < n_frames; t++) {
        make_frame(run);
        struct attn_encoder_frame frame = {
            .state = run->state, .when = {.t = t}, .input = run->frame, .kind = ATTN_SCORES, .output = run->output};
        attn_encoder_step(run->encoder, &frame, 1, run->scratch);
    }
    attn_denormals_restore(mode);
}

static int compare(const struct attn_digest *digest, const float *output, struct attn_reason *why)
{
    double most = 1;
    for (uint32_t i = 0; i < digest->n_scores; i++)
        most = fmax(most, fabs(digest->scores[i]));
    for (uint32_t i = 0; i < digest->n_scores; i++)
        if (!(fabs(output[i] - digest->scores[i]) <= TOLERANCE * most))
            return attn_refuse(
                why, ATTN_E_MODEL,
                "digest: after %u frames score %u is %.6g here, and was %.6g where the model was made: it "
                "is damaged, or was trained with other equations",
                digest->frames, i, (double)output[i], digest->scores[i]);
    return 0;
}

int attn_digest_check(const struct attn_digest *digest, const struct attn_encoder *encoder, struct attn_reason *why)
{
    struct run run = {.encoder = encoder, .n_scores = attn_encoder_output_dim(encoder, ATTN_SCORES)};
    if (digest->frames == 0)
        return 0;
    if (digest->n_scores != run.n_scores)
        return attn_refuse(why, ATTN_E_MODEL, "digest: %u scores are said, and the model has %u", digest->n_scores,
                           run.n_scores);
    double work = digest->frames * attn_encoder_most_multiply_adds(encoder);
    if (work > ATTN_MAX_DIGEST_WORK)
        return attn_refuse(
            why, ATTN_E_MODEL,
            "digest: %u frames would take %.1f billion multiply-adds, and %.1f are allowed: use fewer frames",
            digest->frames, work / 1e9, ATTN_MAX_DIGEST_WORK / 1e9);
    attn_encoder_info(encoder, &run.info);
    int error = prepare(&run, why);
    if (error == 0) {
        compute(&run, digest->frames);
        error = compare(digest, run.output, why);
    }
    finish(&run);
    return error;
}
