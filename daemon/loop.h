/* SPDX-License-Identifier: MIT */
/* A shard's thread, and the order of one turn of its loop. */
#pragma once

#include "daemon/shard.h"

/* Makes all of a shard but its thread, on memory of zeros. 0, or libuv's error; then nothing is left to be freed. Main
 * thread. */
int loop_init(struct shard *shard, struct shared *shared, unsigned index);

/* A part of a turn: opens mails that were taken from the mailbox, as many as the time of a turn allows, and at least
 * one. The shard's thread. */
void loop_open_mails(struct shard *shard);

/* Has the thread run. 0, or libuv's error. Main thread. */
int loop_start(struct shard *shard);

/* Has the shard settle what it accepted and end. Main thread. */
void loop_drain(struct shard *shard);

/* Waits for the end of the thread. Main thread, after loop_drain. */
void loop_join(struct shard *shard);

/* Frees everything, what other shards posted at the end included: once all of them are joined, or of a shard whose
 * thread was never started. Main thread. */
void loop_done(struct shard *shard);

/* The watchdog's: asks for a pulse; and whether the pulse that was asked for last has come, or the thread has ended.
 * Main thread. */
void loop_ask_pulse(struct shard *shard);
bool loop_has_pulse(const struct shard *shard);
