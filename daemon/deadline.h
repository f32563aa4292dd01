/* SPDX-License-Identifier: MIT */
/* Frames whose answer nobody needs computed: those that are too late for their stream's deadline, and those of a
 * replay. The shard's thread. */
#pragma once

#include "daemon/stream.h"

/* The stream's deadline, 0 for none, and what becomes of frames that miss it; frames below `answer_from` are a replay.
 * Before the first frame. */
void deadline_start(struct stream *stream, uint32_t deadline_ms, enum attnp_late late, uint64_t answer_from);

/* To be asked when the stream's oldest waiting frame is about to be computed, with an answer `ahead_ns` from now.
 * Drops what is then too late where the stream wants that (drop-oldest), up to the frame before which a request is
 * due, and decides whether the output of the frame that is computed next is skipped. False: nothing is to be computed
 * now. */
bool deadline_settle(struct stream *stream, uint64_t now_us, uint64_t ahead_ns);
