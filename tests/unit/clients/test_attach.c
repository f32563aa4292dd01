/* SPDX-License-Identifier: MIT */
/* libattnclient against a daemon that follows a script: going on with a stream whose connection broke, and taking it
 * over. */
#include "attnc/client.h"

#include <string.h>
#include <unistd.h>

#include "tests/unit/run.h"
#include "told.h"

static bool is_attach(const struct fake *fake)
{
    const msgpack_object *token = attnp_map_get(fake->request.params, "token");
    return fake_has_params(fake, 2) && token && token->type == MSGPACK_OBJECT_BIN && token->via.bin.size == 16 &&
           memcmp(token->via.bin.ptr, FAKE_TOKEN, 16) == 0;
}

/* Of frames 0 … 4 it has 0 … 3, and tells of 0 and 1 before the connection breaks. */
static void break_off(struct fake *fake)
{
    struct attnp_push push;
    fake_open_full(fake, 0, 0);
    fake_push(fake, &push);
    fake_output(fake, 0, 1);
    fake_event(fake, "dropped", "late", 1, 1);
    close(fake->socket);
    fake_greet(fake);
    uint32_t id = fake_request(fake, ATTNP_M_ATTACH);
    fake->failed |= !is_attach(fake) || fake_param(fake, "stream") != FAKE_STREAM;
    fake_describe(fake, id, 4, 30);
}

/* Answers all that is pushed from this frame on, up to frame 5. */
static void answer_from(struct fake *fake, uint64_t next)
{
    while (next < 6) {
        struct attnp_push push;
        if (!fake_push(fake, &push))
            return;
        fake->failed |= push.first != next;
        next += push.n_bytes / sizeof(float);
        fake_output(fake, push.first, push.n_bytes / sizeof(float));
    }
    fake_respond(fake, fake_request(fake, ATTNP_M_FINISH));
}

static void script_again(struct fake *fake)
{
    break_off(fake);
    answer_from(fake, 2);
}

static void script_from_now(struct fake *fake)
{
    break_off(fake);
    answer_from(fake, 4);
}

/* Frame 2 was skipped, and 3 dropped. */
static void script_again_without_outputs(struct fake *fake)
{
    struct attnp_push push;
    break_off(fake);
    fake_push(fake, &push);
    fake->failed |= push.first != 2 || push.n_bytes != 2 * sizeof(float);
    fake_event(fake, "skipped", "late", 2, 1);
    fake_read(fake);
    fake_event(fake, "dropped", "late", 3, 1);
    fake_read(fake);
}

/* Pushes 0 … 4 until the connection breaks, and attaches on a new one as the header shows it. */
static struct attnc_client *break_and_attach(const struct fake *fake, struct told *told, struct attnc_stream **stream,
                                             bool again)
{
    float frames[5] = {0};
    struct attnc_client *client = told_connect(fake);
    *stream = told_open(client, told);
    ck_assert_int_eq(attnc_push(*stream, frames, 5), 0);
    told_wait(client, told, 1);
    ck_assert_int_eq(attnc_finish(*stream), ATTNC_E_CLOSED);
    struct attnc_stream_info was = *attnc_stream_info(*stream);
    ck_assert(was.settled == 2 && was.next_frame == 5 && was.position == 1);
    attnc_close(client);
    client = told_connect(fake);
    struct attnc_attach_options options = {.size = sizeof(options),
                                           .stream = was.stream,
                                           .token = was.token,
                                           .again = again,
                                           .settled = was.settled,
                                           .position = was.position,
                                           .on_output = told_output,
                                           .on_notice = told_notice,
                                           .ctx = told};
    ck_assert_msg(attnc_attach(client, stream, &options) == 0, "%s", attnc_last_error(client)->text);
    return client;
}

START_TEST(every_answer_that_was_lost_is_had_by_pushing_again)
{
    struct fake fake;
    struct told told;
    struct attnc_stream *stream;
    float frame = 0;
    fake_start(&fake, script_again);
    struct attnc_client *client = break_and_attach(&fake, &told, &stream, true);
    const struct attnc_stream_info *info = attnc_stream_info(stream);
    ck_assert(info->next_frame == 2 && info->settled == 2 && info->position == 1);
    while (info->next_frame < 6)
        ck_assert_int_eq(attnc_push(stream, &frame, 1), 0);
    ck_assert_int_eq(attnc_finish(stream), 0);
    ck_assert_str_eq(told.frames, "odoooo");
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

START_TEST(who_does_not_ask_for_them_goes_on_where_the_daemon_is)
{
    struct fake fake;
    struct told told;
    struct attnc_stream *stream;
    float frames[2] = {0};
    fake_start(&fake, script_from_now);
    struct attnc_client *client = break_and_attach(&fake, &told, &stream, false);
    const struct attnc_stream_info *info = attnc_stream_info(stream);
    ck_assert(info->next_frame == 4 && info->settled == 4 && info->position == 30);
    ck_assert_int_eq(attnc_push(stream, frames, 2), 0);
    ck_assert_int_eq(attnc_finish(stream), 0);
    ck_assert_mem_eq(told.frames, "od\0\0oo", 7);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

START_TEST(the_position_is_right_again_where_nothing_is_missing_any_more)
{
    struct fake fake;
    struct told told;
    struct attnc_stream *stream;
    float frames[2] = {0};
    fake_start(&fake, script_again_without_outputs);
    struct attnc_client *client = break_and_attach(&fake, &told, &stream, true);
    const struct attnc_stream_info *info = attnc_stream_info(stream);
    ck_assert_int_eq(attnc_push(stream, frames, 2), 0);
    told_wait(client, &told, 2);
    ck_assert(info->settled == 3 && info->position == 2);
    told_push(stream);
    told_wait(client, &told, 3);
    ck_assert(info->settled == 4 && info->position == 30);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

/* Attached by name, twice: the first time the caller claims more than there is. */
static void script_attach_by_name(struct fake *fake)
{
    fake_greet(fake);
    for (int i = 0; i < 2; i++) {
        uint32_t id = fake_request(fake, ATTNP_M_ATTACH);
        const msgpack_object *name = attnp_map_get(fake->request.params, "name");
        fake->failed |= !is_attach(fake) || !name || name->type != MSGPACK_OBJECT_STR || name->via.str.size != 7;
        fake_describe(fake, id, 9, 9);
    }
    struct attnp_error error;
    uint32_t id = fake_request(fake, ATTNP_M_ATTACH);
    attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "there is no stream 8");
    attnp_write_error_response(&fake->writer, id, &error);
    fake_send_written(fake);
    fake_read(fake);
}

START_TEST(a_stream_that_has_less_than_it_answered_is_another_one)
{
    struct fake fake;
    struct attnc_stream *stream;
    struct attnc_attach_options options = {
        .size = sizeof(options), .name = "kitchen", .token = (const uint8_t *)FAKE_TOKEN, .again = 1, .settled = 10};
    fake_start(&fake, script_attach_by_name);
    struct attnc_client *client = told_connect(&fake);
    ck_assert_int_eq(attnc_attach(client, &stream, &options), ATTNC_E_OPTIONS);
    ck_assert_ptr_null(stream);
    ck_assert_ptr_nonnull(strstr(attnc_last_error(client)->text, "settled is 10"));
    options.settled = 9;
    ck_assert_int_eq(attnc_attach(client, &stream, &options), 0);
    ck_assert_uint_eq(attnc_stream_info(stream)->position, 9);
    options.name = NULL;
    options.stream = 8;
    ck_assert_int_eq(attnc_attach(client, &stream, &options), ATTNC_E_REFUSED);
    ck_assert_str_eq(attnc_last_error(client)->name, "unknown_stream");
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

/* Others take the stream; it is attached again on the same connection, under the same number, and works. */
static void script_take_back(struct fake *fake)
{
    struct attnp_push push;
    fake_open_full(fake, 0, 0);
    attnp_write_notification(&fake->writer, ATTNP_M_EVENT);
    attnp_write_map(&fake->writer, 2);
    attnp_put_uint(&fake->writer, "stream", FAKE_STREAM);
    attnp_put_string(&fake->writer, "event", "superseded");
    fake_send_written(fake);
    fake_describe(fake, fake_request(fake, ATTNP_M_ATTACH), 3, 3);
    fake_push(fake, &push);
    fake->failed |= push.first != 3;
    fake_output(fake, 3, 1);
    fake_respond(fake, fake_request(fake, ATTNP_M_CLOSE));
    fake_read(fake);
}

START_TEST(a_stream_that_was_taken_over_is_over_here_and_can_be_taken_back)
{
    struct fake fake;
    struct told told, told_later = {0};
    struct attnc_stream *back;
    float frame = 0;
    fake_start(&fake, script_take_back);
    struct attnc_client *client = told_connect(&fake);
    struct attnc_stream *stream = told_open(client, &told);
    told_wait(client, &told, 1);
    ck_assert_str_eq(told.what, "superseded");
    ck_assert_ptr_eq(told.notice.stream, stream);
    ck_assert(attnc_stream_info(stream)->ended);
    ck_assert_int_eq(attnc_push(stream, &frame, 1), ATTNC_E_CLOSED);
    ck_assert_str_eq(attnc_last_error(client)->name, "superseded");
    ck_assert_int_eq(attnc_finish(stream), ATTNC_E_CLOSED);
    struct attnc_attach_options options = {.size = sizeof(options),
                                           .stream = FAKE_STREAM,
                                           .token = attnc_stream_info(stream)->token,
                                           .on_output = told_output,
                                           .ctx = &told_later};
    ck_assert_int_eq(attnc_attach(client, &back, &options), 0);
    ck_assert(!attnc_stream_info(back)->ended);
    ck_assert_int_eq(attnc_push(stream, &frame, 1), ATTNC_E_CLOSED);
    ck_assert_int_eq(attnc_push(back, &frame, 1), 0);
    while (attnc_stream_info(back)->settled < 4)
        ck_assert_int_ge(attnc_wait(client, -1), 0);
    ck_assert_str_eq(told_later.frames + 3, "o");
    ck_assert_int_eq(attnc_close_stream(stream), 0); /* sends nothing: the next request is that of the other */
    ck_assert_int_eq(attnc_close_stream(back), 0);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static Suite *attach_suite(void)
{
    Suite *suite = suite_create("attach");
    TCase *tests = tcase_create("attach");
    tcase_add_test(tests, every_answer_that_was_lost_is_had_by_pushing_again);
    tcase_add_test(tests, who_does_not_ask_for_them_goes_on_where_the_daemon_is);
    tcase_add_test(tests, the_position_is_right_again_where_nothing_is_missing_any_more);
    tcase_add_test(tests, a_stream_that_has_less_than_it_answered_is_another_one);
    tcase_add_test(tests, a_stream_that_was_taken_over_is_over_here_and_can_be_taken_back);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(attach_suite());
