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

static Suite *connect_suite(void)
{
    Suite *suite = suite_create("connect");
    TCase *tests = tcase_create("connect");
    tcase_add_loop_test(tests, who_does_not_greet_as_a_daemon_is_no_daemon, 0, 6);
    tcase_add_test(tests, where_nobody_listens_the_error_says_so);
    tcase_add_test(tests, any_request_can_be_called);
    tcase_add_test(tests, contradictory_options_are_refused_before_anything_is_sent);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(connect_suite());
