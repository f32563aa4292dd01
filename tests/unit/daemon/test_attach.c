/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER 1000

static struct connection *client;
static struct stream *stream;

/* A client on shard 0 that holds a stream. */
static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
    stream = holder_open(client, (struct holder_terms){.credit = 8, .name = "mine"});
}

static void attach(struct connection *heir, uint32_t id)
{
    wish_attach(heir, id, stream->card.number, stream->open.token);
}

/* The same where the stream is another shard's: the request goes there, and the stream comes back. */
static void attach_from_afar(struct connection *heir, uint32_t id)
{
    unsigned home = stream->card.shard;
    attach(heir, id);
    holder_open_mail(home);
    holder_open_mail(heir->shard->index);
}

static void turns(unsigned shard, size_t n)
{
    while (n-- > 0)
        holder_turn(shard);
}

static uint64_t parked(unsigned shard)
{
    return counters_get(&holder_shards[shard].counters.parked);
}

static uint64_t attached(unsigned shard)
{
    return counters_get(&holder_shards[shard].counters.attached);
}

static struct card_view seen(void)
{
    const struct attnp_target target = {.stream = stream->card.number};
    struct attnp_error error;
    struct card_view view;
    ck_assert_int_eq(registry_look(holder_shared.registry, &target, USER, false, &view, &error), 0);
    return view;
}

START_TEST(a_wrong_token_changes_nothing)
{
    struct connection *thief = holder_new(0, USER), *far = holder_new(1, USER);
    uint8_t token[ATTNP_TOKEN_BYTES];
    memcpy(token, stream->open.token, sizeof(token));
    token[_i] ^= 1;
    holder_push(client, stream, 0, 1);
    wish_attach(thief, 5, 1, token);
    wish_attach(far, 6, 1, token);
    holder_open_mail(0);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(thief), "response 5 denied");
    ck_assert_str_eq(holder_heard(far), "response 6 denied");
    turns(0, 1);
    holder_push(client, stream, 1, 1);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming");
    ck_assert_str_eq(holder_heard(thief), "");
    ck_assert_uint_eq(attached(0) + attached(1), 0);
    ck_assert_uint_eq(seen().connection, client->id);
}
END_TEST

START_TEST(a_wrong_token_leaves_the_heir_alone)
{
    struct connection *heir = holder_new(0, USER), *thief = holder_new(0, USER);
    uint8_t token[ATTNP_TOKEN_BYTES] = {0};
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    wish_attach(thief, 6, 1, token);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(thief), "response 6 denied");
    ck_assert_str_eq(holder_heard(heir), "response 5");
}
END_TEST

START_TEST(the_holder_is_superseded_and_the_heir_goes_on_with_the_state)
{
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 0, 2);
    turns(0, 2);
    holder_heard(client);
    attach(heir, 5);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    ck_assert_str_eq(holder_heard(heir), "response 5");
    const struct heard_message *response = &holder_messages()->messages[0];
    ck_assert_uint_eq(heard_uint(response, "stream"), 1);
    ck_assert_uint_eq(heard_uint(response, "next_frame"), 2);
    ck_assert_uint_eq(heard_uint(response, "position"), 2);
    ck_assert_uint_eq(heard_uint(response, "credit"), 8);
    const msgpack_object *token = attnp_map_get(response->content, "token");
    ck_assert_mem_eq(token->via.bin.ptr, stream->open.token, ATTNP_TOKEN_BYTES);
    ck_assert_uint_eq(seen().connection, heir->id);
    ck_assert_uint_eq(attached(0), 1);
    holder_push(client, stream, 2, 1); /* does not know it yet: no mistake, and no frame */
    holder_push(heir, stream, 2, 1);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(client), "");
    ck_assert_str_eq(holder_heard(heir), "output 1:2=1");
}
END_TEST

START_TEST(the_heir_waits_for_the_frames_and_has_their_answers_again)
{
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 0, 2);
    attach(heir, 5);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "");
    ck_assert_uint_eq(parked(0), 1);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "response 5");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "next_frame"), 2);
    ck_assert_uint_eq(parked(0), 0);
    holder_push(heir, stream, 0, 3);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1");
    ck_assert_str_eq(holder_heard(client), "");
}
END_TEST

START_TEST(frames_without_an_output_are_named_to_the_holder_that_is_superseded)
{
    struct connection *heir = holder_new(0, USER);
    struct stream *replay = holder_open(client, (struct holder_terms){.credit = 16, .answer_from = 100});
    holder_push(client, replay, 0, 3);
    turns(0, 2);
    wish_attach(heir, 5, 2, replay->open.token);
    ck_assert_str_eq(holder_heard(client), "skipped 2:0+2 replay; superseded 2");
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "response 5");
}
END_TEST

START_TEST(whatever_the_holder_was_told_to_send_again_the_heir_begins_with_the_next_frame)
{
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 5, 1);
    ck_assert_str_eq(holder_heard(client), "error frame_gap 1:5 expected 0");
    attach(heir, 5);
    holder_push(heir, stream, 7, 1); /* is told as well: it was not told before */
    ck_assert_str_eq(holder_heard(heir), "response 5; error frame_gap 1:7 expected 0");
}
END_TEST

START_TEST(of_two_heirs_the_first_is_told_that_it_is_superseded)
{
    struct connection *first = holder_new(0, USER), *second = holder_new(_i == 0 ? 0 : 1, USER);
    holder_push(client, stream, 0, 2);
    attach(first, 5);
    attach(second, 6);
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(first), "response 5 superseded");
    turns(0, 2);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    ck_assert_str_eq(holder_heard(first), "");
    ck_assert_str_eq(holder_heard(second), "response 6");
    ck_assert_uint_eq(seen().connection, second->id);
    ck_assert_uint_eq(attached(0) + attached(1), 1);
}
END_TEST

START_TEST(a_client_that_asks_twice_is_answered_twice)
{
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    attach(heir, 6);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "response 5 superseded; response 6");
    ck_assert_uint_eq(heir->n_streams, 1);
}
END_TEST

START_TEST(of_two_attaches_of_one_client_the_second_has_its_own_place)
{
    holder_push(client, stream, 0, 1);
    attach(client, 5);
    holder_push(client, stream, 1, 1);
    attach(client, 6);
    turns(0, 2);
    ck_assert_str_eq(holder_heard(client),
                     "response 5 superseded; output 1:0=0 warming; output 1:1=0.5 warming; response 6");
}
END_TEST

START_TEST(the_holder_attaches_again_and_nobody_is_superseded)
{
    holder_push(client, stream, 0, 1);
    attach(client, 5);
    holder_push(client, stream, 1, 1);
    turns(0, 2);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; response 5; output 1:1=0.5 warming");
    ck_assert_uint_eq(client->n_streams, 1);
    ck_assert_uint_eq(parked(0), 0);
}
END_TEST

START_TEST(where_the_heir_has_gone_the_stream_is_parked_and_can_be_attached)
{
    struct connection *heir = holder_new(0, USER), *next = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    connection_break(heir);
    turns(0, 1);
    ck_assert_uint_eq(parked(0), 1);
    ck_assert_uint_eq(attached(0), 0);
    attach(next, 6);
    ck_assert_str_eq(holder_heard(next), "response 6");
    ck_assert_uint_eq(parked(0), 0);
    holder_push(next, stream, 1, 1);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(next), "output 1:1=0.5 warming");
}
END_TEST

START_TEST(an_heir_that_is_being_ended_gets_no_stream)
{
    struct attnp_error why;
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    attnp_fail(&why, ATTNP_BAD_MESSAGE, "nonsense");
    connection_end(heir, &why);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "error bad_message");
    ck_assert_uint_eq(heir->n_streams, 0);
    ck_assert_uint_eq(parked(0), 1);
}
END_TEST

START_TEST(an_heir_without_room_is_told_so_and_the_stream_stays_parked)
{
    struct connection *heir = holder_new(0, USER), *next = holder_new(0, USER);
    holder_open(heir, (struct holder_terms){.credit = 4});
    holder_push(client, stream, 0, 1);
    holder_configure(CONFIG_limits_streams_per_connection, "1");
    attach(heir, 5);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "response 5 over_capacity");
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    ck_assert_uint_eq(parked(0), 1);
    attach(next, 6);
    ck_assert_str_eq(holder_heard(next), "response 6");
}
END_TEST

START_TEST(where_no_request_may_wait_the_holder_goes_on)
{
    struct connection *heir = holder_new(0, USER);
    holder_configure(CONFIG_limits_waiting_requests_per_user, "1");
    holder_push(client, stream, 0, 1);
    holder_ask_about(client, 4, ATTNP_M_FINISH, stream);
    attach(heir, 5);
    ck_assert_str_eq(holder_heard(heir), "response 5 limit_exceeded");
    turns(0, 1);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; response 4");
    ck_assert_uint_eq(client->n_streams, 1);
}
END_TEST

START_TEST(a_stream_whose_connection_broke_is_kept_and_its_frames_are_computed)
{
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 0, 2);
    turns(0, 1);
    connection_break(client);
    ck_assert_uint_eq(parked(0), 1);
    turns(0, 1);
    attach(heir, 5);
    holder_push(heir, stream, 0, 3);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "response 5; output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1");
}
END_TEST

START_TEST(frames_that_were_held_back_go_on_when_their_holder_has_gone)
{
    uint64_t number = 0;
    holder_configure(CONFIG_limits_unsent_bytes, "4096");
    while (!connection_is_full(client)) {
        holder_push(client, stream, number++, 1);
        turns(0, 1);
    }
    holder_push(client, stream, number, 2);
    turns(0, 3);
    ck_assert_uint_eq(stream_waiting(stream), 2); /* held back */
    if (_i == 0) {
        connection_break(client);
    } else {
        attach(holder_new(0, USER), 5);
    }
    turns(0, 2);
    ck_assert_uint_eq(stream_waiting(stream), 0);
}
END_TEST

START_TEST(a_client_that_is_ended_is_told_of_the_frames_that_have_no_output)
{
    struct attnp_error why;
    struct connection *heir = holder_new(0, USER);
    struct stream *replay = holder_open(client, (struct holder_terms){.credit = 16, .answer_from = 3});
    holder_push(client, replay, 0, 3);
    turns(0, 2);
    attnp_fail(&why, ATTNP_BAD_MESSAGE, "nonsense");
    if (_i == 0) {
        connection_end(client, &why);
        ck_assert_str_eq(holder_heard(client), "skipped 2:0+2 replay; error bad_message");
    } else {
        connection_break(client);
    }
    wish_attach(heir, 5, 2, replay->open.token);
    turns(0, 1);
    holder_push(heir, replay, 3, 1);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "response 5; output 2:3=2"); /* what nobody was told is not told now */
}
END_TEST

START_TEST(an_older_stream_has_its_place_among_those_of_its_new_holder)
{
    struct connection *heir = holder_new(0, USER);
    struct stream *streams[] = {stream, holder_open(client, (struct holder_terms){.credit = 4}),
                                holder_open(heir, (struct holder_terms){.credit = 4}),
                                holder_open(heir, (struct holder_terms){.credit = 4})};
    wish_attach(heir, 5, 2, streams[1]->open.token);
    wish_attach(heir, 6, 1, streams[0]->open.token);
    ck_assert_str_eq(holder_heard(heir), "response 5; response 6");
    for (size_t i = 0; i < 4; i++) {
        holder_push(heir, streams[i], 0, 1);
        turns(0, 1);
    }
    ck_assert_str_eq(holder_heard(heir), "output 1:0=0 warming; output 2:0=0 warming; output 3:0=0 warming; "
                                         "output 4:0=0 warming");
}
END_TEST

START_TEST(requests_behind_an_attach_find_the_new_holder)
{
    struct connection *heir = holder_new(0, USER), *other = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    holder_ask_about(other, 6, ATTNP_M_RESET, stream);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(heir), "response 5; reset 1:1");
    ck_assert_str_eq(holder_heard(other), "response 6");
}
END_TEST

/* What each shard counts of streams: claims, in nanoseconds a second, and how many of the model. */
static void expect_on_shard(unsigned shard)
{
    unsigned other = 1 - shard;
    ck_assert_uint_gt(counters_get(&holder_shards[shard].ledger.claimed_ns), 0);
    ck_assert_uint_eq(counters_get(&holder_shards[other].ledger.claimed_ns), 0);
    ck_assert_uint_eq(traffic_streams(holder_shared.traffic, shard), 1);
    ck_assert_uint_eq(traffic_streams(holder_shared.traffic, other), 0);
    ck_assert(holder_shards[other].batch.n_ready == 0 && TAILQ_EMPTY(&holder_shards[other].idle.parked));
    ck_assert_uint_eq(seen().shard, shard);
}

START_TEST(a_stream_moves_to_the_shard_of_its_heir_with_all_that_is_counted_of_it)
{
    struct model *model = holder_model("claiming");
    struct connection *heir = holder_new(1, USER);
    cost_set(model->cost, 0, 1e6);
    holder_ask_about(client, 1, ATTNP_M_CLOSE, stream);
    stream = holder_open(client, (struct holder_terms){.model = model, .rate = 100, .credit = 8});
    holder_push(client, stream, 0, 2);
    turns(0, 2);
    holder_heard(client);
    expect_on_shard(0);
    attach_from_afar(heir, 5);
    expect_on_shard(1);
    ck_assert_str_eq(holder_heard(client), "superseded 2");
    ck_assert_str_eq(holder_heard(heir), "response 5");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "position"), 2);
    ck_assert_uint_eq(seen().connection, heir->id);
    ck_assert_uint_eq(attached(1), 1);
    holder_push(heir, stream, 2, 2);
    turns(0, 2);
    ck_assert_str_eq(holder_heard(heir), "");
    turns(1, 2);
    ck_assert_str_eq(holder_heard(heir), "output 2:2=1; output 2:3=2");
    attach_from_afar(client, 6); /* and back */
    expect_on_shard(0);
    ck_assert_str_eq(holder_heard(heir), "superseded 2");
    ck_assert_str_eq(holder_heard(client), "response 6");
    holder_ask_about(client, 7, ATTNP_M_CLOSE, stream);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_stream_moves_when_its_frames_are_computed_and_what_was_asked_behind_comes_along)
{
    struct connection *heir = holder_new(1, USER), *other = holder_new(0, USER);
    holder_push(client, stream, 0, 2);
    attach_from_afar(heir, 5);
    holder_ask_about(other, 6, ATTNP_M_RESET, stream);
    holder_ask_about(other, 7, ATTNP_M_RESET, stream);
    turns(0, 1);
    ck_assert_uint_eq(seen().shard, 0);
    turns(0, 1);
    ck_assert_uint_eq(seen().shard, 1);
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_WAITING_REQUESTS), 2);
    holder_open_mail(1);
    turns(1, 1);
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    ck_assert_str_eq(holder_heard(heir), "response 5; reset 1:2; reset 1:2");
    ck_assert_str_eq(holder_heard(other), "response 6; response 7");
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_WAITING_REQUESTS), 0);
    holder_push(heir, stream, 2, 1);
    turns(1, 1);
    ck_assert_str_eq(holder_heard(heir), "output 1:2=2 warming");
}
END_TEST

START_TEST(an_heir_that_has_gone_while_the_stream_was_in_the_mail_leaves_it_parked_there)
{
    struct connection *heir = holder_new(1, USER), *next = holder_new(1, USER);
    attach(heir, 5);
    holder_open_mail(0);
    connection_break(heir);
    holder_open_mail(1);
    ck_assert_uint_eq(parked(0), 0);
    ck_assert_uint_eq(parked(1), 1);
    attach(next, 6);
    ck_assert_str_eq(holder_heard(next), "response 6");
    ck_assert_uint_eq(parked(1), 0);
}
END_TEST

START_TEST(a_stream_that_ends_in_the_mail_is_told_to_its_heir_once)
{
    struct connection *heir = holder_new(1, USER), *other = holder_new(1, USER), *behind = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    holder_open_mail(0);
    holder_ask_about(behind, 6, ATTNP_M_RESET, stream);
    turns(0, 1);
    ck_assert_uint_eq(seen().shard, 1);
    holder_ask_about(other, 7, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(heir), "response 5 unknown_stream");
    ck_assert_str_eq(holder_heard(other), "response 7");
    holder_expect_no_stream();
    holder_open_mail(1);
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(heir), "");
    ck_assert_str_eq(holder_heard(behind), "response 6 unknown_stream");
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_client_of_the_new_shard_may_come_before_the_mail)
{
    struct model *model = holder_model("claiming");
    struct connection *heir = holder_new(1, USER), *earlier = holder_new(1, USER);
    cost_set(model->cost, 0, 1e6);
    holder_ask_about(client, 1, ATTNP_M_CLOSE, stream);
    stream = holder_open(client, (struct holder_terms){.model = model, .rate = 100, .credit = 8});
    attach(heir, 5);
    holder_open_mail(0);
    attach(earlier, 6);
    ck_assert_str_eq(holder_heard(heir), "response 5 superseded");
    ck_assert_str_eq(holder_heard(earlier), "response 6");
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(heir), "");
    ck_assert_uint_eq(parked(1), 0);
    expect_on_shard(1);
    holder_push(earlier, stream, 0, 1);
    turns(1, 1);
    ck_assert_str_eq(holder_heard(earlier), "output 2:0=0 warming");
}
END_TEST

START_TEST(a_stream_that_is_claimed_back_while_it_is_in_the_mail_comes_back)
{
    struct connection *heir = holder_new(1, USER);
    holder_push(client, stream, 0, 1);
    turns(0, 1);
    attach(heir, 5);
    holder_open_mail(0);
    attach(client, 6); /* goes behind the stream */
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; superseded 1");
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(heir), "response 5; superseded 1");
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(client), "response 6");
    ck_assert_uint_eq(seen().shard, 0);
    holder_push(client, stream, 1, 1);
    turns(0, 1);
    ck_assert_str_eq(holder_heard(client), "output 1:1=0.5 warming");
}
END_TEST

START_TEST(the_daemon_ends_while_a_stream_is_in_the_mail)
{
    struct connection *heir = holder_new(1, USER), *behind = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    holder_open_mail(0);
    holder_ask_about(behind, 6, ATTNP_M_RESET, stream);
    turns(0, 1);
    ck_assert_uint_eq(seen().shard, 1);
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_WAITING_REQUESTS), 1);
    /* The fixture ends the shards, and finds whatever is left. */
}
END_TEST

static Suite *attach_suite(void)
{
    Suite *suite = suite_create("attach");
    TCase *tests = tcase_create("attach");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_loop_test(tests, a_wrong_token_changes_nothing, 0, ATTNP_TOKEN_BYTES);
    tcase_add_test(tests, a_wrong_token_leaves_the_heir_alone);
    tcase_add_test(tests, the_holder_is_superseded_and_the_heir_goes_on_with_the_state);
    tcase_add_test(tests, the_heir_waits_for_the_frames_and_has_their_answers_again);
    tcase_add_test(tests, frames_without_an_output_are_named_to_the_holder_that_is_superseded);
    tcase_add_test(tests, whatever_the_holder_was_told_to_send_again_the_heir_begins_with_the_next_frame);
    tcase_add_loop_test(tests, of_two_heirs_the_first_is_told_that_it_is_superseded, 0, 2);
    tcase_add_test(tests, a_client_that_asks_twice_is_answered_twice);
    tcase_add_test(tests, of_two_attaches_of_one_client_the_second_has_its_own_place);
    tcase_add_test(tests, the_holder_attaches_again_and_nobody_is_superseded);
    tcase_add_test(tests, where_the_heir_has_gone_the_stream_is_parked_and_can_be_attached);
    tcase_add_test(tests, an_heir_that_is_being_ended_gets_no_stream);
    tcase_add_test(tests, an_heir_without_room_is_told_so_and_the_stream_stays_parked);
    tcase_add_test(tests, where_no_request_may_wait_the_holder_goes_on);
    tcase_add_test(tests, a_stream_whose_connection_broke_is_kept_and_its_frames_are_computed);
    tcase_add_loop_test(tests, frames_that_were_held_back_go_on_when_their_holder_has_gone, 0, 2);
    tcase_add_loop_test(tests, a_client_that_is_ended_is_told_of_the_frames_that_have_no_output, 0, 2);
    tcase_add_test(tests, an_older_stream_has_its_place_among_those_of_its_new_holder);
    tcase_add_test(tests, requests_behind_an_attach_find_the_new_holder);
    tcase_add_test(tests, a_stream_moves_to_the_shard_of_its_heir_with_all_that_is_counted_of_it);
    tcase_add_test(tests, a_stream_moves_when_its_frames_are_computed_and_what_was_asked_behind_comes_along);
    tcase_add_test(tests, an_heir_that_has_gone_while_the_stream_was_in_the_mail_leaves_it_parked_there);
    tcase_add_test(tests, a_stream_that_ends_in_the_mail_is_told_to_its_heir_once);
    tcase_add_test(tests, a_client_of_the_new_shard_may_come_before_the_mail);
    tcase_add_test(tests, a_stream_that_is_claimed_back_while_it_is_in_the_mail_comes_back);
    tcase_add_test(tests, the_daemon_ends_while_a_stream_is_in_the_mail);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(attach_suite());
