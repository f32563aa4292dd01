/* SPDX-License-Identifier: MIT */
/* Connections with sockets: what is read when, in which order, and what becomes of a client that sends no more. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/share.h"
#include "daemon/users.h"
#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define USER       1000
#define OTHER_USER 1001
#define ROOM       (1 << 16)
#define MOST_PLUGS 8

/* What a user owes at most, and fewer turns than it takes to pay that. */
#define DEBT_NS   1000000000
#define FEW_TURNS 20

/* A client and its end of the socket. */
struct plug {
    struct connection *connection; /* of the daemon, which may free it */
    int fd;
    struct attnp_writer writer;
    struct heard heard;
    uint8_t said[ROOM], got[ROOM]; /* not sent yet; and sent by the daemon */
    size_t n_said, n_got;
    bool has_ended;
};

static struct plug plugs[MOST_PLUGS];
static size_t n_plugs;

static struct plug *plug(unsigned shard, uid_t uid)
{
    ck_assert_uint_lt(n_plugs, MOST_PLUGS);
    struct plug *made = &plugs[n_plugs++];
    memset(made, 0, sizeof(*made));
    attnp_writer_init(&made->writer);
    made->connection = holder_plug(shard, uid, &made->fd);
    return made;
}

static void set_up(void)
{
    signal(SIGPIPE, SIG_IGN); /* as main.c does */
    n_plugs = 0;
    holder_set_up();
}

static void unplug(struct plug *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static void tear_down(void)
{
    holder_tear_down();
    for (size_t i = 0; i < n_plugs; i++) {
        unplug(&plugs[i]);
        heard_done(&plugs[i].heard);
        attnp_writer_done(&plugs[i].writer);
    }
}

/* What the client says is kept until it is sent in one piece. */
static void keep(struct plug *client)
{
    const uint8_t *bytes;
    size_t n_bytes;
    ck_assert_int_eq(attnp_write_end(&client->writer, ATTNP_MAX_MESSAGE, &bytes, &n_bytes), 0);
    ck_assert_uint_le(client->n_said + n_bytes, sizeof(client->said));
    memcpy(client->said + client->n_said, bytes, n_bytes);
    client->n_said += n_bytes;
}

static void say_ping(struct plug *client, uint32_t id)
{
    attnp_write_request(&client->writer, id, ATTNP_M_PING);
    attnp_write_map(&client->writer, 0);
    keep(client);
}

static void say_open(struct plug *client, uint32_t id, const char *model)
{
    attnp_write_request(&client->writer, id, ATTNP_M_OPEN);
    attnp_write_map(&client->writer, 1);
    if (model != NULL) {
        attnp_put_string(&client->writer, "model", model);
    } else {
        attnp_write_key(&client->writer, "attention");
        attnp_write_map(&client->writer, 4);
        attnp_put_string(&client->writer, "method", "exact");
        attnp_put_uint(&client->writer, "window", 3);
        attnp_put_uint(&client->writer, "heads", 1);
        attnp_put_uint(&client->writer, "head_dim", 1);
    }
    keep(client);
}

static void say_about(struct plug *client, uint32_t id, enum attnp_method method, uint64_t number)
{
    attnp_write_request(&client->writer, id, method);
    attnp_write_map(&client->writer, 1);
    attnp_put_uint(&client->writer, "stream", number);
    keep(client);
}

static void say_frame(struct plug *client, uint64_t number, uint64_t first)
{
    const float frame[3] = {0, 0, (float)first};
    const struct attnp_push push = {
        .stream = number, .first = first, .frames = (const uint8_t *)frame, .n_bytes = sizeof(frame)};
    ck_assert_uint_le(client->n_said + attnp_push_bytes(&push), sizeof(client->said));
    client->n_said += attnp_push_write(client->said + client->n_said, &push);
}

static void send_said(struct plug *client)
{
    ck_assert_int_eq(send(client->fd, client->said, client->n_said, MSG_NOSIGNAL), (ssize_t)client->n_said);
    client->n_said = 0;
}

/* The text of all that has come so far. */
static const char *heard(struct plug *client)
{
    ssize_t n = 1;
    while (n > 0) {
        n = recv(client->fd, client->got + client->n_got, sizeof(client->got) - client->n_got, MSG_DONTWAIT);
        client->n_got += n > 0 ? (size_t)n : 0;
    }
    client->has_ended = client->has_ended || n == 0;
    heard_done(&client->heard);
    heard_read(&client->heard, client->got, client->n_got);
    return client->heard.text;
}

static size_t n_heard(struct plug *client)
{
    heard(client);
    return client->heard.n;
}

/* Turns of a shard until the client has heard so much, or the end. */
static void hear(struct plug *client, size_t n)
{
    while (n_heard(client) < n)
        for (unsigned i = 0; i < HOLDER_SHARDS; i++)
            holder_poll(i);
}

static void hear_end(struct plug *client)
{
    while (heard(client), !client->has_ended)
        for (unsigned i = 0; i < HOLDER_SHARDS; i++)
            holder_poll(i);
}

static void poll_often(int n)
{
    for (int i = 0; i < n; i++)
        holder_poll(0);
}

static uint64_t n_parked(void)
{
    return counters_get(&holder_shards[0].counters.parked);
}

START_TEST(messages_are_handled_in_order_behind_an_open)
{
    struct plug *client = plug(0, USER);
    if (_i == 1)
        holder_large_model("large");
    say_open(client, 1, _i == 1 ? "large" : NULL);
    say_frame(client, 1, 0);
    say_about(client, 2, ATTNP_M_FINISH, 1);
    say_ping(client, 3);
    say_open(client, 4, _i == 1 ? "large" : NULL);
    say_about(client, 5, ATTNP_M_CLOSE, 1);
    say_about(client, 6, ATTNP_M_CLOSE, 2);
    send_said(client);
    hear(client, 7);
    ck_assert_msg(strcmp(heard(client), "response 1; response 3; output 1:0=0 warming; response 2; response 4; "
                                        "response 5; response 6") == 0 ||
                      strcmp(heard(client), "response 1; output 1:0=0 warming; response 2; response 3; response 4; "
                                            "response 5; response 6") == 0,
                  "%s", heard(client));
}
END_TEST

START_TEST(nothing_is_read_for_a_user_who_owes_time)
{
    struct plug *client = plug(0, USER), *second = plug(0, USER), *other = plug(0, OTHER_USER);
    share_charge(client->connection->share, DEBT_NS);
    say_ping(client, 1);
    say_ping(second, 1);
    send_said(client);
    send_said(second);
    for (uint32_t i = 1; i <= FEW_TURNS; i++) {
        say_ping(other, i);
        send_said(other);
        holder_poll(0);
    }
    hear(other, FEW_TURNS);
    ck_assert_uint_eq(n_heard(client) + n_heard(second), 0);
    ck_assert(holder_is_busy(0)); /* the loop turns until the debt is paid */
    hear(client, 1);
    hear(second, 1);
    poll_often(2);
    ck_assert(!holder_is_busy(0));
}
END_TEST

/* What arrived already is handled no sooner. */
START_TEST(nothing_is_handled_for_a_user_who_owes_time)
{
    struct plug *client = plug(0, USER), *other = plug(0, OTHER_USER);
    say_open(client, 1, NULL); /* while it is done, what stands behind it waits in the daemon */
    say_ping(client, 2);
    send_said(client);
    while (!client->connection->is_waiting)
        holder_poll(0);
    share_charge(client->connection->share, DEBT_NS);
    holder_wait_away(0);
    say_ping(other, 1);
    send_said(other);
    poll_often(FEW_TURNS);
    hear(other, 1);
    ck_assert_str_eq(heard(client), "response 1");
    hear(client, 2);
    ck_assert_str_eq(heard(client), "response 1; response 2");
}
END_TEST

#define N_WAITING 6

/* Whatever a poll finds first: they were resumed, and another one has used the time up before they were read. */
START_TEST(connections_that_are_resumed_in_vain_keep_their_places)
{
    struct plug *clients[N_WAITING];
    for (size_t i = 0; i < N_WAITING; i++)
        clients[i] = plug(0, USER);
    struct share *share = clients[0]->connection->share;
    share_charge(share, DEBT_NS);
    for (size_t i = N_WAITING; i-- > 0;) {
        say_ping(clients[i], 1);
        send_said(clients[i]);
        poll_often(2);
    }
    for (int again = 0; again < 3; again++) {
        const struct connection *connection = TAILQ_FIRST(&share->paused);
        for (size_t i = N_WAITING; i-- > 0; connection = TAILQ_NEXT(connection, paused))
            ck_assert_ptr_eq(connection, clients[i]->connection);
        while (holder_shards[0].connections.n_paused > 0)
            connection_begin_turn(&holder_shards[0]);
        share_charge(share, DEBT_NS);
        while (holder_shards[0].connections.n_paused < N_WAITING)
            uv_run(&holder_shards[0].loop, UV_RUN_NOWAIT);
    }
    for (size_t i = 0; i < N_WAITING; i++)
        hear(clients[i], 1);
}
END_TEST

/* One that comes later stands behind them. */
START_TEST(who_is_served_goes_behind_those_that_wait)
{
    struct plug *first = plug(0, USER), *second = plug(0, USER);
    struct share *share = first->connection->share;
    share_charge(share, DEBT_NS);
    say_ping(first, 1);
    send_said(first);
    poll_often(2);
    say_ping(second, 1);
    send_said(second);
    poll_often(2);
    while (holder_shards[0].connections.n_paused > 0)
        connection_begin_turn(&holder_shards[0]);
    hear(first, 1);
    hear(second, 1);
    share_charge(share, DEBT_NS);
    say_ping(second, 2);
    send_said(second);
    poll_often(2);
    say_ping(first, 2);
    send_said(first);
    poll_often(2);
    ck_assert_ptr_eq(TAILQ_FIRST(&share->paused), second->connection);
}
END_TEST

START_TEST(a_paused_connection_may_end)
{
    struct plug *client = plug(0, USER), *second = plug(0, USER);
    share_charge(client->connection->share, DEBT_NS);
    say_ping(client, 1);
    say_ping(second, 1);
    send_said(client);
    send_said(second);
    poll_often(2);
    ck_assert_uint_eq(holder_shards[0].connections.n_paused, 2);
    connection_break(client->connection);
    ck_assert_uint_eq(holder_shards[0].connections.n_paused, 1);
    hear(second, 1);
}
END_TEST

START_TEST(a_users_time_goes_with_its_last_connection)
{
    struct plug *client = plug(0, USER), *second = plug(0, USER);
    ck_assert_ptr_eq(client->connection->share, second->connection->share);
    connection_break(client->connection);
    ck_assert(!LIST_EMPTY(&holder_shards[0].shares.all));
    connection_break(second->connection);
    ck_assert(LIST_EMPTY(&holder_shards[0].shares.all));
}
END_TEST

/* The client has a stream, has sent all this, and sends no more. */
static void ask_all(struct plug *client)
{
    for (uint64_t i = 0; i < 5; i++)
        say_frame(client, 1, i);
    say_about(client, 1, ATTNP_M_RESET, 1);
    say_frame(client, 1, 5);
    say_about(client, 2, ATTNP_M_FINISH, 1);
    send_said(client);
    shutdown(client->fd, SHUT_WR);
}

static const char *const all_heard = "output 1:0=0 warming; output 1:1=0.5 warming; %soutput 1:3=%s; output 1:4=%s; "
                                     "response 1; output 1:5=5 warming; response 2";

/* Of a small state and of a large one; while its user has time, and while it owes some. */
START_TEST(a_client_that_sends_no_more_has_all_answers)
{
    bool is_large = _i % 2 == 1;
    char text[256];
    struct plug *client = plug(0, USER), *other = plug(0, OTHER_USER);
    struct model *model = is_large ? holder_large_model("a") : holder_model("a");
    holder_open(client->connection, (struct holder_terms){.model = model, .credit = 16});
    snprintf(text, sizeof(text), all_heard, is_large ? "output 1:2=1 warming; " : "output 1:2=1; ",
             is_large ? "1.5 warming" : "2", is_large ? "2 warming" : "3");
    ask_all(client);
    if (_i >= 2)
        share_charge(client->connection->share, DEBT_NS);
    hear_end(client);
    ck_assert_str_eq(heard(client), text);
    ck_assert_uint_eq(n_parked(), 1);
    say_ping(other, 1);
    send_said(other);
    hear(other, 1);
    holder_poll(0);
    ck_assert(!holder_is_busy(0));
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.connections), 1);
}
END_TEST

/* Frames alone, a reset alone, and a reset of a large state. */
START_TEST(whatever_a_client_sends_last_is_answered)
{
    struct plug *client = plug(0, USER);
    struct model *model = _i == 2 ? holder_large_model("a") : holder_model("a");
    holder_open(client->connection, (struct holder_terms){.model = model});
    for (uint64_t i = 0; i < 4 && _i == 0; i++)
        say_frame(client, 1, i);
    if (_i > 0)
        say_about(client, 1, ATTNP_M_RESET, 1);
    send_said(client);
    shutdown(client->fd, SHUT_WR);
    hear_end(client);
    ck_assert_str_eq(heard(client), _i == 0 ? "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1; output 1:3=2"
                                            : "response 1");
    ck_assert_uint_eq(n_parked(), 1);
}
END_TEST

START_TEST(a_client_that_sends_no_more_has_the_stream_that_it_opened)
{
    struct plug *client = plug(0, USER);
    holder_large_model("large");
    say_open(client, 1, _i == 1 ? "large" : NULL);
    say_frame(client, 1, 0);
    say_open(client, 2, _i == 1 ? "large" : NULL);
    send_said(client);
    shutdown(client->fd, SHUT_WR);
    hear_end(client);
    ck_assert_str_eq(heard(client), "response 1; output 1:0=0 warming; response 2");
    ck_assert_uint_eq(n_parked(), 2);
}
END_TEST

START_TEST(a_client_that_sends_no_more_and_waits_for_nothing_is_let_go)
{
    struct plug *client = plug(0, USER);
    holder_open(client->connection, (struct holder_terms){0});
    shutdown(client->fd, SHUT_WR);
    holder_poll(0);
    ck_assert_uint_eq(n_parked(), 1);
    hear_end(client);
    ck_assert_str_eq(heard(client), "");
}
END_TEST

/* Half a message is none: what comes before it is answered, and it is not waited for. */
START_TEST(a_client_that_ends_within_a_message_is_let_go)
{
    struct plug *client = plug(0, USER);
    say_ping(client, 1);
    say_ping(client, 2);
    client->n_said -= 1;
    send_said(client);
    shutdown(client->fd, SHUT_WR);
    hear_end(client);
    ck_assert_str_eq(heard(client), "response 1");
}
END_TEST

START_TEST(a_client_that_closes_is_parked_at_the_first_answer)
{
    struct plug *client = plug(0, USER);
    struct stream *stream = holder_open(client->connection, (struct holder_terms){.credit = 16});
    ask_all(client);
    unplug(client);
    while (n_parked() == 0)
        holder_poll(0);
    holder_run_dry(0);
    ck_assert_uint_eq(stream_waiting(stream), 0); /* what was accepted is computed */
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.connections), 0);
}
END_TEST

static Suite *connection_suite(void)
{
    Suite *suite = suite_create("connection");
    TCase *tests = tcase_create("connection");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, messages_are_handled_in_order_behind_an_open, 0, 2);
    tcase_add_test(tests, nothing_is_read_for_a_user_who_owes_time);
    tcase_add_test(tests, nothing_is_handled_for_a_user_who_owes_time);
    tcase_add_test(tests, connections_that_are_resumed_in_vain_keep_their_places);
    tcase_add_test(tests, who_is_served_goes_behind_those_that_wait);
    tcase_add_test(tests, a_paused_connection_may_end);
    tcase_add_test(tests, a_users_time_goes_with_its_last_connection);
    tcase_add_loop_test(tests, a_client_that_sends_no_more_has_all_answers, 0, 4);
    tcase_add_loop_test(tests, whatever_a_client_sends_last_is_answered, 0, 3);
    tcase_add_loop_test(tests, a_client_that_sends_no_more_has_the_stream_that_it_opened, 0, 2);
    tcase_add_test(tests, a_client_that_sends_no_more_and_waits_for_nothing_is_let_go);
    tcase_add_test(tests, a_client_that_ends_within_a_message_is_let_go);
    tcase_add_test(tests, a_client_that_closes_is_parked_at_the_first_answer);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(connection_suite());
