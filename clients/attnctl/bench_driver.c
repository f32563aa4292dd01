/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_driver.h"

#include <sys/resource.h>

#include "attnctl/bench_pace.h"
#include "attnctl/bench_talk.h"
#include "protocol/message.h"

#define PATIENCE_S 30.0 /* for the answers to requests */
#define FINISH_S   10.0 /* for the answer to `finish` */

static bool on_message(struct bench_link *link, const uint8_t *body, size_t n_body, uint64_t now_ns)
{
    struct bench_load *load = link->owner;
    if (attnp_is_output(body, n_body))
        return bench_pace_take(load, link, body, n_body, now_ns);
    return bench_talk_take(load, link, body, n_body);
}

static void on_drained(struct bench_link *link)
{
    struct bench_load *load = link->owner;
    for (uint32_t i = 0; i < load->n_streams; i++)
        if (load->streams[i].link == link->index)
            bench_pace_refill(load, &load->streams[i]);
}

static void on_ended(struct bench_link *link)
{
    struct bench_load *load = link->owner;
    bench_load_lose_link(load);
    bench_talk_forget(load, link);
    if (load->result)
        load->result->problem = link->why;
    for (uint32_t i = 0; i < load->n_streams; i++)
        if (load->streams[i].link == link->index)
            bench_pace_end_stream(load, &load->streams[i], link->why.text);
}

static const struct bench_link_events events = {on_message, on_drained, on_ended};

static int greet(struct bench_load *load, struct problem *problem)
{
    if (bench_talk_ask(load, BENCH_HELLO, PATIENCE_S, problem) < 0)
        return -1;
    for (uint32_t i = 0; i < load->n_links; i++)
        if (load->links[i].ended)
            return problem_set(problem, "connection %u of %u: %s", i + 1, load->n_links, load->links[i].why.text);
    return 0;
}

/* Whether the run can do without the streams that were refused. */
static bool is_excusable(const struct bench_load *load)
{
    return load->plan->admit && load->talk.refusal == ATTNP_OVER_CAPACITY;
}

/* Opens all streams, and keeps those that were opened. */
static int open_streams(struct bench_load *load, struct problem *problem)
{
    uint32_t asked = load->n_streams;
    const char *why = load->result->problem.text;
    if (bench_talk_ask(load, BENCH_OPEN, PATIENCE_S, problem) < 0)
        return -1;
    if (load->n_live < load->n_links)
        return problem_set(problem, "%s", why);
    if (bench_load_keep_open(load) < 0)
        return problem_set(problem, "no memory for the streams");
    if (load->n_streams < asked && !is_excusable(load))
        return problem_set(problem, "%u of %u streams were refused: %s", asked - load->n_streams, asked, why);
    if (load->n_streams == 0)
        return problem_set(problem, "no stream was admitted: %s", why);
    return 0;
}

int bench_driver_open(struct bench_load *load, const struct bench_plan *plan, struct bench_result *result,
                      struct problem *problem)
{
    *result = (struct bench_result){0};
    if (bench_load_init(load, plan, &events) < 0 || bench_talk_init(load) < 0)
        return problem_set(problem, "no memory for %u streams", plan->streams);
    bench_load_count(load, result, NULL);
    if (bench_load_connect(load, problem) < 0 || greet(load, problem) < 0 || open_streams(load, problem) < 0)
        return -1;
    return bench_pace_init(load, problem);
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void bench_driver_run(struct bench_load *load, struct bench_result *result, struct bench_samples *samples)
{
    struct problem problem, why = result->problem;
    *result = (struct bench_result){.streams = load->n_streams, .refused = result->refused, .problem = why};
    double cpu_before_us = cpu_us();
    bench_load_count(load, result, samples);
    bench_pace_run(load);
    /* `finish` is answered when every frame that was accepted has been: what is unanswered then is lost. */
    if (!bench_pace_is_over(load) && load->n_live > 0)
        bench_talk_ask(load, BENCH_FINISH, FINISH_S, &problem);
    result->cpu_us = cpu_us() - cpu_before_us;
    bench_pace_conclude(load);
    bench_load_count(load, NULL, NULL);
}

void bench_driver_close(struct bench_load *load)
{
    struct problem problem;
    bench_load_count(load, NULL, NULL);
    if (load->n_live > 0)
        bench_talk_ask(load, BENCH_CLOSE, PATIENCE_S, &problem);
    bench_pace_done(load);
    bench_talk_done(load);
    bench_load_done(load);
}
