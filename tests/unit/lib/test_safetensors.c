/* SPDX-License-Identifier: MIT */
#include "draft.h"
#include "lib/encoder.h"
#include "lib/model_file.h"
#include "lib/safetensors.h"
#include "tests/unit/run.h"

#include <math.h>
#include <string.h>

#define METADATA "\"__metadata__\":{\"attnd\":\"{}\"}"

/* Headers, how many bytes of data follow, and what the message must say. */
static const struct {
    const char *header;
    size_t n_data;
    const char *says;
} refusals[] = {
    {"", 0, "'{' at offset 8"},
    {" {}", 0, "'{' at offset 8"},
    {"{", 0, "the header is not valid JSON"},
    {"{} {}", 0, "the header is not valid JSON"},
    {"{}", 0, "no __metadata__"},
    {"{\"__metadata__\":{}}", 0, "no key attnd"},
    {"{\"__metadata__\":7}", 0, "no key attnd"},
    {"{\"__metadata__\":{\"attnd\":7}}", 0, "no key attnd whose value is a string"},
    {"{\"__metadata__\":{\"attnd\":\"{}\",\"format\":\"pt\"}}", 0, "unknown key format"},
    {"{\"__metadata__\":{\"attnd\":\"{}\",\"attnd\":\"{}\"}}", 0, "duplicate object key"},
    {"{" METADATA "," METADATA "}", 0, "duplicate object key"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "duplicate object key"},
    {"{" METADATA ",\"a\":7}", 0, "tensor a: its description is not an object"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4,
     "tensor a: unknown field x"},
    {"{" METADATA ",\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor a: dtype is absent"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
     "tensor a: dtype is F16; only F32"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor a: shape is not a list"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "list of at most 4"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1,-1],\"data_offsets\":[0,4]}}", 4,
     "tensor a: shape[1] is not"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "tensor a: shape[0] is not"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "tensor a: shape[0] is not"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4,
     "tensor a: the product of its shape overflows"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
     "tensor a: the product of its shape overflows"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[9999999999999999999],\"data_offsets\":[0,4]}}", 4,
     "not valid JSON"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a: data_offsets is not a list of two"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "tensor a: data_offsets is not"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4,
     "tensor a: data_offsets is not"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
     "tensor a: data_offsets [4, 0] are not"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7,
     "has 7 bytes and begins at offset 92"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
     "it has 4 bytes, but its shape needs 8"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5,
     "1 bytes at offset 96, after a,"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
     "tensor a at offset 96: 4 bytes before it belong to no tensor"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
     12, "tensor b at offset 154: 4 bytes before it"},
    {"{" METADATA ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "tensor b at offset 149 overlaps tensor a, which ends at 153"},
    {"{" METADATA ",\"evil\\n\\u001b[31m\":7}", 0, "tensor evil??[31m: its description"},
};

START_TEST(refuses_a_header)
{
    struct attn_safetensors safetensors;
    struct attn_reason why = {""};
    struct draft_file file = draft_raw(refusals[_i].header, refusals[_i].n_data);
    int error = attn_safetensors_init(&safetensors, file.bytes, file.n_bytes, &why);
    ck_assert_msg(error == ATTN_E_MODEL, "%s was accepted", refusals[_i].header);
    ck_assert_msg(strstr(why.text, refusals[_i].says) != NULL, "%s: the message is: %s", refusals[_i].header, why.text);
    attn_safetensors_done(&safetensors);
    free(file.bytes);
}
END_TEST

START_TEST(reads_tensors_in_any_order_and_alignment)
{
    struct attn_safetensors safetensors;
    struct draft_file file =
        draft_raw("{\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
                  "\"a\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}," METADATA "}  \n",
                  28);
    float values[7] = {0, 1, 2, 3, 4, 5, 6};
    memcpy(file.bytes + file.n_bytes - 28, values, 28);
    ck_assert_int_eq(attn_safetensors_init(&safetensors, file.bytes, file.n_bytes, NULL), 0);
    ck_assert_str_eq(safetensors.configuration, "{}");
    const struct attn_tensor *a = attn_tensor_find(safetensors.tensors, safetensors.n_tensors, "a"),
                             *b = attn_tensor_find(safetensors.tensors, safetensors.n_tensors, "b");
    ck_assert(a != NULL && b != NULL && attn_tensor_find(safetensors.tensors, safetensors.n_tensors, "c") == NULL);
    ck_assert_uint_eq(a->rank, 2);
    ck_assert_uint_eq(a->shape[0], 3);
    ck_assert_uint_eq(a->n_values, 6);
    ck_assert_uint_eq(b->rank, 0);
    ck_assert_uint_eq(b->n_values, 1);
    ck_assert_int_eq(memcmp(a->values, values, 24), 0);
    ck_assert_int_eq(memcmp(b->values, values + 6, 4), 0);
    attn_safetensors_done(&safetensors);
    free(file.bytes);
}
END_TEST

START_TEST(refuses_a_header_that_is_too_long_or_longer_than_the_file)
{
    static const struct {
        uint64_t length;
        const char *says;
    } lengths[] = {
        {(1u << 20) + 1, "would have 1048577 bytes, the limit is 1048576"},
        {UINT64_MAX, "would have 18446744073709551615 bytes"},
        {1u << 20, "but only 64 follow: the file is cut off"},
        {65, "but only 64 follow"},
    };
    for (size_t i = 0; i < 4; i++) {
        struct attn_safetensors safetensors;
        struct attn_reason why = {""};
        struct draft_file file = draft_raw("{" METADATA "}", 33);
        memcpy(file.bytes, &lengths[i].length, 8);
        ck_assert_int_eq(attn_safetensors_init(&safetensors, file.bytes, file.n_bytes, &why), ATTN_E_MODEL);
        ck_assert_msg(strstr(why.text, lengths[i].says) != NULL, "the message is: %s", why.text);
        attn_safetensors_done(&safetensors);
        free(file.bytes);
    }
}
END_TEST

/* Header text of one character many times over, after a beginning. */
static struct draft_file repeated(const char *beginning, char c, size_t n)
{
    char *header = malloc(strlen(beginning) + n + 1);
    strcpy(header, beginning);
    memset(header + strlen(beginning), c, n);
    header[strlen(beginning) + n] = '\0';
    struct draft_file file = draft_raw(header, 0);
    free(header);
    return file;
}

START_TEST(refuses_deep_nesting_and_long_names)
{
    struct attn_safetensors safetensors;
    struct attn_reason why = {""};
    struct draft_file file = repeated("{\"a\":", '[', 1000000);
    ck_assert_int_eq(attn_safetensors_init(&safetensors, file.bytes, file.n_bytes, &why), ATTN_E_MODEL);
    ck_assert_msg(strstr(why.text, "nests 1000001 deep; the limit is 32") != NULL, "the message is: %s", why.text);
    attn_safetensors_done(&safetensors);
    free(file.bytes);

    file = repeated("{" METADATA ",\"", 'n', 135);
    memcpy(file.bytes + file.n_bytes - 6, "\":{}}", 5);
    file.bytes[file.n_bytes - 1] = ' ';
    ck_assert_int_eq(attn_safetensors_init(&safetensors, file.bytes, file.n_bytes, &why), ATTN_E_MODEL);
    ck_assert_msg(strstr(why.text, "its name has 129 bytes; the limit is 128") != NULL, "the message is: %s", why.text);
    attn_safetensors_done(&safetensors);
    free(file.bytes);
}
END_TEST

START_TEST(names_the_value_that_is_not_finite)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct attn_safetensors safetensors;
        struct attn_reason why = {""};
        struct draft draft;
        draft_init(&draft);
        draft_find(&draft, "blocks.0.k.weight")->values[9] = values[i];
        struct draft_file file = draft_write(&draft);
        ck_assert_int_eq(attn_safetensors_init(&safetensors, file.bytes, file.n_bytes, &why), ATTN_E_MODEL);
        ck_assert_msg(strstr(why.text, "tensor blocks.0.k.weight: value 9, at offset ") != NULL, "the message is: %s",
                      why.text);
        attn_safetensors_done(&safetensors);
        free(file.bytes);
        draft_done(&draft);
    }
}
END_TEST

START_TEST(refuses_every_truncation)
{
    struct draft draft;
    draft_init(&draft);
    struct draft_file file = draft_write(&draft);
    for (size_t n = 0; n < file.n_bytes; n++) {
        struct attn_encoder *encoder;
        struct attn_reason why = {""};
        unsigned char *bytes = malloc(n + (n == 0));
        memcpy(bytes, file.bytes, n);
        ck_assert_msg(attn_model_file_parse(&encoder, bytes, n, ATTN_VARIANT_BEST, &why) == ATTN_E_MODEL,
                      "the first %zu bytes were accepted", n);
        ck_assert_ptr_null(encoder);
        ck_assert_str_ne(why.text, "");
        free(bytes);
    }
    free(file.bytes);
    draft_done(&draft);
}
END_TEST

/* Two frames through a model that may be any valid one. */
static void run_two_frames(const struct attn_encoder *encoder)
{
    struct attn_info info;
    attn_encoder_info(encoder, &info);
    uint32_t output_dim = attn_encoder_output_dim(encoder, ATTN_SCORES);
    void *state = aligned_alloc(ATTN_ALIGN, info.state_bytes), *scratch = aligned_alloc(ATTN_ALIGN, info.scratch_bytes);
    float *frame = calloc(info.input_dim, sizeof(float)), *output = calloc(output_dim, sizeof(float));
    attn_encoder_reset(encoder, state);
    for (uint64_t t = 0; t < 2; t++) {
        struct attn_encoder_frame one = {.state = state, .when = {.t = t}, .input = frame, .output = output};
        attn_encoder_step(encoder, &one, 1, scratch);
    }
    free(output);
    free(frame);
    free(scratch);
    free(state);
}

START_TEST(survives_every_flipped_header_byte)
{
    static const unsigned char flips[] = {0x01, 0x02, 0x20, 0x80, 0xff};
    struct draft draft;
    draft_init(&draft);
    struct draft_file file = draft_write(&draft);
    uint64_t length;
    memcpy(&length, file.bytes, 8);
    size_t refused = 0, accepted = 0;
    for (size_t i = 0; i < 8 + length; i++) {
        for (size_t j = 0; j < sizeof(flips); j++) {
            struct attn_encoder *encoder;
            struct attn_reason why = {""};
            file.bytes[i] ^= flips[j];
            if (attn_model_file_parse(&encoder, file.bytes, file.n_bytes, ATTN_VARIANT_BEST, &why) == 0) {
                accepted++;
                run_two_frames(encoder);
                attn_encoder_free(encoder);
            } else {
                refused++;
                ck_assert_str_ne(why.text, "");
            }
            file.bytes[i] ^= flips[j];
        }
    }
    /* What stays valid: another window or number of positions, and letters of the labels. */
    ck_assert_uint_gt(accepted, 0);
    ck_assert_uint_gt(refused, 50 * accepted);
    free(file.bytes);
    draft_done(&draft);
}
END_TEST

static Suite *safetensors(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tcase = tcase_create("files");
    tcase_add_loop_test(tcase, refuses_a_header, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(tcase, reads_tensors_in_any_order_and_alignment);
    tcase_add_test(tcase, refuses_a_header_that_is_too_long_or_longer_than_the_file);
    tcase_add_test(tcase, refuses_deep_nesting_and_long_names);
    tcase_add_test(tcase, names_the_value_that_is_not_finite);
    tcase_add_test(tcase, refuses_every_truncation);
    tcase_add_test(tcase, survives_every_flipped_header_byte);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(safetensors());
