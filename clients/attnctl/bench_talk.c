/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_talk.h"

#include <stdlib.h>
#include <string.h>

#include "attnctl/bench_pace.h"
#include "libattnclient/field.h"
#include "protocol/message.h"
#include "protocol/preface.h"
#include "protocol/writer.h"

#define INDEX_BITS  28 /* of a request's id; above them stands what was asked, so that a late answer is told apart */
#define MOST_FLOATS (64u * 1024 * 1024) /* of one frame or output that a daemon may claim */

int bench_talk_init(struct bench_load *load)
{
    load->talk.n_asked = calloc(load->n_links, sizeof(*load->talk.n_asked));
    return load->talk.n_asked ? 0 : -1;
}

void bench_talk_done(struct bench_load *load)
{
    free(load->talk.n_asked);
}

static void put_attention(struct attnp_writer *writer, const struct attnc_attention *attention)
{
    attnp_write_key(writer, "attention");
    attnp_write_map(writer, 4 + !!attention->landmarks + !!attention->refresh);
    attnp_put_string(writer, "method", attention->method);
    attnp_put_uint(writer, "window", attention->window);
    attnp_put_uint(writer, "heads", attention->heads);
    attnp_put_uint(writer, "head_dim", attention->head_dim);
    if (attention->landmarks)
        attnp_put_uint(writer, "landmarks", attention->landmarks);
    if (attention->refresh)
        attnp_put_string(writer, "refresh", attention->refresh);
}

static void put_open(struct attnp_writer *writer, const struct bench_plan *plan)
{
    attnp_write_map(writer, 1 + plan->admit + !!plan->deadline_ms + !!plan->late);
    if (plan->model)
        attnp_put_string(writer, "model", plan->model);
    else
        put_attention(writer, plan->attention);
    if (plan->admit)
        attnp_put_double(writer, "rate", plan->rate);
    if (plan->deadline_ms)
        attnp_put_uint(writer, "deadline_ms", plan->deadline_ms);
    if (plan->late)
        attnp_put_string(writer, "late", plan->late);
}

static void put_hello(struct attnp_writer *writer)
{
    attnp_write_map(writer, 2);
    attnp_put_string(writer, "client", "attnctl bench");
    attnp_write_key(writer, "versions");
    attnp_write_array(writer, 1);
    attnp_write_uint(writer, ATTNP_VERSION);
}

static void put_target(struct attnp_writer *writer, uint64_t stream)
{
    attnp_write_map(writer, 1);
    attnp_put_uint(writer, "stream", stream);
}

/* Puts one request behind what waits on the link. False without memory, or where the link has ended. */
static bool ask(struct bench_load *load, struct attnp_writer *writer, uint32_t link_index, uint32_t index)
{
    static const enum attnp_method methods[] = {ATTNP_M_HELLO, ATTNP_M_OPEN, ATTNP_M_FINISH, ATTNP_M_CLOSE};
    struct bench_link *link = &load->links[link_index];
    const uint8_t *bytes;
    size_t n_bytes;
    attnp_write_request(writer, (uint32_t)load->talk.asking << INDEX_BITS | index, methods[load->talk.asking]);
    if (load->talk.asking == BENCH_HELLO)
        put_hello(writer);
    else if (load->talk.asking == BENCH_OPEN)
        put_open(writer, load->plan);
    else
        put_target(writer, load->streams[index].talk.number);
    if (attnp_write_end(writer, link->max_message, &bytes, &n_bytes) < 0)
        return false;
    uint8_t *room = bench_link_room(link, n_bytes, 0);
    if (!room)
        return false;
    memcpy(room, bytes, n_bytes);
    bench_link_added(link, n_bytes);
    load->talk.n_asked[link_index]++;
    load->talk.n_asked_all++;
    return true;
}

static void greet(struct bench_link *link)
{
    uint8_t *room = bench_link_room(link, ATTNP_MAX_PREFACE, 0);
    if (room)
        bench_link_added(link, attnp_preface_write(room, NULL, 0));
}

static void ask_all(struct bench_load *load)
{
    struct attnp_writer writer;
    attnp_writer_init(&writer);
    for (uint32_t i = 0; load->talk.asking == BENCH_HELLO && i < load->n_links; i++) {
        greet(&load->links[i]);
        ask(load, &writer, i, i);
    }
    for (uint32_t i = 0; load->talk.asking != BENCH_HELLO && i < load->n_streams; i++)
        if (load->streams[i].pace.open || load->talk.asking == BENCH_OPEN)
            ask(load, &writer, load->streams[i].link, i);
    attnp_writer_done(&writer);
}

static bool is_asked(const struct bench_load *load)
{
    return load->talk.n_asked_all > 0;
}

/* A number that grows with each answer and each frame that is settled, and with nothing else that a daemon sends. */
static uint64_t n_settled(const struct bench_load *load)
{
    uint64_t n_frames = load->result ? load->result->answered + load->result->dropped : 0;
    return n_frames + UINT32_MAX - load->talk.n_asked_all;
}

int bench_talk_ask(struct bench_load *load, enum bench_question question, double patience_s, struct problem *problem)
{
    static const char *const names[] = {"hello", "open", "finish", "close"};
    memset(load->talk.n_asked, 0, load->n_links * sizeof(*load->talk.n_asked));
    load->talk.n_asked_all = 0;
    load->talk.asking = question;
    ask_all(load);
    for (uint32_t i = 0; i < load->n_links; i++)
        bench_link_flush(&load->links[i]);
    /* An interruption ends hello and open; the answers to finish and close are waited for nevertheless. */
    bool heeds_interrupt = question == BENCH_HELLO || question == BENCH_OPEN;
    uint64_t patience_ns = (uint64_t)(patience_s * 1e9), before = n_settled(load);
    while (!bench_load_wait(load, is_asked, bench_now_ns() + patience_ns, heeds_interrupt) && n_settled(load) > before)
        before = n_settled(load);
    if (load->talk.n_asked_all == 0)
        return 0;
    return problem_set(problem, "%u requests (%s) were not answered, nor any frame, for %.0f s", load->talk.n_asked_all,
                       names[question], patience_s);
}

void bench_talk_forget(struct bench_load *load, const struct bench_link *link)
{
    load->talk.n_asked_all -= load->talk.n_asked[link->index];
    load->talk.n_asked[link->index] = 0;
}

/* The numbers of an answer to open. Returns the key of what is missing or wrong, NULL where nothing is. */
static const char *read_opened(const struct bench_load *load, const msgpack_object *result,
                               struct bench_stream_talk *talk, uint64_t *input_dim)
{
    uint64_t output_dim = 0, credit = 0, next_frame;
    if (!attnc_field_number(result, "stream", UINT64_MAX, &talk->number))
        return "stream";
    if (!attnc_field_number(result, "input_dim", MOST_FLOATS, input_dim) || *input_dim == 0 ||
        (load->talk.input_dim && load->talk.input_dim != *input_dim))
        return "input_dim";
    if (!attnc_field_number(result, "output_dim", MOST_FLOATS, &output_dim) || output_dim == 0)
        return "output_dim";
    if (!attnc_field_number(result, "credit", UINT32_MAX, &credit) || credit == 0)
        return "credit";
    if (!attnc_field_number(result, "next_frame", 0, &next_frame))
        return "next_frame";
    talk->credit = (uint32_t)credit;
    talk->output_bytes = (uint32_t)output_dim * sizeof(float);
    return NULL;
}

static bool take_opened(struct bench_load *load, struct bench_link *link, uint32_t index, const msgpack_object *result)
{
    struct bench_stream *stream = &load->streams[index];
    uint64_t input_dim = 0;
    const char *missing = read_opened(load, result, &stream->talk, &input_dim);
    if (missing) {
        problem_set(&link->why, "the daemon's description of the stream has no %s, or one that cannot be", missing);
        return false;
    }
    load->talk.input_dim = (uint32_t)input_dim;
    bench_pace_open_stream(stream, 0);
    return true;
}

/* An answer to a request of ours; one that came after all patience is let by. */
static bool take_response(struct bench_load *load, struct bench_link *link, const struct attnp_message *message)
{
    struct attnp_error error;
    uint32_t index = message->id & ((1u << INDEX_BITS) - 1);
    if (message->id >> INDEX_BITS != load->talk.asking || load->talk.n_asked[link->index] == 0 ||
        index >= (load->talk.asking == BENCH_HELLO ? load->n_links : load->n_streams))
        return true;
    load->talk.n_asked[link->index]--;
    load->talk.n_asked_all--;
    if (attnp_error_read(message->error, &error) == 0) {
        problem_set(bench_load_reason(load), "%s (%s)", error.text, attnp_error_name(error.code));
        if (load->talk.asking == BENCH_OPEN) {
            load->result->refused++;
            load->talk.refusal = load->talk.refusal ? load->talk.refusal : error.code;
        }
        return true;
    }
    if (load->talk.asking == BENCH_HELLO) {
        uint64_t most = attnc_field_number_or_0(attnp_map_get(message->result, "limits"), "max_message");
        bench_link_allow(link, most > ATTNP_MAX_MESSAGE && most <= UINT32_MAX ? most : ATTNP_MAX_MESSAGE);
    }
    return load->talk.asking == BENCH_OPEN ? take_opened(load, link, index, message->result) : true;
}

/* An error that answers no request: it refuses a frame, turns frames away, or announces an end. */
static bool take_error(struct bench_load *load, struct bench_link *link, const msgpack_object *params)
{
    struct attnp_error error;
    if (attnp_error_read(params, &error) < 0)
        return true;
    struct bench_stream *stream = error.has_stream ? bench_load_find(load, error.stream) : NULL;
    enum attnp_ends ends = attnp_error_ends(error.code);
    problem_set(bench_load_reason(load), "%s (%s)", error.text, attnp_error_name(error.code));
    if (ends == ATTNP_ENDS_CONNECTION || error.code == ATTNP_DRAINING)
        problem_set(&link->why, "the daemon ended the connection: %s (%s)", error.text, attnp_error_name(error.code));
    else if (stream && ends == ATTNP_ENDS_STREAM)
        bench_pace_end_stream(load, stream, error.text);
    else if (stream && error.has_expected)
        bench_pace_rewind(load, stream, error.expected);
    else if (stream && stream->pace.open && error.has_frame)
        bench_pace_drop(load, stream, error.frame, 1);
    return true;
}

static bool take_event(struct bench_load *load, struct bench_link *link, const msgpack_object *params)
{
    char what[64], reason[64];
    attnc_field_text(params, "event", what, sizeof(what));
    attnc_field_text(params, "reason", reason, sizeof(reason));
    struct bench_stream *stream = bench_load_find(load, attnc_field_number_or_0(params, "stream"));
    if (strcmp(what, "drain") == 0) {
        bench_pace_drain(load);
    }
    if (!stream || !stream->pace.open)
        return true;
    if (strcmp(what, "ended") == 0 || strcmp(what, "superseded") == 0) {
        bench_pace_end_stream(load, stream, reason[0] ? reason : what);
    } else if (strcmp(what, "dropped") == 0 || strcmp(what, "skipped") == 0) {
        if (bench_pace_drop(load, stream, attnc_field_number_or_0(params, "first"),
                            attnc_field_number_or_0(params, "count")))
            return true;
        problem_set(&link->why, "the daemon named frames as %s that do not wait", what);
        return false;
    }
    return true;
}

bool bench_talk_take(struct bench_load *load, struct bench_link *link, const uint8_t *body, size_t n_body)
{
    struct attnp_message message;
    struct attnp_error error;
    bool id_known, taken = true;
    if (attnp_message_read(&message, body, n_body, &id_known, &error) < 0) {
        problem_set(&link->why, "the daemon sent a message that cannot be read: %s", error.text);
        return false;
    }
    if (message.kind == ATTNP_RESPONSE)
        taken = take_response(load, link, &message);
    else if (message.kind == ATTNP_NOTIFICATION && message.method == ATTNP_M_ERROR)
        taken = take_error(load, link, message.params);
    else if (message.kind == ATTNP_NOTIFICATION && message.method == ATTNP_M_EVENT)
        taken = take_event(load, link, message.params);
    attnp_message_done(&message);
    return taken;
}
