/* SPDX-License-Identifier: MIT */
/* Nothing is allocated per frame. The linker sends every call of the allocator from here and from the library through
 * the counters below. */
#include <stdlib.h>

#include "../run.h"
#include "stream.h"

static size_t calls;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
int __real_posix_memalign(void **memory, size_t alignment, size_t n);
void __real_free(void *memory);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t n);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t n)
{
    calls++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    calls++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t n)
{
    calls++;
    return __real_realloc(memory, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    calls++;
    return __real_aligned_alloc(alignment, n);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t n)
{
    calls++;
    return __real_posix_memalign(memory, alignment, n);
}

void __wrap_free(void *memory)
{
    calls++;
    __real_free(memory);
}

static void push_two_windows(const struct attn_options *options)
{
    struct stream stream;
    size_t before = calls;
    stream_open(&stream, options);
    ck_assert_uint_gt(calls, before); /* the counter counts */
    size_t model_dim = stream.info.model_dim, n_frames = 2 * (size_t)options->window + 1;
    float *frames = noise(1, n_frames * 3 * model_dim, 1), *output = malloc(stream.output_dim * sizeof(float));
    unsigned char *blob = malloc(stream.info.saved_bytes);
    before = calls;
    for (size_t t = 0; t < n_frames; t++)
        attn_push(stream.plan, stream.state, frames + t * 3 * model_dim, ATTN_SCORES, t % 5 == 4 ? NULL : output,
                  stream.scratch);
    struct attn_frame frame = {.state = stream.state, .frame = frames, .output = output, .kind = ATTN_SCORES};
    attn_push_batch(stream.plan, &frame, 1, stream.scratch);
    attn_save(stream.plan, stream.state, blob);
    attn_load(stream.plan, stream.state, &stream.state, blob, stream.info.saved_bytes, NULL);
    attn_reset(stream.plan, stream.state);
    ck_assert_uint_eq(calls, before);
    stream_close(&stream);
    free(frames);
    free(output);
    free(blob);
}

START_TEST(pushing_allocates_nothing)
{
    float *landmarks = noise(2, 2 * 16 * 8, 1);
    struct attn_options options = exact_options(2, 8, 30);
    push_two_windows(&options);
    options = nystrom_options(2, 8, 30, 7);
    push_two_windows(&options);
    options = nystrom_options(2, 8, 30, 16);
    options.landmark_policy = ATTN_LANDMARKS_FIXED;
    options.q_landmarks = options.k_landmarks = landmarks;
    push_two_windows(&options);
    options = nystrom_options(2, 8, 30, 7);
    options.refresh = ATTN_REFRESH_SPREAD;
    push_two_windows(&options);
    options.retroactive = 1;
    push_two_windows(&options);
    free(landmarks);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("allocations");
    TCase *cases = tcase_create("allocations");
    tcase_add_test(cases, pushing_allocates_nothing);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
