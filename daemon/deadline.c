/* SPDX-License-Identifier: MIT */
/*
 * A frame is late when its answer would leave more than the deadline after the frame came. That is judged when the
 * frame's turn comes, and not by a timer: until then the frame might still be in time, and afterwards it would have had
 * its turn. A stream that drops has all of its late frames dropped at that moment, so that its turn goes to the first
 * frame that is worth it. Only a request that is due between two frames stops that: the request sees the state in its
 * own place, and the frames behind it have their turn afterwards.
 */
#include "daemon/deadline.h"

#include <assert.h>

#include "daemon/answers.h"
#include "daemon/due.h"

void deadline_start(struct stream *stream, uint32_t deadline_ms, enum attnp_late late, uint64_t answer_from)
{
    assert(stream->sequence.next == stream->sequence.first); /* no frame was judged yet */
    stream->deadline =
        (struct stream_deadline){.after_us = (uint64_t)deadline_ms * 1000, .late = late, .answer_from = answer_from};
}

static bool is_late(const struct stream *stream, uint64_t answered_us)
{
    return stream->deadline.after_us != 0 && answered_us > stream_arrived_us(stream) + stream->deadline.after_us;
}

static bool drop(struct stream *stream, uint64_t answered_us)
{
    while (stream_waiting(stream) > 0 && !due_is(stream) && is_late(stream, answered_us))
        answers_drop(stream, stream_late);
    answers_name_unanswered(stream);
    return stream_waiting(stream) > 0 && !due_is(stream);
}

bool deadline_settle(struct stream *stream, uint64_t now_us, uint64_t ahead_ns)
{
    uint64_t answered_us = now_us + ahead_ns / 1000;
    struct stream_deadline *deadline = &stream->deadline;
    assert(stream_waiting(stream) > 0 && !due_is(stream)); /* else there is no frame whose turn it is */
    deadline->skip = NULL;
    if (stream->sequence.settled < deadline->answer_from)
        deadline->skip = stream_replay;
    else if (deadline->late == ATTNP_LATE_SKIP_OUTPUT && is_late(stream, answered_us))
        deadline->skip = stream_late;
    else if (deadline->late == ATTNP_LATE_DROP_OLDEST && is_late(stream, answered_us))
        return drop(stream, answered_us);
    return true;
}
