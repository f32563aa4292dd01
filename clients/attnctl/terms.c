/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/terms.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attnctl/complain.h"

enum { OPTION_PROMISE = 256, OPTION_DEADLINE, OPTION_LATE };

static double parse_rate(const char *text, const struct argp_state *state)
{
    char *end;
    double rate = strtod(text, &end);
    if (end == text || *end || !isfinite(rate) || rate <= 0)
        argp_error(state, "--promise is a number of frames a second above 0, not '%s'", text);
    return rate;
}

static uint32_t parse_deadline(const char *text, const struct argp_state *state)
{
    char *end;
    unsigned long long ms = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || ms < 1 || ms > UINT32_MAX)
        argp_error(state, "--deadline is a number of milliseconds from 1 on, not '%s'", text);
    return ms;
}

static const char *parse_late(const char *text, const struct argp_state *state)
{
    if (strcmp(text, "block") != 0 && strcmp(text, "drop-oldest") != 0 && strcmp(text, "skip-output") != 0)
        argp_error(state, "--late is block, drop-oldest or skip-output, not '%s'", text);
    return text;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct terms *terms = state->input;
    switch (key) {
    case OPTION_PROMISE:
        terms->rate = parse_rate(argument, state);
        return 0;
    case OPTION_DEADLINE:
        terms->deadline_ms = parse_deadline(argument, state);
        return 0;
    case OPTION_LATE:
        terms->late = parse_late(argument, state);
        return 0;
    case ARGP_KEY_END:
        if (terms->late && strcmp(terms->late, "block") != 0 && terms->deadline_ms == 0)
            argp_error(state, "--late %s needs --deadline: after how many milliseconds is a frame late?", terms->late);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_table[] = {
    {"deadline", OPTION_DEADLINE, "MS", 0, "How long after its arrival a frame is to be answered, in milliseconds", 5},
    {"late", OPTION_LATE, "POLICY", 0,
     "What becomes of frames that cannot be: block (they wait, the default), drop-oldest (they are not computed), or "
     "skip-output (they are remembered, but not answered)",
     5},
    {"promise", OPTION_PROMISE, "FPS", 0,
     "Frames a second that will be sent at most; the daemon keeps room for them, or refuses the stream", 5},
    {0},
};

const struct argp terms_argp = {.options = option_table, .parser = parse};

void terms_apply(const struct terms *terms, struct attnc_open_options *options)
{
    options->rate = terms->rate;
    options->deadline_ms = terms->deadline_ms;
    options->late = terms->late;
}

bool terms_count_late(struct terms *terms, const struct attnc_notice *notice)
{
    bool dropped = strcmp(notice->what, "dropped") == 0;
    if (strcmp(notice->name, "late") != 0 || (!dropped && strcmp(notice->what, "skipped") != 0))
        return false;
    *(dropped ? &terms->n_dropped : &terms->n_skipped) += notice->count;
    return true;
}

void terms_tell(const struct terms *terms, const char *about, uint64_t n_frames)
{
    if (terms->n_dropped + terms->n_skipped > 0)
        complain(EXIT_DONE,
                 "%s: of %" PRIu64 " frames %" PRIu64 " were dropped and %" PRIu64
                 " skipped, which could not be answered within %" PRIu32 " ms",
                 about, n_frames, terms->n_dropped, terms->n_skipped, terms->deadline_ms);
}
