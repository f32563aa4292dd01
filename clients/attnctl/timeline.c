/* SPDX-License-Identifier: MIT */
/*
 * Two runs are open at any time: the segment, and, where another class wins at the moment, the candidate that becomes
 * the next segment once it has won for TIMELINE_LEAST_S without a break. Until then its frames count for the segment
 * too.
 */
#include "attnctl/timeline.h"

#include <stdbool.h>
#include <stdlib.h>

#define BAR_COLUMNS        10
#define MOST_LABEL_COLUMNS 32

struct run {
    uint32_t class;
    double start_s;
    double since_s; /* start_s, but for the first one, which begins at 0 whenever it is found */
    double sum;     /* of the class's scores */
    uint64_t n_frames;
};

struct timeline {
    uint32_t n_scores;
    double end_s;
    bool has_segment, has_candidate;
    struct run segment, candidate;
    double doubtful_sum;           /* of the segment's class, since the candidate began */
    struct timeline_segment *done; /* [room], of which n_done are final; the open segment goes behind them */
    size_t n_done, room;
};

struct timeline *timeline_new(uint32_t n_scores)
{
    struct timeline *timeline = calloc(1, sizeof(*timeline));

    if (timeline == NULL)
        return NULL;
    timeline->n_scores = n_scores;
    timeline->room = 16;
    timeline->done = calloc(timeline->room, sizeof(*timeline->done));
    if (timeline->done == NULL) {
        free(timeline);
        return NULL;
    }
    return timeline;
}

void timeline_free(struct timeline *timeline)
{
    if (timeline == NULL)
        return;
    free(timeline->done);
    free(timeline);
}

static struct timeline_segment to_segment(const struct run *run, double end_s)
{
    return (struct timeline_segment){run->start_s, end_s, run->class,
                                     run->n_frames > 0 ? run->sum / (double)run->n_frames : 0.0};
}

/* The candidate becomes the segment; always leaves room for the open one. */
static int promote(struct timeline *timeline)
{
    if (timeline->has_segment) {
        if (timeline->n_done + 2 > timeline->room) {
            struct timeline_segment *more = realloc(timeline->done, 2 * timeline->room * sizeof(*more));

            if (more == NULL)
                return -1;
            timeline->done = more;
            timeline->room *= 2;
        }
        timeline->segment.sum -= timeline->doubtful_sum;
        timeline->segment.n_frames -= timeline->candidate.n_frames;
        timeline->done[timeline->n_done++] = to_segment(&timeline->segment, timeline->candidate.start_s);
    }
    timeline->segment = timeline->candidate;
    timeline->has_segment = true;
    timeline->has_candidate = false;
    return 0;
}

static uint32_t winner_of(const float *scores, uint32_t n)
{
    uint32_t winner = 0;

    for (uint32_t i = 1; i < n; i++) {
        if (scores[i] > scores[winner])
            winner = i;
    }
    return winner;
}

int timeline_add(struct timeline *timeline, double time_s, const float *scores)
{
    uint32_t winner = winner_of(scores, timeline->n_scores);
    double began_s = timeline->end_s;

    timeline->end_s = time_s;
    if (timeline->has_segment) {
        timeline->segment.sum += (double)scores[timeline->segment.class];
        timeline->segment.n_frames++;
    }
    if (timeline->has_segment && winner == timeline->segment.class) {
        timeline->has_candidate = false;
        return 0;
    }
    if (!timeline->has_candidate || winner != timeline->candidate.class) {
        /* Before the first segment there is nothing that a blip could belong to, but what follows it. */
        timeline->candidate =
            (struct run){.class = winner, .start_s = timeline->has_segment ? began_s : 0.0, .since_s = began_s};
        timeline->has_candidate = true;
        timeline->doubtful_sum = 0.0;
    }
    timeline->candidate.sum += (double)scores[winner];
    timeline->candidate.n_frames++;
    if (timeline->has_segment)
        timeline->doubtful_sum += (double)scores[timeline->segment.class];
    /* The half of a microsecond is for sums of hops that miss the limit in their last bit. */
    return time_s - timeline->candidate.since_s >= TIMELINE_LEAST_S - 5e-7 ? promote(timeline) : 0;
}

const struct timeline_segment *timeline_segments(struct timeline *timeline, size_t *n_segments)
{
    const struct run *open = timeline->has_segment ? &timeline->segment : &timeline->candidate;

    *n_segments = timeline->n_done;
    if (timeline->has_segment || timeline->has_candidate)
        timeline->done[(*n_segments)++] = to_segment(open, timeline->end_s);
    return timeline->done;
}

static int label_columns(const char *const *labels, const struct timeline_segment *segments, size_t n)
{
    int most = 4;

    for (size_t i = 0; labels != NULL && i < n; i++) {
        int columns = terminal_label_columns(labels[segments[i].class]);

        if (columns > most)
            most = columns;
    }
    return most < MOST_LABEL_COLUMNS ? most : MOST_LABEL_COLUMNS;
}

void timeline_print(struct timeline *timeline, FILE *file, const struct terminal *terminal, const char *const *labels)
{
    size_t n;
    const struct timeline_segment *segments = timeline_segments(timeline, &n);
    int columns = label_columns(labels, segments, n);
    int digits = snprintf(NULL, 0, "%.1f", timeline->end_s);

    for (size_t i = 0; i < n; i++) {
        char label[TERMINAL_LABEL_BYTES], bar[TERMINAL_BAR_BYTES], number[16];

        snprintf(number, sizeof(number), "#%u", segments[i].class);
        terminal_label(terminal, label, labels != NULL ? labels[segments[i].class] : number, columns);
        terminal_bar(terminal, bar, segments[i].score, BAR_COLUMNS);
        fprintf(file, "  %*.1f %s %*.1f s  %s  %s%s%s %4.2f\n", digits, segments[i].start_s, terminal->utf8 ? "–" : "-",
                digits, segments[i].end_s, label, terminal->colour ? "\033[32m" : "", bar,
                terminal->colour ? "\033[0m" : "", segments[i].score);
    }
    fflush(file);
}
