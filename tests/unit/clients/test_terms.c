/* SPDX-License-Identifier: MIT */
/* libattnclient against a daemon that follows a script: the terms of a stream, what becomes of its frames, and why it
 * ends. */
#include "attnc/client.h"

#include <stddef.h>
#include <string.h>

#include "tests/unit/run.h"
#include "told.h"

/* Opens, and answers any number of later opens with a refusal, whose text says how many parameters came. */
static void script_terms(struct fake *fake)
{
    fake_greet(fake);
    uint32_t id = fake_request(fake, ATTNP_M_OPEN);
    const msgpack_object *rate = attnp_map_get(fake->request.params, "rate");
    const msgpack_object *late = attnp_map_get(fake->request.params, "late");
    fake->failed |= !fake_has_params(fake, 7) || fake_param(fake, "deadline_ms") != 40 ||
                    fake_param(fake, "first_frame") != 5 || fake_param(fake, "position") != 3 ||
                    fake_param(fake, "answer_from") != 9;
    fake->failed |= !rate || rate->type != MSGPACK_OBJECT_FLOAT64 || rate->via.f64 != 12.5;
    fake->failed |= !late || late->type != MSGPACK_OBJECT_STR || memcmp(late->via.str.ptr, "skip-output", 11) != 0;
    fake_describe(fake, id, 5, 3);
    fake->failed |= !fake_has_params(fake, 7);
    id = fake_request(fake, ATTNP_M_OPEN);
    fake->failed |= !fake_has_params(fake, 1);
    fake_describe(fake, id, 0, 0);
    fake_read(fake);
}

START_TEST(the_terms_of_a_stream_are_sent_and_its_description_is_kept)
{
    struct fake fake;
    struct told told;
    struct attnc_stream *stream;
    fake_start(&fake, script_terms);
    struct attnc_client *client = told_connect(&fake);
    struct attnc_open_options options = told_options(&told);
    options.rate = 12.5;
    options.late = "skip-output";
    options.deadline_ms = 40;
    options.first_frame = 5;
    options.replay = 1;
    options.position = 3;
    options.answer_from = 9;
    ck_assert_int_eq(attnc_open(client, &stream, &options), 0);
    const struct attnc_stream_info *info = attnc_stream_info(stream);
    ck_assert_mem_eq(info->token, FAKE_TOKEN, sizeof(info->token));
    ck_assert(info->next_frame == 5 && info->settled == 5 && info->position == 3);
    ck_assert(info->replay_frames == 31 && info->state_bytes == 4096 && info->warming_frames == 15);

    /* A program of before the terms: its struct ends where they begin, and what stands behind it is not read. */
    options.size = offsetof(struct attnc_open_options, rate);
    ck_assert_int_eq(attnc_open(client, &stream, &options), 0);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static void script_greet(struct fake *fake)
{
    fake_greet(fake);
    fake_read(fake);
}

START_TEST(sizes_of_no_version_and_half_a_replay_are_refused_unsent)
{
    static const size_t wrong[] = {0, sizeof(size_t), offsetof(struct attnc_open_options, ctx),
                                   sizeof(struct attnc_open_options) + 1};
    struct fake fake;
    struct told told;
    struct attnc_stream *stream;
    struct attnc_attach_options attach = {.size = sizeof(attach), .stream = FAKE_STREAM};
    fake_start(&fake, script_greet);
    struct attnc_client *client = told_connect(&fake);
    struct attnc_open_options options = told_options(&told);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        options.size = wrong[i];
        ck_assert_int_eq(attnc_open(client, &stream, &options), ATTNC_E_OPTIONS);
        ck_assert_ptr_nonnull(strstr(attnc_last_error(client)->text, "sizeof(struct attnc_open_options)"));
    }
    options.size = sizeof(options);
    options.position = 3;
    ck_assert_int_eq(attnc_open(client, &stream, &options), ATTNC_E_OPTIONS);
    ck_assert_int_eq(attnc_attach(client, &stream, &attach), ATTNC_E_OPTIONS);
    ck_assert_ptr_nonnull(strstr(attnc_last_error(client)->text, "token"));
    attach.size--;
    ck_assert_int_eq(attnc_attach(client, &stream, &attach), ATTNC_E_OPTIONS);
    ck_assert_ptr_null(stream);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static void send_bad_frame(struct fake *fake, uint64_t frame)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_BAD_FRAME, "value 0 is no number");
    error.has_stream = error.has_frame = true;
    error.stream = FAKE_STREAM;
    error.frame = frame;
    attnp_write_error_notification(&fake->writer, &error);
    fake_send_written(fake);
}

/* An event with one number. */
static void send_event(struct fake *fake, const char *event, const char *key, uint64_t number)
{
    attnp_write_notification(&fake->writer, ATTNP_M_EVENT);
    attnp_write_map(&fake->writer, 3);
    attnp_put_uint(&fake->writer, "stream", FAKE_STREAM);
    attnp_put_string(&fake->writer, "event", event);
    attnp_put_uint(&fake->writer, key, number);
    fake_send_written(fake);
}

/* Frames 10 … 17: two dropped, two skipped, one refused; then others reset the stream before 15. */
static void script_all_fates(struct fake *fake)
{
    struct attnp_push push;
    fake_open_full(fake, 10, 4);
    fake_push(fake, &push);
    fake_event(fake, "dropped", "late", 10, 2);
    fake_event(fake, "skipped", "late", 12, 2);
    send_bad_frame(fake, 14);
    fake_read(fake);
    send_event(fake, "reset", "next_frame", 15);
    fake_read(fake);
    fake_event(fake, "skipped", "late", 15, 1);
    fake_read(fake);
    send_event(fake, "idle", "expires_ms", 2500);
    fake_read(fake);
    send_event(fake, "drain", "deadline_ms", 10000);
    fake_read(fake);
}

START_TEST(the_position_follows_what_was_applied_and_every_event_is_told_with_its_number)
{
    struct fake fake;
    struct told told;
    float frames[5] = {0};
    fake_start(&fake, script_all_fates);
    struct attnc_client *client = told_connect(&fake);
    struct attnc_open_options options = told_options(&told);
    struct attnc_stream *stream;
    options.first_frame = 10;
    ck_assert_int_eq(attnc_open(client, &stream, &options), 0);
    const struct attnc_stream_info *info = attnc_stream_info(stream);
    ck_assert_int_eq(attnc_push(stream, frames, 5), 0);
    told_wait(client, &told, 3);
    ck_assert_mem_eq(told.frames + 10, "ddsse", 5);
    ck_assert(info->settled == 15 && info->position == 6);
    told_push(stream);
    told_wait(client, &told, 4);
    ck_assert_str_eq(told.what, "reset");
    ck_assert(told.notice.next_frame == 15 && told.notice.count == 0);
    ck_assert(info->settled == 15 && info->position == 0);
    told_push(stream);
    told_wait(client, &told, 5);
    ck_assert(info->settled == 16 && info->position == 1);
    told_push(stream);
    told_wait(client, &told, 6);
    ck_assert_str_eq(told.what, "idle");
    ck_assert_uint_eq(told.notice.left_ms, 2500);
    told_push(stream);
    told_wait(client, &told, 7);
    ck_assert_str_eq(told.what, "drain");
    ck_assert_uint_eq(told.notice.left_ms, 10000);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

/* The stream ends while the client waits for an answer about it. */
static void end_it(struct fake *fake, const char *reason, enum attnp_method method)
{
    struct attnp_error error;
    fake_open_full(fake, 0, 0);
    uint32_t id = fake_request(fake, method);
    if (strcmp(reason, "killed") == 0)
        fake_kill(fake, "noise at night\n");
    else
        fake_event(fake, "ended", reason, 0, 0);
    attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "there is no stream 7");
    attnp_write_error_response(&fake->writer, id, &error);
    fake_send_written(fake);
    fake_read(fake);
}

static void script_idle(struct fake *fake)
{
    end_it(fake, "idle", ATTNP_M_FINISH);
}

static void script_killed(struct fake *fake)
{
    end_it(fake, "killed", ATTNP_M_FINISH);
}

static void script_bored(struct fake *fake)
{
    end_it(fake, "boredom", ATTNP_M_FINISH);
}

static void script_close_too_late(struct fake *fake)
{
    end_it(fake, "closed", ATTNP_M_CLOSE);
}

START_TEST(the_reason_for_its_end_is_told_rather_than_that_it_is_unknown)
{
    static const struct {
        void (*script)(struct fake *fake);
        const char *name, *text;
    } cases[] = {
        {script_idle, "idle", "open it anew"},
        {script_killed, "killed", "an operator ended it (noise at night?); ask"},
        {script_bored, "", "the daemon ended the stream: boredom; open it anew"},
    };
    struct fake fake;
    struct told told;
    fake_start(&fake, cases[_i].script);
    struct attnc_client *client = told_connect(&fake);
    struct attnc_stream *stream = told_open(client, &told);
    ck_assert_int_eq(attnc_finish(stream), ATTNC_E_CLOSED);
    ck_assert_str_eq(attnc_last_error(client)->name, cases[_i].name);
    ck_assert_msg(strstr(attnc_last_error(client)->text, cases[_i].text) != NULL, "%s", attnc_last_error(client)->text);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

START_TEST(closing_what_others_closed_meanwhile_is_no_failure)
{
    struct fake fake;
    struct told told;
    fake_start(&fake, script_close_too_late);
    struct attnc_client *client = told_connect(&fake);
    struct attnc_stream *stream = told_open(client, &told);
    ck_assert_int_eq(attnc_close_stream(stream), 0);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static void script_full(struct fake *fake)
{
    struct attnp_error error;
    fake_greet(fake);
    uint32_t id = fake_request(fake, ATTNP_M_OPEN);
    attnp_fail(&error, ATTNP_OVER_CAPACITY, "100 frames/s are promised to others");
    error.has_left = error.has_retry = true;
    error.left_shard = 12.5;
    error.left_all = 20;
    error.retry_ms = 3000;
    attnp_write_error_response(&fake->writer, id, &error);
    fake_send_written(fake);
    fake_read(fake);
}

START_TEST(a_refusal_for_want_of_room_says_what_is_left_and_when_to_ask_again)
{
    struct fake fake;
    struct told told;
    struct attnc_stream *stream;
    struct attnc_open_options options = told_options(&told);
    fake_start(&fake, script_full);
    struct attnc_client *client = told_connect(&fake);
    ck_assert_int_eq(attnc_open(client, &stream, &options), ATTNC_E_REFUSED);
    const struct attnc_error *error = attnc_last_error(client);
    ck_assert_str_eq(error->name, "over_capacity");
    ck_assert(error->left_shard == 12.5 && error->left_all == 20 && error->retry_ms == 3000);
    options.size = 0;
    ck_assert_int_eq(attnc_open(client, &stream, &options), ATTNC_E_OPTIONS);
    ck_assert(error->left_shard == 0 && error->left_all == 0 && error->retry_ms == 0);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static Suite *terms_suite(void)
{
    Suite *suite = suite_create("terms");
    TCase *tests = tcase_create("terms");
    tcase_add_test(tests, the_terms_of_a_stream_are_sent_and_its_description_is_kept);
    tcase_add_test(tests, sizes_of_no_version_and_half_a_replay_are_refused_unsent);
    tcase_add_test(tests, the_position_follows_what_was_applied_and_every_event_is_told_with_its_number);
    tcase_add_loop_test(tests, the_reason_for_its_end_is_told_rather_than_that_it_is_unknown, 0, 3);
    tcase_add_test(tests, closing_what_others_closed_meanwhile_is_no_failure);
    tcase_add_test(tests, a_refusal_for_want_of_room_says_what_is_left_and_when_to_ask_again);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(terms_suite());
