/* SPDX-License-Identifier: MIT */
/*
 * A shard's second has load_percent of its time to give away. From it go what admitted streams claim, at what their
 * frames cost by now (ledger.h), and what streams without a rate were measured to use: they are never refused, but
 * leave less to those who ask. The rest of the time is what keeps waiting short when frames of many streams come at
 * once.
 *
 * Busy time is the thread's processor time. libuv's own metric (UV_METRICS_IDLE_TIME) would cost one more system call
 * before every poll that blocks, that is, with every frame of a shard that is nearly idle.
 */
#include "daemon/admission.h"

#include <math.h>
#include <time.h>

#include "daemon/model.h"
#include "daemon/shard.h"
#include "daemon/traffic.h"
#include "daemon/users.h"

/* Ticks of 250 ms, of which each counts a quarter: means over about a second. */
#define TICK_SHARE 4

/* Of what a frame costs besides computing, a tick counts an eighth; only one with so many frames, and in which nothing
 * was opened: an open fills a whole state. */
#define OVERHEAD_SHARE  8
#define OVERHEAD_FRAMES 64
#define OVERHEAD_MOST   100000.0

/* After so long the use of streams without a rate was measured anew, and streams may have ended. */
#define RETRY_MS 1000

/* What one shard may give away of each second, and what is left of that. */
static double budget_ns(const struct shared *shared)
{
    return 1e7 * (double)config_number(shared->config, CONFIG_admission_load_percent);
}

static double left_ns(const struct shared *shared, const struct shard *shard)
{
    double left = budget_ns(shared) - (double)counters_get(&shard->ledger.claimed_ns) -
                  (double)counters_get(&shard->use.unrated_ns);
    return left > 0 ? left : 0;
}

/* What is left on the shard that has most of it, and on all. */
static double most_left_ns(const struct shared *shared, double *all_ns)
{
    double most = 0;
    *all_ns = 0;
    for (unsigned i = 0; i < shared->n_shards; i++) {
        double left = left_ns(shared, &shared->shards[i]);
        *all_ns += left;
        most = left > most ? left : most;
    }
    return most;
}

static int refuse_load(const struct shard *shard, double rate, double each_ns, struct attnp_error *error)
{
    double all_ns, best_ns = most_left_ns(shard->shared, &all_ns), needed_ns = rate * each_ns;
    bool elsewhere = best_ns >= needed_ns, ever = budget_ns(shard->shared) >= needed_ns;
    char advice[80];
    if (elsewhere)
        snprintf(advice, sizeof(advice), "open it on a new connection, which goes to that shard");
    else if (ever)
        snprintf(advice, sizeof(advice), "lower the rate, close streams, or try again in %d ms", RETRY_MS);
    else
        snprintf(advice, sizeof(advice), "no shard can ever take that: lower the rate");
    attnp_fail(error, ATTNP_OVER_CAPACITY,
               "%.6g frames/s take %.3g %% of a shard; left are %.3g %% (%.0f frames/s) on the best shard, %.3g %% "
               "(%.0f frames/s) on all; %s",
               rate, needed_ns / 1e7, best_ns / 1e7, best_ns / each_ns, all_ns / 1e7, all_ns / each_ns, advice);
    error->has_left = true;
    error->left_shard = best_ns / each_ns;
    error->left_all = all_ns / each_ns;
    error->has_retry = ever;
    error->retry_ms = elsewhere ? 0 : RETRY_MS;
    return -1;
}

/* A frame may come when a batch has just begun, which takes SHARD_BATCH_US; or, where frames are dear, when another one
 * of its user is being computed. Only then is it computed, and written. A deadline below the sum of these is one that
 * would be missed again and again though the shard had nothing else to do. */
static int check_deadline(const struct shard *shard, const struct model *model, uint32_t deadline_ms,
                          struct attnp_error *error)
{
    double own_ns = cost_frame_ns(model->cost, 1), before_ns = SHARD_BATCH_US * 1e3;
    if (model_worst_ns(model) > SHARD_DEAR_US * 1e3 && before_ns < ledger_longest_ns(&shard->ledger))
        before_ns = ledger_longest_ns(&shard->ledger);
    double least_ns = before_ns + own_ns + (double)counters_get(&shard->ledger.overhead_ns);
    if (deadline_ms == 0 || deadline_ms * 1e6 >= least_ns)
        return 0;
    return attnp_fail(
        error, ATTNP_OVER_CAPACITY,
        "a deadline of %u ms cannot be kept: a frame may wait %.1f ms for a batch that has begun, and takes "
        "%.1f ms itself; allow %.0f ms",
        deadline_ms, before_ns / 1e6, (least_ns - before_ns) / 1e6, least_ns / 1e6 + 1);
}

static int check_load(struct shard *shard, const struct model *model, double rate, struct attnp_error *error)
{
    double unrated_ns = (double)counters_get(&shard->use.unrated_ns);
    ledger_value(&shard->ledger);
    if (ledger_value_with(&shard->ledger, model->cost, rate) + unrated_ns <= budget_ns(shard->shared))
        return 0;
    double each_ns = ledger_frame_ns(&shard->ledger, model->cost, rate);
    return refuse_load(shard, rate, each_ns > 1 ? each_ns : 1, error);
}

/* How much of all shards' time one user may claim. Operators are bound by what is written alone. */
static uint64_t most_of_user_ns(const struct shared *shared, uid_t uid)
{
    uint64_t percent = config_number(shared->config, CONFIG_admission_load_percent_per_user);
    uint64_t all_ns = (uint64_t)budget_ns(shared) * shared->n_shards;
    if (percent == 0 && users_is_operator(shared->users, uid))
        return UINT64_MAX;
    return percent != 0 ? percent * 10000000 * shared->n_shards : all_ns - all_ns / 16;
}

/* What a claim comes to. */
static uint64_t claim_ns(const struct shard *shard, const struct cost *cost, double rate)
{
    return (uint64_t)(rate * ledger_frame_ns(&shard->ledger, cost, rate));
}

static int check_user(const struct shard *shard, const struct admission_wish *wish, struct attnp_error *error)
{
    uint64_t most_ns = most_of_user_ns(shard->shared, wish->uid),
             needed_ns = claim_ns(shard, wish->model->cost, wish->rate),
             claimed_ns = users_count(shard->shared->users, wish->uid, USERS_CLAIMED_NS);
    if (claimed_ns + needed_ns <= most_ns)
        return 0;
    return attnp_fail(
        error, ATTNP_OVER_CAPACITY,
        "%.6g frames/s take %.3g %% of a shard; streams of user %u have claimed %.3g %% of the %.3g %% that "
        "one user may; lower the rate, close streams, or raise load_percent_per_user in [admission]",
        wish->rate, (double)needed_ns / 1e7, (unsigned)wish->uid, (double)claimed_ns / 1e7, (double)most_ns / 1e7);
}

int admission_enter(struct shard *shard, struct claim *claim, const struct admission_wish *wish,
                    struct attnp_error *error)
{
    const struct model *model = wish->model;
    ledger_claim(claim, wish->rate, model->cost);
    claim->charge = (struct claim_charge){.uid = wish->uid};
    if (wish->rate <= 0)
        return 0;
    if (check_deadline(shard, model, wish->deadline_ms, error) != 0 ||
        check_load(shard, model, wish->rate, error) != 0 || check_user(shard, wish, error) != 0)
        return -1;
    admission_keep(shard, claim);
    if (claim->load == NULL)
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for the claim of a stream; try again later");
    return 0;
}

void admission_keep(struct shard *shard, struct claim *claim)
{
    uint64_t ns = claim->rate > 0 ? claim_ns(shard, claim->cost, claim->rate) : 0;
    if (claim->rate <= 0 || claim->load != NULL || ledger_enter(&shard->ledger, claim) != 0)
        return;
    claim->charge.ns = ns;
    users_charge_anyway(shard->shared->users, claim->charge.uid, USERS_CLAIMED_NS, ns);
}

void admission_leave(struct shard *shard, struct claim *claim)
{
    users_discharge(shard->shared->users, claim->charge.uid, USERS_CLAIMED_NS, claim->charge.ns);
    claim->charge.ns = 0;
    ledger_leave(&shard->ledger, claim);
}

void admission_note_unrated(struct shard *shard, uint64_t took_ns)
{
    shard->use.unrated_since_ns += took_ns + counters_get(&shard->ledger.overhead_ns);
}

void admission_note_away(struct shard *shard, uint64_t took_ns)
{
    shard->use.away_ns += took_ns;
}

/* A mean after one more sample; rounded towards the sample, so that a mean of nothing becomes nothing. */
static uint64_t approached(const atomic_uint_fast64_t *mean, double sample, double share)
{
    double old = (double)counters_get(mean), step = (sample - old) / share;
    return (uint64_t)(old + (step < 0 ? floor(step) : ceil(step)));
}

static void note_overhead(struct shard *shard, uint64_t busy_ns)
{
    uint64_t frames, computing_ns, opened = counters_get(&shard->counters.opened);
    traffic_computed(shard->shared->traffic, shard->index, &frames, &computing_ns);
    uint64_t n = frames - shard->use.frames;
    uint64_t computed_ns = computing_ns - shard->use.computing_ns - shard->use.away_ns;
    bool is_typical = n >= OVERHEAD_FRAMES && opened == shard->use.opened;
    shard->use.frames = frames;
    shard->use.computing_ns = computing_ns;
    shard->use.opened = opened;
    if (!is_typical)
        return;
    double each_ns = busy_ns > computed_ns ? (double)(busy_ns - computed_ns) / (double)n : 0;
    if (each_ns > OVERHEAD_MOST)
        each_ns = OVERHEAD_MOST;
    ledger_set_overhead(&shard->ledger, approached(&shard->ledger.overhead_ns, each_ns, OVERHEAD_SHARE));
}

static void note_means(struct shard_use *use, uint64_t busy_ns, uint64_t passed_us)
{
    double unrated_ns = (double)use->unrated_since_ns * 1e6 / (double)passed_us;
    counters_set(&use->utilisation_permille,
                 approached(&use->utilisation_permille, (double)busy_ns / (double)passed_us, TICK_SHARE));
    counters_set(&use->unrated_ns, approached(&use->unrated_ns, unrated_ns, TICK_SHARE));
}

void admission_tick(struct shard *shard, uint64_t now_us)
{
    struct timespec cpu;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) != 0)
        return;
    uint64_t cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
    uint64_t busy_ns = cpu_ns - shard->use.cpu_ns, passed_us = now_us - shard->use.tick_us;
    bool is_first = shard->use.tick_us == 0;
    shard->use.cpu_ns = cpu_ns;
    shard->use.tick_us = now_us;
    note_overhead(shard, busy_ns);
    if (!is_first && passed_us > 0)
        note_means(&shard->use, busy_ns, passed_us);
    shard->use.unrated_since_ns = shard->use.away_ns = 0;
    ledger_value(&shard->ledger);
}
