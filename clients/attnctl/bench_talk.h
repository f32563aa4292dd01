/* SPDX-License-Identifier: MIT */
/* What a load and the daemon say to each other besides frames and outputs: requests and their answers, events, errors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attnctl/bench_load.h"

/* Asks one thing on every connection (hello), or of every stream (open), or every open stream (finish, close), and
 * waits for all the answers, `patience_s` at most. 0, or −1 and a problem: not all have come, or the loop was
 * interrupted. Streams that were refused are marked so, with the first reason in load->result. */
int bench_talk_ask(struct bench_load *load, enum bench_question question, double patience_s, struct problem *problem);

/* Takes a message that is no output. False, with link->why set, where it cannot be read. */
bool bench_talk_take(struct bench_load *load, struct bench_link *link, const uint8_t *body, size_t n_body);
