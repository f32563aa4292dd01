/* SPDX-License-Identifier: MIT */
/* libattnclient against a daemon that follows a script: connecting, greeting, calling, and what is refused unsent. */
#include "attnc/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "fake_daemon.h"
#include "tests/unit/run.h"

static struct attnc_client *connect_to(const struct fake *fake)
{
    struct attnc_connect_options options = {
        .size = sizeof(options), .socket = fake->path, .connect_ms = FAKE_PATIENCE_MS};
    struct attnc_client *client;
    struct attnc_error error;
    ck_assert_msg(attnc_connect(&client, &options, &error) == 0, "%s", error.text);
    return client;
}

static void script_rubbish(struct fake *fake)
{
    static const uint8_t one_reserved_byte[] = {0, 0, 0, 1, 0xc1};
    fake_accept(fake);
    fake_read(fake);
    fake_send(fake, one_reserved_byte, sizeof(one_reserved_byte));
    fake_read(fake);
}

static void script_bomb(struct fake *fake)
{
    static const uint8_t four_gigabytes[] = {0xff, 0xff, 0xff, 0xff, 0xc0};
    fake_accept(fake);
    fake_read(fake);
    fake_send(fake, four_gigabytes, sizeof(four_gigabytes));
    fake_read(fake);
}

static void script_nameless(struct fake *fake)
{
    fake_accept(fake);
    fake_respond(fake, fake_request(fake, ATTNP_M_HELLO));
    fake_read(fake);
}

static void script_silence(struct fake *fake)
{
    fake_accept(fake);
    while (fake_read(fake))
        ;
}

static void script_version(struct fake *fake)
{
    struct attnp_error error;
    fake_accept(fake);
    attnp_fail(&error, ATTNP_BAD_VERSION, "version 1 is not spoken here");
    attnp_write_error_notification(&fake->writer, &error);
    fake_send_written(fake);
    fake_read(fake);
}

/* Is never silent, and never greets. */
static void script_babble(struct fake *fake)
{
    char byte;
    fake_accept(fake);
    fake_request(fake, ATTNP_M_HELLO);
    while (recv(fake->socket, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) {
        fake_event(fake, "idle", "", 0, 0);
        poll(NULL, 0, 1);
    }
}

START_TEST(who_does_not_greet_as_a_daemon_is_no_daemon)
{
    static void (*const scripts[])(struct fake * fake) = {script_rubbish, script_bomb,    script_nameless,
                                                          script_silence, script_version, script_babble};
    static const int results[] = {ATTNC_E_PROTOCOL, ATTNC_E_PROTOCOL, ATTNC_E_PROTOCOL,
                                  ATTNC_E_TIMEOUT,  ATTNC_E_CLOSED,   ATTNC_E_TIMEOUT};
    struct fake fake;
    struct attnc_client *client;
    struct attnc_error error;
    fake_start(&fake, scripts[_i]);
    struct attnc_connect_options options = {.size = sizeof(options),
                                            .socket = fake.path,
                                            .connect_ms = results[_i] == ATTNC_E_TIMEOUT ? 50 : FAKE_PATIENCE_MS};
    ck_assert_int_eq(attnc_connect(&client, &options, &error), results[_i]);
    ck_assert_ptr_null(client);
    ck_assert_int_ne(error.text[0], 0);
    if (scripts[_i] == script_version)
        ck_assert_str_eq(error.name, "bad_version");
    fake_stop(&fake);
}
END_TEST

START_TEST(where_nobody_listens_the_error_says_so)
{
    struct attnc_client *client;
    struct attnc_error error;
    char path[200];
    struct attnc_connect_options options = {.size = sizeof(options), .socket = "/nonexistent/attnd.sock"};
    ck_assert_int_eq(attnc_connect(&client, &options, &error), ATTNC_E_CONNECT);
    ck_assert_int_eq(error.system, ENOENT);
    ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/attnd.sock"));
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    options.socket = path;
    ck_assert_int_eq(attnc_connect(&client, &options, &error), ATTNC_E_OPTIONS);
    options.size = 1;
    ck_assert_int_eq(attnc_connect(&client, &options, &error), ATTNC_E_OPTIONS);
}
END_TEST

/* Its greeting comes byte by byte; then a call. */
static void script_call(struct fake *fake)
{
    fake_accept(fake);
    attnp_write_response(&fake->writer, fake_request(fake, ATTNP_M_HELLO));
    attnp_write_map(&fake->writer, 1);
    attnp_put_string(&fake->writer, "server", "fake 2");
    const uint8_t *bytes;
    size_t n_bytes;
    attnp_write_end(&fake->writer, 4096, &bytes, &n_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        fake_send(fake, bytes + i, 1);
    attnp_write_response(&fake->writer, fake_request(fake, ATTNP_M_INFO));
    attnp_write_map(&fake->writer, 1);
    attnp_put_uint(&fake->writer, "position", 5);
    fake_send_written(fake);
    fake_read(fake);
}

START_TEST(any_request_can_be_called)
{
    static const uint8_t params[] = "\x81\xa6stream\x07", two_values[] = {0xc0, 0xc0},
                         expected[] = "\x81\xa8position\x05";
    struct fake fake;
    const void *result;
    size_t n_result;
    fake_start(&fake, script_call);
    struct attnc_client *client = connect_to(&fake);
    ck_assert_str_eq(attnc_server(client), "fake 2");
    ck_assert_int_eq(attnc_call(client, "inform", NULL, 0, &result, &n_result), ATTNC_E_OPTIONS);
    ck_assert_int_eq(attnc_call(client, "info", two_values, 2, &result, &n_result), ATTNC_E_OPTIONS);
    ck_assert_int_eq(attnc_call(client, "info", params, sizeof(params) - 1, &result, &n_result), 0);
    ck_assert_uint_eq(n_result, sizeof(expected) - 1);
    ck_assert_mem_eq(result, expected, n_result);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

START_TEST(contradictory_options_are_refused_before_anything_is_sent)
{
    struct attnc_attention attention = {.size = sizeof(attention), .heads = 1, .head_dim = 2, .window = 4};
    float landmarks[4];
    struct attnc_open_options both = {.size = sizeof(both), .model = "sounds", .attention = &attention};
    struct attnc_open_options neither = {.size = sizeof(neither)},
                              half = {.size = sizeof(half), .attention = &attention};
    struct fake fake;
    struct attnc_stream *stream;
    fake_start(&fake, script_call);
    struct attnc_client *client = connect_to(&fake);
    ck_assert_int_eq(attnc_open(client, &stream, &both), ATTNC_E_OPTIONS);
    ck_assert_int_eq(attnc_open(client, &stream, &neither), ATTNC_E_OPTIONS);
    attention.q_landmarks = landmarks;
    ck_assert_int_eq(attnc_open(client, &stream, &half), ATTNC_E_OPTIONS);
    attention.k_landmarks = landmarks;
    attention.heads = attention.head_dim = attention.landmarks = UINT32_MAX;
    ck_assert_int_eq(attnc_open(client, &stream, &half), ATTNC_E_OPTIONS);
    const void *result;
    size_t n_result;
    ck_assert_int_eq(attnc_call(client, "info", NULL, 0, &result, &n_result), 0);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

/* Which call is made, on a client whose connection is open and whose stream is, where the call needs one. */
enum call { CALL_PING, CALL_OPEN, CALL_ATTACH, CALL_PUSH, CALL_FINISH, CALL_RESET, CALL_CLOSE, N_CALLS };

static enum call called;
static bool in_bytes; /* the daemon sends a message that never ends; else events that nobody waits for */

static bool needs_stream(enum call call)
{
    return call >= CALL_PUSH;
}

/* Never silent, and never answers. */
static void script_trickle(struct fake *fake)
{
    static const uint8_t header[] = {0, 0, 255, 255, 0x93};
    uint8_t bytes[4096];
    if (needs_stream(called))
        fake_open_full(fake, 0, 0);
    else
        fake_greet(fake);
    if (in_bytes)
        fake_send(fake, header, sizeof(header));
    ssize_t n;
    while ((n = recv(fake->socket, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0 || (n < 0 && errno == EAGAIN)) {
        if (in_bytes)
            fake_send(fake, "", 1);
        else
            fake_event(fake, "idle", "", 0, 0);
        poll(NULL, 0, 1);
    }
}

static int make_call(struct attnc_client *client, struct attnc_stream *stream)
{
    struct attnc_open_options open = {.size = sizeof(open), .model = "sounds"};
    struct attnc_attach_options attach = {.size = sizeof(attach), .token = (const uint8_t *)FAKE_TOKEN};
    static const float frames[64];
    const void *result;
    size_t n_result;
    switch (called) {
    case CALL_PING:
        return attnc_call(client, "ping", NULL, 0, &result, &n_result);
    case CALL_OPEN:
        return attnc_open(client, &stream, &open);
    case CALL_ATTACH:
        return attnc_attach(client, &stream, &attach);
    case CALL_PUSH:
        return attnc_push(stream, frames, 64);
    case CALL_FINISH:
        return attnc_finish(stream);
    case CALL_RESET:
        return attnc_reset(stream);
    default:
        return attnc_close_stream(stream);
    }
}

START_TEST(no_call_is_held_for_ever_by_a_daemon_that_sends_something_else)
{
    struct attnc_open_options open = {.size = sizeof(open), .model = "sounds"};
    struct attnc_stream *stream = NULL;
    struct fake fake;
    called = _i % N_CALLS;
    in_bytes = _i >= N_CALLS;
    fake_start(&fake, script_trickle);
    struct attnc_connect_options options = {.size = sizeof(options),
                                            .socket = fake.path,
                                            .connect_ms = FAKE_PATIENCE_MS,
                                            .silence_ms = FAKE_PATIENCE_MS,
                                            .call_ms = 50};
    struct attnc_client *client;
    ck_assert_int_eq(attnc_connect(&client, &options, NULL), 0);
    int result = needs_stream(called) ? attnc_open(client, &stream, &open) : 0;
    if (result == 0) /* else the daemon's thread was held up, and opening took too long */
        result = make_call(client, stream);
    ck_assert_int_eq(result, ATTNC_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(attnc_last_error(client)->text, "came from the daemon within 50 ms"));
    ck_assert_int_eq(attnc_wait(client, 0), ATTNC_E_TIMEOUT);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

/* A program of before call_ms has smaller options, and waits for as long as it did. */
START_TEST(options_of_the_size_that_they_had_before_are_taken)
{
    struct fake fake;
    const void *result;
    size_t n_result;
    fake_start(&fake, script_call);
    struct attnc_connect_options options = {.size = offsetof(struct attnc_connect_options, call_ms),
                                            .socket = fake.path,
                                            .connect_ms = FAKE_PATIENCE_MS,
                                            .silence_ms = FAKE_PATIENCE_MS,
                                            .call_ms = 1};
    struct attnc_client *client;
    ck_assert_int_eq(attnc_connect(&client, &options, NULL), 0);
    ck_assert_int_eq(attnc_call(client, "info", NULL, 0, &result, &n_result), 0);
    attnc_close(client);
    options.size--;
    ck_assert_int_eq(attnc_connect(&client, &options, NULL), ATTNC_E_OPTIONS);
    fake_stop(&fake);
}
END_TEST

/* Frames that were never pushed would have outputs, and fill a file. */
static void script_far(struct fake *fake)
{
    fake_open_full(fake, (uint64_t)1 << 40, 0);
    fake_read(fake);
}

START_TEST(a_new_stream_begins_where_it_was_asked_to)
{
    struct fake fake;
    struct attnc_open_options open = {.size = sizeof(open), .model = "sounds"};
    struct attnc_stream *stream;
    fake_start(&fake, script_far);
    struct attnc_client *client = connect_to(&fake);
    ck_assert_int_eq(attnc_open(client, &stream, &open), ATTNC_E_PROTOCOL);
    ck_assert_ptr_null(stream);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static Suite *connect_suite(void)
{
    Suite *suite = suite_create("connect");
    TCase *tests = tcase_create("connect");
    tcase_add_loop_test(tests, who_does_not_greet_as_a_daemon_is_no_daemon, 0, 6);
    tcase_add_test(tests, where_nobody_listens_the_error_says_so);
    tcase_add_test(tests, any_request_can_be_called);
    tcase_add_test(tests, contradictory_options_are_refused_before_anything_is_sent);
    tcase_add_loop_test(tests, no_call_is_held_for_ever_by_a_daemon_that_sends_something_else, 0, 2 * N_CALLS);
    tcase_add_test(tests, options_of_the_size_that_they_had_before_are_taken);
    tcase_add_test(tests, a_new_stream_begins_where_it_was_asked_to);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(connect_suite());
