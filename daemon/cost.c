/* SPDX-License-Identifier: MIT */
#include "daemon/cost.h"

#include <math.h>
#include <stdlib.h>

/* A note counts for one part in so many: some dozens of groups are forgotten in a tenth of a second of full load. */
#define NOTE_SHARE 64

/* A thread that was not running, or a page that was not there, makes a frame seem to take milliseconds: one such note
 * is to move the mean by no more than an eighth. A real rise is followed all the same, by that much a note. */
#define NOTE_MOST 9

struct cost *cost_new(void)
{
    struct cost *cost = calloc(1, sizeof(*cost));
    if (cost != NULL)
        atomic_init(&cost->n_users, 1);
    return cost;
}

struct cost *cost_use(struct cost *cost)
{
    if (cost != NULL)
        atomic_fetch_add(&cost->n_users, 1);
    return cost;
}

void cost_release(struct cost *cost)
{
    if (cost != NULL && atomic_fetch_sub(&cost->n_users, 1) == 1)
        free(cost);
}

static double at(const struct cost *cost, size_t i)
{
    return atomic_load_explicit(&cost->ns[i], memory_order_relaxed);
}

void cost_set(struct cost *cost, size_t i, double each_ns)
{
    atomic_store_explicit(&cost->ns[i], each_ns, memory_order_relaxed);
}

void cost_set_worst(struct cost *cost, double ratio)
{
    atomic_store_explicit(&cost->worst_ratio, ratio, memory_order_relaxed);
}

bool cost_is_measured(const struct cost *cost)
{
    return atomic_load_explicit(&cost->worst_ratio, memory_order_relaxed) > 0;
}

double cost_worst_ns(const struct cost *cost)
{
    double ratio = atomic_load_explicit(&cost->worst_ratio, memory_order_relaxed);
    return cost_frame_ns(cost, 1) * (ratio > 1 ? ratio : 1);
}

/* The known value nearest to size i, smaller ones first: what is computed alone says the most about a few. */
static double nearest(const struct cost *cost, size_t i)
{
    for (size_t below = i + 1; below-- > 0;)
        if (at(cost, below) > 0)
            return at(cost, below);
    for (size_t above = i + 1; above < COST_SIZES; above++)
        if (at(cost, above) > 0)
            return at(cost, above);
    return 0;
}

double cost_frame_ns(const struct cost *cost, size_t n)
{
    size_t i = 0;
    while (i + 1 < COST_SIZES && COST_SIZE(i + 1) <= n)
        i++;
    double from = nearest(cost, i), to = i + 1 < COST_SIZES ? at(cost, i + 1) : 0;
    if (n >= COST_MOST_TOGETHER || to == 0)
        return from;
    return from + (to - from) * (double)(n - COST_SIZE(i)) / (double)COST_SIZE(i);
}

size_t cost_best(const struct cost *cost, size_t most)
{
    size_t best = most;
    double least = cost_frame_ns(cost, most);
    for (size_t i = COST_SIZES; i-- > 0;)
        if (COST_SIZE(i) < most && cost_frame_ns(cost, COST_SIZE(i)) < least) {
            best = COST_SIZE(i);
            least = cost_frame_ns(cost, best);
        }
    return best;
}

/* What made the group dearer or cheaper than expected (colder caches, another program, a slower clock) does so to
 * groups of all sizes, and those that are not met for long would be forgotten with what they once were: half of a
 * correction is theirs. Half of its logarithm, that is: then they follow the square root of what the noted size has
 * moved in all. Half of each step would let them rise with every pair of notes that cancel each other, (1 + s/2) twice
 * against (1 + s)(1 - s), until groups of other sizes than the usual one seem too dear to be ever tried. */
void cost_note(struct cost *cost, size_t n, double each_ns)
{
    size_t i = 0;
    while (i + 1 < COST_SIZES && 2 * COST_SIZE(i) * COST_SIZE(i) < n * n) /* nearest by ratio */
        i++;
    double expected = cost_frame_ns(cost, n), old = nearest(cost, i);
    if (expected == 0) {
        cost_set(cost, i, each_ns);
        return;
    }
    double ratio = each_ns / expected, factor = 1 + ((ratio < NOTE_MOST ? ratio : NOTE_MOST) - 1) / NOTE_SHARE;
    double others = sqrt(factor);
    for (size_t j = 0; j < COST_SIZES; j++)
        if (j != i && at(cost, j) > 0)
            cost_set(cost, j, at(cost, j) * others);
    cost_set(cost, i, old * factor);
}
