/* SPDX-License-Identifier: MIT */
/* What holds of every step, whatever the model. That the numbers are right: tests/golden/encoder_vectors.c. */
#include "draft.h"
#include "lib/encoder.h"
#include "lib/model_file.h"
#include "tests/unit/run.h"

#include <stdio.h>
#include <string.h>

#define SHAPE(...) ((const uint64_t[]){__VA_ARGS__, 0})
#define FRAMES     20

/* The linker sends the allocations of the library here (Makefile.inc). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static size_t n_allocations, largest_allocation;

static void count(size_t size)
{
    n_allocations++;
    largest_allocation = size > largest_allocation ? size : largest_allocation;
}

void *__wrap_malloc(size_t size)
{
    count(size);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    count(n * size);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    count(size);
    return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    count(size);
    return __real_aligned_alloc(alignment, size);
}

/* Models that between them take every branch of a step. */
static const struct {
    const char *window, *layer, *norm, *tap, *activation, *head, *second, *third;
} kinds[] = {
    {"3", "\"method\": \"exact\"", "post", "newest", "gelu", "softmax", NULL, NULL},
    {"3", "\"method\": \"exact\"", "pre", "oldest", "relu", "sigmoid", NULL, NULL},
    {"3", "\"method\": \"nystrom\", \"landmarks\": 2", "post", "oldest", "gelu", "identity", NULL, NULL},
    {"5", "\"method\": \"nystrom\", \"landmarks\": 2, \"inverse_scale\": \"heads\"", "pre", "newest", "gelu", "softmax",
     NULL, NULL},
    {"3", "\"method\": \"nystrom\", \"landmarks\": 2, \"landmark_policy\": \"fixed\"", "post", "newest", "gelu",
     "softmax", NULL, NULL},
    {"5", "\"method\": \"nystrom\", \"landmarks\": 2, \"refresh\": \"spread\"", "post", "oldest", "gelu", "softmax",
     NULL, NULL},
    {"3", "\"method\": \"exact\"", "pre", "oldest", "gelu", "softmax", "{\"method\": \"nystrom\", \"landmarks\": 2}",
     NULL},
    {"4", "\"method\": \"nystrom\", \"landmarks\": 3, \"refresh\": \"spread\"", "post", "oldest", "relu", "softmax",
     "{\"method\": \"exact\"}", "{\"method\": \"nystrom\", \"landmarks\": 2}"},
    {"4", "\"method\": \"exact\", \"retroactive\": true", "post", "newest", "gelu", "softmax",
     "{\"method\": \"exact\"}", NULL},
    {"5", "\"method\": \"nystrom\", \"landmarks\": 2, \"retroactive\": true, \"head_merge\": \"raw\"", "pre", "oldest",
     "relu", "softmax", "{\"method\": \"nystrom\", \"landmarks\": 2}", NULL},
    {"5", "\"method\": \"nystrom\", \"landmarks\": 2, \"landmark_policy\": \"fixed\", \"retroactive\": true", "post",
     "oldest", "gelu", "sigmoid",
     "{\"method\": \"nystrom\", \"landmarks\": 2, \"landmark_policy\": \"fixed\", \"inverse_scale\": \"heads\"}", NULL},
    {"5", "\"method\": \"nystrom\", \"landmarks\": 2, \"refresh\": \"spread\", \"retroactive\": true", "pre", "newest",
     "gelu", "softmax", "{\"method\": \"nystrom\", \"landmarks\": 3}", NULL},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void write_window(struct draft *draft, const char *window)
{
    char text[40];
    snprintf(text, sizeof(text), "\"window\": %s,", window);
    draft_replace(draft, "\"window\": 3,", text);
}

static struct attn_encoder *make_variant(size_t kind, enum attn_variant variant)
{
    struct draft draft;
    draft_init(&draft);
    draft_replace(&draft, "\"method\": \"exact\"", kinds[kind].layer);
    draft_replace(&draft, "post", kinds[kind].norm);
    draft_replace(&draft, "newest", kinds[kind].tap);
    draft_replace(&draft, "gelu", kinds[kind].activation);
    draft_replace(&draft, "softmax", kinds[kind].head);
    write_window(&draft, kinds[kind].window);
    if (strstr(kinds[kind].layer, "fixed") != NULL) {
        draft_add(&draft, "blocks.0.q_landmarks", SHAPE(2, 2, 2));
        draft_add(&draft, "blocks.0.k_landmarks", SHAPE(2, 2, 2));
    }
    if (kinds[kind].second != NULL)
        draft_add_block(&draft, kinds[kind].second);
    if (kinds[kind].third != NULL)
        draft_add_block(&draft, kinds[kind].third);
    struct draft_file file = draft_write(&draft);
    struct attn_encoder *encoder;
    struct attn_reason why = {""};
    ck_assert_msg(attn_model_file_parse(&encoder, file.bytes, file.n_bytes, variant, &why) == 0, "refused: %s",
                  why.text);
    free(file.bytes);
    draft_done(&draft);
    return encoder;
}

static struct attn_encoder *make(size_t kind)
{
    return make_variant(kind, ATTN_VARIANT_BEST);
}

struct stream {
    const struct attn_encoder *encoder;
    void *state, *scratch;
    size_t state_bytes, scratch_bytes;
    struct attn_when when;
    struct attn_work work; /* of the newest frame */
};

static struct stream open_stream(const struct attn_encoder *encoder)
{
    struct attn_info info;
    attn_encoder_info(encoder, &info);
    struct stream stream = {.encoder = encoder, .state_bytes = info.state_bytes, .scratch_bytes = info.scratch_bytes};
    stream.state = aligned_alloc(ATTN_ALIGN, info.state_bytes);
    stream.scratch = aligned_alloc(ATTN_ALIGN, info.scratch_bytes);
    memset(stream.state, 0xff, info.state_bytes); /* NaNs: what is read before it is written shows */
    memset(stream.scratch, 0xff, info.scratch_bytes);
    attn_encoder_reset(encoder, stream.state);
    return stream;
}

static void close_stream(struct stream *stream)
{
    free(stream->state);
    free(stream->scratch);
}

/* Frame number i of an endless sequence. */
static void write_frame(float frame[3], uint32_t i)
{
    for (uint32_t k = 0; k < 3; k++)
        frame[k] = (float)((i * 3 + k) * 2654435761u >> 8) / (float)(1 << 22) - 2;
}

static void push_frame(struct stream *stream, const float *frame, enum attn_output kind, float *output)
{
    struct attn_encoder_frame one = {
        .state = stream->state, .when = stream->when, .input = frame, .kind = kind, .output = output};
    attn_encoder_step(stream->encoder, &one, 1, stream->scratch);
    stream->when.t++;
    stream->work = one.work;
}

static void push(struct stream *stream, uint32_t i, enum attn_output kind, float *output)
{
    float frame[3];
    write_frame(frame, i);
    push_frame(stream, frame, kind, output);
}

START_TEST(an_output_not_wanted_changes_no_other)
{
    struct attn_encoder *encoder = make((size_t)_i);
    struct stream all = open_stream(encoder), some = open_stream(encoder);
    for (uint32_t i = 0; i < FRAMES; i++) {
        float expected[2], output[2], embedding[4];
        push(&all, i, ATTN_SCORES, expected);
        push(&some, i, i % 4 == 2 ? ATTN_EMBEDDING : ATTN_SCORES, i % 4 == 3 ? output : i % 4 == 2 ? embedding : NULL);
        if (i % 4 == 3)
            ck_assert_msg(memcmp(output, expected, sizeof(output)) == 0, "frame %u differs", i);
    }
    close_stream(&all);
    close_stream(&some);
    attn_encoder_free(encoder);
}
END_TEST

START_TEST(reset_equals_fresh)
{
    struct attn_encoder *encoder = make((size_t)_i);
    struct stream used = open_stream(encoder), fresh = open_stream(encoder);
    for (uint32_t i = 0; i < 11; i++)
        push(&used, 1000 + i, ATTN_SCORES, NULL);
    attn_encoder_reset(encoder, used.state);
    used.when.t = 0;
    ck_assert_msg(memcmp(used.state, fresh.state, fresh.state_bytes) == 0, "something of the frames before is left");
    for (uint32_t i = 0; i < FRAMES; i++) {
        float a[2], b[2];
        push(&used, i, ATTN_SCORES, a);
        push(&fresh, i, ATTN_SCORES, b);
        ck_assert_msg(memcmp(a, b, sizeof(a)) == 0, "frame %u differs", i);
    }
    close_stream(&used);
    close_stream(&fresh);
    attn_encoder_free(encoder);
}
END_TEST

/* A shared scratch memory, other streams between the frames, another place in memory: the same bits. */
START_TEST(streams_do_not_see_each_other)
{
    struct attn_encoder *encoder = make((size_t)_i);
    struct stream alone = open_stream(encoder), mixed = open_stream(encoder), other = open_stream(encoder);
    void *own_scratch = other.scratch;
    other.scratch = mixed.scratch;
    for (uint32_t i = 0; i < FRAMES; i++) {
        float a[2], b[2], c[2];
        push(&alone, i, ATTN_SCORES, a);
        push(&other, 500 + i, ATTN_SCORES, c);
        push(&mixed, i, ATTN_SCORES, b);
        ck_assert_msg(memcmp(a, b, sizeof(a)) == 0, "frame %u differs", i);
        void *moved = aligned_alloc(ATTN_ALIGN, mixed.state_bytes);
        memcpy(moved, mixed.state, mixed.state_bytes);
        free(mixed.state);
        mixed.state = moved;
    }
    other.scratch = own_scratch;
    close_stream(&alone);
    close_stream(&mixed);
    close_stream(&other);
    attn_encoder_free(encoder);
}
END_TEST

START_TEST(a_step_allocates_nothing)
{
    n_allocations = 0;
    struct attn_encoder *encoder = make((size_t)_i);
    struct stream stream = open_stream(encoder);
    ck_assert_uint_gt(n_allocations, 0);
    n_allocations = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        float output[4];
        push(&stream, i, (enum attn_output)(i % 3), i % 5 == 0 ? NULL : output);
    }
    ck_assert_uint_eq(n_allocations, 0);
    close_stream(&stream);
    attn_encoder_free(encoder);
}
END_TEST

/* A small file that claims the largest model gets no memory for the claim: weights of 51 GB. */
START_TEST(memory_is_taken_for_what_is_there)
{
    static const char *const absent[] = {"embed.weight", "embed.bias", "pe.weight"};
    struct draft draft;
    draft_init(&draft);
    draft_replace(&draft, "\"input_dim\": 3", "\"input_dim\": 65536");
    draft_replace(&draft, "\"model_dim\": 4", "\"model_dim\": 65536");
    draft_replace(&draft, "\"positions\": 2", "\"positions\": 0");
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        draft_remove(&draft, absent[i]);
    struct draft_file file = draft_write(&draft);
    struct attn_encoder *encoder;
    largest_allocation = 0;
    ck_assert_int_eq(attn_model_file_parse(&encoder, file.bytes, file.n_bytes, ATTN_VARIANT_BEST, NULL), ATTN_E_MODEL);
    ck_assert_uint_gt(largest_allocation, 0);
    ck_assert_uint_lt(largest_allocation, 65536);
    free(file.bytes);
    draft_done(&draft);
}
END_TEST

/* What came before the newest R frames does not show in the bits, be it so large that the layers overflow. */
START_TEST(forgets_all_but_the_replay_frames)
{
    struct attn_encoder *encoder = make((size_t)_i);
    struct attn_info info;
    attn_encoder_info(encoder, &info);
    struct stream plain = open_stream(encoder), other = open_stream(encoder), giant = open_stream(encoder);
    uint32_t before = 8, n = before + info.replay_frames + 6;
    for (uint32_t i = 0; i < n; i++) {
        float a[2], b[2], c[2];
        push(&plain, i, ATTN_SCORES, a);
        push(&other, i < before ? 700 + i : i, ATTN_SCORES, b);
        if (i < before) {
            float frame[3] = {3e38f, -3e38f, 3e38f};
            push_frame(&giant, frame, ATTN_SCORES, c);
        } else {
            push(&giant, i, ATTN_SCORES, c);
        }
        if (i + 1 < before + info.replay_frames)
            continue;
        ck_assert_msg(memcmp(a, b, sizeof(a)) == 0, "frame %u still knows another frame from before", i);
        ck_assert_msg(memcmp(a, c, sizeof(a)) == 0, "frame %u still knows a giant frame from before", i);
    }
    close_stream(&plain);
    close_stream(&other);
    close_stream(&giant);
    attn_encoder_free(encoder);
}
END_TEST

/* Floats from 1e30 on up to the largest, of any sign, and some below 2^-126. */
static void write_giants(float frame[3], uint32_t seed)
{
    for (uint32_t k = 0; k < 3; k++) {
        uint32_t drawn = (seed * 3 + k + 1) * 2654435761u;
        uint32_t exponent = drawn % 8 == 0 ? 0 : 227 + drawn / 8 % 28, bits = (drawn & 0x807fffff) | exponent << 23;
        memcpy(&frame[k], &bits, sizeof(bits));
    }
}

/* Scores never look right where the logits are none; and R frames after a frame of giants all is as without it. */
START_TEST(giant_frames_are_told_and_leave_no_trace)
{
    struct attn_encoder *encoder = make((size_t)_i);
    struct attn_info info;
    uint32_t n_told = 0;
    attn_encoder_info(encoder, &info);
    for (uint32_t seed = 0; seed < 40; seed++) {
        struct stream plain = open_stream(encoder), scores = open_stream(encoder), logits = open_stream(encoder);
        uint32_t at = 3 + seed % info.window, n = at + 1 + 2 * info.replay_frames;
        for (uint32_t i = 0; i < n; i++) {
            float frame[3], a[2], b[2], c[2];
            write_frame(frame, i);
            push_frame(&plain, frame, ATTN_SCORES, a);
            if (i == at)
                write_giants(frame, seed);
            push_frame(&scores, frame, ATTN_SCORES, b);
            push_frame(&logits, frame, ATTN_LOGITS, c);
            bool finite = attn_first_not_finite(b, 2) == 2;
            ck_assert_msg(finite == (attn_first_not_finite(c, 2) == 2), "frame %u, seed %u: %g %g of %g %g", i, seed,
                          b[0], b[1], c[0], c[1]);
            n_told += !finite;
            ck_assert_msg(i < at + info.replay_frames || memcmp(a, b, sizeof(a)) == 0, "frame %u knows frame %u", i,
                          at);
        }
        ck_assert_msg(memcmp(plain.state, scores.state, plain.state_bytes) == 0, "frame %u is still in the state", at);
        close_stream(&plain);
        close_stream(&scores);
        close_stream(&logits);
    }
    if (_i == 0 || _i == 10) /* a softmax and a sigmoid; the weights of some others are too small for it */
        ck_assert_uint_gt(n_told, 0);
    attn_encoder_free(encoder);
}
END_TEST

START_TEST(the_kinds_of_output_agree)
{
    struct attn_encoder *encoder = make(0);
    struct stream scores = open_stream(encoder), logits = open_stream(encoder);
    for (uint32_t i = 0; i < FRAMES; i++) {
        float a[2], b[2];
        push(&scores, i, ATTN_SCORES, a);
        push(&logits, i, ATTN_LOGITS, b);
        ck_assert_float_eq_tol(a[0] + a[1], 1, 1e-6f);
        ck_assert_int_eq(a[0] > a[1], b[0] > b[1]);
    }
    close_stream(&scores);
    close_stream(&logits);
    attn_encoder_free(encoder);
}
END_TEST

/* A stream that begins in the middle has the bits of one that had all frames, R frames later. */
START_TEST(a_replay_catches_up)
{
    struct attn_encoder *encoder = make((size_t)_i);
    struct attn_info info;
    attn_encoder_info(encoder, &info);
    for (uint32_t first = 1; first < 12; first++) {
        struct stream whole = open_stream(encoder), replay = open_stream(encoder);
        replay.when = (struct attn_when){.t = first, .first = first};
        for (uint32_t i = 0; i < first + info.replay_frames + 6; i++) {
            float a[2], b[2];
            push(&whole, i, ATTN_SCORES, a);
            if (i < first)
                continue;
            push(&replay, i, ATTN_SCORES, b);
            if (i + 1 >= first + info.replay_frames)
                ck_assert_msg(memcmp(a, b, sizeof(a)) == 0, "frame %u of a replay from %u on differs", i, first);
        }
        close_stream(&whole);
        close_stream(&replay);
    }
    attn_encoder_free(encoder);
}
END_TEST

enum { MOST_ROWS = 17 };

/* What frame number i of stream s asks for; `output` NULL is among it. */
static enum attn_output asked(float *output, uint32_t s, uint32_t i, float **wanted)
{
    uint32_t what = (s * 7 + i * 5 + s * i) % 5;
    *wanted = what == 4 ? NULL : output;
    return what < 3 ? (enum attn_output)what : ATTN_SCORES;
}

/* One step of the n streams that `order` begins with, as one batch. */
static void push_batch(struct stream *streams, const uint32_t *order, size_t n, uint32_t i, float outputs[][4],
                       void *scratch)
{
    struct attn_encoder_frame frames[MOST_ROWS];
    float inputs[MOST_ROWS][3];
    for (size_t row = 0; row < n; row++) {
        uint32_t s = order[row];
        float *wanted;
        enum attn_output kind = asked(outputs[s], s, i, &wanted);
        write_frame(inputs[row], 100 * s + i);
        frames[row] = (struct attn_encoder_frame){
            .state = streams[s].state, .when = streams[s].when, .input = inputs[row], .kind = kind, .output = wanted};
    }
    attn_encoder_step(streams[0].encoder, frames, n, scratch);
    for (size_t row = 0; row < n; row++) {
        streams[order[row]].when.t++;
        streams[order[row]].work = frames[row].work;
    }
}

/* Swaps two of the n places, as a sequence says that is the same in every run. */
static void shuffle(uint32_t *order, size_t n, uint32_t *seed)
{
    for (size_t i = n - 1; i > 0; i--) {
        *seed = *seed * 1664525u + 1013904223u;
        size_t j = (*seed >> 8) % (i + 1);
        uint32_t other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
}

/* Streams in batches of every size, in an order that changes at each frame, with outputs of all kinds or none. */
static void compare_batches(const struct attn_encoder *encoder, const char *name)
{
    struct stream alone[MOST_ROWS], batched[MOST_ROWS];
    size_t n_bytes = attn_encoder_scratch_bytes(encoder, MOST_ROWS);
    void *scratch = aligned_alloc(ATTN_ALIGN, n_bytes);
    uint32_t order[MOST_ROWS], seed = 1;
    memset(scratch, 0xff, n_bytes);
    for (uint32_t s = 0; s < MOST_ROWS; s++) {
        order[s] = s;
        alone[s] = open_stream(encoder);
        batched[s] = open_stream(encoder);
        alone[s].when = batched[s].when = (struct attn_when){.t = s % 4, .first = s % 4};
    }
    for (uint32_t i = 0; i < 2 * MOST_ROWS; i++) {
        float a[MOST_ROWS][4] = {{0}}, b[MOST_ROWS][4] = {{0}};
        size_t n = i % MOST_ROWS + 1;
        shuffle(order, MOST_ROWS, &seed);
        push_batch(batched, order, n, i, b, scratch);
        for (size_t row = 0; row < n; row++) {
            uint32_t s = order[row];
            float *wanted;
            enum attn_output kind = asked(a[s], s, i, &wanted);
            push(&alone[s], 100 * s + i, kind, wanted);
            ck_assert(wanted == NULL || alone[s].work.multiply_adds > 0);
            ck_assert_uint_eq(alone[s].work.multiply_adds, batched[s].work.multiply_adds);
            ck_assert_uint_eq(alone[s].work.bytes, batched[s].work.bytes);
            ck_assert_msg(memcmp(alone[s].state, batched[s].state, alone[s].state_bytes) == 0,
                          "%s: batch of %zu, row %zu: the state differs", name, n, row);
        }
        ck_assert_msg(memcmp(a, b, sizeof(a)) == 0, "%s: outputs in a batch of %zu differ", name, n);
    }
    for (uint32_t s = 0; s < MOST_ROWS; s++) {
        close_stream(&alone[s]);
        close_stream(&batched[s]);
    }
    free(scratch);
}

START_TEST(batches_have_the_bits_of_single_steps)
{
    for (int variant = ATTN_VARIANT_GENERIC; variant <= ATTN_VARIANT_NEON; variant++) {
        const struct attn_kernels *kernels = attn_kernels_of((enum attn_variant)variant);
        if (kernels == NULL)
            continue;
        struct attn_encoder *encoder = make_variant((size_t)_i, (enum attn_variant)variant);
        compare_batches(encoder, kernels->name);
        attn_encoder_free(encoder);
    }
}
END_TEST

/* More rows than a layer works on at a time, the last of them wanted or not. */
START_TEST(large_batches_have_the_bits_of_single_steps)
{
    enum { ROWS = 131 };
    struct attn_encoder *encoder = make((size_t)_i);
    struct stream alone[ROWS], batched[ROWS];
    struct attn_encoder_frame frames[ROWS];
    float inputs[ROWS][3], a[ROWS][2], b[ROWS][2];
    void *scratch = aligned_alloc(ATTN_ALIGN, attn_encoder_scratch_bytes(encoder, ROWS));
    for (uint32_t s = 0; s < ROWS; s++) {
        alone[s] = open_stream(encoder);
        batched[s] = open_stream(encoder);
    }
    for (uint32_t i = 0; i < 9; i++) {
        for (uint32_t s = 0; s < ROWS; s++) {
            write_frame(inputs[s], 100 * s + i);
            push(&alone[s], 100 * s + i, ATTN_SCORES, a[s]);
            frames[s] = (struct attn_encoder_frame){
                .state = batched[s].state, .when = {.t = i}, .input = inputs[s], .output = s % 7 == i ? NULL : b[s]};
        }
        attn_encoder_step(encoder, frames, ROWS, scratch);
        for (uint32_t s = 0; s < ROWS; s++)
            ck_assert_msg(s % 7 == i || memcmp(a[s], b[s], sizeof(a[s])) == 0, "frame %u of stream %u differs", i, s);
    }
    for (uint32_t s = 0; s < ROWS; s++) {
        close_stream(&alone[s]);
        close_stream(&batched[s]);
    }
    free(scratch);
    attn_encoder_free(encoder);
}
END_TEST

START_TEST(an_empty_batch_does_nothing)
{
    struct attn_encoder *encoder = make((size_t)_i);
    void *scratch = aligned_alloc(ATTN_ALIGN, attn_encoder_scratch_bytes(encoder, 1));
    attn_encoder_step(encoder, NULL, 0, scratch);
    ck_assert_uint_eq(attn_encoder_scratch_bytes(encoder, 9) % ATTN_ALIGN, 0);
    free(scratch);
    attn_encoder_free(encoder);
}
END_TEST

START_TEST(a_whole_state_verifies)
{
    struct attn_encoder *encoder = make((size_t)_i);
    struct stream stream = open_stream(encoder);
    double difference = 1;
    float output[4];
    for (uint32_t i = 0; i < FRAMES; i++)
        push(&stream, i, ATTN_SCORES, output);
    struct attn_when newest = {.t = stream.when.t - 1};
    ck_assert_int_eq(attn_encoder_verify(encoder, stream.state, newest, &difference), 0);
    ck_assert_double_lt(difference, 1e-4);
    close_stream(&stream);
    attn_encoder_free(encoder);
}
END_TEST

static Suite *encoder(void)
{
    Suite *suite = suite_create("encoder");
    TCase *tcase = tcase_create("steps");
    tcase_add_loop_test(tcase, an_output_not_wanted_changes_no_other, 0, N_KINDS);
    tcase_add_loop_test(tcase, reset_equals_fresh, 0, N_KINDS);
    tcase_add_loop_test(tcase, streams_do_not_see_each_other, 0, N_KINDS);
    tcase_add_loop_test(tcase, a_step_allocates_nothing, 0, N_KINDS);
    tcase_add_test(tcase, memory_is_taken_for_what_is_there);
    tcase_add_loop_test(tcase, forgets_all_but_the_replay_frames, 0, N_KINDS);
    tcase_add_loop_test(tcase, giant_frames_are_told_and_leave_no_trace, 0, N_KINDS);
    tcase_add_test(tcase, the_kinds_of_output_agree);
    tcase_add_loop_test(tcase, a_replay_catches_up, 0, N_KINDS);
    tcase_add_loop_test(tcase, batches_have_the_bits_of_single_steps, 0, N_KINDS);
    tcase_add_loop_test(tcase, large_batches_have_the_bits_of_single_steps, 0, N_KINDS);
    tcase_add_loop_test(tcase, an_empty_batch_does_nothing, 0, N_KINDS);
    tcase_add_loop_test(tcase, a_whole_state_verifies, 0, N_KINDS);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(encoder());
