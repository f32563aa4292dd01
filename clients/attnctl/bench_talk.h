/* SPDX-License-Identifier: MIT */
/* What a load and the daemon say to each other besides frames and outputs: requests and their answers, events, errors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attnctl/bench_load.h"

/* Memory to count what is asked. 0, or −1: no memory. */
int bench_talk_init(struct bench_load *load);
void bench_talk_done(struct bench_load *load);

/* Asks one thing on every connection (hello), or of every stream (open), or every open stream (finish, close), and
 * waits for all the answers, as long as an answer or the settling of a frame comes within `patience_s`. 0, or −1 and a
 * problem: not all have come, or hello or open was interrupted. Streams that were refused are counted in load->result,
 * with the first reason. */
int bench_talk_ask(struct bench_load *load, enum bench_question question, double patience_s, struct problem *problem);

/* A link has ended: its answers are not waited for any more. */
void bench_talk_forget(struct bench_load *load, const struct bench_link *link);

/* Takes a message that is no output. False, with link->why set, where it cannot be read. */
bool bench_talk_take(struct bench_load *load, struct bench_link *link, const uint8_t *body, size_t n_body);
