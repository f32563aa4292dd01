/* SPDX-License-Identifier: MIT */
/*
 * The encoder against float64 vectors that another program computed from the papers' formulas (make_encoder.py): at
 * every frame, those of the warm-up included, no output is further off than 1e-5 of the largest output of its case. The
 * worst of each case is printed as a TAP comment.
 */
#include "lib/encoder.h"
#include "npy.h"
#include "tests/unit/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOLERANCE 1e-5

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
};

static void path_of(char path[512], const char *name, const char *what)
{
    const char *source = getenv("ATTN_SRCDIR");
    snprintf(path, 512, "%s/tests/golden/encoder/%s.%s", source != NULL ? source : ".", name, what);
}

static struct attn_encoder *load(const char *name)
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
    ck_assert_msg(attn_encoder_parse(&encoder, bytes, n_bytes, &why) == 0, "%s: %s", name, why.text);
    return encoder;
}

/* The largest difference of the outputs of one kind from the vectors, as a share of the largest of these. */
static double worst_error(const struct attn_encoder *encoder, const struct npy *input, const struct npy *expected,
                          enum attn_output kind)
{
    struct attn_info info;
    attn_encoder_info(encoder, &info);
    ck_assert_uint_eq(info.input_dim, input->columns);
    ck_assert_uint_eq(attn_encoder_output_dim(encoder, kind), expected->columns);
    ck_assert_uint_eq(input->rows, expected->rows);
    void *state = aligned_alloc(ATTN_ALIGN, info.state_bytes), *scratch = aligned_alloc(ATTN_ALIGN, info.scratch_bytes);
    float *frame = malloc(input->columns * sizeof(float)), *output = malloc(expected->columns * sizeof(float));
    double largest = 0, worst = 0;
    attn_encoder_reset(encoder, state);
    for (size_t t = 0; t < input->rows; t++) {
        for (size_t i = 0; i < input->columns; i++)
            frame[i] = (float)input->values[t * input->columns + i];
        attn_encoder_step(encoder, state, t, frame, kind, output, scratch);
        for (size_t i = 0; i < expected->columns; i++) {
            double right = expected->values[t * expected->columns + i];
            ck_assert_msg(isfinite(output[i]), "frame %zu, output %zu is not finite", t, i);
            largest = fmax(largest, fabs(right));
            worst = fmax(worst, fabs(output[i] - right));
        }
    }
    free(output);
    free(frame);
    free(scratch);
    free(state);
    return worst / largest;
}

START_TEST(equals_the_vectors)
{
    static const struct {
        const char *what;
        enum attn_output kind;
    } kinds[] = {
        {"scores.npy", ATTN_SCORES},
        {"logits.npy", ATTN_LOGITS},
        {"embedding.npy", ATTN_EMBEDDING},
    };
    const char *name = cases[_i];
    char path[512];
    struct npy input;
    struct attn_encoder *encoder = load(name);
    path_of(path, name, "input.npy");
    ck_assert_int_eq(npy_read(&input, path), 0);
    for (size_t i = 0; i < 3; i++) {
        struct npy expected;
        path_of(path, name, kinds[i].what);
        ck_assert_msg(npy_read(&expected, path) == 0, "%s cannot be read", path);
        double worst = worst_error(encoder, &input, &expected, kinds[i].kind);
        printf("# %-24s %-14s worst %.1e of the largest\n", name, kinds[i].what, worst);
        fflush(stdout);
        ck_assert_msg(worst < TOLERANCE, "%s %s: worst error %g of the largest output", name, kinds[i].what, worst);
        free(expected.values);
    }
    free(input.values);
    attn_encoder_free(encoder);
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
