/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/outbox.h"
#include "tests/unit/run.h"

static uv_loop_t loop;
static uv_pipe_t sending;
static struct outbox outbox;
static int reading, n_sent, last_status;

static void sent(struct outbox *box, int status)
{
    ck_assert_ptr_eq(box, &outbox);
    n_sent++;
    last_status = status;
}

static void set_up(void)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    reading = pair[1];
    n_sent = last_status = 0;
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    uv_loop_init(&loop);
    uv_pipe_init(&loop, &sending, 0);
    uv_pipe_open(&sending, pair[0]);
    outbox_init(&outbox, (uv_stream_t *)&sending, sent);
}

static void tear_down(void)
{
    uv_close((uv_handle_t *)&sending, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    outbox_done(&outbox);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    if (reading >= 0)
        close(reading);
}

static void add(uint8_t byte, size_t n_bytes)
{
    uint8_t *place = outbox_add(&outbox, n_bytes);
    ck_assert_ptr_nonnull(place);
    memset(place, byte, n_bytes);
    outbox_added(&outbox, n_bytes);
}

/* Reads all that is there and checks that it is n_bytes of each byte from *next on; the count within is kept in *count.
 */
static void read_all(uint8_t *next, size_t *count, size_t n_bytes)
{
    uint8_t buffer[65536];
    for (ssize_t n; (n = read(reading, buffer, sizeof(buffer))) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] != *next) /* an assertion for each byte would take seconds */
                ck_abort_msg("%u came where %u was due", buffer[i], *next);
            if (++*count == n_bytes) {
                *count = 0;
                ++*next;
            }
        }
}

START_TEST(messages_leave_together_and_at_once_where_the_client_reads)
{
    uint8_t next = 1;
    size_t count = 0;
    for (uint8_t byte = 1; byte <= 5; byte++)
        add(byte, 100);
    ck_assert_uint_eq(outbox_bytes(&outbox), 500);
    ck_assert_uint_eq(outbox_sent(&outbox), 0);
    ck_assert_int_eq(outbox_flush(&outbox), 0);
    ck_assert_uint_eq(outbox_bytes(&outbox), 0);
    ck_assert_uint_eq(outbox_sent(&outbox), 500);
    read_all(&next, &count, 100);
    ck_assert_uint_eq(next, 6);
    ck_assert_int_eq(n_sent, 0);
}
END_TEST

START_TEST(order_is_kept_while_the_client_does_not_read)
{
    uint8_t next = 1;
    size_t count = 0;
    for (uint8_t byte = 1; byte <= 40; byte++) {
        add(byte, 50000);
        ck_assert_int_eq(outbox_flush(&outbox), 0);
    }
    ck_assert_uint_gt(outbox_bytes(&outbox), 1000000);
    for (int turn = 0; turn < 1000 && next <= 40; turn++) {
        read_all(&next, &count, 50000);
        uv_run(&loop, UV_RUN_NOWAIT);
        ck_assert_uint_eq(outbox_bytes(&outbox) + outbox_sent(&outbox), 40 * 50000);
        ck_assert_uint_ge(outbox_sent(&outbox), (uint64_t)(next - 1) * 50000 + count);
        ck_assert_int_eq(outbox_flush(&outbox), 0);
    }
    ck_assert_uint_eq(next, 41);
    ck_assert_uint_eq(outbox_bytes(&outbox), 0);
    ck_assert_int_ge(n_sent, 1);
    ck_assert_int_eq(last_status, 0);
}
END_TEST

START_TEST(a_client_that_has_gone_is_an_error)
{
    close(reading);
    reading = -1;
    add(1, 10);
    ck_assert_int_lt(outbox_flush(&outbox), 0);
}
END_TEST

START_TEST(a_reserved_room_does_not_move)
{
    ck_assert_int_eq(outbox_reserve(&outbox, 10000), 0);
    const uint8_t *place = outbox_add(&outbox, 1);
    add(1, 10000);
    ck_assert_ptr_eq(outbox.filling, place);
}
END_TEST

START_TEST(what_its_buffers_take_is_known_before)
{
    size_t takes = outbox_reserve_takes(&outbox, 1000);
    ck_assert_uint_eq(outbox_room(&outbox), 0);
    ck_assert_int_eq(outbox_reserve(&outbox, 1000), 0);
    ck_assert_uint_eq(outbox_room(&outbox), takes);
    ck_assert_uint_ge(takes, 2000);
    ck_assert_uint_eq(outbox_add_takes(&outbox, 1000), 0);
    for (size_t n_bytes = 1; n_bytes <= 100000; n_bytes *= 3) {
        size_t room = outbox_room(&outbox) + outbox_add_takes(&outbox, n_bytes);
        add(1, n_bytes);
        ck_assert_uint_eq(outbox_room(&outbox), room);
    }
    takes = outbox_room(&outbox) + outbox_reserve_takes(&outbox, 500000);
    ck_assert_int_eq(outbox_reserve(&outbox, 500000), 0);
    ck_assert_uint_eq(outbox_room(&outbox), takes);
    ck_assert_uint_eq(outbox_reserve_takes(&outbox, 500000), 0);
}
END_TEST

static Suite *outbox_suite(void)
{
    Suite *suite = suite_create("outbox");
    TCase *tests = tcase_create("outbox");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, messages_leave_together_and_at_once_where_the_client_reads);
    tcase_add_test(tests, order_is_kept_while_the_client_does_not_read);
    tcase_add_test(tests, a_client_that_has_gone_is_an_error);
    tcase_add_test(tests, a_reserved_room_does_not_move);
    tcase_add_test(tests, what_its_buffers_take_is_known_before);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(outbox_suite());
