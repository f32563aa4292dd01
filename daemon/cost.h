/* SPDX-License-Identifier: MIT */
/* What one frame of one computation costs, by how many frames are computed together: estimates, kept up to date by the
 * shards while they compute. It knows neither where the first estimates come from nor who decides by them.
 *
 * Any thread may call anything here. Values are relaxed atomics: two shards that note at the same time may lose one of
 * two notes, which is no matter for a mean. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames together of which there is an estimate: 1, 2, 4, … 64 (PLAN_MOST_AT_ONCE). */
#define COST_SIZES         7
#define COST_SIZE(i)       ((size_t)1 << (i))
#define COST_MOST_TOGETHER COST_SIZE(COST_SIZES - 1)

struct cost {
    atomic_uint n_users;
    _Atomic double ns[COST_SIZES]; /* a frame, when COST_SIZE(i) are computed together; 0: unknown */
    _Atomic double worst_ratio;    /* of the dearest frame to the mean of many; at least 1, or 0: unknown */
};

/* Nothing known yet; one user, the caller. NULL: no memory. */
struct cost *cost_new(void);

/* One user more, or one less; the last one's release frees it. NULL is allowed. */
struct cost *cost_use(struct cost *cost);
void cost_release(struct cost *cost);

/* Nanoseconds a frame when n ≥ 1 are computed together, interpolated between the sizes above and, beyond those that are
 * known, that of the nearest. 0: nothing is known. */
double cost_frame_ns(const struct cost *cost, size_t n);

/* The number of frames, at most `most` ≥ 1, that costs the least a frame when computed together; `most` where nothing
 * is known. */
size_t cost_best(const struct cost *cost, size_t most);

/* n frames were computed together and took so long each. */
void cost_note(struct cost *cost, size_t n, double each_ns);

/* Sets an estimate: COST_SIZE(i) frames together. */
void cost_set(struct cost *cost, size_t i, double each_ns);

/* How much dearer than the mean a frame can be, at least 1; and what the dearest frame takes when computed alone. */
void cost_set_worst(struct cost *cost, double ratio);
double cost_worst_ns(const struct cost *cost);

/* Frames were computed to learn the cost: it is more than an estimate by the size of the state. */
bool cost_is_measured(const struct cost *cost);

/* The same for people: microseconds a frame of one frame alone, and of the cheapest number together. */
static inline double cost_us(const struct cost *cost)
{
    return cost_frame_ns(cost, 1) / 1000;
}

static inline double cost_us_batched(const struct cost *cost)
{
    return cost_frame_ns(cost, cost_best(cost, COST_MOST_TOGETHER)) / 1000;
}
