/* SPDX-License-Identifier: MIT */
/* Batches: the same bits as one push after the other, whoever else is in it, and whatever is wrong with them. */
#include <math.h>
#include <string.h>

#include "../run.h"
#include "config.h"
#include "draft.h"
#include "stream.h"

enum { MOST = 150, WINDOW = 9 };

static void open_raw(struct stream *stream)
{
    struct attn_options options = nystrom_options(2, 3, WINDOW, 3);
    stream_open(stream, &options);
}

static void open_retroactive(struct stream *stream)
{
    struct attn_options options = nystrom_options(2, 3, WINDOW, 3);
    options.retroactive = 1;
    stream_open(stream, &options);
}

static void open_model(struct stream *stream)
{
    struct draft draft;
    struct attn_reason why = {""};
    draft_init(&draft);
    draft_add_block(&draft, "{\"method\": \"exact\"}");
    struct draft_file file = draft_write(&draft);
    ck_assert_msg(attn_plan_parse(&stream->plan, file.bytes, file.n_bytes, NULL, &why) == 0, "%s", why.text);
    stream_start(stream);
    free(file.bytes);
    draft_done(&draft);
}

static void (*const openers[])(struct stream *) = {open_raw, open_retroactive, open_model};
#ifdef HAVE_LOADER
enum { N_OPENERS = 3 };
#else
enum { N_OPENERS = 2 };
#endif

/* A plan, and n states of it twice: one set for batches, one for single pushes. */
struct crowd {
    struct stream stream; /* the plan's */
    size_t n;
    struct attn_state *together[MOST], *alone[MOST];
    float *outputs, *expected; /* [n][output_dim] */
    void *scratch;
};

static void crowd_open(struct crowd *crowd, int opener, size_t n)
{
    openers[opener](&crowd->stream);
    const struct attn_info *info = &crowd->stream.info;
    crowd->n = n;
    for (size_t i = 0; i < n; i++) {
        crowd->together[i] = attn_init_at(crowd->stream.plan, aligned_alloc(ATTN_ALIGN, info->state_bytes), i % 3);
        crowd->alone[i] = attn_init_at(crowd->stream.plan, aligned_alloc(ATTN_ALIGN, info->state_bytes), i % 3);
    }
    crowd->outputs = calloc(n, crowd->stream.output_dim * sizeof(float));
    crowd->expected = calloc(n, crowd->stream.output_dim * sizeof(float));
    crowd->scratch = aligned_alloc(ATTN_ALIGN, attn_scratch_bytes(crowd->stream.plan, n));
    ck_assert(crowd->outputs != NULL && crowd->expected != NULL && crowd->scratch != NULL);
    ck_assert_uint_eq(attn_scratch_bytes(crowd->stream.plan, n) % ATTN_ALIGN, 0);
}

static void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->n; i++) {
        free(crowd->together[i]);
        free(crowd->alone[i]);
    }
    free(crowd->outputs);
    free(crowd->expected);
    free(crowd->scratch);
    stream_close(&crowd->stream);
}

/* Frame i of a round, pushed in a batch with the others and alone; every kind of thing that may be wrong is there. */
static struct attn_frame frame_of(struct crowd *crowd, size_t round, size_t i, float *frames)
{
    size_t width = crowd->stream.info.input_dim, size = crowd->stream.output_dim;
    struct attn_frame frame = {
        .state = crowd->together[i],
        .frame = frames + i * width,
        .output = (round + i) % 7 == 6 ? NULL : crowd->outputs + i * size,
        .kind = (round + i) % 11 == 5 ? (enum attn_output)77 : ATTN_SCORES,
        .error = 12345,
    };
    if ((round + i) % 13 == 12)
        frames[i * width + i % width] = i % 2 == 0 ? NAN : -INFINITY;
    return frame;
}

static void round_of_frames(struct crowd *crowd, size_t round)
{
    size_t width = crowd->stream.info.input_dim, size = crowd->stream.output_dim, n_applied = 0;
    float *frames = noise((uint32_t)round + 1, crowd->n * width, 1);
    struct attn_frame batch[MOST];
    for (size_t i = 0; i < crowd->n; i++)
        batch[i] = frame_of(crowd, round, i, frames);
    size_t told = attn_push_batch(crowd->stream.plan, batch, crowd->n, crowd->scratch);
    for (size_t i = 0; i < crowd->n; i++) {
        float *output = batch[i].output == NULL ? NULL : crowd->expected + i * size;
        int error = attn_push(crowd->stream.plan, crowd->alone[i], frames + i * width, batch[i].kind, output,
                              crowd->stream.scratch);
        ck_assert_int_eq(batch[i].error, error);
        n_applied += error == 0;
        struct attn_work works[] = {attn_last_work(crowd->together[i]), attn_last_work(crowd->alone[i])};
        ck_assert_int_eq(memcmp(&works[0], &works[1], sizeof(works[0])), 0);
        ck_assert_int_eq(memcmp(crowd->together[i], crowd->alone[i], crowd->stream.info.state_bytes), 0);
    }
    ck_assert_uint_eq(told, n_applied);
    ck_assert_uint_eq(crowd->n < 13 || n_applied < crowd->n, 1);
    ck_assert_int_eq(memcmp(crowd->outputs, crowd->expected, crowd->n * size * sizeof(float)), 0);
    free(frames);
}

START_TEST(batches_have_the_bits_of_single_pushes)
{
    static const size_t sizes[] = {1, 2, 7, 63, 64, 65, MOST};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct crowd crowd;
        crowd_open(&crowd, _i, sizes[i]);
        for (size_t round = 0; round < 3 * WINDOW; round++)
            round_of_frames(&crowd, round);
        crowd_close(&crowd);
    }
}
END_TEST

START_TEST(an_empty_batch_applies_nothing)
{
    struct stream stream;
    openers[_i](&stream);
    ck_assert_uint_eq(attn_push_batch(stream.plan, NULL, 0, stream.scratch), 0);
    stream_close(&stream);
}
END_TEST

/* So many bytes are enough for any batch: the library takes what is longer in pieces. */
START_TEST(scratch_memory_is_bounded)
{
    struct stream stream;
    openers[_i](&stream);
    ck_assert_uint_eq(attn_scratch_bytes(stream.plan, 1), stream.info.scratch_bytes);
    ck_assert_uint_eq(attn_scratch_bytes(stream.plan, 1000000), attn_scratch_bytes(stream.plan, 64));
    stream_close(&stream);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("push_batch");
    TCase *cases = tcase_create("push_batch");
    tcase_add_loop_test(cases, batches_have_the_bits_of_single_pushes, 0, N_OPENERS);
    tcase_add_loop_test(cases, an_empty_batch_applies_nothing, 0, N_OPENERS);
    tcase_add_loop_test(cases, scratch_memory_is_bounded, 0, N_OPENERS);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
