/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attnctl/ndjson.h"

static int fail(struct report *report, const char *what, int error)
{
    report->failed = true;
    if (error == EPIPE)
        report->problem.text[0] = '\0';
    else
        problem_set(&report->problem, "%s cannot be written: %s", what, strerror(error));
    return -1;
}

int report_start(struct report *report, const struct report_options *options, const struct attnc_stream_info *info,
                 const char *file, bool has_times)
{
    bool terminal = isatty(STDOUT_FILENO);
    uint64_t shape[2] = {NPY_UNKNOWN, info->output_dim};
    *report = (struct report){
        .lines = options->json || (terminal ? !has_times : !options->out_path),
        .live = terminal && !options->json && has_times,
        .file = file,
        .labels = info->n_labels == info->output_dim ? info->labels : NULL,
        .n_scores = info->output_dim,
    };
    if ((report->live || options->timeline) && has_times) {
        report->timeline = timeline_new(info->output_dim);
        if (!report->timeline)
            return fail(report, "the timeline", ENOMEM);
    }
    if (report->live)
        view_init(&report->view, stdout, report->labels, info->output_dim);
    if (options->out_path && npy_create(&report->out, options->out_path, 2, shape, &report->problem) < 0) {
        report->failed = true;
        timeline_free(report->timeline);
        return -1;
    }
    report->has_out = options->out_path;
    return 0;
}

/* Rows of NaN for the frames below `frame` that have none. */
static int fill_rows(struct report *report, uint64_t frame)
{
    uint64_t n = report->out.n_rows;
    return n < frame ? npy_write_missing(&report->out, frame - n, &report->problem) : 0;
}

static int write_row(struct report *report, const struct attnc_output *output)
{
    int result = fill_rows(report, output->frame);
    return result < 0 ? result : npy_write_rows(&report->out, output->values, 1, &report->problem);
}

static int write_line(struct report *report, const struct attnc_output *output, double time_s)
{
    struct ndjson_output line = {
        .frame = output->frame,
        .time_s = time_s,
        .scores = output->values,
        .n_scores = output->n_values,
        .labels = report->labels,
        .lag_us = output->lag_us,
        .warming = output->warming,
        .file = report->file,
    };
    return ndjson_write_output(stdout, &line) < 0 ? fail(report, "standard output", errno) : 0;
}

void report_output(struct report *report, const struct attnc_output *output, double time_s)
{
    if (report->failed)
        return;
    if (report->lines)
        write_line(report, output, time_s);
    if (report->live)
        view_live(&report->view, time_s, output->values, output->warming);
    if (report->timeline && timeline_add(report->timeline, time_s, output->values) < 0)
        fail(report, "the timeline", ENOMEM);
    if (report->has_out && !report->failed && write_row(report, output) < 0)
        report->failed = true;
}

void report_missing(struct report *report, uint64_t frame, double time_s, const char *what, const char *reason)
{
    struct ndjson_output line = {
        .frame = frame, .time_s = time_s, .missing = what, .reason = reason, .lag_us = -1, .file = report->file};
    if (report->failed)
        return;
    if (report->lines && ndjson_write_output(stdout, &line) < 0)
        fail(report, "standard output", errno);
    if (report->has_out && !report->failed && fill_rows(report, frame + 1) < 0)
        report->failed = true;
}

void report_clear(struct report *report)
{
    if (report->live)
        view_clear(&report->view);
}

/* A timeline is for people: on standard output where that is a terminal, beside the data where it is not. */
static void show_timeline(struct report *report)
{
    FILE *file = report->live ? stdout : stderr;
    struct terminal terminal = terminal_of(file);
    if (report->file)
        terminal_put_line(file, report->file);
    timeline_print(report->timeline, file, &terminal, report->labels);
    fflush(file);
}

int report_end(struct report *report)
{
    report_clear(report);
    if (report->timeline)
        show_timeline(report);
    timeline_free(report->timeline);
    report->timeline = NULL;
    if (report->has_out && report->failed)
        npy_abandon(&report->out);
    else if (report->has_out && npy_finish(&report->out, &report->problem) < 0)
        report->failed = true;
    return report->failed ? -1 : 0;
}
