/* SPDX-License-Identifier: MIT */
/* The request `reset`: a stream begins anew between two of its frames. A large state is emptied away from the shard's
 * thread. The thread of the stream's shard. */
#pragma once

#include "daemon/pending.h"

/* Empties the state of the stream, and answers with the next frame's number. */
extern const struct pending_kind reset_kind;
