/* SPDX-License-Identifier: MIT */
/* attnctl bench: what a daemon bears. From the command line to a plan, from the plan to a report. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attnctl/bench_capacity.h"
#include "attnctl/bench_driver.h"
#include "attnctl/bench_echo.h"
#include "attnctl/bench_options.h"
#include "attnctl/bench_report.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/interrupt.h"
#include "attnctl/session.h"

#define DEFAULT_RATE           25.0
#define HOPS_PER_S             100.0 /* of the VGGish front-end: 160 samples at 16 kHz */
#define DEFAULT_SECONDS        10.0
#define TRIAL_SECONDS          5.0
#define FIRST_TRIAL            16
#define LEAST_CONNECTIONS      4    /* so that a daemon with a few shards has some on each */
#define STREAMS_PER_CONNECTION 1024 /* well below the daemon's limit */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* A connection for every processor, since a daemon has no more shards unless told otherwise. */
static uint32_t default_connections(const struct bench_options *options, uint32_t streams)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = larger(LEAST_CONNECTIONS, processors > 0 ? (uint32_t)processors : 1);
    n = larger(n, (streams + STREAMS_PER_CONNECTION - 1) / STREAMS_PER_CONNECTION);
    return options->find_capacity || n < streams ? n : streams;
}

/* Asks the daemon what the command line leaves open. */
static enum exit_code make_plan(const struct bench_options *options, struct session *session, struct bench_plan *plan)
{
    uint32_t hops = 0, stride = 0, input_dim;
    enum exit_code code = EXIT_DONE;
    plan->streams = options->streams ? options->streams : options->find_capacity ? FIRST_TRIAL : 1;
    plan->connections = options->connections ? options->connections : default_connections(options, plan->streams);
    plan->seconds = options->seconds ? options->seconds : options->find_capacity ? TRIAL_SECONDS : DEFAULT_SECONDS;
    plan->limit_us = (uint64_t)(options->p99_ms * 1000);
    plan->seed = options->seed;
    plan->admit = options->admit;
    plan->deadline_ms = options->deadline_ms;
    plan->late = options->late;
    plan->tick = isatty(STDERR_FILENO) ? bench_report_tick : NULL;
    if (options->attention.window) {
        plan->attention = &options->attention;
    } else {
        code = session_choose_model(session);
        if (code == EXIT_DONE)
            code = session_frontend(session, &hops, &stride, &input_dim);
        plan->model = session->model;
    }
    if (!options->closed_loop && !options->echo)
        plan->rate = options->rate ? options->rate : hops ? HOPS_PER_S / stride : DEFAULT_RATE;
    return code;
}

static int run_plainly(const struct bench_plan *plan, struct bench_result *result, struct problem *problem)
{
    struct bench_load load;
    int status = bench_driver_open(&load, plan, result, problem);
    if (status == 0)
        bench_driver_run(&load, result, NULL);
    bench_driver_close(&load);
    return status;
}

static int run_plan(const struct bench_options *options, struct bench_echo *echo, struct bench_report *report,
                    struct bench_result *result, struct problem *problem)
{
    static struct bench_echo_figures figures;
    static struct bench_capacity capacity;
    if (options->echo) {
        report->echo = &figures;
        return bench_echo_compare(echo, report->plan, result, &figures, problem);
    }
    if (options->find_capacity) {
        report->capacity = &capacity;
        return bench_capacity_find(report->plan, &capacity, result, bench_report_trial, problem);
    }
    return run_plainly(report->plan, result, problem);
}

static enum exit_code conclude(const struct bench_report *report, bool json)
{
    const struct bench_result *result = report->result;
    enum exit_code code = EXIT_DONE;
    bench_report_end_ticks();
    if (bench_report_print(report, json) < 0)
        code = complain(EXIT_DATA, "standard output cannot be written: %s", strerror(errno));
    if (result->problem.text[0] && !result->refused)
        complain(EXIT_DATA, "%s", result->problem.text);
    if (result->lost > 0)
        code = complain(EXIT_DATA, "%ju frames were lost: neither answered nor named", (uintmax_t)result->lost);
    if (result->unsent > 0 && !interrupted())
        complain(EXIT_DATA, "%ju frames could not be sent: the daemon does not keep up with %.6g frames/s",
                 (uintmax_t)result->unsent, report->plan->rate * result->streams);
    if (result->broken)
        code = EXIT_DATA;
    if (report->capacity && report->capacity->found == 0 && !interrupted())
        code = complain(EXIT_DATA, "not even one stream was served in time");
    else if (report->capacity && !report->capacity->confirmed && !interrupted())
        complain(EXIT_DATA, "no trial confirmed %u streams: search again when nothing else uses the machine",
                 report->capacity->found);
    return interrupted() && code == EXIT_DONE ? EXIT_INTERRUPTED : code;
}

static enum exit_code run(const struct bench_options *options, struct session *session, struct bench_echo *echo)
{
    static struct bench_result result;
    struct bench_plan plan = {0};
    struct bench_report report = {.plan = &plan, .result = &result};
    struct problem problem;
    char socket[SESSION_SOCKET_BYTES];
    plan.socket = session_socket(session, options->settings, socket);
    enum exit_code code = make_plan(options, session, &plan);
    if (code != EXIT_DONE)
        return code;
    if (run_plan(options, echo, &report, &result, &problem) == 0)
        return conclude(&report, options->settings->json);
    bench_report_end_ticks();
    return interrupted() ? EXIT_INTERRUPTED : complain(EXIT_DATA, "%s", problem.text);
}

int bench_run(struct settings *settings, int argc, char **argv)
{
    struct bench_options options = {.settings = settings, .attention = {.size = sizeof(options.attention)}};
    struct bench_echo echo = {.fd = -1};
    struct session session;
    struct problem problem;
    bench_options_parse(&options, argc, argv);
    if (options.echo && bench_echo_start(&echo, &problem) < 0)
        return complain(EXIT_DATA, "%s", problem.text);
    enum exit_code code = session_open(&session, settings, options.model, SESSION_OR_PRIVATE);
    if (code == EXIT_DONE) {
        interrupt_start();
        code = run(&options, &session, &echo);
        session_close(&session);
    }
    bench_echo_stop(&echo);
    return code;
}
