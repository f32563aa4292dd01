/* SPDX-License-Identifier: MIT */
/* Models of tensors in memory, which are trusted no more than those of a file. */
#include "draft.h"
#include "lib/encoder.h"
#include "tests/unit/run.h"

#include <math.h>
#include <string.h>

#define SHAPE(...) ((const uint64_t[]){__VA_ARGS__, 0})

/* The draft's model, as a program would describe it. */
struct memory {
    struct draft draft;
    struct attn_layer_config layers[3];
    const char *labels[2];
    struct attn_model_config config;
    struct attn_tensor tensors[DRAFT_TENSORS];
};

static void open_memory(struct memory *memory)
{
    memset(memory, 0, sizeof(*memory));
    draft_init(&memory->draft);
    memory->labels[0] = "yes";
    memory->labels[1] = "no";
    memory->config = (struct attn_model_config){
        .input_dim = 3,
        .model_dim = 4,
        .heads = 2,
        .window = 3,
        .positions = 2,
        .n_layers = 1,
        .layers = memory->layers,
        .n_labels = 2,
        .labels = memory->labels,
    };
    for (size_t i = 0; i < memory->draft.n_tensors; i++) {
        const struct draft_tensor *from = &memory->draft.tensors[i];
        struct attn_tensor *to = &memory->tensors[i];
        *to = (struct attn_tensor){.name = from->name, .rank = from->rank, .n_values = 1, .values = from->values};
        for (uint32_t k = 0; k < from->rank; k++)
            to->n_values *= (size_t)(to->shape[k] = from->shape[k]);
    }
}

static int build(const struct memory *memory, struct attn_encoder **encoder, struct attn_reason *why)
{
    struct attn_model_source source = {
        .config = &memory->config, .tensors = memory->tensors, .n_tensors = memory->draft.n_tensors};
    why->text[0] = '\0';
    int error = attn_tensor_check(source.tensors, source.n_tensors, why);
    return error < 0 ? error : attn_encoder_build(encoder, &source, ATTN_VARIANT_BEST, why);
}

static void refuse(const struct memory *memory, const char *says)
{
    struct attn_encoder *encoder;
    struct attn_reason why;
    ck_assert_msg(build(memory, &encoder, &why) == ATTN_E_MODEL, "it was accepted, or: %s", why.text);
    ck_assert_msg(strstr(why.text, says) != NULL, "the message is: %s", why.text);
    ck_assert_msg(strstr(why.text, "offset") == NULL, "nothing has an offset in memory: %s", why.text);
}

START_TEST(needs_nothing_of_the_source_afterwards)
{
    static struct memory memory;
    struct attn_encoder *encoder;
    struct attn_reason why;
    struct attn_info info;
    float scores[2], input[3] = {1, -1, 0.5f};
    open_memory(&memory);
    ck_assert_msg(build(&memory, &encoder, &why) == 0, "refused: %s", why.text);
    draft_done(&memory.draft);
    memset(&memory, 0xff, sizeof(memory));
    attn_encoder_info(encoder, &info);
    ck_assert_uint_eq(info.n_labels, 2);
    ck_assert_str_eq(info.labels[1], "no");
    ck_assert_ptr_null(info.frontend);
    ck_assert_ptr_null(info.events);
    void *state = aligned_alloc(ATTN_ALIGN, info.state_bytes), *scratch = aligned_alloc(ATTN_ALIGN, info.scratch_bytes);
    struct attn_encoder_frame frame = {.state = state, .input = input, .output = scores};
    attn_encoder_reset(encoder, state);
    attn_encoder_step(encoder, &frame, 1, scratch);
    ck_assert_float_eq_tol(scores[0] + scores[1], 1, 1e-6f);
    free(scratch);
    free(state);
    attn_encoder_free(encoder);
}
END_TEST

START_TEST(trusts_no_tensor)
{
    static struct memory memory;
    static float nan_at_2[] = {0, 0, NAN, 0};
    open_memory(&memory);
    struct attn_tensor *tensors = memory.tensors, embed_bias = tensors[1];
    ck_assert_str_eq(embed_bias.name, "embed.bias");
    tensors[1].values = nan_at_2;
    refuse(&memory, "tensor embed.bias: value 2 is NaN or infinite");
    tensors[1].values = NULL;
    refuse(&memory, "tensor embed.bias has no values");
    tensors[1] = embed_bias;
    tensors[1].n_values = 5;
    refuse(&memory, "tensor embed.bias: it has 5 values, but its shape needs 4");
    tensors[1].shape[0] = 5;
    tensors[1].n_values = 5;
    tensors[1].values = memory.draft.tensors[0].values;
    refuse(&memory, "tensor embed.bias: its shape is [5], the configuration needs [4]");
    tensors[1] = embed_bias;
    tensors[1].shape[0] = 0;
    refuse(&memory, "tensor embed.bias: shape[0] is 0");
    tensors[1].rank = 5;
    refuse(&memory, "tensor embed.bias: its rank is 5; the limit is 4");
    tensors[1] = embed_bias;
    tensors[1].name = "embed.weight";
    refuse(&memory, "tensor embed.weight is there twice");
    tensors[1].name = NULL;
    refuse(&memory, "tensor number 1 has no name");
    tensors[1].name = "embed.bais";
    refuse(&memory, "tensor embed.bias is missing");
    draft_done(&memory.draft);
}
END_TEST

START_TEST(refuses_a_tensor_without_a_use)
{
    static struct memory memory;
    open_memory(&memory);
    memory.tensors[memory.draft.n_tensors] = memory.tensors[0];
    memory.tensors[memory.draft.n_tensors++].name = "blocks.7.norm1.weight";
    refuse(&memory, "tensor blocks.7.norm1.weight: the configuration has no use for it");
    memory.draft.n_tensors--;
    draft_done(&memory.draft);
}
END_TEST

/* Numbers that a file cannot even say. */
START_TEST(trusts_no_configuration)
{
    static struct memory memory;
    struct attn_model_config *config = &memory.config;
    open_memory(&memory);
    struct attn_model_config right = *config;
    config->window = 0;
    refuse(&memory, "window is 0; it must be 1 to 1048576");
    *config = right;
    config->heads = 3;
    refuse(&memory, "model_dim 4 is not a multiple of heads 3");
    *config = right;
    config->norm = (enum attn_norm_place)2;
    refuse(&memory, "norm is 2; it must be 0 to 1");
    *config = right;
    config->head = (enum attn_head) - 1;
    refuse(&memory, "head is 4294967295; it must be 0 to 2");
    *config = right;
    config->n_layers = 65;
    refuse(&memory, "layers is not a list of 1 to 64 layers");
    config->n_layers = 1;
    config->layers = NULL;
    refuse(&memory, "layers is not a list of 1 to 64 layers");
    *config = right;
    memory.layers[0].method = (enum attn_method)7;
    refuse(&memory, "layers[0].method is 7; it must be 0 to 1");
    memory.layers[0] = (struct attn_layer_config){.landmarks = 3};
    refuse(&memory, "layers[0].landmarks is 3; it must be 0");
    memory.layers[0] = (struct attn_layer_config){.method = ATTN_NYSTROM, .landmarks = 4097};
    refuse(&memory, "layers[0].landmarks is 4097; it must be 1 to 4096");
    memory.layers[0] = (struct attn_layer_config){.retroactive = true};
    refuse(&memory, "layers[0].retroactive is true, which only the first layer of exactly two can be");
    memory.layers[0] = (struct attn_layer_config){0};
    memory.labels[0] = "y\xffs";
    refuse(&memory, "labels[0] is not a string of 1 to 255 bytes without control characters");
    memory.labels[0] = NULL;
    refuse(&memory, "labels[0] is not a string");
    memory.labels[0] = "no";
    refuse(&memory, "label no is there twice");
    draft_done(&memory.draft);
}
END_TEST

START_TEST(the_hash_sees_every_part)
{
    static struct memory memory;
    uint64_t hashes[6];
    for (size_t i = 0; i < 6; i++) {
        open_memory(&memory);
        if (i == 1)
            memory.config.norm = ATTN_NORM_PRE;
        if (i == 2)
            memory.labels[1] = "non";
        if (i == 3)
            memory.layers[0].head_merge = ATTN_MERGE_RAW;
        if (i == 4)
            memory.draft.tensors[3].values[5] += 1e-6f;
        if (i == 5)
            memory.tensors[2].name = "pe.bias";
        hashes[i] = attn_model_hash(&memory.config, memory.tensors, memory.draft.n_tensors);
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(hashes[i], hashes[j]);
        draft_done(&memory.draft);
    }
    open_memory(&memory);
    ck_assert_uint_eq(attn_model_hash(&memory.config, memory.tensors, memory.draft.n_tensors), hashes[0]);
    draft_done(&memory.draft);
}
END_TEST

static Suite *model_build(void)
{
    Suite *suite = suite_create("model build");
    TCase *tcase = tcase_create("memory");
    tcase_add_test(tcase, needs_nothing_of_the_source_afterwards);
    tcase_add_test(tcase, trusts_no_tensor);
    tcase_add_test(tcase, refuses_a_tensor_without_a_use);
    tcase_add_test(tcase, trusts_no_configuration);
    tcase_add_test(tcase, the_hash_sees_every_part);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(model_build());
