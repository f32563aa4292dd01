/* SPDX-License-Identifier: MIT */
/*
 * Giving hundreds of megabytes back takes the kernel tens of milliseconds, most of them for the pages and few for the
 * addresses. So the pages go on another thread, and the addresses, empty by then, on the shard's. What the other thread
 * needs to know stands at the beginning of the block itself: giving memory back is not to fail for want of memory.
 */
#include "daemon/release.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/away.h"
#include "daemon/users.h"

struct leftover {
    struct away away;
    size_t n_bytes; /* of the block, this included */
    uid_t uid;
};

static void give_pages_back(struct away *away)
{
    struct leftover *leftover = (struct leftover *)away;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)leftover + leftover->n_bytes;
    uintptr_t first = ((uintptr_t)(leftover + 1) + page - 1) & ~(page - 1), last = end & ~(page - 1);
    if (first < last)
        madvise((void *)first, last - first, MADV_DONTNEED);
}

static void discharge(const struct shard *shard, uid_t uid, size_t n_bytes)
{
    users_discharge(shard->shared->users, uid, USERS_STATE_BYTES, n_bytes);
}

static void free_block(struct away *away)
{
    struct leftover *leftover = (struct leftover *)away;
    discharge(away->shard, leftover->uid, leftover->n_bytes);
    free(leftover);
}

static const struct away_kind release_kind = {NULL, give_pages_back, free_block};

void release_block(struct shard *shard, uid_t uid, void *block, size_t n_bytes)
{
    struct leftover *leftover = block;
    struct share *share = leftover != NULL && n_bytes > AWAY_BYTES ? share_join(shard, uid) : NULL;
    if (share == NULL) {
        free(block);
        discharge(shard, uid, block != NULL ? n_bytes : 0);
        return;
    }
    leftover->n_bytes = n_bytes;
    leftover->uid = uid;
    away_send(&leftover->away, shard, share, &release_kind);
    share_leave(share);
}

void *release_take(struct shard *shard, struct stream *stream, size_t *n_bytes)
{
    void *block = stream_take_block(stream, n_bytes);
    if (block != NULL)
        registry_part(shard->shared->registry, &stream->card, *n_bytes);
    return block;
}

void release_state(struct shard *shard, struct stream *stream)
{
    size_t n_bytes;
    void *block = release_take(shard, stream, &n_bytes);
    release_block(shard, stream->card.uid, block, n_bytes);
}
