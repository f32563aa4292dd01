/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "daemon/batch.h"
#include "daemon/users.h"
#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define USER     1000
#define OPERATOR 0

static struct connection *client;

static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
}

static void turns(size_t n)
{
    while (n-- > 0)
        holder_turn(0);
}

static uint64_t waiting_requests(uid_t uid)
{
    return users_count(holder_shared.users, uid, USERS_WAITING_REQUESTS);
}

/* The response is the only message that was heard. */
static const struct heard_message *only_response(struct connection *connection)
{
    holder_heard(connection);
    ck_assert_uint_eq(holder_messages()->n, 1);
    ck_assert_int_eq(holder_messages()->messages[0].kind, HEARD_RESPONSE);
    return &holder_messages()->messages[0];
}

/* The first floats of the outputs that were heard last. */
static size_t outputs(float *floats)
{
    size_t n = 0;
    for (size_t i = 0; i < holder_messages()->n; i++)
        if (holder_messages()->messages[i].kind == HEARD_OUTPUT)
            floats[n++] = heard_float(&holder_messages()->messages[i], 0);
    return n;
}

START_TEST(a_reset_between_frames_takes_effect_at_its_place)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 8});
    holder_push(client, stream, 0, 3);
    holder_ask_about(client, 5, ATTNP_M_RESET, stream);
    holder_push(client, stream, 3, 2);
    ck_assert_str_eq(holder_heard(client), "");
    turns(5);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1; response 5; "
                                           "output 1:3=3 warming; output 1:4=3.5 warming");
}
END_TEST

START_TEST(frames_on_both_sides_of_a_reset_have_the_bits_of_streams_of_their_own)
{
    const float values[] = {0.1f, 0.7f, 0.3f, 1.3f, 0.9f, 0.2f};
    struct stream *one = holder_open(client, (struct holder_terms){.credit = 8}),
                  *before = holder_open(client, (struct holder_terms){.credit = 8}),
                  *behind = holder_open(client, (struct holder_terms){.credit = 8});
    float got[6], expected[6];
    holder_push_values(client, one, 0, values, 3);
    holder_ask_about(client, 5, ATTNP_M_RESET, one);
    holder_push_values(client, one, 3, values + 3, 3);
    turns(6);
    holder_heard(client);
    ck_assert_uint_eq(outputs(got), 6);
    holder_push_values(client, before, 0, values, 3);
    turns(3);
    holder_heard(client);
    ck_assert_uint_eq(outputs(expected), 3);
    holder_push_values(client, behind, 0, values + 3, 3);
    turns(3);
    holder_heard(client);
    ck_assert_uint_eq(outputs(expected + 3), 3);
    ck_assert_mem_eq(got, expected, sizeof(got));
}
END_TEST

START_TEST(a_request_takes_effect_after_the_answers_of_the_whole_batch)
{
    struct model *model = holder_model("shared");
    struct stream *one = holder_open(client, (struct holder_terms){.model = model}),
                  *two = holder_open(client, (struct holder_terms){.model = model}),
                  *three = holder_open(client, (struct holder_terms){.model = model});
    holder_push(client, one, 0, 1);
    holder_push(client, two, 0, 1);
    holder_push(client, three, 0, 1);
    holder_ask_about(client, 5, ATTNP_M_RESET, one);
    holder_ask_about(client, 6, ATTNP_M_FINISH, two);
    turns(1);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 2:0=0 warming; output 3:0=0 warming; "
                                           "response 5; response 6");
}
END_TEST

START_TEST(a_stream_with_a_request_between_its_frames_goes_on_by_itself)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    holder_push(client, stream, 0, 1);
    holder_ask_about(client, 5, ATTNP_M_FINISH, stream);
    holder_push(client, stream, 1, 1);
    turns(1);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; response 5");
    turns(1);
    ck_assert_str_eq(holder_heard(client), "output 1:1=0.5 warming");
    turns(1);
    ck_assert_str_eq(holder_heard(client), "");
}
END_TEST

/* It was due, and there was no time left for it in the turn: what comes next finds it so. */
START_TEST(what_comes_while_a_request_is_due_stays_behind_it)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    holder_push(client, stream, 0, 1);
    holder_ask_about(client, 5, ATTNP_M_RESET, stream);
    batch_run(client->shard);
    if (_i == 0) {
        holder_push(client, stream, 1, 1);
        holder_ask_about(client, 6, ATTNP_M_FINISH, stream);
        holder_run_dry(0);
        ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; response 5; output 1:1=1 warming; response 6");
    } else {
        holder_ask_about(client, 6, ATTNP_M_FINISH, stream);
        holder_push(client, stream, 1, 1);
        holder_run_dry(0);
        ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; response 5; response 6; output 1:1=1 warming");
    }
}
END_TEST

START_TEST(several_requests_keep_their_order_and_their_places)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    holder_push(client, stream, 0, 1);
    holder_ask_about(client, 1, ATTNP_M_RESET, stream);
    holder_ask_about(client, 2, ATTNP_M_FINISH, stream);
    holder_push(client, stream, 1, 1);
    holder_ask_about(client, 3, ATTNP_M_FINISH, stream);
    holder_ask_about(client, 4, ATTNP_M_RESET, stream);
    turns(2);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; response 1; response 2; output 1:1=1 warming; "
                                           "response 3; response 4");
    ck_assert_uint_eq(waiting_requests(USER), 0);
}
END_TEST

START_TEST(finish_counts_what_became_of_the_frames_before_it)
{
    struct stream *stream =
        holder_open(client, (struct holder_terms){.credit = 16, .first_frame = 10, .answer_from = 11});
    const float values[] = {1, 2, NAN, 3};
    holder_push_values(client, stream, 10, values, 4);
    holder_ask_about(client, 5, ATTNP_M_FINISH, stream);
    holder_push(client, stream, 14, 2);
    turns(4);
    ck_assert_str_eq(holder_heard(client), "skipped 1:10+1 replay; output 1:11=1.5 warming; error bad_frame 1:12; "
                                           "output 1:13=2; response 5");
    const struct heard_message *response = &holder_messages()->messages[4];
    ck_assert_uint_eq(heard_uint(response, "last"), 13);
    ck_assert_uint_eq(heard_uint(response, "next_frame"), 16);
    ck_assert_uint_eq(heard_uint(response, "frames"), 6);
    ck_assert_uint_eq(heard_uint(response, "outputs"), 2);
    ck_assert_uint_eq(heard_uint(response, "skipped"), 1);
    ck_assert_uint_eq(heard_uint(response, "refused"), 1);
    ck_assert_uint_eq(heard_uint(response, "dropped"), 0);
}
END_TEST

START_TEST(finish_counts_frames_that_were_dropped)
{
    struct stream *stream =
        holder_open(client, (struct holder_terms){.credit = 8, .deadline_ms = 1000, .late = ATTNP_LATE_DROP_OLDEST});
    holder_push(client, stream, 0, 3);
    holder_age(stream, 2000000);
    holder_ask_about(client, 5, ATTNP_M_FINISH, stream);
    turns(1);
    ck_assert_str_eq(holder_heard(client), "dropped 1:0+3 late; response 5");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[1], "dropped"), 3);
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[1], "last"), 2);
}
END_TEST

START_TEST(frames_without_an_output_are_named_before_the_response)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 16, .answer_from = 100});
    holder_push(client, stream, 0, 3);
    holder_ask_about(client, 5, ATTNP_M_FINISH, stream);
    holder_push(client, stream, 3, 1);
    turns(3);
    ck_assert_str_eq(holder_heard(client), "skipped 1:0+3 replay; response 5");
}
END_TEST

START_TEST(where_nothing_waits_a_request_is_carried_out_at_once)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.first_frame = 7});
    holder_ask_about(client, 5, ATTNP_M_FINISH, stream);
    const struct heard_message *response = only_response(client);
    ck_assert_uint_eq(heard_uint(response, "next_frame"), 7);
    ck_assert_int_eq(attnp_map_get(response->content, "last")->type, MSGPACK_OBJECT_NIL);
    holder_push(client, stream, 7, 2);
    turns(2);
    holder_heard(client);
    holder_ask_about(client, 6, ATTNP_M_RESET, stream);
    response = only_response(client);
    ck_assert_uint_eq(response->id, 6);
    ck_assert_uint_eq(heard_uint(response, "next_frame"), 9);
    ck_assert_uint_eq(heard_uint(response, "position"), 0);
    ck_assert_uint_eq(waiting_requests(USER), 0);
}
END_TEST

START_TEST(the_response_to_a_reset_names_the_first_frame_of_the_new_state)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 8});
    holder_push(client, stream, 0, 2);
    holder_ask_about(client, 5, ATTNP_M_RESET, stream);
    holder_push(client, stream, 2, 2);
    turns(2);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming; response 5");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[2], "next_frame"), 2);
}
END_TEST

START_TEST(a_reset_by_another_connection_is_told_to_the_holder_at_its_place)
{
    struct connection *other = holder_new(0, USER);
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 8});
    holder_push(client, stream, 0, 1);
    holder_ask_about(other, 5, ATTNP_M_RESET, stream);
    holder_push(client, stream, 1, 1);
    turns(2);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; reset 1:1; output 1:1=1 warming");
    ck_assert_str_eq(holder_heard(other), "response 5");
}
END_TEST

START_TEST(requests_beyond_the_sixty_fourth_are_refused_and_the_others_are_not_disturbed)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    char expected[4096] = "output 1:0=0 warming";
    holder_push(client, stream, 0, 1);
    for (uint32_t id = 1; id <= 64; id++) {
        holder_ask_about(client, id, ATTNP_M_FINISH, stream);
        snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "; response %u", id);
    }
    ck_assert_str_eq(holder_heard(client), "");
    ck_assert_uint_eq(waiting_requests(USER), 64);
    holder_ask_about(client, 65, ATTNP_M_FINISH, stream);
    holder_ask_about(client, 66, ATTNP_M_RESET, stream);
    ck_assert_str_eq(holder_heard(client), "response 65 limit_exceeded; response 66 limit_exceeded");
    ck_assert_uint_eq(waiting_requests(USER), 64);
    turns(1);
    ck_assert_str_eq(holder_heard(client), expected);
    ck_assert_uint_eq(waiting_requests(USER), 0);
}
END_TEST

START_TEST(a_request_is_charged_to_the_user_of_the_stream_whoever_asks)
{
    struct connection *root = holder_new(0, OPERATOR);
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    holder_push(client, stream, 0, 1);
    holder_ask_about(root, 5, ATTNP_M_RESET, stream);
    ck_assert_uint_eq(waiting_requests(USER), 1);
    ck_assert_uint_eq(waiting_requests(OPERATOR), 0);
    turns(1);
    ck_assert_uint_eq(waiting_requests(USER), 0);
    ck_assert_str_eq(holder_heard(root), "response 5");
}
END_TEST

START_TEST(a_user_has_no_more_requests_waiting_than_allowed)
{
    struct stream *one = holder_open(client, (struct holder_terms){.credit = 4}),
                  *two = holder_open(client, (struct holder_terms){.credit = 4});
    holder_configure(CONFIG_limits_waiting_requests_per_user, "2");
    holder_push(client, one, 0, 1);
    holder_push(client, two, 0, 1);
    holder_ask_about(client, 1, ATTNP_M_FINISH, one);
    holder_ask_about(client, 2, ATTNP_M_FINISH, two);
    holder_ask_about(client, 3, ATTNP_M_RESET, two);
    ck_assert_str_eq(holder_heard(client), "response 3 limit_exceeded");
    turns(1);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 2:0=0 warming; response 1; response 2");
    holder_push(client, two, 1, 1);
    turns(1);
    ck_assert_str_eq(holder_heard(client), "output 2:1=0.5 warming"); /* the refused reset did nothing */
}
END_TEST

START_TEST(every_asker_is_told_once_when_the_stream_ends_before)
{
    struct connection *other = holder_new(0, USER), *far = holder_new(1, USER);
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    holder_push(client, stream, 0, 2);
    holder_ask_about(client, 1, ATTNP_M_RESET, stream);
    holder_ask_about(other, 2, ATTNP_M_RESET, stream);
    holder_ask_about(far, 3, ATTNP_M_RESET, stream);
    holder_open_mail(0);
    holder_ask_about(client, 4, ATTNP_M_FINISH, stream);
    ck_assert_uint_eq(waiting_requests(USER), 4);
    holder_ask_about(client, 5, ATTNP_M_CLOSE, stream);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(client), "dropped 1:0+2 closed; response 1 unknown_stream; "
                                           "response 4 unknown_stream; response 5");
    ck_assert_str_eq(holder_heard(other), "response 2 unknown_stream");
    ck_assert_str_eq(holder_heard(far), "response 3 unknown_stream");
    ck_assert_uint_eq(waiting_requests(USER), 0);
    turns(1);
    ck_assert_str_eq(holder_heard(client), "");
}
END_TEST

START_TEST(a_request_of_a_client_that_has_gone_takes_effect_all_the_same)
{
    struct connection *other = holder_new(0, USER);
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 4});
    holder_push(client, stream, 0, 2);
    holder_ask_about(other, 5, ATTNP_M_RESET, stream);
    connection_break(other);
    turns(2);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming; reset 1:2");
    ck_assert_uint_eq(waiting_requests(USER), 0);
}
END_TEST

static Suite *pending_suite(void)
{
    Suite *suite = suite_create("pending");
    TCase *tests = tcase_create("pending");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, a_reset_between_frames_takes_effect_at_its_place);
    tcase_add_test(tests, frames_on_both_sides_of_a_reset_have_the_bits_of_streams_of_their_own);
    tcase_add_test(tests, a_request_takes_effect_after_the_answers_of_the_whole_batch);
    tcase_add_test(tests, a_stream_with_a_request_between_its_frames_goes_on_by_itself);
    tcase_add_loop_test(tests, what_comes_while_a_request_is_due_stays_behind_it, 0, 2);
    tcase_add_test(tests, several_requests_keep_their_order_and_their_places);
    tcase_add_test(tests, finish_counts_what_became_of_the_frames_before_it);
    tcase_add_test(tests, finish_counts_frames_that_were_dropped);
    tcase_add_test(tests, frames_without_an_output_are_named_before_the_response);
    tcase_add_test(tests, where_nothing_waits_a_request_is_carried_out_at_once);
    tcase_add_test(tests, the_response_to_a_reset_names_the_first_frame_of_the_new_state);
    tcase_add_test(tests, a_reset_by_another_connection_is_told_to_the_holder_at_its_place);
    tcase_add_test(tests, requests_beyond_the_sixty_fourth_are_refused_and_the_others_are_not_disturbed);
    tcase_add_test(tests, a_request_is_charged_to_the_user_of_the_stream_whoever_asks);
    tcase_add_test(tests, a_user_has_no_more_requests_waiting_than_allowed);
    tcase_add_test(tests, every_asker_is_told_once_when_the_stream_ends_before);
    tcase_add_test(tests, a_request_of_a_client_that_has_gone_takes_effect_all_the_same);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(pending_suite());
