/* SPDX-License-Identifier: MIT */
/*
 * A frame costs most when its window is full. So one state is filled first, in at most half of the time. Then copies of
 * it are made, each a frame further on, so that the work that comes once in a segment of landmarks does not come to all
 * at once. They are pushed in turn, in groups of each size, as many of them as the memory for it holds: the states of a
 * shard that is near its limit are not in the caches when their turn comes. (The bundled model: 9 us a frame with 64
 * streams, 15 to 20 with a thousand.) A shard with few streams finds its frames cheaper than this, and learns it.
 *
 * Where the time does not fill the window, the work that the library counts tells how a step grows with the frames in
 * the window: it is continued in a straight line to the full window, and time in proportion, but for no more than a
 * multiply-add can take. For a model this is too much, as its weights take the same time at each frame; running puts it
 * right.
 */
#include "daemon/measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

/* A multiply-add takes less than that, in whatever shape: in a window of a few frames other things take the time. */
#define MOST_RATE_NS 2.0

#define LEAST_FRAMES  4  /* of a window, whatever they take */
#define RARE          16 /* times the mean work is what no usual frame has: one that closes a long segment */
#define REPEATS       9
#define REPEAT_FRAMES 64   /* so that a clock's step is nothing beside it; fewer where they take long */
#define REPEAT_SHARE  0.02 /* of the limit, at most */
#define LEAST_ALONE   16   /* frames of a repeat, of frames alone */

/* Where other programs take the processor, measuring may last so many times its limit. */
#define PATIENCE 30

/* Memory that is new costs about half a nanosecond a byte to touch. Streams whose states take longer than the limit are
 * not measured alone, nor as many together. */
#define STATE_BYTES_OF(limit_ns) ((limit_ns)*2)
#define MOST_STATE_BYTES         (64u << 20)
#define MOST_STATES              512

/* A state that is too large to measure is read by its output from beginning to end, 8 bytes a nanosecond. */
#define BYTES_A_NS 8.0

/* Frames are taken from random floats, each further along by a cache line. */
#define FRAME_STEP  16
#define FRAME_STEPS 32

struct bench {
    const struct plan *plan;
    uint64_t begun_ns, begun_own_ns, limit_ns;
    size_t n_states;
    uint8_t *states;
    float *floats, *output;
    void *scratch;
    uint64_t n_pushed;
    double growth;   /* of a step's time, to a full window */
    double frame_ns; /* expected */
};

static size_t aligned(size_t n_bytes)
{
    return (n_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

/* The thread's own time: one that was not running for a while has measured nothing meanwhile. */
static uint64_t own_ns(void)
{
    struct timespec time = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static bool is_over(const struct bench *bench, double share)
{
    uint64_t own = own_ns() - bench->begun_own_ns, passed = uv_hrtime() - bench->begun_ns;
    return (double)own >= share * (double)bench->limit_ns ||
           (double)passed >= PATIENCE * share * (double)bench->limit_ns;
}

static void *state(const struct bench *bench, size_t i)
{
    return bench->states + i * plan_facts(bench->plan)->state_bytes;
}

static int prepare(struct bench *bench, size_t n_states)
{
    const struct plan_facts *facts = plan_facts(bench->plan);
    size_t n_floats = facts->input_dim + FRAME_STEP * FRAME_STEPS;
    size_t n_outputs = plan_output_dim(bench->plan, ATTNP_OUTPUT_SCORES);
    uint32_t random = 1;
    bench->states = aligned_alloc(PLAN_ALIGN, n_states * facts->state_bytes);
    bench->scratch = aligned_alloc(PLAN_ALIGN, aligned(facts->scratch_bytes + facts->own_scratch_bytes + 1));
    bench->floats = aligned_alloc(PLAN_ALIGN, aligned(n_floats * sizeof(float)));
    bench->output = aligned_alloc(PLAN_ALIGN, aligned(n_outputs * sizeof(float)));
    if (bench->states == NULL || bench->scratch == NULL || bench->floats == NULL || bench->output == NULL)
        return -1;
    memset(bench->states, 0, facts->state_bytes); /* memory that is new is met here, and not in the first window */
    memset(bench->scratch, 0, facts->scratch_bytes + facts->own_scratch_bytes);
    memset(bench->output, 0, n_outputs * sizeof(float));
    for (size_t i = 0; i < n_floats; i++) {
        random = random * 1664525 + 1013904223;
        bench->floats[i] = (float)(random >> 8) / (1 << 23) - 1;
    }
    plan_start(bench->plan, state(bench, 0), 0);
    return 0;
}

static void finish(struct bench *bench)
{
    free(bench->states);
    free(bench->scratch);
    free(bench->floats);
    free(bench->output);
}

/* One frame for each of n states, the next ones; all outputs go to the same place, as nobody reads them. */
static void push(struct bench *bench, size_t n)
{
    struct plan_frame frames[PLAN_MOST_AT_ONCE];
    for (size_t i = 0; i < n; i++)
        frames[i] = (struct plan_frame){
            .state = state(bench, bench->n_pushed % bench->n_states),
            .frame = bench->floats + FRAME_STEP * (bench->n_pushed++ % FRAME_STEPS),
            .kind = ATTNP_OUTPUT_SCORES,
            .output = bench->output,
        };
    plan_push(bench->plan, frames, n, bench->scratch);
}

/* Frames, what they took and their work, summed from the first; and the usual ones of them. */
struct sum {
    double n, ns, work, n_usual, usual_work;
};

/* From the mean work of two parts of the frames so far: how much more that of a full window of `full` frames is than
 * that of the second part. Which part happened to have a rare, dear frame says nothing about that. */
static double missing_work(double full, const struct sum *half, const struct sum *all)
{
    double first = half->usual_work / half->n_usual;
    double second = (all->usual_work - half->usual_work) / (all->n_usual - half->n_usual);
    double slope = (second - first) / (all->n / 2), missing = full - (all->n + half->n) / 2;
    return slope > 0 && missing > 0 ? slope * missing : 0;
}

/* What a multiply-add takes: as in these frames, but not so much that it is what a frame takes besides. */
static double rate_ns(double frame_ns, double work)
{
    return work > 0 && frame_ns / work < MOST_RATE_NS ? frame_ns / work : MOST_RATE_NS;
}

/* Fills the window of the first state, and returns what a frame takes in the end; and *worst, how much more work than
 * the mean one of these frames was. A frame that closes a segment of landmarks may be worth a hundred others; where the
 * time does not fill the window, such a one may not have been met, and what the library allows for is taken. */
static double fill(struct bench *bench, double *worst)
{
    struct sum halves[2] = {{0}}, all = {0};
    double most_work = 0;
    const struct plan_facts *facts = plan_facts(bench->plan);
    double full = (double)facts->warming_frames + 1, next = 1;
    while (all.n < full && (all.n < LEAST_FRAMES || !is_over(bench, 0.5))) {
        uint64_t begun_ns = own_ns();
        push(bench, 1);
        all.ns += (double)(own_ns() - begun_ns);
        double work = (double)plan_last_work(state(bench, 0));
        if (all.n < LEAST_FRAMES || work <= RARE * all.work / all.n) {
            all.n_usual++;
            all.usual_work += work;
        }
        all.work += work;
        most_work = work > most_work ? work : most_work;
        all.n++;
        if (all.n == next) { /* 1, 2, 4, …: the last but one is between a quarter and a half of all */
            halves[0] = halves[1];
            halves[1] = all;
            next *= 2;
        }
    }
    double late_ns = (all.ns - halves[0].ns) / (all.n - halves[0].n) + 1; /* not 0 on any clock */
    double work = (all.work - halves[0].work) / (all.n - halves[0].n);
    if (all.n >= 2 && all.n < full)
        bench->growth = 1 + missing_work(full, &halves[0], &all) * rate_ns(late_ns, work) / late_ns;
    *worst = all.work > 0 ? most_work * all.n / all.work : 1;
    if (all.n < full)
        *worst = (late_ns + (double)facts->most_work * rate_ns(late_ns, work)) / (late_ns * bench->growth);
    return late_ns * bench->growth;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Groups of n that one repeat has time for. */
static size_t count_pushes(const struct bench *bench, size_t n)
{
    double fitting = REPEAT_SHARE * (double)bench->limit_ns / bench->frame_ns;
    size_t n_pushes = (size_t)(fitting < REPEAT_FRAMES ? fitting : REPEAT_FRAMES) / n;
    return n_pushes > 0 ? n_pushes : 1;
}

/* What a frame takes in groups of n. */
static double time_groups(struct bench *bench, size_t n)
{
    size_t n_pushes = count_pushes(bench, n);
    uint64_t begun_ns = own_ns();
    for (size_t i = 0; i < n_pushes; i++)
        push(bench, n);
    return (double)(own_ns() - begun_ns) / (double)(n * n_pushes) * bench->growth;
}

/* Makes as many states as are wanted and there is time for. */
static void copy_states(struct bench *bench, size_t n_wanted)
{
    size_t n = 1;
    for (; n < n_wanted && !is_over(bench, 0.6); n++) {
        plan_copy(bench->plan, state(bench, n), state(bench, 0));
        push(bench, 1);
    }
    bench->n_states = n;
}

/* So many of the sizes, none of which alone takes half of the limit. */
static size_t count_sizes(const struct bench *bench, size_t most_together)
{
    double fitting = 0.5 * (double)bench->limit_ns / bench->frame_ns;
    size_t n = 1;
    while (n < COST_SIZES && COST_SIZE(n) <= most_together && COST_SIZE(n) <= bench->n_states &&
           (double)COST_SIZE(n) <= fitting)
        n++;
    return n;
}

/* The sizes take turns, so that none finds the caches as another has left them; of each the median. Of frames alone,
 * where a repeat has time for a few only, the median may be without the dear ones, and what filling showed is better.
 */
static void measure(struct bench *bench, struct cost *cost, size_t n_states, size_t most_together)
{
    double each_ns[COST_SIZES][REPEATS];
    size_t n_repeats[COST_SIZES] = {0};
    double worst = 1;
    bench->frame_ns = fill(bench, &worst);
    cost_set(cost, 0, bench->frame_ns);
    cost_set_worst(cost, worst);
    copy_states(bench, n_states);
    size_t n_sizes = count_sizes(bench, most_together);
    size_t first = count_pushes(bench, 1) < LEAST_ALONE ? 1 : 0;
    for (size_t k = 0; k < n_sizes * REPEATS && !is_over(bench, 1); k++) {
        size_t i = k % n_sizes;
        if (i >= first)
            each_ns[i][n_repeats[i]++] = time_groups(bench, COST_SIZE(i));
    }
    for (size_t i = 0; i < n_sizes; i++) {
        qsort(each_ns[i], n_repeats[i], sizeof(each_ns[i][0]), by_value);
        if (n_repeats[i] > 0)
            cost_set(cost, i, each_ns[i][n_repeats[i] / 2]);
    }
}

int measure_plan(struct cost *cost, const struct plan *plan, size_t most_together, uint64_t limit_ns)
{
    struct bench bench = {.plan = plan, .limit_ns = limit_ns, .n_states = 1, .growth = 1};
    size_t state_bytes = plan_facts(plan)->state_bytes + plan_facts(plan)->own_scratch_bytes;
    uint64_t most_bytes = STATE_BYTES_OF(limit_ns) < MOST_STATE_BYTES ? STATE_BYTES_OF(limit_ns) : MOST_STATE_BYTES;
    size_t n_wanted = most_together == 1 ? 1 : MOST_STATES;
    size_t n_states = most_bytes / state_bytes < n_wanted ? most_bytes / state_bytes : n_wanted;
    if (n_states == 0) {
        cost_set(cost, 0, (double)state_bytes / BYTES_A_NS);
        return 0;
    }
    int status = prepare(&bench, n_states);
    bench.begun_ns = uv_hrtime();
    bench.begun_own_ns = own_ns();
    if (status == 0)
        measure(&bench, cost, n_states, most_together);
    finish(&bench);
    return status;
}
