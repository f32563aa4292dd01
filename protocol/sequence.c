/* SPDX-License-Identifier: MIT */
#include "protocol/sequence.h"

#include <assert.h>

void attnp_sequence_init(struct attnp_sequence *sequence, uint64_t first, uint32_t credit)
{
    *sequence = (struct attnp_sequence){.first = first, .settled = first, .next = first, .credit = credit};
}

bool attnp_sequence_begin(struct attnp_sequence *sequence, uint64_t number)
{
    if (number == sequence->next)
        sequence->ignoring = false;
    return !sequence->ignoring;
}

/* The oldest number that waits or has a kept answer, or `next`. */
static uint64_t oldest_known(const struct attnp_sequence *sequence)
{
    uint64_t n_settled = sequence->settled - sequence->first;
    return n_settled > sequence->credit ? sequence->settled - sequence->credit : sequence->first;
}

uint64_t attnp_sequence_too_old(const struct attnp_sequence *sequence, uint64_t number, uint64_t n)
{
    uint64_t oldest = oldest_known(sequence), n_old = number < oldest ? oldest - number : 0;
    return n_old < n ? n_old : n;
}

enum attnp_verdict attnp_sequence_frame(struct attnp_sequence *sequence, uint64_t number)
{
    if (number > sequence->next) {
        sequence->ignoring = true;
        return ATTNP_REFUSE_GAP;
    }
    if (number == sequence->next) {
        if (attnp_sequence_waiting(sequence) >= sequence->credit) {
            sequence->ignoring = true;
            return ATTNP_REFUSE_CREDIT;
        }
        sequence->next++;
        return ATTNP_TAKE;
    }
    if (number >= sequence->settled)
        return ATTNP_WAITS;
    return number >= oldest_known(sequence) ? ATTNP_ANSWER_AGAIN : ATTNP_REFUSE_OLD;
}

void attnp_sequence_bad_bin(struct attnp_sequence *sequence)
{
    sequence->ignoring = true;
}

void attnp_sequence_listen(struct attnp_sequence *sequence)
{
    sequence->ignoring = false;
}

uint64_t attnp_sequence_settle(struct attnp_sequence *sequence)
{
    assert(sequence->settled < sequence->next);
    return sequence->settled++;
}

uint32_t attnp_sequence_waiting(const struct attnp_sequence *sequence)
{
    return (uint32_t)(sequence->next - sequence->settled);
}

uint32_t attnp_credit(uint64_t frame_bytes, uint64_t output_bytes)
{
    uint64_t larger = frame_bytes > output_bytes ? frame_bytes : output_bytes;
    uint64_t credit = larger > 0 ? ATTNP_MAX_MESSAGE / larger : ATTNP_MAX_CREDIT;
    if (credit > ATTNP_MAX_CREDIT)
        return ATTNP_MAX_CREDIT;
    return credit < ATTNP_MIN_CREDIT ? ATTNP_MIN_CREDIT : (uint32_t)credit;
}
