/* SPDX-License-Identifier: MIT */
/* Models from tensors in memory: the same as from a file, and checked as strictly. */
#include <math.h>
#include <string.h>

#include "../run.h"
#include "config.h"
#include "draft.h"
#include "stream.h"

/* What attn_plan_build is given, of the draft that a file would be written of. */
struct parts {
    struct draft draft;
    struct attn_layer_description layers[2];
    const char *labels[2];
    struct attn_model_description description;
    struct attn_tensor_data tensors[DRAFT_TENSORS];
    size_t n_tensors;
    struct attn_model_options options;
};

static struct parts parts;

static void setup(void)
{
    draft_init(&parts.draft);
    for (int i = 0; i < 2; i++)
        parts.layers[i] = (struct attn_layer_description){.size = sizeof(parts.layers[i]), .method = ATTN_EXACT};
    parts.labels[0] = "yes";
    parts.labels[1] = "no";
    parts.description = (struct attn_model_description){
        .size = sizeof(parts.description),
        .input_dim = 3,
        .model_dim = 4,
        .heads = 2,
        .window = 3,
        .positions = 2,
        .n_layers = 1,
        .layers = parts.layers,
        .n_labels = 2,
        .labels = parts.labels,
    };
    parts.n_tensors = parts.draft.n_tensors;
    for (size_t i = 0; i < parts.n_tensors; i++) {
        const struct draft_tensor *tensor = &parts.draft.tensors[i];
        parts.tensors[i] = (struct attn_tensor_data){
            .name = tensor->name, .shape = tensor->shape, .rank = tensor->rank, .values = tensor->values};
    }
    parts.options = (struct attn_model_options){.size = sizeof(parts.options)};
}

static void teardown(void)
{
    draft_done(&parts.draft);
}

static int build(struct attn_plan **plan, struct attn_reason *why)
{
    return attn_plan_build(plan, &parts.description, parts.tensors, parts.n_tensors, &parts.options, why);
}

/* Refused for a reason that says this. */
static void refused(int error, const char *text)
{
    struct attn_plan *plan = NULL;
    struct attn_reason why = {""};
    ck_assert_int_eq(build(&plan, &why), error);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(why.text, text) != NULL, "'%s' does not say '%s'", why.text, text);
    ck_assert_int_eq(build(&plan, NULL), error);
}

#ifdef HAVE_LOADER
START_TEST(it_computes_what_the_file_does)
{
    struct stream built, parsed;
    struct draft_file file = draft_write(&parts.draft);
    struct attn_reason why = {""};
    ck_assert_msg(build(&built.plan, &why) == 0, "%s", why.text);
    ck_assert_int_eq(attn_plan_parse(&parsed.plan, file.bytes, file.n_bytes, NULL, NULL), 0);
    /* Nothing of what it was made of is needed any more. */
    for (size_t i = 0; i < parts.draft.n_tensors; i++)
        parts.draft.tensors[i].values[0] = NAN;
    parts.labels[0] = NULL;
    stream_start(&built);
    stream_start(&parsed);
    ck_assert_uint_eq(built.info.state_bytes, parsed.info.state_bytes);
    ck_assert_str_eq(built.info.labels[0], "yes");
    float *frames = noise(1, 10 * 3, 1), outputs[2][2];
    for (size_t t = 0; t < 10; t++) {
        stream_push(&built, frames + t * 3, outputs[0]);
        stream_push(&parsed, frames + t * 3, outputs[1]);
        ck_assert_int_eq(memcmp(outputs[0], outputs[1], sizeof(outputs[0])), 0);
    }
    stream_close(&built);
    stream_close(&parsed);
    free(frames);
    free(file.bytes);
}
END_TEST
#endif

/* The smallest model that has landmarks: every width is 1, and all that may be absent is. A normalised single value is
 * 0, so the output is the last bias. The kernels see each of their tails, and pointers to nothing. */
static int build_smallest(struct attn_plan **plan, struct attn_layer_description layer, enum attn_variant variant)
{
    static const float values[] = {0.5f, 3.25f};
    static const uint64_t shape[] = {1, 1};
    static const char *const names[] = {"blocks.0.ff1.weight", "blocks.0.ff2.weight",   "blocks.0.ff1.bias",
                                        "blocks.0.ff2.bias",   "norm.weight",           "blocks.0.norm1.weight",
                                        "blocks.0.norm1.bias", "blocks.0.norm2.weight", "blocks.0.norm2.bias"};
    struct attn_tensor_data tensors[10];
    layer.size = sizeof(layer);
    for (size_t i = 0; i < 9; i++)
        tensors[i] = (struct attn_tensor_data){names[i], shape, i < 2 ? 2 : 1, values};
    tensors[9] = (struct attn_tensor_data){"norm.bias", shape, 1, values + 1};
    const struct attn_model_description description = {.size = sizeof(description),
                                                       .input_dim = 1,
                                                       .model_dim = 1,
                                                       .heads = 1,
                                                       .window = 3,
                                                       .head = ATTN_HEAD_IDENTITY,
                                                       .n_layers = 1,
                                                       .layers = &layer};
    const struct attn_model_options options = {.size = sizeof(options), .variant = variant};
    return attn_plan_build(plan, &description, tensors, 10, &options, NULL);
}

START_TEST(the_smallest_model_answers_with_its_last_bias)
{
    static const struct attn_layer_description layers[] = {
        {.method = ATTN_EXACT},
        {.method = ATTN_NYSTROM, .landmarks = 2},
        {.method = ATTN_NYSTROM, .landmarks = 2, .refresh = ATTN_REFRESH_SPREAD},
    };
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        for (int variant = ATTN_VARIANT_BEST; variant <= ATTN_VARIANT_NEON; variant++) {
            struct stream stream;
            if (attn_variant_name((enum attn_variant)variant) == NULL)
                continue;
            ck_assert_int_eq(build_smallest(&stream.plan, layers[i], (enum attn_variant)variant), 0);
            stream_start(&stream);
            for (int t = 0; t < 12; t++) {
                float frame = (float)t - 2, output = -1;
                stream_push(&stream, &frame, t % 4 == 3 ? NULL : &output);
                ck_assert_float_eq(output, t % 4 == 3 ? -1 : 3.25f);
            }
            stream_close(&stream);
        }
    }
}
END_TEST

static uint64_t hash_of(void)
{
    struct attn_plan *plan;
    struct attn_info info = {.size = sizeof(info)};
    ck_assert_int_eq(build(&plan, NULL), 0);
    attn_plan_info(plan, &info);
    attn_plan_free(plan);
    return info.hash;
}

START_TEST(hashes_tell_models_apart)
{
    uint64_t hashes[4] = {hash_of()};
    ck_assert_uint_eq(hash_of(), hashes[0]);
    parts.draft.tensors[0].values[1] += 1;
    hashes[1] = hash_of();
    parts.description.activation = ATTN_RELU;
    hashes[2] = hash_of();
    parts.labels[1] = "never";
    hashes[3] = hash_of();
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(hashes[i], hashes[j]);
}
END_TEST

/* Each case spoils one thing. */
#define REFUSED(name, spoil, error, text)                                                                              \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        spoil;                                                                                                         \
        refused(error, text);                                                                                          \
    }                                                                                                                  \
    END_TEST

static const uint64_t many[] = {1u << 30, 1u << 30, 1u << 30, 1u << 30}, transposed[] = {3, 4};

START_TEST(no_list_of_tensors)
{
    struct attn_plan *plan = NULL;
    struct attn_reason why = {""};
    ck_assert_int_eq(attn_plan_build(&plan, &parts.description, NULL, parts.n_tensors, NULL, &why), ATTN_E_MODEL);
    ck_assert_str_eq(why.text, "tensors is NULL");
    ck_assert_ptr_null(plan);
}
END_TEST

REFUSED(unknown_size, parts.description.size = 8, ATTN_E_OPTIONS, "size of the description is 8")
REFUSED(unknown_size_of_a_layer, parts.layers[0].size = 0, ATTN_E_OPTIONS, "size of layer 0 is 0")
REFUSED(unknown_size_of_options, parts.options.size = 4, ATTN_E_OPTIONS, "size is 4")
REFUSED(no_layers, parts.description.n_layers = 0, ATTN_E_MODEL, "there are 0 layers")
REFUSED(too_many_layers, parts.description.n_layers = 65, ATTN_E_MODEL, "there are 65 layers")
REFUSED(no_list_of_layers, parts.description.layers = NULL, ATTN_E_MODEL, "layers is NULL")
REFUSED(no_list_of_labels, parts.description.labels = NULL, ATTN_E_MODEL, "labels is NULL")
REFUSED(too_many_labels, parts.description.n_labels = 70000, ATTN_E_MODEL, "70000 labels")
REFUSED(wrong_number_of_labels, parts.description.n_labels = 1, ATTN_E_MODEL, "labels")
REFUSED(no_label, parts.labels[1] = NULL, ATTN_E_MODEL, "labels[1]")
REFUSED(no_tensors, parts.n_tensors = 0, ATTN_E_MODEL, "0 tensors")
REFUSED(too_many_tensors, parts.n_tensors = 1u << 20, ATTN_E_MODEL, "1048576 tensors")
REFUSED(missing_tensor, parts.n_tensors--, ATTN_E_MODEL, "head.bias is missing")
REFUSED(tensor_twice, parts.tensors[1].name = parts.tensors[0].name, ATTN_E_MODEL, "embed.weight")
REFUSED(tensor_of_another_name, parts.tensors[3].name = "other", ATTN_E_MODEL, "blocks.0.q.weight is missing")
REFUSED(no_name, parts.tensors[2].name = NULL, ATTN_E_MODEL, "tensor 2 has no name")
REFUSED(no_values, parts.tensors[2].values = NULL, ATTN_E_MODEL, "tensor 2 has no name, no shape or no values")
REFUSED(no_shape, parts.tensors[2].shape = NULL, ATTN_E_MODEL, "tensor 2 has no name, no shape")
REFUSED(too_many_dimensions, parts.tensors[2].rank = 5, ATTN_E_MODEL, "tensor pe.weight has 5 dimensions")
REFUSED(too_many_values, (parts.tensors[2].shape = many, parts.tensors[2].rank = 4), ATTN_E_MODEL,
        "tensor pe.weight has more than 268435456 values")
REFUSED(wrong_shape, parts.tensors[0].shape = transposed, ATTN_E_MODEL, "embed.weight")
REFUSED(nan_in_a_tensor, parts.draft.tensors[4].values[2] = NAN, ATTN_E_MODEL, "blocks.0.q.bias")
REFUSED(heads_that_do_not_divide, parts.description.heads = 3, ATTN_E_MODEL, "model_dim 4 is not a multiple of heads 3")
REFUSED(unknown_head, parts.description.head = (enum attn_head)9, ATTN_E_MODEL, "head is 9")
REFUSED(window_too_long, parts.description.window = 1u << 30, ATTN_E_MODEL, "window is 1073741824")

static Suite *suite(void)
{
    Suite *made = suite_create("plan_build");
    TCase *cases = tcase_create("plan_build");
    const TTest *const tests[] = {
#ifdef HAVE_LOADER
        it_computes_what_the_file_does,
#endif
        the_smallest_model_answers_with_its_last_bias,
        hashes_tell_models_apart,
        unknown_size,
        unknown_size_of_a_layer,
        unknown_size_of_options,
        no_layers,
        too_many_layers,
        no_list_of_layers,
        no_list_of_labels,
        no_list_of_tensors,
        too_many_labels,
        wrong_number_of_labels,
        no_label,
        no_tensors,
        too_many_tensors,
        missing_tensor,
        tensor_twice,
        tensor_of_another_name,
        no_name,
        no_values,
        no_shape,
        too_many_dimensions,
        too_many_values,
        wrong_shape,
        nan_in_a_tensor,
        heads_that_do_not_divide,
        unknown_head,
        window_too_long,
    };
    tcase_add_checked_fixture(cases, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
