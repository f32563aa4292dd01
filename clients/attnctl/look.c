/* SPDX-License-Identifier: MIT */
/* The commands that ask one thing: what differs between them is a row of a table. */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attnctl/arguments.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/json.h"
#include "attnctl/ndjson.h"
#include "attnctl/session.h"
#include "attnctl/settings.h"
#include "attnctl/stats.h"
#include "attnctl/table.h"

struct question {
    const char *method;
    const char *doc;
    bool wants_stream; /* its argument is a stream's number or name */
    const char *empty; /* what is said where the answer is an empty list */
    bool takes_reason;
};

struct look {
    const struct question *question;
    struct settings *settings;
    const char *target;
    const char *reason; /* of kill; NULL: none */
};

enum { OPTION_REASON = 256 };

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct look *look = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = look->settings;
        return 0;
    case OPTION_REASON:
        look->reason = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (!look->question->wants_stream)
            argp_error(state, "%s takes no argument", look->question->method);
        if (look->target)
            argp_error(state, "one stream at a time");
        look->target = argument;
        return 0;
    case ARGP_KEY_END:
        if (look->question->wants_stream && !look->target)
            argp_error(state, "which stream? Its number or name is missing; 'attnctl streams' lists them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void show(const struct look *look, const json_t *answer)
{
    if (look->settings->json || !isatty(STDOUT_FILENO)) {
        ndjson_write_compact(stdout, json_incref((json_t *)answer));
    } else if (json_object_size(answer) > 0) {
        table_print(stdout, answer, look->question->empty);
    }
}

static long long microseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000000LL + (now.tv_nsec - start->tv_nsec) / 1000;
}

/* `ping` adds what only the client knows: whom it reached, and how long the answer took. */
static void add_round_trip(json_t *answer, const struct session *session, const struct timespec *start)
{
    json_object_set_new(answer, "server", ndjson_string(attnc_server(session->client)));
    json_object_set_new(answer, "round_trip_us", json_integer(microseconds_since(start)));
}

/* The answer, which is a map; NULL and a problem. */
static json_t *ask_question(struct attnc_client *client, const struct look *look, struct problem *problem)
{
    const char *method = look->question->method;
    if (strcmp(method, "streams") == 0)
        return stats_ask_streams(client, problem);
    if (strcmp(method, "stats") == 0)
        return stats_ask(client, false, problem);
    json_t *answer = json_call_with(client, method, look->target, "reason", look->reason);
    const char *list = strcmp(method, "models") == 0 ? method : NULL;
    int result = answer ? stats_check(answer, method, list, problem)
                        : stats_fail(client, look->target ? look->target : method, problem);
    if (result == 0)
        return answer;
    json_decref(answer);
    return NULL;
}

static int ask(const struct look *look)
{
    struct session session;
    struct timespec start;
    enum exit_code code = session_open(&session, look->settings, NULL, SESSION_LISTENING);
    if (code != EXIT_DONE)
        return code;
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct problem problem;
    json_t *answer = ask_question(session.client, look, &problem);
    if (answer && strcmp(look->question->method, "ping") == 0)
        add_round_trip(answer, &session, &start);
    if (answer)
        show(look, answer);
    else
        code = complain(EXIT_DATA, "%s", problem.text);
    json_decref(answer);
    session_close(&session);
    if (fflush(stdout) != 0)
        return complain(EXIT_DATA, "standard output cannot be written: %s", strerror(errno));
    return code;
}

static int run(const struct question *question, struct settings *settings, int argc, char **argv)
{
    static const struct argp_child children[] = {{&settings_argp, 0, NULL, 0}, {0}};
    struct look look = {.question = question, .settings = settings};
    static const struct argp_option reason[] = {
        {"reason", OPTION_REASON, "TEXT", 0, "What the stream's client is told, at most 120 bytes", 0},
        {0},
    };
    const struct argp argp = {
        .options = question->takes_reason ? reason : NULL,
        .parser = parse,
        .args_doc = question->wants_stream ? "STREAM" : NULL,
        .doc = question->doc,
        .children = children,
    };
    arguments_parse(&argp, argc, argv, 0, &look);
    return ask(&look);
}

#define QUESTION(name, wants_stream, empty, doc)                                                                       \
    int look_##name(struct settings *settings, int argc, char **argv)                                                  \
    {                                                                                                                  \
        static const struct question question = {#name, doc, wants_stream, empty, false};                              \
        return run(&question, settings, argc, argv);                                                                   \
    }

QUESTION(ping, false, "", "Asks whether the daemon answers, and how long that takes.")
QUESTION(models, false, "the daemon serves no models", "Lists the models that the daemon serves.")
QUESTION(streams, false, "no stream is open", "Lists the open streams: one's own, for an operator all.")
QUESTION(info, true, "", "Shows one stream, by its number or name: position, lag, queue, drops; never contents.")
QUESTION(stats, false, "", "Shows the daemon's counters.")
QUESTION(reset, true, "", "Empties the state of a stream, given by its number or name: its next frame has position 0.")
QUESTION(close, true, "", "Ends a stream, given by its number or name. Frames that still wait are dropped.")

int look_kill(struct settings *settings, int argc, char **argv)
{
    static const struct question question = {
        .method = "kill",
        .doc =
            "Ends a stream of anybody's, given by its number or name, and tells its client why. For operators: root, "
            "or the daemon's user.",
        .wants_stream = true,
        .empty = "",
        .takes_reason = true,
    };
    return run(&question, settings, argc, argv);
}
