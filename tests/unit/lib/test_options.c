/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../run.h"
#include "config.h"
#include "stream.h"

static float landmarks[2 * 3 * 4]; /* H = 2, m = 3, d = 4 */

/* The plan is refused with this error, and the reason says this. */
static void refused(const struct attn_options *options, int error, const char *text)
{
    struct attn_plan *plan = NULL;
    struct attn_reason why = {""};
    ck_assert_int_eq(attn_plan_new(&plan, options, &why), error);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(why.text, text) != NULL, "'%s' does not say '%s'", why.text, text);
    ck_assert_int_eq(attn_plan_new(&plan, options, NULL), error);
}

/* No machine has both. */
static enum attn_variant elsewhere(void)
{
    return attn_variant_name(ATTN_VARIANT_NEON) == NULL ? ATTN_VARIANT_NEON : ATTN_VARIANT_AVX512;
}

static struct attn_options fixed_options(void)
{
    struct attn_options options = nystrom_options(2, 4, 12, 3);
    options.landmark_policy = ATTN_LANDMARKS_FIXED;
    options.q_landmarks = options.k_landmarks = landmarks;
    return options;
}

/* Each case spoils one field of good options. */
#define REFUSED(name, good, spoil, error, text)                                                                        \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        struct attn_options options = good;                                                                            \
        spoil;                                                                                                         \
        refused(&options, error, text);                                                                                \
    }                                                                                                                  \
    END_TEST

REFUSED(size_of_another_version, exact_options(1, 4, 8), options.size = 8, ATTN_E_OPTIONS, "size is 8")
REFUSED(unknown_method, exact_options(1, 4, 8), options.method = (enum attn_method)7, ATTN_E_OPTIONS, "method is 7")
REFUSED(no_heads, exact_options(0, 4, 8), (void)0, ATTN_E_OPTIONS, "heads is 0")
REFUSED(too_many_heads, exact_options(100000, 4, 8), (void)0, ATTN_E_OPTIONS, "heads is 100000")
REFUSED(no_head_dim, exact_options(1, 0, 8), (void)0, ATTN_E_OPTIONS, "head_dim is 0")
REFUSED(heads_too_wide, exact_options(64, 5000, 8), (void)0, ATTN_E_OPTIONS, "head_dim is 5000")
REFUSED(no_window, exact_options(1, 4, 0), (void)0, ATTN_E_OPTIONS, "window is 0")
REFUSED(window_too_long, exact_options(1, 4, 1u << 31), (void)0, ATTN_E_OPTIONS, "window is 2147483648")
REFUSED(state_too_large, nystrom_options(4, 512, 1u << 20, 1024), (void)0, ATTN_E_OPTIONS, "MiB")
REFUSED(state_of_much_padding, nystrom_options(80, 1, 1u << 20, 1), (void)0, ATTN_E_OPTIONS, "MiB")
REFUSED(inverse_too_large, nystrom_options(1, 1, 8192, 4096), (void)0, ATTN_E_OPTIONS,
        "the inverse of 4096 x 4096 landmarks for 1 heads would take 1649.3 billion multiply-adds, and 1.1 are allowed")
REFUSED(inverse_just_too_large, nystrom_options(1, 1, 1000, 356), (void)0, ATTN_E_OPTIONS, "356 landmarks")
REFUSED(inverses_too_large, nystrom_options(1024, 1, 1024, 64), (void)0, ATTN_E_OPTIONS, "for 1024 heads")
REFUSED(exact_with_landmarks, exact_options(1, 4, 8), options.landmarks = 2, ATTN_E_OPTIONS, "landmarks is 2")
REFUSED(exact_with_fixed, exact_options(1, 4, 8), options.landmark_policy = ATTN_LANDMARKS_FIXED, ATTN_E_OPTIONS,
        "fixed landmarks")
REFUSED(exact_with_spread, exact_options(1, 4, 8), options.refresh = ATTN_REFRESH_SPREAD, ATTN_E_OPTIONS,
        "refresh is spread, but the exact method")
REFUSED(nystrom_without_landmarks, nystrom_options(1, 4, 8, 0), (void)0, ATTN_E_OPTIONS, "landmarks is 0")
REFUSED(too_many_landmarks, nystrom_options(1, 4, 8, 99999), (void)0, ATTN_E_OPTIONS, "landmarks is 99999")
REFUSED(unknown_policy, nystrom_options(1, 4, 8, 2), options.landmark_policy = (enum attn_landmark_policy)5,
        ATTN_E_OPTIONS, "landmark_policy is 5")
REFUSED(means_with_landmarks, nystrom_options(2, 4, 8, 3), options.q_landmarks = landmarks, ATTN_E_OPTIONS,
        "landmark_policy is means")
REFUSED(fixed_without_q, fixed_options(), options.q_landmarks = NULL, ATTN_E_OPTIONS, "q_landmarks is missing")
REFUSED(fixed_without_k, fixed_options(), options.k_landmarks = NULL, ATTN_E_OPTIONS, "k_landmarks is missing")
REFUSED(unknown_refresh, nystrom_options(1, 4, 8, 2), options.refresh = (enum attn_refresh)9, ATTN_E_OPTIONS,
        "refresh is 9")
REFUSED(unknown_scale, nystrom_options(1, 4, 8, 2), options.inverse_scale = (enum attn_inverse_scale)3, ATTN_E_OPTIONS,
        "inverse_scale is 3")
REFUSED(unknown_scale_of_exact, exact_options(1, 4, 8), options.inverse_scale = (enum attn_inverse_scale)3,
        ATTN_E_OPTIONS, "inverse_scale is 3")
REFUSED(size_between_versions, exact_options(1, 4, 8), options.size = offsetof(struct attn_options, variant) + 4,
        ATTN_E_OPTIONS, "size is 68")
REFUSED(size_of_a_later_version, exact_options(1, 4, 8), options.size = sizeof(options) + 8, ATTN_E_OPTIONS,
        "size is 80; this version knows options of 72 bytes")
REFUSED(retroactive_output_too_large, nystrom_options(4, 64, 1u << 17, 4), options.retroactive = 1, ATTN_E_OPTIONS,
        "131072 frames x 4 heads x 64 would have 33554432 floats, and 16777216 are allowed")
REFUSED(retroactive_exact_too_much_work, exact_options(8, 64, 4096), options.retroactive = 1, ATTN_E_OPTIONS,
        "would take 17.2 billion multiply-adds, and 4.3 are allowed")
REFUSED(retroactive_nystrom_too_much_work, nystrom_options(8, 64, 8192, 256), options.retroactive = 1, ATTN_E_OPTIONS,
        "would take 8.6 billion multiply-adds")
REFUSED(unknown_variant, exact_options(1, 4, 8), options.variant = (enum attn_variant)9, ATTN_E_OPTIONS,
        "variant is 9, which is none; it must be best, or one of those that are here: generic")
REFUSED(variant_of_another_machine, exact_options(1, 4, 8), options.variant = elsewhere(), ATTN_E_OPTIONS,
        elsewhere() == ATTN_VARIANT_NEON ? "variant is neon, which this machine"
                                         : "variant is avx512, which this machine")

START_TEST(fixed_landmarks_that_are_not_finite)
{
    float spoilt[sizeof(landmarks) / sizeof(landmarks[0])] = {0};
    struct attn_options options = fixed_options();
    spoilt[17] = NAN;
    options.k_landmarks = spoilt;
    refused(&options, ATTN_E_OPTIONS, "k_landmarks holds a NaN or an infinity at index 17 of 24");
}
END_TEST

/* In memory that ends where the older struct did, so that the sanitizers see any read behind it. */
START_TEST(options_without_variant_are_those_of_0_1_0)
{
    struct attn_options options = fixed_options();
    struct stream now, before;
    stream_open(&now, &options);
    options.size = offsetof(struct attn_options, variant);
    struct attn_options *older = malloc(options.size);
    memcpy(older, &options, options.size);
    stream_open(&before, older);
    ck_assert_uint_eq(now.info.hash, before.info.hash);
    ck_assert_int_eq(now.info.variant, before.info.variant);
    free(older);
    stream_close(&now);
    stream_close(&before);
}
END_TEST

START_TEST(unknown_sizes_of_info_are_refused)
{
    static const size_t sizes[] = {0, 8, sizeof(struct attn_info) - 1, sizeof(struct attn_info) + 8, SIZE_MAX};
    struct attn_options options = exact_options(1, 4, 8);
    struct stream stream;
    stream_open(&stream, &options);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct attn_info info, before;
        memset(&info, 0x55, sizeof(info));
        info.size = sizes[i];
        before = info;
        ck_assert_int_eq(attn_plan_info(stream.plan, &info), ATTN_E_OPTIONS);
        ck_assert_int_eq(memcmp(&info, &before, sizeof(info)), 0);
    }
    stream_close(&stream);
}
END_TEST

START_TEST(every_variant_has_its_name)
{
    static const char *const names[] = {"best", "generic", "avx2", "avx512", "neon"};
    ck_assert_ptr_nonnull(attn_variant_name(ATTN_VARIANT_BEST));
    ck_assert_str_eq(attn_variant_name(ATTN_VARIANT_GENERIC), "generic");
    for (int variant = ATTN_VARIANT_GENERIC; variant <= ATTN_VARIANT_NEON; variant++) {
        const char *name = attn_variant_name((enum attn_variant)variant);
        struct attn_options options = exact_options(1, 4, 8);
        struct stream stream;
        if (name == NULL)
            continue;
        ck_assert_str_eq(name, names[variant]);
        options.variant = (enum attn_variant)variant;
        stream_open(&stream, &options);
        ck_assert_int_eq((int)stream.info.variant, variant);
        stream_close(&stream);
    }
    ck_assert_ptr_null(attn_variant_name((enum attn_variant) - 1));
    ck_assert_ptr_null(attn_variant_name((enum attn_variant)5));
}
END_TEST

#ifdef HAVE_LOADER
START_TEST(unknown_options_of_models_are_refused)
{
    struct attn_model_options options = {.size = 3};
    struct attn_plan *plan = NULL;
    struct attn_reason why = {""};
    ck_assert_int_eq(attn_plan_parse(&plan, "", 0, &options, &why), ATTN_E_OPTIONS);
    ck_assert_msg(strstr(why.text, "size is 3") != NULL, "%s", why.text);
    options = (struct attn_model_options){.size = sizeof(options), .variant = elsewhere()};
    ck_assert_int_eq(attn_plan_parse(&plan, "", 0, &options, &why), ATTN_E_OPTIONS);
    ck_assert_msg(strstr(why.text, "which this machine or this build has not got") != NULL, "%s", why.text);
    ck_assert_ptr_null(plan);
}
END_TEST
#endif

/* Whatever is accepted has a state within the limit of attnd-model(7), padding included. */
START_TEST(states_are_within_the_limit)
{
    static const uint32_t heads[] = {1, 3, 80, 1024}, dims[] = {1, 5, 64, 4096},
                          windows[] = {1, 7, 1000, 65536, 1u << 20}, counts[] = {0, 1, 2, 31, 200, 500, 4096};
    size_t n_accepted = 0;
    for (size_t i = 0; i < 4 * 4 * 5 * 7; i++) {
        uint32_t m = counts[i / 80];
        struct attn_options options = nystrom_options(heads[i % 4], dims[i / 4 % 4], windows[i / 16 % 5], m);
        options.method = m == 0 ? ATTN_EXACT : ATTN_NYSTROM;
        struct attn_plan *plan;
        struct attn_info info = {.size = sizeof(info)};
        if (attn_plan_new(&plan, &options, NULL) != 0)
            continue;
        attn_plan_info(plan, &info);
        ck_assert_uint_le(info.state_bytes, ((size_t)1 << 30) + ATTN_ALIGN);
        ck_assert_uint_le(info.scratch_bytes, (size_t)1 << 30);
        attn_plan_free(plan);
        n_accepted++;
    }
    ck_assert_uint_gt(n_accepted, 200);
}
END_TEST

/* What attnd-model(7) says of one head. */
START_TEST(the_largest_inverse_is_accepted)
{
    struct attn_options options = nystrom_options(1, 1, 1000, 355);
    struct stream stream;
    stream_open(&stream, &options);
    stream_close(&stream);
}
END_TEST

/* More landmarks than frames are exact attention: neither the state nor the work grows with them. */
START_TEST(landmarks_beyond_the_window_cost_nothing)
{
    struct attn_options options = nystrom_options(2, 64, 10, 4096);
    struct stream with, without;
    stream_open(&with, &options);
    options = exact_options(2, 64, 10);
    stream_open(&without, &options);
    ck_assert_uint_eq(with.info.state_bytes, without.info.state_bytes);
    stream_close(&with);
    stream_close(&without);
}
END_TEST

START_TEST(info_says_what_the_plan_is)
{
    struct stream stream;
    struct attn_options options = nystrom_options(2, 4, 13, 3);
    stream_open(&stream, &options);
    ck_assert_uint_eq(stream.info.input_dim, 24);
    ck_assert_uint_eq(stream.info.model_dim, 8);
    ck_assert_uint_eq(stream.info.heads, 2);
    ck_assert_uint_eq(stream.info.window, 13);
    ck_assert_uint_eq(stream.info.layers, 1);
    ck_assert_uint_eq(stream.info.warming_frames, 12);
    ck_assert_uint_eq(stream.info.replay_frames, 13 + 5 - 1);
    ck_assert_uint_eq(stream.info.n_labels, 0);
    ck_assert_ptr_null(stream.info.frontend);
    ck_assert_uint_eq(attn_output_dim(stream.plan, ATTN_SCORES), 8);
    ck_assert_uint_eq(attn_output_dim(stream.plan, ATTN_LOGITS), 0);
    ck_assert_uint_eq(attn_output_dim(stream.plan, ATTN_EMBEDDING), 0);
    stream_close(&stream);
}
END_TEST

START_TEST(hashes_tell_plans_apart)
{
    struct attn_options options[] = {exact_options(2, 4, 12),
                                     exact_options(4, 2, 12),
                                     nystrom_options(2, 4, 12, 3),
                                     nystrom_options(2, 4, 12, 4),
                                     fixed_options(),
                                     nystrom_options(2, 4, 12, 3),
                                     nystrom_options(2, 4, 12, 3),
                                     nystrom_options(2, 4, 12, 3),
                                     exact_options(2, 4, 12),
                                     nystrom_options(2, 4, 13, 3),
                                     fixed_options()};
    float others[sizeof(landmarks) / sizeof(landmarks[0])] = {0, 1};
    options[5].refresh = ATTN_REFRESH_SPREAD;
    options[6].inverse_scale = ATTN_INVERSE_HEADS;
    options[7].retroactive = 1;
    options[8].retroactive = 1;
    options[10].k_landmarks = others;
    enum { N = sizeof(options) / sizeof(options[0]) };
    uint64_t hashes[N];
    for (size_t i = 0; i < N; i++) {
        struct stream stream;
        stream_open(&stream, &options[i]);
        hashes[i] = stream.info.hash;
        stream_close(&stream);
        stream_open(&stream, &options[i]);
        ck_assert_uint_eq(stream.info.hash, hashes[i]);
        stream_close(&stream);
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(hashes[i], hashes[j]);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("options");
    TCase *cases = tcase_create("options");
    const TTest *const tests[] = {
        size_of_another_version,
        unknown_method,
        no_heads,
        too_many_heads,
        no_head_dim,
        heads_too_wide,
        no_window,
        window_too_long,
        state_too_large,
        state_of_much_padding,
        inverse_too_large,
        inverse_just_too_large,
        inverses_too_large,
        exact_with_landmarks,
        exact_with_fixed,
        exact_with_spread,
        nystrom_without_landmarks,
        too_many_landmarks,
        unknown_policy,
        means_with_landmarks,
        fixed_without_q,
        fixed_without_k,
        unknown_refresh,
        unknown_scale,
        unknown_scale_of_exact,
        size_between_versions,
        size_of_a_later_version,
        retroactive_output_too_large,
        retroactive_exact_too_much_work,
        retroactive_nystrom_too_much_work,
        unknown_variant,
        variant_of_another_machine,
        options_without_variant_are_those_of_0_1_0,
        unknown_sizes_of_info_are_refused,
        every_variant_has_its_name,
#ifdef HAVE_LOADER
        unknown_options_of_models_are_refused,
#endif
        fixed_landmarks_that_are_not_finite,
        states_are_within_the_limit,
        the_largest_inverse_is_accepted,
        landmarks_beyond_the_window_cost_nothing,
        info_says_what_the_plan_is,
        hashes_tell_plans_apart,
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
