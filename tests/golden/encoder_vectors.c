/* SPDX-License-Identifier: MIT */
/*
 * The encoder against float64 vectors that another program computed from the papers' formulas (make_encoder.py): at
 * every frame, those of the warm-up included, no output is further off than 1e-5 of the largest output of its case;
 * with the kernels of every instruction set that this machine has, frame by frame and in batches. The worst of each
 * case is printed as a TAP comment.
 */
#include "lib/encoder.h"
#include "lib/model_file.h"
#include "npy.h"
#include "tests/unit/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOLERANCE 1e-5

enum { KINDS = 3 };

static const struct {
    const char *what;
    enum attn_output kind;
} kinds[KINDS] = {
    {"scores.npy", ATTN_SCORES},
    {"logits.npy", ATTN_LOGITS},
    {"embedding.npy", ATTN_EMBEDDING},
};

static const char *const cases[] = {
    "exact-post",
    "exact-pre",
    "exact-post-2",
    "exact-pre-2",
    "exact-post-oldest-2",
    "exact-pre-oldest",
    "exact-bare",
    "exact-bare-pre",
    "exact-wide",
    "exact-window-1",
    "nystrom-post",
    "nystrom-uneven",
    "nystrom-old-checkpoint",
    "nystrom-new-checkpoint",
    "nystrom-2",
    "nystrom-exact",
    "nystrom-many",
    "fixed-post",
    "fixed-pre-2",
    "spread-post",
    "spread-uneven-pre",
    "spread-fixed",
    "spread-3",
    "stack-3-pre",
    "retro-exact",
    "retro-exact-raw-pre",
    "retro-exact-nystrom",
    "retro-nystrom-exact",
    "retro-nystrom",
    "retro-new-checkpoint",
    "retro-old-checkpoint",
    "retro-uneven-pre",
    "retro-spread",
    "retro-fixed",
    "retro-fixed-many-pre",
    "retro-many",
    "retro-window-1",
    "retro-long", /* more rows than are worked on at a time */
};

/* The vectors of a case. */
struct vectors {
    struct npy input, expected[KINDS];
};

/* A stream for each kind of output, which go through the model side by side or one after the other. */
struct streams {
    struct attn_encoder *encoder;
    void *states[KINDS], *scratch;
    float *outputs[KINDS];
};

static void path_of(char path[512], const char *name, const char *what)
{
    const char *source = getenv("ATTN_SRCDIR");
    snprintf(path, 512, "%s/tests/golden/encoder/%s.%s", source != NULL ? source : ".", name, what);
}

static void read_vectors(struct vectors *vectors, const char *name)
{
    char path[512];
    path_of(path, name, "input.npy");
    ck_assert_msg(npy_read(&vectors->input, path) == 0, "%s cannot be read", path);
    for (size_t i = 0; i < KINDS; i++) {
        path_of(path, name, kinds[i].what);
        ck_assert_msg(npy_read(&vectors->expected[i], path) == 0, "%s cannot be read", path);
        ck_assert_uint_eq(vectors->expected[i].rows, vectors->input.rows);
    }
}

static void free_vectors(struct vectors *vectors)
{
    free(vectors->input.values);
    for (size_t i = 0; i < KINDS; i++)
        free(vectors->expected[i].values);
}

static struct attn_encoder *load(const char *name, enum attn_variant variant)
{
    char path[512];
    path_of(path, name, "safetensors");
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is not there", path);
    static unsigned char bytes[1 << 20];
    size_t n_bytes = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    struct attn_encoder *encoder;
    struct attn_reason why = {""};
    ck_assert_msg(attn_model_file_parse(&encoder, bytes, n_bytes, variant, &why) == 0, "%s: %s", name, why.text);
    return encoder;
}

static void open_streams(struct streams *streams, const char *name, enum attn_variant variant,
                         const struct vectors *vectors)
{
    struct attn_info info;
    streams->encoder = load(name, variant);
    attn_encoder_info(streams->encoder, &info);
    ck_assert_uint_eq(info.input_dim, vectors->input.columns);
    streams->scratch = aligned_alloc(ATTN_ALIGN, attn_encoder_scratch_bytes(streams->encoder, KINDS));
    for (size_t i = 0; i < KINDS; i++) {
        streams->states[i] = aligned_alloc(ATTN_ALIGN, info.state_bytes);
        streams->outputs[i] = malloc(vectors->expected[i].columns * sizeof(float));
        attn_encoder_reset(streams->encoder, streams->states[i]);
        ck_assert_uint_eq(attn_encoder_output_dim(streams->encoder, kinds[i].kind), vectors->expected[i].columns);
    }
}

static void close_streams(struct streams *streams)
{
    for (size_t i = 0; i < KINDS; i++) {
        free(streams->states[i]);
        free(streams->outputs[i]);
    }
    free(streams->scratch);
    attn_encoder_free(streams->encoder);
}

static void step(const struct streams *streams, uint64_t t, const float *input, bool together)
{
    struct attn_encoder_frame frames[KINDS];
    for (size_t i = 0; i < KINDS; i++)
        frames[i] = (struct attn_encoder_frame){
            .state = streams->states[i],
            .when = {.t = t},
            .input = input,
            .kind = kinds[i].kind,
            .output = streams->outputs[i],
        };
    for (size_t i = 0; i < KINDS; i += together ? KINDS : 1)
        attn_encoder_step(streams->encoder, &frames[i], together ? KINDS : 1, streams->scratch);
}

/* worst[kind]: the largest difference of the outputs from the vectors, as a share of the largest of these. */
static void run(const struct streams *streams, const struct vectors *vectors, bool together, double worst[KINDS])
{
    size_t columns = vectors->input.columns;
    double largest[KINDS] = {0};
    float *frame = malloc(columns * sizeof(float));
    memset(worst, 0, KINDS * sizeof(worst[0]));
    for (size_t t = 0; t < vectors->input.rows; t++) {
        for (size_t i = 0; i < columns; i++)
            frame[i] = (float)vectors->input.values[t * columns + i];
        step(streams, t, frame, together);
        for (size_t k = 0; k < KINDS; k++) {
            const struct npy *expected = &vectors->expected[k];
            for (size_t i = 0; i < expected->columns; i++) {
                double right = expected->values[t * expected->columns + i], output = streams->outputs[k][i];
                ck_assert_msg(isfinite(output), "frame %zu, %s %zu is not finite", t, kinds[k].what, i);
                largest[k] = fmax(largest[k], fabs(right));
                worst[k] = fmax(worst[k], fabs(output - right));
            }
        }
    }
    for (size_t k = 0; k < KINDS; k++)
        worst[k] /= largest[k];
    free(frame);
}

START_TEST(equals_the_vectors)
{
    static const enum attn_variant variants[] = {ATTN_VARIANT_GENERIC, ATTN_VARIANT_AVX2, ATTN_VARIANT_AVX512,
                                                 ATTN_VARIANT_NEON};
    const char *name = cases[_i];
    struct vectors vectors;
    read_vectors(&vectors, name);
    for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
        const struct attn_kernels *kernels = attn_kernels_of(variants[v]);
        for (int together = 0; kernels != NULL && together < 2; together++) {
            const char *how = together ? "batches" : "frames";
            double worst[KINDS];
            struct streams streams;
            open_streams(&streams, name, variants[v], &vectors);
            run(&streams, &vectors, together, worst);
            printf("# %-24s %-8s %-8s worst %.1e %.1e %.1e of the largest\n", name, kernels->name, how, worst[0],
                   worst[1], worst[2]);
            fflush(stdout);
            for (size_t k = 0; k < KINDS; k++)
                ck_assert_msg(worst[k] < TOLERANCE, "%s %s, %s in %s: worst error %g of the largest output", name,
                              kinds[k].what, kernels->name, how, worst[k]);
            close_streams(&streams);
        }
    }
    free_vectors(&vectors);
}
END_TEST

static Suite *encoder_vectors(void)
{
    Suite *suite = suite_create("golden encoder");
    TCase *tcase = tcase_create("vectors");
    tcase_add_loop_test(tcase, equals_the_vectors, 0, sizeof(cases) / sizeof(cases[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(encoder_vectors());
