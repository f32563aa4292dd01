/* SPDX-License-Identifier: MIT */
/* libattnclient against a daemon that follows a script: what it sends, what it tells its caller, and that it never
 * hangs. */
#include "attnc/client.h"

#include <string.h>

#include "fake_daemon.h"
#include "tests/unit/run.h"

/* What the callbacks were told. */
struct told {
    uint64_t n_outputs, next;
    bool wrong; /* an output out of order, or with another frame's values */
    int n_warming, n_notices;
    struct attnc_notice notice; /* the last one; its texts in: */
    char what[32], name[32], text[256];
};

static void on_output(void *ctx, const struct attnc_output *output)
{
    struct told *told = ctx;
    told->wrong |= output->frame != told->next || output->values[output->n_values - 1] != (float)output->frame ||
                   output->position != output->frame || output->lag_us != 41;
    told->next = output->frame + 1;
    told->n_outputs++;
    told->n_warming += output->warming;
}

static void on_notice(void *ctx, const struct attnc_notice *notice)
{
    struct told *told = ctx;
    told->n_notices++;
    told->notice = *notice;
    snprintf(told->what, sizeof(told->what), "%s", notice->what);
    snprintf(told->name, sizeof(told->name), "%s", notice->name);
    snprintf(told->text, sizeof(told->text), "%s", notice->text);
    if (notice->count > 0)
        told->next = notice->first + notice->count;
}

static struct attnc_client *connect_to(const struct fake *fake)
{
    struct attnc_connect_options options = {
        .size = sizeof(options), .socket = fake->path, .connect_ms = FAKE_PATIENCE_MS};
    struct attnc_client *client;
    struct attnc_error error;
    ck_assert_msg(attnc_connect(&client, &options, &error) == 0, "%s", error.text);
    return client;
}

static struct attnc_stream *open_on(struct attnc_client *client, struct told *told)
{
    struct attnc_open_options options = {
        .size = sizeof(options), .model = "sounds", .on_output = on_output, .on_notice = on_notice, .ctx = told};
    struct attnc_stream *stream;
    *told = (struct told){0};
    ck_assert_int_eq(attnc_open(client, &stream, &options), 0);
    return stream;
}

/* Answers every frame at once until the client asks to finish, then that. */
static void script_echo(struct fake *fake)
{
    fake_open(fake, 3, 2, 8);
    struct attnp_push push;
    while (fake_read(fake) && attnp_is_push(fake->message, fake->n_body)) {
        fake->failed |= attnp_push_read(&push, fake->message, fake->n_body, NULL) < 0 || push.stream != FAKE_STREAM;
        fake_output(fake, push.first, push.n_bytes / (3 * sizeof(float)));
    }
    struct attnp_message message;
    bool id_known;
    if (attnp_message_read(&message, fake->message, fake->n_body, &id_known, NULL) == 0) {
        fake_respond(fake, message.id);
        attnp_message_done(&message);
    }
}

START_TEST(every_frame_has_its_output_in_order)
{
    struct fake fake;
    struct told told;
    float frames[20 * 3] = {0};
    fake_start(&fake, script_echo);
    struct attnc_client *client = connect_to(&fake);
    ck_assert_str_eq(attnc_server(client), "fake 1");
    struct attnc_stream *stream = open_on(client, &told);
    const struct attnc_stream_info *info = attnc_stream_info(stream);
    ck_assert_uint_eq(info->n_labels, 3);
    ck_assert_str_eq(info->labels[1], "noise");
    ck_assert_str_eq(info->labels[2], "");
    ck_assert_int_eq(attnc_push(stream, frames, 20), 0);
    ck_assert_int_eq(attnc_finish(stream), 0);
    ck_assert_uint_eq(told.n_outputs, 20);
    ck_assert(!told.wrong);
    ck_assert_int_eq(told.n_warming, 1);
    ck_assert_uint_eq(info->settled, 20);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

#define BIG_FLOATS 65536
#define BIG_FRAMES 32
#define BIG_BATCH  8

/* Takes eight frames of 256 KiB, and then nothing before their outputs, 2 MiB, have been read from it. */
static void script_stubborn(struct fake *fake)
{
    fake_open(fake, BIG_FLOATS, BIG_FLOATS, 64);
    for (uint64_t frame = 0; frame < BIG_FRAMES;) {
        uint64_t first = frame;
        struct attnp_push push;
        while (frame < first + BIG_BATCH && frame < BIG_FRAMES && fake_push(fake, &push))
            frame += push.n_bytes / (BIG_FLOATS * sizeof(float));
        for (; first < frame; first++)
            fake_output(fake, first, 1);
        if (fake->failed)
            return;
    }
    fake_respond(fake, fake_request(fake, ATTNP_M_FINISH));
}

START_TEST(a_daemon_that_waits_to_write_is_read_from)
{
    struct fake fake;
    struct told told;
    float *frames = calloc(BIG_FRAMES * BIG_FLOATS, sizeof(float));
    fake_start(&fake, script_stubborn);
    struct attnc_client *client = connect_to(&fake);
    struct attnc_stream *stream = open_on(client, &told);
    ck_assert_int_eq(attnc_push(stream, frames, BIG_FRAMES), 0);
    ck_assert_int_eq(attnc_finish(stream), 0);
    ck_assert_uint_eq(told.n_outputs, BIG_FRAMES);
    ck_assert(!told.wrong);
    attnc_close(client);
    free(frames);
    fake_stop(&fake);
}
END_TEST

#define CREDIT          4
#define N_CREDIT_FRAMES 30

/* Answers one frame whenever the client has used all of its credit, and counts how far it goes. */
static void script_miser(struct fake *fake)
{
    fake_open(fake, 1, 1, CREDIT);
    uint64_t received = 0, answered = 0;
    while (received < N_CREDIT_FRAMES) {
        struct attnp_push push;
        if (!fake_push(fake, &push))
            return;
        fake->failed |= push.first != received;
        received += push.n_bytes / sizeof(float);
        if (received - answered > fake->most_unsettled)
            fake->most_unsettled = received - answered;
        if (received - answered >= CREDIT)
            fake_output(fake, answered++, 1);
    }
    uint32_t id = fake_request(fake, ATTNP_M_FINISH);
    fake_output(fake, answered, received - answered);
    fake_respond(fake, id);
}

START_TEST(all_of_the_credit_is_used_and_no_more)
{
    struct fake fake;
    struct told told;
    float frames[N_CREDIT_FRAMES] = {0};
    fake_start(&fake, script_miser);
    struct attnc_client *client = connect_to(&fake);
    struct attnc_stream *stream = open_on(client, &told);
    ck_assert_int_eq(attnc_push(stream, frames, N_CREDIT_FRAMES), 0);
    ck_assert_int_eq(attnc_finish(stream), 0);
    ck_assert_uint_eq(told.n_outputs, N_CREDIT_FRAMES);
    attnc_close(client);
    fake_stop(&fake);
    ck_assert_uint_eq(fake.most_unsettled, CREDIT);
}
END_TEST

static void script_refuse_open(struct fake *fake)
{
    fake_greet(fake);
    struct attnp_error error;
    uint32_t id = fake_request(fake, ATTNP_M_OPEN);
    attnp_fail(&error, ATTNP_UNKNOWN_MODEL, "there is no model 'sounds'");
    attnp_write_error_response(&fake->writer, id, &error);
    fake_send_written(fake);
    fake_read(fake);
}

START_TEST(a_refusal_is_told_by_name_and_text)
{
    struct fake fake;
    struct attnc_stream *stream;
    struct attnc_open_options options = {.size = sizeof(options), .model = "sounds"};
    fake_start(&fake, script_refuse_open);
    struct attnc_client *client = connect_to(&fake);
    ck_assert_int_eq(attnc_open(client, &stream, &options), ATTNC_E_REFUSED);
    ck_assert_ptr_null(stream);
    ck_assert_str_eq(attnc_last_error(client)->name, "unknown_model");
    ck_assert_str_eq(attnc_last_error(client)->text, "there is no model 'sounds'");
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

/* Frame 0 is answered, 1 is refused, 2 and 3 are dropped, 4 is answered. */
static void script_refuse_frames(struct fake *fake)
{
    struct attnp_push push;
    struct attnp_error error;
    fake_open(fake, 1, 1, 8);
    fake_push(fake, &push);
    fake_output(fake, 0, 1);
    attnp_fail(&error, ATTNP_BAD_FRAME, "value 0 of frame 1 is no number");
    error.has_stream = error.has_frame = true;
    error.stream = FAKE_STREAM;
    error.frame = 1;
    attnp_write_error_notification(&fake->writer, &error);
    fake_send_written(fake);
    uint32_t id = fake_request(fake, ATTNP_M_RESET);
    fake_event(fake, "dropped", "late", 2, 2);
    fake_output(fake, 4, 1);
    fake_respond(fake, id);
    fake_respond(fake, fake_request(fake, ATTNP_M_FINISH));
}

START_TEST(frames_without_output_are_told_and_settled)
{
    struct fake fake;
    struct told told;
    float frames[5] = {0};
    fake_start(&fake, script_refuse_frames);
    struct attnc_client *client = connect_to(&fake);
    struct attnc_stream *stream = open_on(client, &told);
    ck_assert_int_eq(attnc_push(stream, frames, 5), 0);
    while (told.n_notices < 1)
        ck_assert_int_ge(attnc_wait(client, -1), 0);
    ck_assert_str_eq(told.what, "error");
    ck_assert_str_eq(told.name, "bad_frame");
    ck_assert_str_eq(told.text, "value 0 of frame 1 is no number");
    ck_assert_uint_eq(told.notice.first, 1);
    ck_assert_uint_eq(told.notice.count, 1);
    ck_assert_uint_eq(attnc_stream_info(stream)->settled, 2);
    ck_assert_int_eq(attnc_reset(stream), 0);
    ck_assert_str_eq(told.what, "dropped");
    ck_assert_str_eq(told.name, "late");
    ck_assert_uint_eq(told.notice.first, 2);
    ck_assert_uint_eq(told.notice.count, 2);
    ck_assert_int_eq(attnc_finish(stream), 0);
    ck_assert_uint_eq(told.n_outputs, 2);
    ck_assert_uint_eq(told.next, 5);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static void script_gap(struct fake *fake)
{
    struct attnp_push push;
    struct attnp_error error;
    fake_open(fake, 1, 1, 8);
    fake_push(fake, &push);
    fake_output(fake, 0, 2);
    attnp_fail(&error, ATTNP_FRAME_GAP, "frame 2 is expected");
    error.has_stream = error.has_expected = true;
    error.stream = FAKE_STREAM;
    error.expected = 2;
    attnp_write_error_notification(&fake->writer, &error);
    fake_send_written(fake);
    fake_push(fake, &push);
    fake->failed |= push.first != 2;
    fake_output(fake, 2, 1);
    fake_respond(fake, fake_request(fake, ATTNP_M_FINISH));
}

START_TEST(frames_that_were_not_taken_are_pushed_again_from_the_expected_one)
{
    struct fake fake;
    struct told told;
    float frames[5] = {0};
    fake_start(&fake, script_gap);
    struct attnc_client *client = connect_to(&fake);
    struct attnc_stream *stream = open_on(client, &told);
    ck_assert_int_eq(attnc_push(stream, frames, 5), 0);
    while (told.n_notices < 1)
        ck_assert_int_ge(attnc_wait(client, -1), 0);
    ck_assert_int_eq(attnc_finish(stream), ATTNC_E_REFUSED);
    ck_assert_str_eq(attnc_last_error(client)->name, "frame_gap");
    ck_assert_uint_eq(attnc_stream_info(stream)->next_frame, 2);
    ck_assert_int_eq(attnc_push(stream, frames, 1), 0);
    ck_assert_int_eq(attnc_finish(stream), 0);
    ck_assert_uint_eq(told.n_outputs, 3);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static void script_end_stream(struct fake *fake)
{
    fake_open(fake, 1, 1, 8);
    fake_event(fake, "ended", "killed: too loud", 0, 0);
    fake_read(fake);
}

START_TEST(a_stream_that_the_daemon_ends_takes_no_more_frames)
{
    struct fake fake;
    struct told told;
    float frame = 0;
    fake_start(&fake, script_end_stream);
    struct attnc_client *client = connect_to(&fake);
    struct attnc_stream *stream = open_on(client, &told);
    while (told.n_notices < 1)
        ck_assert_int_ge(attnc_wait(client, -1), 0);
    ck_assert_str_eq(told.what, "ended");
    ck_assert_int_eq(attnc_push(stream, &frame, 1), ATTNC_E_CLOSED);
    ck_assert_ptr_nonnull(strstr(attnc_last_error(client)->text, "too loud"));
    ck_assert_int_eq(attnc_close_stream(stream), 0);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static void script_farewell(struct fake *fake)
{
    struct attnp_error error;
    fake_open(fake, 1, 1, 8);
    attnp_fail(&error, ATTNP_SLOW_CONSUMER, "nothing was read for 60 s");
    attnp_write_error_notification(&fake->writer, &error);
    fake_send_written(fake);
}

static void script_vanish(struct fake *fake)
{
    fake_open(fake, 1, 1, 8);
}

START_TEST(the_end_of_a_connection_is_told_with_the_reason_that_the_daemon_gave)
{
    static void (*const scripts[])(struct fake * fake) = {script_farewell, script_vanish};
    static const char *const texts[] = {"nothing was read for 60 s", "without saying why"};
    struct fake fake;
    struct told told;
    fake_start(&fake, scripts[_i]);
    struct attnc_client *client = connect_to(&fake);
    struct attnc_stream *stream = open_on(client, &told);
    ck_assert_int_eq(attnc_finish(stream), ATTNC_E_CLOSED);
    ck_assert_msg(strstr(attnc_last_error(client)->text, texts[_i]) != NULL, "%s", attnc_last_error(client)->text);
    ck_assert_int_eq(attnc_finish(stream), ATTNC_E_CLOSED);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

/* Answers to frames that nobody pushed. */
static void script_foreign_output(struct fake *fake)
{
    struct attnp_push push;
    fake_open(fake, 1, 1, 8);
    fake_push(fake, &push);
    fake_output(fake, 4, 2);
    fake_read(fake);
}

static void script_far_output(struct fake *fake)
{
    struct attnp_push push;
    fake_open(fake, 1, 1, 8);
    fake_push(fake, &push);
    fake_output(fake, UINT64_MAX, 2);
    fake_read(fake);
}

static void script_expect_what_was_answered(struct fake *fake)
{
    struct attnp_push push;
    struct attnp_error error;
    fake_open(fake, 1, 1, 8);
    fake_push(fake, &push);
    fake_output(fake, 0, 3);
    attnp_fail(&error, ATTNP_FRAME_GAP, "frame 1 is expected");
    error.has_stream = error.has_expected = true;
    error.stream = FAKE_STREAM;
    error.expected = 1;
    attnp_write_error_notification(&fake->writer, &error);
    fake_send_written(fake);
    fake_read(fake);
}

/* All floats of an output but one. */
static void script_cut_output(struct fake *fake)
{
    struct attnp_push push;
    fake_open(fake, 1, 2, 8);
    fake_push(fake, &push);
    fake->output_dim = 1;
    fake_output(fake, 0, 1);
    fake_read(fake);
}

START_TEST(answers_that_cannot_be_are_the_end_of_the_connection_and_are_not_told)
{
    static const struct {
        void (*script)(struct fake *fake);
        uint64_t n_outputs;
        const char *text;
    } cases[] = {
        {script_foreign_output, 0, "only the frames below 5 were pushed"},
        {script_far_output, 0, "only the frames below 5 were pushed"},
        {script_expect_what_was_answered, 3, "has settled all below 3"},
        {script_cut_output, 0, "an output of 4 bytes, which is no multiple of 8"},
    };
    struct fake fake;
    struct told told;
    float frames[5] = {0};
    fake_start(&fake, cases[_i].script);
    struct attnc_client *client = connect_to(&fake);
    struct attnc_stream *stream = open_on(client, &told);
    ck_assert_int_eq(attnc_push(stream, frames, 5), 0);
    ck_assert_int_eq(attnc_finish(stream), ATTNC_E_PROTOCOL);
    ck_assert_msg(strstr(attnc_last_error(client)->text, cases[_i].text) != NULL, "%s", attnc_last_error(client)->text);
    ck_assert_uint_eq(told.n_outputs, cases[_i].n_outputs);
    ck_assert_int_eq(attnc_push(stream, frames, 1), ATTNC_E_PROTOCOL);
    ck_assert_int_eq(attnc_close_stream(stream), ATTNC_E_PROTOCOL);
    attnc_close(client);
    fake_stop(&fake);
}
END_TEST

static Suite *client_suite(void)
{
    Suite *suite = suite_create("client");
    TCase *tests = tcase_create("client");
    tcase_add_test(tests, every_frame_has_its_output_in_order);
    tcase_add_test(tests, a_daemon_that_waits_to_write_is_read_from);
    tcase_add_test(tests, all_of_the_credit_is_used_and_no_more);
    tcase_add_test(tests, a_refusal_is_told_by_name_and_text);
    tcase_add_test(tests, frames_without_output_are_told_and_settled);
    tcase_add_test(tests, frames_that_were_not_taken_are_pushed_again_from_the_expected_one);
    tcase_add_test(tests, a_stream_that_the_daemon_ends_takes_no_more_frames);
    tcase_add_loop_test(tests, the_end_of_a_connection_is_told_with_the_reason_that_the_daemon_gave, 0, 2);
    tcase_add_loop_test(tests, answers_that_cannot_be_are_the_end_of_the_connection_and_are_not_told, 0, 4);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(client_suite());
