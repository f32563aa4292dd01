/* SPDX-License-Identifier: MIT */
/*
 * The bits of a stream's outputs depend on its own applied frames and its plan, whatever happens to it and around it.
 * Random plans, on each kernel variant of the machine: each stream is pushed alone first, frame by frame. Then a few of
 * them go through random events together (batches, refused frames, moves to other memory, replays, resets), and every
 * output that is asked for has the same bits. An argument makes that many cases of each group, for longer searches.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../run.h"
#include "lottery.h"

enum { GROUPS = 30, LANES = 4, EXTRA_FRAMES = 40, KINDS = 3 };

#define ALARM 1e-4 /* of attn_verify: a damaged state */

static size_t cases_a_group = 8;

/* One stream: what it is given, what it answers alone, and where it is now. */
struct lane {
    uint64_t first;  /* position of frame 0 */
    size_t next;     /* the frame that comes next */
    float *frames;   /* [n_frames][input_dim] */
    float *expected; /* [n_frames][n_outputs] */
    struct attn_state *state;
};

struct scene {
    char name[2400];
    uint64_t series;
    struct attn_plan *plan;
    struct attn_info info;
    size_t n_frames, n_outputs; /* floats of the longest output */
    uint32_t dims[KINDS];
    float *output;
    void *scratch, *batch_scratch;
    struct lane lanes[LANES];
};

/* Aligned memory full of rubbish. */
static void *rubbish(struct scene *scene, size_t n_bytes)
{
    void *memory = aligned_alloc(ATTN_ALIGN, (n_bytes + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN);
    ck_assert(memory != NULL);
    memset(memory, (int)lottery_below(&scene->series, 256), n_bytes);
    return memory;
}

/* Which output is asked for at a frame: always the same of it, if any. */
static enum attn_output kind_of(const struct scene *scene, size_t frame)
{
    enum attn_output kind = (enum attn_output)(frame * 7 / 3 % KINDS);
    return scene->dims[kind] > 0 ? kind : ATTN_SCORES;
}

static const float *frame_at(const struct scene *scene, const struct lane *lane, size_t frame)
{
    return lane->frames + frame * scene->info.input_dim;
}

static void compare(const struct scene *scene, const struct lane *lane, size_t frame, const float *output,
                    const char *after)
{
    size_t n_bytes = scene->dims[kind_of(scene, frame)] * sizeof(float);
    ck_assert_msg(memcmp(output, lane->expected + frame * scene->n_outputs, n_bytes) == 0,
                  "%s: stream %td, frame %zu (position %llu) differs %s", scene->name, lane - scene->lanes, frame,
                  (unsigned long long)(lane->first + frame), after);
}

static void push(struct scene *scene, struct lane *lane, size_t frame, float *output)
{
    memset(scene->scratch, (int)lottery_below(&scene->series, 256), scene->info.scratch_bytes);
    int error = attn_push(scene->plan, lane->state, frame_at(scene, lane, frame), kind_of(scene, frame), output,
                          scene->scratch);
    ck_assert_msg(error == 0, "%s: frame %zu is refused: %d", scene->name, frame, error);
}

/* Puts the state into other memory, which the caller fills; the old one turns to rubbish. */
static void *renew(struct scene *scene, struct lane *lane)
{
    memset(lane->state, 0xa5, scene->info.state_bytes);
    free(lane->state);
    return rubbish(scene, scene->info.state_bytes);
}

static void push_one(struct scene *scene, struct lane *lane)
{
    bool read = lottery_below(&scene->series, 4) > 0;
    push(scene, lane, lane->next, read ? scene->output : NULL);
    if (read)
        compare(scene, lane, lane->next, scene->output, "alone");
    lane->next++;
}

/* A frame that holds one value that is none: the state stays as it is, to the byte. */
static void push_refused(struct scene *scene, struct lane *lane)
{
    size_t dim = scene->info.input_dim, at = lottery_below(&scene->series, dim);
    float *frame = malloc(dim * sizeof(float));
    void *before = malloc(scene->info.state_bytes);
    memcpy(frame, frame_at(scene, lane, lane->next), dim * sizeof(float));
    memcpy(before, lane->state, scene->info.state_bytes);
    frame[at] = at % 2 == 0 ? NAN : -INFINITY;
    int error = attn_push(scene->plan, lane->state, frame, ATTN_SCORES, scene->output, scene->scratch);
    ck_assert_int_eq(error, ATTN_E_FRAME);
    ck_assert_int_eq(memcmp(before, lane->state, scene->info.state_bytes), 0);
    free(frame);
    free(before);
}

/* Some of the lanes in any order, some outputs not asked for, and now and then a frame that is refused. */
static void push_together(struct scene *scene)
{
    struct attn_frame batch[LANES];
    struct lane *lanes[LANES];
    float *outputs = malloc(LANES * scene->n_outputs * sizeof(float)),
          *bad = malloc(scene->info.input_dim * sizeof(float));
    size_t n = 0, n_good = 0, start = lottery_below(&scene->series, LANES);
    size_t stride = lottery_below(&scene->series, 2) == 0 ? 1 : LANES - 1;
    for (size_t i = 0; i < scene->info.input_dim; i++)
        bad[i] = INFINITY;
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &scene->lanes[(start + i * stride) % LANES];
        size_t fate = lottery_below(&scene->series, 8);
        if (fate == 0 || lane->next == scene->n_frames)
            continue;
        lanes[n] = lane;
        batch[n] = (struct attn_frame){.state = lane->state,
                                       .frame = fate == 1 ? bad : frame_at(scene, lane, lane->next),
                                       .output = fate == 2 ? NULL : outputs + n * scene->n_outputs,
                                       .kind = kind_of(scene, lane->next),
                                       .error = 99};
        n_good += fate != 1;
        n++;
    }
    memset(scene->batch_scratch, (int)lottery_below(&scene->series, 256), attn_scratch_bytes(scene->plan, LANES));
    ck_assert_uint_eq(attn_push_batch(scene->plan, batch, n, scene->batch_scratch), n_good);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(batch[i].error, batch[i].frame == bad ? ATTN_E_FRAME : 0);
        if (batch[i].frame == bad)
            continue;
        if (batch[i].output != NULL)
            compare(scene, lanes[i], lanes[i]->next, batch[i].output, "in a batch");
        lanes[i]->next++;
    }
    free(outputs);
    free(bad);
}

/* Saved at any alignment, and loaded elsewhere. */
static void move(struct scene *scene, struct lane *lane)
{
    size_t shift = lottery_below(&scene->series, 8), n_bytes = scene->info.saved_bytes;
    unsigned char *blob = malloc(n_bytes + shift);
    struct attn_reason why = {""};
    attn_save(scene->plan, lane->state, blob + shift);
    void *memory = renew(scene, lane);
    int error = attn_load(scene->plan, memory, &lane->state, blob + shift, n_bytes, &why);
    ck_assert_msg(error == 0 && lane->state == memory, "%s: %s", scene->name, why.text);
    free(blob);
}

/* What is answered next needs a state of the newest R − 1 frames, and of no other. */
static void replay(struct scene *scene, struct lane *lane)
{
    size_t needed = scene->info.replay_frames - 1;
    size_t from = lane->next > needed ? lane->next - needed : 0;
    lane->state = attn_init_at(scene->plan, renew(scene, lane), lane->first + from);
    for (size_t frame = from; frame < lane->next; frame++)
        push(scene, lane, frame, lottery_below(&scene->series, 4) == 0 ? scene->output : NULL);
}

/* All frames again from an empty state. */
static void restart(struct scene *scene, struct lane *lane)
{
    if (lane->first != 0)
        return;
    attn_reset(scene->plan, lane->state);
    ck_assert_uint_eq(attn_applied(lane->state), 0);
    for (size_t frame = 0; frame < lane->next; frame++)
        push(scene, lane, frame, lottery_below(&scene->series, 4) == 0 ? scene->output : NULL);
}

static void verify(struct scene *scene, struct lane *lane)
{
    double difference = INFINITY;
    if (attn_applied(lane->state) == 0) {
        ck_assert_int_eq(attn_verify(scene->plan, lane->state, &difference), ATTN_E_OPTIONS);
        return;
    }
    ck_assert_int_eq(attn_verify(scene->plan, lane->state, &difference), 0);
    ck_assert_msg(difference <= ALARM, "%s: attn_verify says %g at frame %zu", scene->name, difference, lane->next - 1);
}

static void happen(struct scene *scene)
{
    struct lane *lane = &scene->lanes[lottery_below(&scene->series, LANES)];
    bool more = lane->next < scene->n_frames;
    switch (lottery_below(&scene->series, 16)) {
    case 0:
        move(scene, lane);
        break;
    case 1:
        replay(scene, lane);
        break;
    case 2:
        if (more)
            push_refused(scene, lane);
        break;
    case 3:
        verify(scene, lane);
        break;
    case 4:
        if (lottery_below(&scene->series, 4) == 0)
            restart(scene, lane);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        if (more)
            push_one(scene, lane);
        break;
    default:
        push_together(scene);
    }
    ck_assert_uint_eq(attn_position(lane->state), lane->first + lane->next);
}

/* Some streams begin so far on that their positions need more than 32 bits, or 53. */
static void open_lane(struct scene *scene, struct lane *lane)
{
    const uint64_t firsts[] = {0, 0, UINT64_C(0xffffffd0), UINT64_C(1) << 54};
    size_t dim = scene->info.input_dim;
    lane->first = firsts[lottery_below(&scene->series, 4)];
    lane->frames = malloc(scene->n_frames * dim * sizeof(float));
    lane->expected = malloc(scene->n_frames * scene->n_outputs * sizeof(float));
    lottery_fill(&scene->series, lane->frames, scene->n_frames * dim, 1 + (double)lottery_below(&scene->series, 2));
    lane->state = attn_init_at(scene->plan, rubbish(scene, scene->info.state_bytes), lane->first);
    for (size_t frame = 0; frame < scene->n_frames; frame++)
        push(scene, lane, frame, lane->expected + frame * scene->n_outputs);
    lane->state = attn_init_at(scene->plan, renew(scene, lane), lane->first);
}

static void open_scene(struct scene *scene, uint64_t seed, enum attn_variant variant)
{
    char text[2100];
    memset(scene, 0, sizeof(*scene));
    scene->series = seed;
    scene->plan = lottery_plan(&scene->series, variant, text, sizeof(text));
    snprintf(scene->name, sizeof(scene->name), "seed %llu, %s, %s", (unsigned long long)seed,
             attn_variant_name(variant), text);
    scene->info.size = sizeof(scene->info);
    ck_assert_int_eq(attn_plan_info(scene->plan, &scene->info), 0);
    scene->n_frames = 2 * scene->info.replay_frames + EXTRA_FRAMES;
    for (int kind = 0; kind < KINDS; kind++) {
        scene->dims[kind] = attn_output_dim(scene->plan, (enum attn_output)kind);
        if (scene->dims[kind] > scene->n_outputs)
            scene->n_outputs = scene->dims[kind];
    }
    scene->output = malloc(scene->n_outputs * sizeof(float));
    scene->scratch = rubbish(scene, scene->info.scratch_bytes);
    scene->batch_scratch = rubbish(scene, attn_scratch_bytes(scene->plan, LANES));
    for (size_t i = 0; i < LANES; i++)
        open_lane(scene, &scene->lanes[i]);
}

static void close_scene(struct scene *scene)
{
    for (size_t i = 0; i < LANES; i++) {
        free(scene->lanes[i].frames);
        free(scene->lanes[i].expected);
        free(scene->lanes[i].state);
    }
    free(scene->output);
    free(scene->scratch);
    free(scene->batch_scratch);
    attn_plan_free(scene->plan);
}

static bool all_done(const struct scene *scene)
{
    for (size_t i = 0; i < LANES; i++)
        if (scene->lanes[i].next < scene->n_frames)
            return false;
    return true;
}

static void play(uint64_t seed, enum attn_variant variant)
{
    struct scene *scene = malloc(sizeof(*scene));
    open_scene(scene, seed, variant);
    while (!all_done(scene))
        happen(scene);
    close_scene(scene);
    free(scene);
}

/* _i: the group of cases. */
START_TEST(bits_depend_on_own_frames_alone)
{
    for (size_t i = 0; i < cases_a_group; i++)
        for (int variant = ATTN_VARIANT_GENERIC; variant <= ATTN_VARIANT_NEON; variant++)
            if (attn_variant_name((enum attn_variant)variant) != NULL)
                play((uint64_t)_i * 1000000 + i, (enum attn_variant)variant);
}
END_TEST

/* What a replay of raw attention has to hold: with one frame less than R the answer is another one at some positions.
 */
static const struct {
    const char *name;
    enum attn_method method;
    uint32_t n, m;
    enum attn_refresh refresh;
} tight[] = {
    {"exact", ATTN_EXACT, 9, 0, ATTN_REFRESH_IMMEDIATE},
    {"immediate", ATTN_NYSTROM, 12, 4, ATTN_REFRESH_IMMEDIATE},
    {"immediate, uneven", ATTN_NYSTROM, 13, 5, ATTN_REFRESH_IMMEDIATE},
    {"spread", ATTN_NYSTROM, 12, 4, ATTN_REFRESH_SPREAD},
    {"spread, uneven", ATTN_NYSTROM, 13, 5, ATTN_REFRESH_SPREAD},
};

/* _i: the place in the list. */
START_TEST(replays_are_as_short_as_they_can_be)
{
    enum { HEADS = 2, DIM = 4, FRAME = 3 * HEADS * DIM, FRAMES = 100 };
    struct attn_options options = {.size = sizeof(options),
                                   .method = tight[_i].method,
                                   .heads = HEADS,
                                   .head_dim = DIM,
                                   .window = tight[_i].n,
                                   .landmarks = tight[_i].m,
                                   .refresh = tight[_i].refresh};
    struct attn_info info = {.size = sizeof(info)};
    struct attn_plan *plan;
    float frames[FRAMES * FRAME], outputs[FRAMES][HEADS * DIM], output[HEADS * DIM];
    uint64_t series = 5;
    size_t differences = 0;
    lottery_fill(&series, frames, FRAMES * FRAME, 1);
    ck_assert_int_eq(attn_plan_new(&plan, &options, NULL), 0);
    ck_assert_int_eq(attn_plan_info(plan, &info), 0);
    void *memory = aligned_alloc(ATTN_ALIGN, info.state_bytes),
         *scratch = aligned_alloc(ATTN_ALIGN, info.scratch_bytes);
    struct attn_state *state = attn_init(plan, memory);
    for (size_t t = 0; t < FRAMES; t++)
        ck_assert_int_eq(attn_push(plan, state, frames + t * FRAME, ATTN_SCORES, outputs[t], scratch), 0);
    for (size_t t = info.replay_frames; t < FRAMES; t++) {
        size_t from = t + 2 - info.replay_frames;
        state = attn_init_at(plan, memory, from);
        for (size_t at = from; at <= t; at++)
            ck_assert_int_eq(attn_push(plan, state, frames + at * FRAME, ATTN_SCORES, output, scratch), 0);
        differences += memcmp(output, outputs[t], sizeof(output)) != 0;
    }
    ck_assert_msg(differences > 0, "%s: %u frames are more than needed", tight[_i].name, info.replay_frames);
    attn_plan_free(plan);
    free(memory);
    free(scratch);
}
END_TEST

int main(int argc, char **argv)
{
    run_patiently();
    Suite *suite = suite_create("purity");
    TCase *cases = tcase_create("purity");
    if (argc > 1) {
        cases_a_group = strtoul(argv[1], NULL, 10);
        tcase_set_timeout(cases, 0);
    }
    tcase_add_loop_test(cases, bits_depend_on_own_frames_alone, 0, GROUPS);
    tcase_add_loop_test(cases, replays_are_as_short_as_they_can_be, 0, sizeof(tight) / sizeof(tight[0]));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
