/* SPDX-License-Identifier: MIT */
/*
 * How many frames are computed together follows from the load itself. A shard near its limit has batches of
 * SHARD_BATCH_US back to back; while one lasts, a load of r frames a second brings r × SHARD_BATCH_US new ones, at most
 * one a stream, and those are the next group, or groups of the cheapest size. A small load is computed frame by frame,
 * and claims that.
 */
#include "daemon/ledger.h"

#include <math.h>
#include <stdlib.h>

#include "daemon/shard.h"

#define UHZ 1e6

void ledger_init(struct ledger *ledger, double overhead_ns)
{
    LIST_INIT(&ledger->loads);
    atomic_init(&ledger->claimed_ns, 0);
    atomic_init(&ledger->overhead_ns, (uint64_t)overhead_ns);
}

void ledger_set_overhead(struct ledger *ledger, uint64_t overhead_ns)
{
    atomic_store_explicit(&ledger->overhead_ns, overhead_ns, memory_order_relaxed);
}

void ledger_done(struct ledger *ledger)
{
    while (!LIST_EMPTY(&ledger->loads)) {
        struct load *load = LIST_FIRST(&ledger->loads);
        LIST_REMOVE(load, link);
        cost_release(load->cost);
        free(load);
    }
}

static struct load *find(const struct ledger *ledger, const struct cost *cost)
{
    struct load *load;
    LIST_FOREACH(load, &ledger->loads, link)
    if (load->cost == cost)
        return load;
    return NULL;
}

static struct load *find_or_make(struct ledger *ledger, struct cost *cost)
{
    struct load *load = find(ledger, cost);
    if (load != NULL)
        return load;
    load = calloc(1, sizeof(*load));
    if (load == NULL)
        return NULL;
    load->cost = cost_use(cost);
    LIST_INSERT_HEAD(&ledger->loads, load, link);
    return load;
}

void ledger_claim(struct claim *claim, double rate, struct cost *cost)
{
    claim->rate = rate;
    claim->cost = cost;
    claim->load = NULL;
    claim->rate_uhz = 0;
}

static double frame_ns(const struct ledger *ledger, const struct cost *cost, double rate, size_t n_streams)
{
    double come = rate * SHARD_BATCH_US / 1e6, overhead = (double)atomic_load(&ledger->overhead_ns);
    size_t most = n_streams < COST_MOST_TOGETHER ? n_streams : COST_MOST_TOGETHER;
    size_t together = come < 1 ? 1 : come < (double)most ? (size_t)come : most;
    return cost_frame_ns(cost, cost_best(cost, together)) + overhead;
}

static double value_of(const struct ledger *ledger, const struct load *load, double more_rate, size_t more_streams)
{
    double rate = (double)load->rate_uhz / UHZ + more_rate;
    return rate * frame_ns(ledger, load->cost, rate, load->n_streams + more_streams);
}

static void set_value(struct ledger *ledger, double value_ns)
{
    ledger->value_ns = LIST_EMPTY(&ledger->loads) || value_ns < 0 ? 0 : value_ns;
    atomic_store_explicit(&ledger->claimed_ns, (uint64_t)llround(ledger->value_ns), memory_order_relaxed);
}

int ledger_enter(struct ledger *ledger, struct claim *claim)
{
    struct load *load = find_or_make(ledger, claim->cost);
    if (load == NULL)
        return -1;
    double before_ns = value_of(ledger, load, 0, 0);
    /* A billion frames a second is more than any shard computes, and leaves room for as many streams. */
    claim->rate_uhz = claim->rate < 1e9 ? (uint64_t)llround(claim->rate * UHZ) : (uint64_t)(1e9 * UHZ);
    claim->load = load;
    load->rate_uhz += claim->rate_uhz;
    load->n_streams++;
    set_value(ledger, ledger->value_ns + value_of(ledger, load, 0, 0) - before_ns);
    return 0;
}

void ledger_leave(struct ledger *ledger, struct claim *claim)
{
    struct load *load = claim->load;
    if (load == NULL)
        return;
    double before_ns = value_of(ledger, load, 0, 0);
    load->rate_uhz -= claim->rate_uhz;
    load->n_streams--;
    claim->load = NULL;
    claim->rate_uhz = 0;
    double after_ns = load->n_streams > 0 ? value_of(ledger, load, 0, 0) : 0;
    if (load->n_streams == 0) {
        LIST_REMOVE(load, link);
        cost_release(load->cost);
        free(load);
    }
    set_value(ledger, ledger->value_ns + after_ns - before_ns);
}

double ledger_value(struct ledger *ledger)
{
    const struct load *load;
    double value = 0;
    LIST_FOREACH(load, &ledger->loads, link)
    value += value_of(ledger, load, 0, 0);
    set_value(ledger, value);
    return ledger->value_ns;
}

double ledger_value_with(const struct ledger *ledger, const struct cost *cost, double rate)
{
    const struct load *load;
    double value = 0;
    bool is_there = false;
    LIST_FOREACH(load, &ledger->loads, link)
    {
        bool is_it = load->cost == cost;
        value += value_of(ledger, load, is_it ? rate : 0, is_it);
        is_there = is_there || is_it;
    }
    return is_there ? value : value + rate * frame_ns(ledger, cost, rate, 1);
}

double ledger_frame_ns(const struct ledger *ledger, const struct cost *cost, double rate)
{
    const struct load *load = find(ledger, cost);
    if (load == NULL)
        return frame_ns(ledger, cost, rate, 1);
    return frame_ns(ledger, cost, (double)load->rate_uhz / UHZ + rate, load->n_streams + 1);
}

double ledger_longest_ns(const struct ledger *ledger)
{
    const struct load *load;
    double longest = 0;
    LIST_FOREACH(load, &ledger->loads, link)
    if (cost_frame_ns(load->cost, 1) > longest)
        longest = cost_frame_ns(load->cost, 1);
    return longest;
}
