/* SPDX-License-Identifier: MIT */
/* Each allocation of a request fails once: whoever asked is told so once, and nothing is left behind. The linker sends
 * every call of the allocator from the daemon, the protocol and the library through the functions below. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/requests.h"
#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER 1000

/* More allocations than any request makes. */
#define MOST_ALLOCATIONS 1000

static atomic_long n_until_failure = -1; /* so many succeed, then one fails, then all succeed; below 0: all do */
static atomic_bool is_daemon;            /* the daemon's code runs, and not the test's own or Check's */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);

static atomic_bool all_fail; /* all of the daemon's do */

static bool fails(void)
{
    return is_daemon && (all_fail || (n_until_failure >= 0 && n_until_failure-- == 0));
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t n)
{
    return fails() ? NULL : __real_realloc(memory, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, n);
}

/* Whether the allocation failed that was to; from here on all succeed. */
static bool has_failed(void)
{
    bool failed = n_until_failure < 0;
    n_until_failure = -1;
    return failed;
}

static struct model *model;
static struct connection_handler handler; /* the daemon's, and it is noted that the daemon's code runs */

static enum connection_next take_message(struct connection *connection, const uint8_t *body, size_t n_body,
                                         struct attnp_error *error)
{
    is_daemon = true;
    enum connection_next next = requests_handler.message(connection, body, n_body, error);
    is_daemon = false;
    return next;
}

static void note_wait(bool begins)
{
    is_daemon = begins;
}

static void open_mail(unsigned shard)
{
    is_daemon = true;
    holder_open_mail(shard);
    is_daemon = false;
}

static void set_up(void)
{
    holder_set_up();
    handler = requests_handler;
    holder_on_wait = note_wait;
    handler.message = take_message;
    for (unsigned i = 0; i < HOLDER_SHARDS; i++)
        holder_shards[i].connections.handler = &handler;
    model = holder_model("claiming");
    cost_set(model->cost, 0, 1e5);
}

/* The writers' memory is made before allocations fail. */
static void say_something(struct connection *connection)
{
    holder_ask_about(connection, 99, ATTNP_M_CLOSE, &(struct stream){.card = {.number = 99}});
    ck_assert_str_eq(holder_heard(connection), "response 99 unknown_stream");
}

static void open_with_failures(struct wish wish, bool is_new_shape, size_t least)
{
    size_t n_refused = 0;
    bool failed = true;
    for (long n = 0; failed; n++) {
        ck_assert_int_lt(n, MOST_ALLOCATIONS);
        struct connection *client = holder_new(0, USER);
        if (is_new_shape)
            wish.window = 3 + (uint32_t)n;
        say_something(client);
        n_until_failure = n;
        wish_open(client, 5, wish);
        failed = has_failed();
        holder_heard(client);
        ck_assert_uint_eq(holder_messages()->n, 1);
        enum attnp_code code = holder_messages()->messages[0].error.code;
        ck_assert_msg(code == 0 || (failed && code == ATTNP_NO_MEMORY), "%s", attnp_error_name(code));
        ck_assert_uint_eq(client->n_streams, code == 0);
        n_refused += code != 0;
        if (code == 0)
            holder_ask_about(client, 6, ATTNP_M_CLOSE, stream_of_held(client->streams[0]));
        holder_wait_away(0);
        holder_expect_no_stream();
        ck_assert(!client->has_failed);
        connection_break(client);
        open_mail(0);
        ck_assert_uint_eq(users_total(holder_shared.users, USERS_BUFFER_BYTES), 0);
    }
    ck_assert_uint_ge(n_refused, least);
}

START_TEST(an_open_of_a_model_without_memory_leaves_nothing)
{
    /* The stream, its load in the ledger, the place at the connection, two buffers of outputs, the block. */
    open_with_failures((struct wish){.model = "claiming", .rate = 1, .name = "mine"}, false, 6);
}
END_TEST

/* It goes on on another thread, where the block is made. */
START_TEST(an_open_of_a_large_model_without_memory_leaves_nothing)
{
    cost_set(holder_large_model("large")->cost, 0, 1e5);
    open_with_failures((struct wish){.model = "large", .rate = 1, .name = "mine"}, false, 6);
}
END_TEST

START_TEST(an_open_of_an_attention_without_memory_leaves_nothing)
{
    open_with_failures((struct wish){.rate = 1, .name = "mine"}, _i == 1, 8);
}
END_TEST

START_TEST(a_request_without_memory_is_refused_and_the_stream_goes_on)
{
    static const enum attnp_method methods[] = {ATTNP_M_RESET, ATTNP_M_FINISH};
    struct connection *client = holder_new(0, USER);
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    uint64_t number = 0;
    bool failed = true;
    for (long n = 0; failed; n++) {
        say_something(client);
        holder_push(client, stream, number++, 1);
        n_until_failure = n;
        holder_ask_about(client, 5, methods[_i], stream);
        failed = has_failed();
        ck_assert_str_eq(holder_heard(client), failed ? "response 5 no_memory" : "");
        ck_assert_uint_eq(users_total(holder_shared.users, USERS_WAITING_REQUESTS), failed ? 0 : 1);
        holder_turn(0);
        holder_heard(client);
        ck_assert_uint_eq(holder_messages()->n, failed ? 1 : 2);
        ck_assert_int_eq(holder_messages()->messages[0].kind, HEARD_OUTPUT);
    }
    ck_assert_uint_ge(number, _i == 0 ? 3 : 2); /* a reset is a mail first */
}
END_TEST

/* The request and its mail are refused; what the other thread needs is done without. */
START_TEST(a_large_reset_without_memory_is_answered_once)
{
    struct connection *client = holder_new(0, USER);
    struct stream *stream = holder_open(client, (struct holder_terms){.model = holder_large_model("large")});
    uint64_t number = 0;
    bool failed = true;
    for (long n = 0; failed; n++) {
        say_something(client);
        holder_push(client, stream, number++, 1);
        holder_turn(0);
        holder_heard(client);
        n_until_failure = n;
        holder_ask_about(client, 5, ATTNP_M_RESET, stream);
        failed = has_failed();
        ck_assert(!failed || stream->lend.loan == NULL);
        holder_wait_away(0);
        const char *text = holder_heard(client);
        if (failed && n < 2)
            ck_assert_str_eq(text, "response 5 no_memory");
        else
            ck_assert_str_eq(text, "response 5");
        ck_assert_uint_eq(users_total(holder_shared.users, USERS_WAITING_REQUESTS), 0);
    }
    ck_assert_uint_ge(number, 4);
    holder_ask_about(client, 6, ATTNP_M_CLOSE, stream);
    holder_wait_away(0);
    holder_expect_no_stream();
}
END_TEST

/* A client of another shard asks: what fails on the way there is refused, and what fails on the way back is told, too.
 */
START_TEST(a_request_from_afar_without_memory_is_answered_once)
{
    static const enum attnp_method methods[] = {ATTNP_M_RESET, ATTNP_M_CLOSE};
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct connection *client = holder_new(0, USER), *other = holder_new(1, USER);
        struct stream *stream = holder_open(client, (struct holder_terms){0});
        say_something(client);
        say_something(other);
        n_until_failure = n;
        holder_ask_about(other, 5, methods[_i], stream);
        open_mail(0);
        open_mail(1);
        failed = has_failed();
        ck_assert_str_eq(holder_heard(other), failed ? "response 5 no_memory" : "response 5");
        ck_assert_uint_eq(other->n_unanswered, 0);
        ck_assert_int_le(n, methods[_i] == ATTNP_M_RESET ? 3 : 2); /* the mail there, the request, the mail back */
        connection_break(client);
        connection_break(other);
        holder_poll(0);
    }
}
END_TEST

/* More responses are lost than are named: the connections that wait for any end, with the reason. */
START_TEST(whoever_waits_for_a_response_that_is_lost_is_told)
{
    struct connection *client = holder_new(0, USER), *other = holder_new(1, USER), *idle = holder_new(1, USER);
    struct stream *streams[MAILBOX_LOST + 1];
    for (uint32_t i = 0; i <= MAILBOX_LOST; i++) {
        streams[i] = holder_open(client, (struct holder_terms){0});
        holder_ask_about(other, i, ATTNP_M_CLOSE, streams[i]);
    }
    n_until_failure = 0;
    is_daemon = all_fail = true;
    holder_take_mail(0);
    is_daemon = all_fail = false;
    has_failed();
    holder_take_mail(1);
    holder_heard(other);
    const struct heard *heard = holder_messages();
    ck_assert_uint_eq(heard->n, MAILBOX_LOST + 1);
    for (size_t i = 0; i < heard->n; i++)
        ck_assert_int_eq(heard->messages[i].error.code, ATTNP_NO_MEMORY);
    ck_assert_int_eq(other->phase, CONNECTION_ENDING);
    ck_assert_int_eq(idle->phase, CONNECTION_OPEN);
}
END_TEST

/* There is always the shard's own scratch memory. */
START_TEST(a_dear_frame_without_memory_is_computed_all_the_same)
{
    struct connection *client = holder_new(0, USER);
    cost_set(model->cost, 0, SHARD_DEAR_US * 2e3);
    cost_set_worst(model->cost, 1);
    struct stream *stream = holder_open(client, (struct holder_terms){.model = model, .credit = 4});
    bool failed = true;
    uint64_t number = 0;
    for (long n = 0; failed; n++) {
        n_until_failure = n;
        holder_push(client, stream, number, 1);
        holder_wait_away(0);
        failed = has_failed();
        holder_run_dry(0);
        holder_heard(client);
        ck_assert_uint_eq(holder_messages()->n, 1);
        ck_assert_int_eq(holder_messages()->messages[0].kind, HEARD_OUTPUT);
        ck_assert_uint_eq(holder_messages()->messages[0].output.first, number++);
    }
    ck_assert_uint_ge(number, 3); /* the frame that is sent away, its scratch memory, none */
}
END_TEST

/* How often the heir was answered, and whether with the stream. */
static size_t n_responses(struct connection *heir, bool *has_stream)
{
    size_t n = 0;
    *has_stream = false;
    holder_heard(heir);
    for (size_t i = 0; i < holder_messages()->n; i++) {
        const struct heard_message *message = &holder_messages()->messages[i];
        ck_assert_int_eq(message->kind, HEARD_RESPONSE);
        ck_assert(message->error.code == 0 || message->error.code == ATTNP_NO_MEMORY);
        *has_stream = message->error.code == 0;
        n++;
    }
    return n;
}

/* One attach, of which one allocation fails. The stream is then the heir's, the old holder's or parked, and works. */
static bool attach_with_failure(unsigned shard, long n)
{
    bool has_stream;
    struct connection *client = holder_new(0, USER), *heir = holder_new(shard, USER), *next = holder_new(shard, USER);
    struct stream *stream = holder_open(client, (struct holder_terms){.model = model, .rate = 1, .credit = 4});
    say_something(client);
    say_something(heir);
    n_until_failure = n;
    wish_attach(heir, 5, stream->card.number, stream->open.token);
    open_mail(0);
    open_mail(1);
    bool failed = has_failed();
    ck_assert_uint_eq(n_responses(heir, &has_stream), 1);
    ck_assert(failed || has_stream);
    ck_assert_uint_eq(heir->n_streams, has_stream);
    ck_assert_uint_eq(client->n_streams + heir->n_streams + counters_get(&holder_shards[0].counters.parked) +
                          counters_get(&holder_shards[1].counters.parked),
                      1);
    wish_attach(next, 6, stream->card.number, stream->open.token);
    open_mail(0);
    open_mail(1);
    ck_assert_uint_eq(n_responses(next, &has_stream), 1);
    ck_assert(has_stream);
    holder_push(next, stream, 0, 1);
    holder_turn(shard);
    holder_heard(next);
    ck_assert_int_eq(holder_messages()->messages[0].kind, HEARD_OUTPUT);
    holder_ask_about(next, 7, ATTNP_M_CLOSE, stream);
    holder_expect_no_stream();
    return failed;
}

START_TEST(an_attach_without_memory_leaves_the_stream_with_somebody)
{
    long n = 0;
    while (attach_with_failure(_i == 0 ? 0 : 1, n))
        ck_assert_int_lt(++n, MOST_ALLOCATIONS);
    /* The mail, the request, the place, the outputs; from afar also the mail that brings the stream, and its load. */
    ck_assert_int_ge(n, _i == 0 ? 4 : 6);
}
END_TEST

static Suite *no_memory_suite(void)
{
    Suite *suite = suite_create("no_memory");
    TCase *tests = tcase_create("no_memory");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, an_open_of_a_model_without_memory_leaves_nothing);
    tcase_add_test(tests, an_open_of_a_large_model_without_memory_leaves_nothing);
    tcase_add_loop_test(tests, an_open_of_an_attention_without_memory_leaves_nothing, 0, 2);
    tcase_add_loop_test(tests, a_request_without_memory_is_refused_and_the_stream_goes_on, 0, 2);
    tcase_add_test(tests, a_large_reset_without_memory_is_answered_once);
    tcase_add_loop_test(tests, a_request_from_afar_without_memory_is_answered_once, 0, 2);
    tcase_add_test(tests, whoever_waits_for_a_response_that_is_lost_is_told);
    tcase_add_test(tests, a_dear_frame_without_memory_is_computed_all_the_same);
    tcase_add_loop_test(tests, an_attach_without_memory_leaves_the_stream_with_somebody, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(no_memory_suite());
