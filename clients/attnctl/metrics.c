/* SPDX-License-Identifier: MIT */
/* attnctl metrics: `stats` for Prometheus. The daemon knows nothing of it; what there is to know stands in this table,
 * and in attnctl(1), which a test compares with what is printed. */
#include "config.h"

#include <argp.h>
#include <stdio.h>

#include "attnctl/arguments.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/metrics_text.h"
#include "attnctl/output.h"
#include "attnctl/session.h"
#include "attnctl/settings.h"
#include "attnctl/stats.h"

static const struct metric metrics[] = {
    {"attnd_info", "gauge", "1", "1; the version is the label.", OF_DAEMON, AS_LABEL, "version"},
    {"attnd_uptime_seconds", "gauge", "seconds", "Time since the start.", OF_DAEMON, AS_NUMBER, "uptime_s"},
    {"attnd_models", "gauge", "models", "Models that are served.", OF_DAEMON, AS_NUMBER, "served_models"},
    {"attnd_connections", "gauge", "connections", "Open connections.", OF_SHARD, AS_NUMBER, "connections"},
    {"attnd_streams", "gauge", "streams", "Open streams.", OF_PART, AS_NUMBER, "streams"},
    {"attnd_streams_parked", "gauge", "streams", "Open streams that nobody holds.", OF_SHARD, AS_NUMBER, "parked"},
    {"attnd_streams_limit", "gauge", "streams", "The most streams there may be.", OF_DAEMON, AS_NUMBER, "max_streams"},
    {"attnd_streams_opened_total", "counter", "streams", "Streams opened.", OF_DAEMON, AS_NUMBER, "opened"},
    {"attnd_streams_attached_total", "counter", "streams", "Streams attached to another connection.", OF_DAEMON,
     AS_NUMBER, "attached"},
    {"attnd_streams_closed_total", "counter", "streams", "Streams ended, in whatever way.", OF_DAEMON, AS_NUMBER,
     "closed"},
    {"attnd_streams_expired_total", "counter", "streams", "Streams ended because their time was up.", OF_DAEMON,
     AS_NUMBER, "expired"},
    {"attnd_streams_killed_total", "counter", "streams", "Streams ended by an operator.", OF_DAEMON, AS_NUMBER,
     "killed"},
    {"attnd_state_bytes", "gauge", "bytes", "Memory of the open streams.", OF_DAEMON, AS_NUMBER, "state_bytes"},
    {"attnd_state_limit_bytes", "gauge", "bytes", "The most memory streams may have.", OF_DAEMON, AS_NUMBER,
     "max_state_bytes"},
    {"attnd_received_bytes_total", "counter", "bytes", "Bytes received from clients.", OF_DAEMON, AS_NUMBER,
     "bytes_in"},
    {"attnd_sent_bytes_total", "counter", "bytes", "Bytes for clients.", OF_DAEMON, AS_NUMBER, "bytes_out"},
    {"attnd_errors_total", "counter", "errors", "Errors told to clients, by name.", OF_ERROR, AS_NUMBER, "errors"},
    {"attnd_frames_total", "counter", "frames", "Frames accepted.", OF_PART, AS_NUMBER, "frames"},
    {"attnd_frames_refused_total", "counter", "frames", "Frames refused for NaN or infinity.", OF_PART, AS_NUMBER,
     "refused"},
    {"attnd_frames_dropped_total", "counter", "frames", "Frames dropped: not applied.", OF_PART, AS_NUMBER, "dropped"},
    {"attnd_frames_skipped_total", "counter", "frames", "Frames skipped: applied and not answered.", OF_PART, AS_NUMBER,
     "skipped"},
    {"attnd_frames_repeated_total", "counter", "frames", "Frames answered again.", OF_DAEMON, AS_NUMBER, "repeated"},
    {"attnd_outputs_total", "counter", "frames", "Outputs: frames answered.", OF_PART, AS_NUMBER, "outputs"},
    {"attnd_outputs_missed_total", "counter", "frames", "Outputs that came after their deadline.", OF_PART, AS_NUMBER,
     "missed"},
    {"attnd_queue_frames", "gauge", "frames", "Frames that wait.", OF_SHARD, AS_NUMBER, "queue"},
    {"attnd_oldest_wait_seconds", "gauge", "seconds", "How long the frame has waited whose turn is next.", OF_SHARD,
     AS_SECONDS, "oldest_wait_us"},
    {"attnd_utilisation_ratio", "gauge", "ratio", "Share of the last second in which the shard was busy.", OF_SHARD,
     AS_NUMBER, "utilisation"},
    {"attnd_claimed_ratio", "gauge", "ratio", "Share of its time that the shard's streams claim by their rates.",
     OF_SHARD, AS_NUMBER, "claimed"},
    {"attnd_cpu_seconds_total", "counter", "seconds", "Time spent on computing.", OF_PART, AS_SECONDS, "cpu_us"},
    {"attnd_shard_cpu_seconds_total", "counter", "seconds", "Processor time of the shard's thread.", OF_SHARD,
     AS_SECONDS, "cpu_us"},
    {"attnd_batches_total", "counter", "batches", "Rounds of computing between two looks at the sockets.", OF_SHARD,
     AS_NUMBER, "batches"},
    {"attnd_batch_frames", "histogram", "frames", "Frames computed together.", OF_SHARD, AS_SIZES, "batch_sizes"},
    {"attnd_lag_seconds", "histogram", "seconds", "From a frame's arrival to the writing of its output.", OF_MODEL,
     AS_LAGS, "histogram"},
};
#define N_METRICS (sizeof(metrics) / sizeof(metrics[0]))

static enum exit_code print(const char *path, const json_t *stats)
{
    struct output output;
    struct problem problem;
    if (output_open(&output, path, &problem) < 0)
        return complain(EXIT_DATA, "%s", problem.text);
    for (size_t i = 0; i < N_METRICS; i++)
        metrics_text(output.file, &metrics[i], stats);
    return output_finish(&output, &problem) < 0 ? complain(EXIT_DATA, "%s", problem.text) : EXIT_DONE;
}

struct metrics_options {
    struct settings *settings;
    const char *path;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct metrics_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->settings;
        return 0;
    case 'o':
        options->path = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "metrics takes no argument");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int metrics_run(struct settings *settings, int argc, char **argv)
{
    static const struct argp_child children[] = {{&settings_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "Write to this file, which is replaced in one step", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Prints the daemon's metrics in Prometheus' text format.",
        .children = children,
    };
    struct metrics_options given = {.settings = settings};
    struct session session;
    arguments_parse(&argp, argc, argv, 0, &given);
    enum exit_code code = session_open(&session, settings, NULL, SESSION_LISTENING);
    if (code != EXIT_DONE)
        return code;
    struct problem problem;
    json_t *stats = stats_ask(session.client, true, &problem);
    if (!stats)
        code = complain(EXIT_DATA, "%s", problem.text);
    else
        code = print(given.path ? given.path : "-", stats);
    json_decref(stats);
    session_close(&session);
    return code;
}
