/* SPDX-License-Identifier: MIT */
/*
 * Streams of millions of frames against the formulas in double: what a step carries on from frame to frame must not
 * grow wrong. The frames come from a generator that can be asked for any of them again, so that the formulas, and the
 * library's own float32 batch form, need no memory of the stream.
 *
 *     endurance [-f frames] [-b] [-k variant] [-p part/parts]
 *
 * Each run checks every frame of its first 20 windows, and then stretches of two windows that are spread evenly over
 * the rest. An error is divided by max|v| of its window. The worst error of a run and its 99.9th percentile are at most
 * 4 times those of the batch form on the same frames, or 1e-5, whichever is larger, both over all frames and over those
 * that nothing but noise went into. Without -f, 200,000 frames in all; -b: 100 windows of the shapes of the benches.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"
#include "formula.h"
#include "generator.h"

#define FLOOR 1e-5

/* Below that many frames, those of noise alone are shown but not judged: the worst of a few is a matter of luck. */
#define ENOUGH_FRAMES 2000

enum {
    MARGIN = 4,
    FIRST_WINDOWS = 20,
    STRETCHES = 1000,
    SHORT_RUN = 4000, /* frames a run without -f; of a retroactive layer the first windows and a little */
    SHORT_RETROACTIVE = 1400,
    RETROACTIVE_SHARE = 10, /* of the frames a run, since each of its steps costs n times as much */
    BENCH_WINDOWS = 100,
};

/* The shape and method of a run. */
struct setting {
    const char *name;
    uint32_t n, m, d, heads;
    enum attn_landmark_policy policy;
    enum attn_refresh refresh;
    enum attn_inverse_scale scale;
    int retroactive;
    uint64_t most_checked; /* frames, where the formula takes long; 0: as said above */
};

static const struct setting settings[] = {
    {"exact", 64, 0, 32, 1, 0, 0, 0, 0, 0},
    {"means", 64, 16, 32, 1, 0, 0, 0, 0, 0},
    {"means spread", 64, 16, 32, 1, 0, ATTN_REFRESH_SPREAD, 0, 0, 0},
    {"fixed", 64, 16, 32, 1, ATTN_LANDMARKS_FIXED, 0, 0, 0, 0},
    {"fixed spread", 64, 16, 32, 1, ATTN_LANDMARKS_FIXED, ATTN_REFRESH_SPREAD, 0, 0, 0},
    {"means heads", 50, 7, 16, 2, 0, 0, ATTN_INVERSE_HEADS, 0, 0},
    {"means heads spread", 50, 7, 16, 2, 0, ATTN_REFRESH_SPREAD, ATTN_INVERSE_HEADS, 0, 0},
    {"fixed heads", 50, 7, 16, 2, ATTN_LANDMARKS_FIXED, 0, ATTN_INVERSE_HEADS, 0, 0},
    {"fixed heads spread", 50, 7, 16, 2, ATTN_LANDMARKS_FIXED, ATTN_REFRESH_SPREAD, ATTN_INVERSE_HEADS, 0, 0},
    {"retroactive exact", 64, 0, 32, 1, 0, 0, 0, 1, 0},
    {"retroactive means", 64, 16, 32, 1, 0, 0, 0, 1, 0},
    {"retroactive means spread", 50, 7, 16, 2, 0, ATTN_REFRESH_SPREAD, ATTN_INVERSE_HEADS, 1, 0},
    {"retroactive fixed", 64, 16, 32, 1, ATTN_LANDMARKS_FIXED, 0, 0, 1, 0},
};

static const double sigmas[] = {0.1, 1, 4, 8, 30};

static const struct setting bench_settings[] = {
    {"means", 120, 4, 192, 1, 0, 0, 0, 0, 0},
    {"means", 120, 16, 192, 1, 0, 0, 0, 0, 0},
    {"means", 120, 16, 12, 16, 0, 0, 0, 0, 0},
    {"means", 64, 16, 1024, 1, 0, 0, 0, 0, 0},
    {"means", 512, 32, 64, 8, 0, 0, 0, 0, 4000},
    {"means", 4096, 64, 64, 8, 0, 0, 0, 0, 200},
    {"means spread", 120, 4, 192, 1, 0, ATTN_REFRESH_SPREAD, 0, 0, 0},
    {"means spread", 120, 16, 192, 1, 0, ATTN_REFRESH_SPREAD, 0, 0, 0},
    {"means spread", 120, 16, 12, 16, 0, ATTN_REFRESH_SPREAD, 0, 0, 0},
    {"means spread", 64, 16, 1024, 1, 0, ATTN_REFRESH_SPREAD, 0, 0, 0},
    {"means spread", 512, 32, 64, 8, 0, ATTN_REFRESH_SPREAD, 0, 0, 4000},
    {"means spread", 4096, 64, 64, 8, 0, ATTN_REFRESH_SPREAD, 0, 0, 200},
};

static const double bench_sigmas[] = {1, 4};

/* The errors of some frames, by the steps and by the batch form. */
struct errors {
    size_t n, capacity;
    double *step, *batch;
};

struct run {
    const struct setting *setting;
    double sigma;
    uint64_t n_frames;
    struct attn_plan *plan;
    struct attn_info info;
    struct attn_options options;
    struct generator generator;
    struct formula formula;
    size_t n_floats, n_outputs; /* of a frame, of an output */
    float *landmarks;           /* of the fixed policy, q and k */
    /* The stretch that is being checked: positions from … end − 1 with the frames that its first outputs need. */
    uint64_t from, begin, end;
    float *history;
    float *output;
    double *right;
    void *state, *scratch;
    struct errors all, noise;
};

static void *allocate(size_t n, size_t size)
{
    void *memory = aligned_alloc(ATTN_ALIGN, (n * size + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN + ATTN_ALIGN);
    if (memory == NULL)
        abort();
    return memory;
}

static void errors_add(struct errors *errors, double step, double batch)
{
    if (errors->n == errors->capacity) {
        errors->capacity = errors->capacity * 2 + 1024;
        errors->step = realloc(errors->step, errors->capacity * sizeof(double));
        errors->batch = realloc(errors->batch, errors->capacity * sizeof(double));
        if (errors->step == NULL || errors->batch == NULL)
            abort();
    }
    errors->step[errors->n] = step;
    errors->batch[errors->n++] = batch;
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Sorts the errors, says what they are, and whether they are within the bounds. */
static bool errors_judge(struct errors *errors, const char *name)
{
    if (errors->n == 0)
        return true;
    qsort(errors->step, errors->n, sizeof(double), compare_doubles);
    qsort(errors->batch, errors->n, sizeof(double), compare_doubles);
    size_t last = errors->n - 1, high = (size_t)(0.999 * (double)last);
    double worst = errors->step[last], worst_batch = errors->batch[last];
    double tail = errors->step[high], tail_batch = errors->batch[high];
    printf("# %s, %zu frames: worst %.1e, %.2f of the batch form's %.1e; 99.9 %% %.1e, %.2f of %.1e\n", name, errors->n,
           worst, worst / worst_batch, worst_batch, tail, tail / tail_batch, tail_batch);
    return worst <= fmax(FLOOR, MARGIN * worst_batch) && tail <= fmax(FLOOR, MARGIN * tail_batch);
}

/* Normal numbers as the keys have them. */
static void make_landmarks(struct run *run)
{
    const struct setting *setting = run->setting;
    size_t width = (size_t)setting->heads * setting->m * setting->d;
    struct generator source = {.seed = 77, .heads = 1, .head_dim = width, .sigma = run->sigma, .block = 1 << 20};
    run->landmarks = allocate(3 * width + 1, sizeof(float));
    if (setting->policy != ATTN_LANDMARKS_FIXED)
        return;
    generator_fill(&source, 0, 1, run->landmarks);
    run->options.q_landmarks = run->landmarks;
    run->options.k_landmarks = run->landmarks + width;
}

static void run_open(struct run *run, const struct setting *setting, double sigma, enum attn_variant variant)
{
    *run = (struct run){.setting = setting, .sigma = sigma};
    run->options = (struct attn_options){
        .size = sizeof(run->options),
        .method = setting->m > 0 ? ATTN_NYSTROM : ATTN_EXACT,
        .heads = setting->heads,
        .head_dim = setting->d,
        .window = setting->n,
        .landmarks = setting->m,
        .landmark_policy = setting->policy,
        .refresh = setting->refresh,
        .inverse_scale = setting->scale,
        .retroactive = setting->retroactive,
        .variant = variant,
    };
    run->generator = (struct generator){.seed = setting->n + setting->m,
                                        .heads = setting->heads,
                                        .head_dim = setting->d,
                                        .sigma = sigma,
                                        .block = 5 * setting->n / 2 + 7};
    make_landmarks(run);
    struct attn_reason why;
    if (attn_plan_new(&run->plan, &run->options, &why) != 0) {
        printf("Bail out! %s: %s\n", setting->name, why.text);
        exit(EXIT_FAILURE);
    }
    run->info.size = sizeof(run->info);
    attn_plan_info(run->plan, &run->info);
    run->n_floats = run->info.input_dim;
    run->n_outputs = attn_output_dim(run->plan, ATTN_SCORES);
    run->history = allocate(6 * (size_t)setting->n * run->n_floats, sizeof(float));
    run->output = allocate(run->n_outputs, sizeof(float));
    run->right = allocate(run->n_outputs, sizeof(double));
    run->scratch = allocate(run->info.scratch_bytes, 1);
    run->state = attn_init(run->plan, allocate(run->info.state_bytes, 1));
    formula_init(&run->formula, &run->options);
}

static void run_close(struct run *run)
{
    formula_done(&run->formula);
    attn_plan_free(run->plan);
    free(run->landmarks);
    free(run->history);
    free(run->output);
    free(run->right);
    free(run->scratch);
    free(run->state);
    free(run->all.step);
    free(run->all.batch);
    free(run->noise.step);
    free(run->noise.batch);
}

/* Finds the stretch that ends after t: in the first windows the next follows at once. */
static void find_stretch(struct run *run, uint64_t t)
{
    uint64_t n = run->setting->n, length = 2 * n, first = FIRST_WINDOWS * n, stretches = STRETCHES;
    if (run->setting->most_checked > 0) {
        length = run->setting->most_checked / 40;
        first = length;
        stretches = 39;
    }
    if (t < first) {
        run->begin = t;
        run->end = t + length < first ? t + length : first;
        return;
    }
    uint64_t rest = run->n_frames > first ? run->n_frames - first : 1;
    stretches = stretches < rest / (2 * length) ? stretches : rest / (2 * length);
    uint64_t spacing = stretches > 0 ? rest / stretches : rest;
    uint64_t index = (t - first) / spacing + 1;
    run->begin = index > stretches ? UINT64_MAX : first + index * spacing - length;
    run->end = run->begin + length;
}

/* The frames of a stretch, and those that its outputs depend on, from a multiple of n on: to the batch form, positions
 * begin there. */
static void fill_history(struct run *run)
{
    uint64_t n = run->setting->n, lap = run->begin / n;
    run->from = lap > 3 ? (lap - 3) * n : 0;
    generator_fill(&run->generator, run->from, (size_t)(run->end - run->from), run->history);
}

/* max |output − right| / max|v| in the window */
static double error_of(const struct run *run, uint64_t t)
{
    size_t n = run->setting->n, width = run->n_floats / 3;
    double error = 0;
    float largest = 0;
    for (size_t i = 0; i < run->n_outputs; i++) {
        double difference = fabs(run->output[i] - run->right[i]);
        if (!(difference <= error))
            error = isnan(difference) ? INFINITY : difference;
    }
    for (uint64_t at = t < n ? 0 : t - n + 1; at <= t; at++) {
        const float *v = run->history + (at - run->from) * run->n_floats + 2 * width;
        for (size_t i = 0; i < width; i++)
            largest = fabsf(v[i]) > largest ? fabsf(v[i]) : largest;
    }
    return error == 0 ? 0 : error / largest;
}

/* Compares the output of the step at t, and that of the batch form, with the formula. */
static void check_output(struct run *run, uint64_t t)
{
    uint64_t reach = formula_reach(&run->options);
    formula_output(&run->formula, run->history, run->from, t, run->right);
    double step = error_of(run, t);
    if (attn_batch(run->plan, run->history, (size_t)(t - run->from + 1), run->output) != 0)
        abort();
    double batch = error_of(run, t);
    errors_add(&run->all, step, batch);
    if (generator_is_noise(&run->generator, t < reach ? 0 : t - reach, t + 1))
        errors_add(&run->noise, step, batch);
}

static void run_stream(struct run *run)
{
    float *frame = allocate(run->n_floats, sizeof(float));
    find_stretch(run, 0);
    fill_history(run);
    for (uint64_t t = 0; t < run->n_frames; t++) {
        generator_fill(&run->generator, t, 1, frame);
        if (attn_push(run->plan, run->state, frame, ATTN_SCORES, run->output, run->scratch) != 0)
            abort();
        if (t >= run->begin && t < run->end)
            check_output(run, t);
        if (t + 1 != run->end)
            continue;
        find_stretch(run, t + 1);
        if (run->begin != UINT64_MAX)
            fill_history(run);
    }
    free(frame);
}

static bool endure(const struct setting *setting, double sigma, uint64_t n_frames, enum attn_variant variant)
{
    struct run run;
    char name[160], part[200];
    run_open(&run, setting, sigma, variant);
    run.n_frames = n_frames;
    run_stream(&run);
    snprintf(name, sizeof(name), "n=%u m=%u d=%u H=%u %s sigma=%g", setting->n, setting->m, setting->d, setting->heads,
             setting->name, sigma);
    bool good = errors_judge(&run.all, name);
    snprintf(part, sizeof(part), "%s, noise alone", name);
    bool noise_is_good = errors_judge(&run.noise, part);
    good = good && (noise_is_good || run.noise.n < ENOUGH_FRAMES);
    run_close(&run);
    static unsigned n_results;
    printf("%s %u - %s: as right after %llu frames as recomputed\n", good ? "ok" : "not ok", ++n_results, name,
           (unsigned long long)n_frames);
    fflush(stdout);
    return good;
}

static uint64_t frames_of(const struct setting *setting, uint64_t frames, bool bench)
{
    if (bench)
        return BENCH_WINDOWS * (uint64_t)setting->n;
    if (frames > 0)
        return setting->retroactive ? frames / RETROACTIVE_SHARE : frames;
    return setting->retroactive ? SHORT_RETROACTIVE : SHORT_RUN;
}

static enum attn_variant variant_named(const char *name)
{
    for (int i = ATTN_VARIANT_GENERIC; i <= ATTN_VARIANT_NEON; i++) {
        const char *own = attn_variant_name((enum attn_variant)i);
        if (own != NULL && strcmp(own, name) == 0)
            return (enum attn_variant)i;
    }
    fprintf(stderr, "endurance: this machine has no kernels named %s\n", name);
    exit(EXIT_FAILURE);
}

/* What the command line asks for. */
struct request {
    bool bench;
    uint64_t frames;
    enum attn_variant variant;
    unsigned part, parts; /* every parts-th run, from `part` on */
};

static void read_request(struct request *request, int argc, char **argv)
{
    *request = (struct request){.parts = 1};
    int option;
    while ((option = getopt(argc, argv, "bf:k:p:")) != -1) {
        if (option == 'b')
            request->bench = true;
        else if (option == 'f')
            request->frames = strtoull(optarg, NULL, 10);
        else if (option == 'k')
            request->variant = variant_named(optarg);
        else if (option != 'p' || sscanf(optarg, "%u/%u", &request->part, &request->parts) != 2 ||
                 request->parts == 0) {
            fprintf(stderr, "usage: endurance [-b] [-f frames] [-k variant] [-p part/parts]\n");
            exit(EXIT_FAILURE);
        }
    }
}

int main(int argc, char **argv)
{
    struct request request;
    read_request(&request, argc, argv);
    const struct setting *list = request.bench ? bench_settings : settings;
    const double *deviations = request.bench ? bench_sigmas : sigmas;
    size_t n_settings = (request.bench ? sizeof(bench_settings) : sizeof(settings)) / sizeof(settings[0]);
    size_t n_sigmas = (request.bench ? sizeof(bench_sigmas) : sizeof(sigmas)) / sizeof(double);
    unsigned n_runs = 0;
    bool good = true;
    for (size_t i = request.part; i < n_settings * n_sigmas; i += request.parts, n_runs++) {
        const struct setting *setting = &list[i / n_sigmas];
        uint64_t n_frames = frames_of(setting, request.frames, request.bench);
        good = endure(setting, deviations[i % n_sigmas], n_frames, request.variant) && good;
    }
    printf("1..%u\n", n_runs);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
