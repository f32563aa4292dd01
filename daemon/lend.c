/* SPDX-License-Identifier: MIT */
#include "daemon/lend.h"

#include <assert.h>

#include "daemon/release.h"

static void use(struct away *away)
{
    struct loan *loan = (struct loan *)away;
    loan->kind->use(loan);
}

static void take_back(struct away *away)
{
    struct loan *loan = (struct loan *)away;
    struct stream *stream = loan->stream;
    model_release(loan->model);
    if (stream == NULL)
        release_block(loan->shard, loan->uid, loan->block, loan->block_bytes);
    else
        stream->lend.loan = NULL;
    loan->kind->returned(loan, stream);
}

static const struct away_kind lend_kind = {NULL, use, take_back};

void lend_state(struct loan *loan, struct shard *shard, struct share *share, struct stream *stream,
                const struct loan_kind *kind)
{
    assert(shard_is_own_thread(shard) && !lend_is_out(stream) && stream->batch.ready_in == NULL);
    loan->kind = kind;
    loan->shard = shard;
    loan->stream = stream;
    loan->model = model_use(stream->model);
    loan->block = NULL;
    loan->uid = stream->card.uid;
    stream->lend.loan = loan;
    away_send(&loan->away, shard, share, &lend_kind);
}

void lend_abandon(struct stream *stream, const struct attnp_error *error)
{
    struct loan *loan = stream->lend.loan;
    if (loan == NULL)
        return;
    loan->block = release_take(loan->shard, stream, &loan->block_bytes);
    loan->stream = NULL;
    stream->lend.loan = NULL;
    if (loan->kind->lost != NULL)
        loan->kind->lost(loan, error);
}
