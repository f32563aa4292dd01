/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "daemon/answers.h"
#include "daemon/batch.h"
#include "daemon/pending.h"
#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define MOST_STREAMS 300

/* Behind the first so many streams of a queue no other of its model is looked for. */
#define LOOKED_THROUGH 256

static struct connection *holder, *other;
static struct stream *streams[MOST_STREAMS];

static void set_up(void)
{
    holder_set_up();
    holder = holder_new(0, 1);
    other = holder_new(0, 2);
}

static struct stream *open_with(struct model *model)
{
    return holder_open(holder, (struct holder_terms){.model = model});
}

/* Opens n streams of the model, and pushes one frame to each. */
static void fill(struct model *model, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        streams[i] = open_with(model);
        holder_push(holder, streams[i], 0, 1);
    }
}

/* Every frame of the model takes this alone, and this each among any others. */
static void cost(struct model *model, double alone_ns, double together_ns)
{
    cost_set(model->cost, 0, alone_ns);
    cost_set(model->cost, 1, together_ns);
}

/* So much waits for the client that nothing is computed for it. */
static void fill_outbox(struct connection *connection)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_INTERNAL, "to fill the outbox");
    while (!connection_is_full(connection))
        reply_notify_error(connection, &error);
}

START_TEST(streams_of_one_model_are_computed_together)
{
    fill(holder_model("a"), 3);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 2:0=0 warming; output 3:0=0 warming");
    ck_assert_uint_eq(holder_traffic("a").sizes[2], 1); /* 3 to 4 at once */
    ck_assert_uint_eq(holder_traffic("a").computed, 3);
}
END_TEST

START_TEST(streams_of_two_models_are_not_computed_together)
{
    struct model *a = holder_model("a"), *b = holder_model("b");
    for (size_t i = 0; i < 4; i++) {
        streams[i] = open_with(i % 2 == 0 ? a : b);
        holder_push(holder, streams[i], 0, 1);
    }
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 3:0=0 warming; "
                                           "output 2:0=0 warming; output 4:0=0 warming");
    ck_assert_uint_eq(holder_traffic("a").sizes[1], 1);
    ck_assert_uint_eq(holder_traffic("b").sizes[1], 1);
}
END_TEST

START_TEST(a_raw_attention_is_computed_alone)
{
    fill(NULL, 2);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 2:0=0 warming");
    ck_assert_uint_eq(holder_traffic("").sizes[0], 2);
}
END_TEST

START_TEST(frames_computed_together_go_to_their_own_streams)
{
    struct model *model = holder_model("a");
    for (size_t i = 0; i < 4; i++) {
        const float value = 10 * (float)(i + 1);
        streams[i] = holder_open(i % 2 == 0 ? holder : other, (struct holder_terms){.model = model});
        holder_push_values(streams[i]->held.by, streams[i], 0, &value, 1);
    }
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=10 warming; output 3:0=30 warming");
    ck_assert_str_eq(holder_heard(other), "output 2:0=20 warming; output 4:0=40 warming");
}
END_TEST

START_TEST(a_batch_has_one_frame_of_a_stream)
{
    struct stream *stream = holder_open(holder, (struct holder_terms){0});
    holder_push(holder, stream, 0, 2);
    holder_push(holder, stream, 2, 1);
    for (uint64_t number = 0; number < 3; number++) {
        holder_turn(0);
        holder_heard(holder);
        ck_assert_uint_eq(holder_messages()->n, 1);
        ck_assert_uint_eq(holder_messages()->messages[0].output.first, number);
        ck_assert_int_eq(holder_is_busy(0), number < 2);
    }
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "");
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.batches), 3);
}
END_TEST

START_TEST(a_stream_with_more_frames_goes_behind_the_others)
{
    struct stream *many = holder_open(holder, (struct holder_terms){0}), *few = open_with(NULL);
    holder_push(holder, many, 0, 4);
    holder_push(holder, few, 0, 2);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 2:0=0 warming; output 1:1=0.5 warming; "
                                           "output 2:1=0.5 warming; output 1:2=1; output 1:3=2");
}
END_TEST

START_TEST(a_group_is_as_large_as_the_time_of_a_batch_allows)
{
    struct model *model = holder_model("a");
    cost(model, 3e6, 1e6); /* two together are the 2 ms of a batch, and one alone is more */
    fill(model, 5);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 2:0=0 warming");
    ck_assert(holder_is_busy(0));
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 3:0=0 warming; output 4:0=0 warming");
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 5:0=0 warming");
    ck_assert(!holder_is_busy(0));
    ck_assert_uint_eq(holder_traffic("a").sizes[1], 2);
    ck_assert_uint_eq(holder_traffic("a").sizes[0], 1);
}
END_TEST

START_TEST(a_group_is_as_large_as_is_cheapest)
{
    struct model *model = holder_model("a");
    for (size_t i = 0; i < COST_SIZES; i++)
        cost_set(model->cost, i, COST_SIZE(i) == 4 ? 1e3 : 2e3);
    fill(model, 5);
    holder_run_dry(0);
    holder_heard(holder);
    ck_assert_uint_eq(holder_messages()->n, 5);
    ck_assert_uint_eq(holder_traffic("a").sizes[2], 1); /* 3 to 4 at once */
    ck_assert_uint_eq(holder_traffic("a").sizes[0], 1);
}
END_TEST

START_TEST(a_frame_that_takes_longer_than_a_batch_is_one)
{
    struct model *model = holder_model("a");
    cost(model, 1e9, 1e9);
    fill(model, 2);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 2:0=0 warming");
}
END_TEST

START_TEST(a_long_frame_waits_for_the_next_batch)
{
    struct model *slow = holder_model("slow");
    cost(slow, 1e9, 1e9);
    struct stream *quick = open_with(NULL), *long_one = open_with(slow);
    holder_push(holder, quick, 0, 1);
    holder_push(holder, long_one, 0, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 2:0=0 warming");
}
END_TEST

START_TEST(the_outputs_of_a_batch_are_bounded)
{
    const size_t most = 4096, fit = most / answers_bytes(sizeof(float));
    struct model *model = holder_model("a");
    holder_configure(CONFIG_limits_unsent_bytes, "4096");
    ck_assert_uint_lt(fit, PLAN_MOST_AT_ONCE);
    fill(model, PLAN_MOST_AT_ONCE);
    holder_turn(0);
    holder_heard(holder);
    ck_assert_uint_eq(holder_messages()->n, fit);
    holder_turn(0);
    holder_heard(holder);
    ck_assert_uint_eq(holder_messages()->n, PLAN_MOST_AT_ONCE - fit);
}
END_TEST

START_TEST(the_outputs_of_many_groups_are_bounded)
{
    const size_t most = 4096, fit = most / answers_bytes(sizeof(float)) + 1; /* the last one begins below the bound */
    holder_configure(CONFIG_limits_unsent_bytes, "4096");
    fill(NULL, fit + 1);
    holder_turn(0);
    holder_heard(holder);
    ck_assert_uint_le(holder_messages()->n, fit);
    holder_run_dry(0);
}
END_TEST

START_TEST(a_client_that_reads_nothing_holds_up_itself_alone)
{
    struct stream *stuck = open_with(NULL), *free = holder_open(other, (struct holder_terms){0});
    holder_configure(CONFIG_limits_unsent_bytes, "4096");
    holder_push(holder, stuck, 0, 2);
    holder_push(other, free, 0, 2);
    fill_outbox(holder);
    holder_run_dry(0); /* and so the loop does not turn for what cannot be done */
    ck_assert_str_eq(holder_heard(other), "output 2:0=0 warming; output 2:1=0.5 warming");
    ck_assert_uint_eq(stream_waiting(stuck), 2);
    ck_assert(holder->is_held);
    holder_heard(holder);
    ck_assert(holder_messages()->messages[holder_messages()->n - 1].kind == HEARD_ERROR);
    holder_relieve(holder);
    ck_assert(holder_is_busy(0));
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 1:1=0.5 warming");
}
END_TEST

/* In one group: their streams are of one model. */
START_TEST(many_streams_of_a_client_that_reads_nothing_hold_up_no_other)
{
    struct model *model = holder_model("a");
    struct stream *free = holder_open(other, (struct holder_terms){.model = model});
    holder_configure(CONFIG_limits_unsent_bytes, "4096");
    fill(model, 100);
    fill_outbox(holder);
    holder_push(other, free, 0, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(other), "output 1:0=0 warming");
    for (size_t i = 0; i < 100; i++)
        ck_assert_uint_eq(stream_waiting(streams[i]), 1);
}
END_TEST

/* _i streams of another model stand between two of one. */
START_TEST(others_of_a_model_are_looked_for_so_far_behind)
{
    struct model *model = holder_model("a"), *between = holder_model("b");
    struct stream *first = open_with(model), *last = open_with(model);
    holder_push(holder, first, 0, 1);
    fill(between, (size_t)_i);
    holder_push(holder, last, 0, 1);
    holder_run_dry(0);
    ck_assert_uint_eq(holder_traffic("a").outputs, 2);
    ck_assert_uint_eq(holder_traffic("b").outputs, (uint64_t)_i);
    ck_assert_uint_eq(holder_traffic("a").sizes[1], _i + 2 <= LOOKED_THROUGH ? 1 : 0);
}
END_TEST

START_TEST(the_oldest_frame_of_the_first_stream_is_told)
{
    struct stream *stream = open_with(NULL);
    const atomic_uint_fast64_t *oldest_us = &holder_shards[0].batch.oldest_us;
    holder_turn(0);
    ck_assert_uint_eq(counters_get(oldest_us), 0);
    holder_push(holder, stream, 0, 2);
    holder_arrive(stream, 0, 111);
    holder_arrive(stream, 1, 222);
    holder_turn(0);
    ck_assert_uint_eq(counters_get(oldest_us), 222);
    holder_turn(0);
    ck_assert_uint_eq(counters_get(oldest_us), 0);
}
END_TEST

START_TEST(a_lag_is_counted_from_the_arrival_of_its_frame)
{
    struct model *model = holder_model("a");
    fill(model, 2);
    holder_age(streams[0], 500000);
    uint64_t arrived_us = stream_arrived_us(streams[0]);
    holder_turn(0);
    holder_heard(holder);
    ck_assert_uint_eq(holder_messages()->n, 2);
    uint64_t late = holder_messages()->messages[0].output.lag_us, prompt = holder_messages()->messages[1].output.lag_us;
    ck_assert_uint_ge(late, 500000 + prompt);
    ck_assert_uint_le(late, shard_now_us() - arrived_us);
    ck_assert_uint_eq(counters_get(&streams[0]->card.lag_us), late);
}
END_TEST

START_TEST(no_frame_passes_a_request_that_is_due)
{
    struct stream *stream = open_with(NULL);
    holder_push(holder, stream, 0, 1);
    holder_ask_about(holder, 7, ATTNP_M_RESET, stream);
    holder_push(holder, stream, 1, 1);
    batch_run(&holder_shards[0]);
    ck_assert_uint_eq(holder_shards[0].batch.n_ready, 0);
    batch_run(&holder_shards[0]);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    pending_run_due(&holder_shards[0]);
    ck_assert(holder_is_busy(0));
    batch_run(&holder_shards[0]);
    ck_assert_str_eq(holder_heard(holder), "response 7; output 1:1=1 warming");
}
END_TEST

START_TEST(a_stream_that_ends_leaves_the_queue)
{
    struct stream *stream = open_with(NULL), *stays = open_with(NULL);
    holder_push(holder, stream, 0, 1);
    holder_push(holder, stays, 0, 1);
    holder_ask_about(holder, 7, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+1 closed; response 7");
    ck_assert_uint_eq(holder_shards[0].batch.n_ready, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 2:0=0 warming");
    ck_assert(!holder_is_busy(0));
}
END_TEST

START_TEST(the_loop_does_not_turn_for_the_last_stream_that_ended)
{
    struct stream *stream = open_with(NULL);
    holder_push(holder, stream, 0, 1);
    ck_assert(holder_is_busy(0));
    holder_ask_about(holder, 7, ATTNP_M_CLOSE, stream);
    ck_assert(!holder_is_busy(0));
}
END_TEST

START_TEST(a_refused_frame_does_not_spoil_its_group)
{
    struct model *model = holder_model("a");
    for (size_t i = 0; i < 3; i++) {
        const float value = i == 1 ? NAN : 5;
        streams[i] = open_with(model);
        holder_push_values(holder, streams[i], 0, &value, 1);
    }
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=5 warming; error bad_frame 2:0; output 3:0=5 warming");
}
END_TEST

/* A second takes longer than 10 ms, whatever else waits. */
START_TEST(what_a_frame_takes_counts_against_its_deadline)
{
    struct model *model = holder_model("a");
    cost(model, 1e9, 1e9);
    struct stream *stream =
        holder_open(holder, (struct holder_terms){.model = model, .deadline_ms = 10, .late = ATTNP_LATE_DROP_OLDEST});
    holder_push(holder, stream, 0, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+1 late");
    ck_assert(!holder_is_busy(0));
}
END_TEST

/* The answer leaves when all of the batch are computed: 16 frames of 100 us, and 1 ms is over. */
START_TEST(streams_that_wait_count_against_a_deadline)
{
    struct model *model = holder_model("a");
    cost(model, 1e5, 1e5);
    struct stream *stream =
        holder_open(holder, (struct holder_terms){.model = model, .deadline_ms = 1, .late = ATTNP_LATE_DROP_OLDEST});
    holder_push(holder, stream, 0, 1);
    fill(model, 15);
    holder_turn(0);
    holder_heard(holder);
    ck_assert_str_eq(holder_messages()->messages[0].event, "dropped");
    ck_assert_uint_eq(counters_get(&stream->card.dropped), 1);
}
END_TEST

/* Those that a batch does not reach delay the answer by nothing: 100 frames of a second, and 50 s are enough. */
START_TEST(streams_behind_the_batch_do_not_count_against_a_deadline)
{
    struct model *model = holder_model("a");
    cost(model, 1e9, 1e9);
    struct stream *stream = holder_open(
        holder, (struct holder_terms){.model = model, .deadline_ms = 50000, .late = ATTNP_LATE_DROP_OLDEST});
    holder_push(holder, stream, 0, 1);
    fill(model, 100);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
}
END_TEST

/* A frame of the model is a batch by itself. */
static struct model *dear_model(const char *name)
{
    struct model *model = holder_model(name);
    cost(model, 1e9, 1e9);
    return model;
}

#define N_MANY 10

/* N_MANY streams of one user with four frames each, of a model that nobody else uses. */
static void fill_dear(void)
{
    struct model *dear = dear_model("dear");
    for (size_t i = 0; i < N_MANY; i++) {
        streams[i] = open_with(dear);
        holder_push(holder, streams[i], 0, 4);
    }
}

static size_t answers_of(struct connection *connection)
{
    holder_heard(connection);
    return holder_messages()->n;
}

/* It comes before the others, behind them, or while they are computed. */
START_TEST(a_user_with_one_stream_waits_for_one_frame_of_another_with_many)
{
    struct stream *single = holder_open(other, (struct holder_terms){.model = dear_model("single")});
    fill_dear();
    for (int i = 0; i < _i; i++)
        holder_turn(0);
    ck_assert_uint_eq(answers_of(holder), (size_t)_i);
    holder_push(other, single, 0, 1);
    holder_turn(0);
    holder_turn(0);
    ck_assert_uint_eq(answers_of(other), 1);
    ck_assert_uint_eq(answers_of(holder), 1);
    holder_run_dry(0);
}
END_TEST

/* The streams of one user still take turns among themselves. */
START_TEST(the_streams_of_a_user_take_turns_beside_another_user)
{
    struct stream *single = holder_open(other, (struct holder_terms){.model = dear_model("single")});
    uint64_t next[N_MANY + 1] = {0};
    size_t n_answers = 0;
    holder_push(other, single, 0, 4);
    fill_dear();
    holder_run_dry(0);
    holder_heard(holder);
    for (; n_answers < holder_messages()->n; n_answers++) {
        const struct heard_message *message = &holder_messages()->messages[n_answers];
        ck_assert_uint_eq(message->output.first, n_answers / N_MANY);
        ck_assert_uint_eq(message->output.first, next[message->stream - streams[0]->card.number]++);
    }
    ck_assert_uint_eq(n_answers, 4 * N_MANY);
    ck_assert_uint_eq(answers_of(other), 4);
}
END_TEST

static uint64_t computing_ns(struct stream *const *of, size_t n, uint64_t *longest_ns)
{
    uint64_t sum_ns = 0;
    for (size_t i = 0; i < n; i++) {
        sum_ns += counters_get(&of[i]->card.computing_ns);
        if (of[i]->batch.step_ns > *longest_ns)
            *longest_ns = of[i]->batch.step_ns;
    }
    return sum_ns;
}

/* At any time, while both have something to be computed: within one frame, whatever frames take. */
START_TEST(users_have_the_same_time_however_many_streams_they_have)
{
    const uint64_t n_frames = 64;
    struct model *dear = dear_model("dear"), *large = holder_large_model("large");
    cost(large, 1e9, 1e9);
    uint64_t longest_ns = 0;
    struct stream *single = holder_open(other, (struct holder_terms){.model = large, .credit = 64});
    for (size_t i = 0; i < N_MANY; i++) {
        streams[i] = holder_open(holder, (struct holder_terms){.model = dear, .credit = 64});
        holder_push(holder, streams[i], 0, n_frames);
    }
    holder_push(other, single, 0, n_frames);
    for (;;) {
        size_t n_waiting = 0;
        for (size_t i = 0; i < N_MANY; i++)
            n_waiting += stream_waiting(streams[i]);
        if (n_waiting == 0 || stream_waiting(single) == 0)
            break;
        holder_turn(0);
        uint64_t of_many = computing_ns(streams, N_MANY, &longest_ns), of_one = computing_ns(&single, 1, &longest_ns);
        ck_assert_uint_le(of_many, of_one + longest_ns);
        ck_assert_uint_le(of_one, of_many + longest_ns);
    }
    holder_run_dry(0);
}
END_TEST

/* Who had nothing computed for long does not make up for it: another user's frame comes between any two. */
START_TEST(nobody_saves_up_time)
{
    struct stream *late = holder_open(other, (struct holder_terms){.model = dear_model("single")});
    fill_dear();
    for (int i = 0; i < 20; i++)
        holder_turn(0);
    ck_assert_uint_eq(answers_of(holder), 20);
    uint64_t longest_ns = 0, before_ns = computing_ns(streams, N_MANY, &longest_ns);
    holder_push(other, late, 0, 4);
    while (stream_waiting(late) > 0) {
        holder_turn(0);
        uint64_t late_ns = computing_ns(&late, 1, &longest_ns),
                 since_ns = computing_ns(streams, N_MANY, &longest_ns) - before_ns;
        ck_assert_uint_le(late_ns, since_ns + 2 * longest_ns);
    }
    holder_run_dry(0);
}
END_TEST

/* What nobody holds is computed as if it were one user's. */
START_TEST(parked_streams_hold_up_nobody_by_more_than_a_frame)
{
    struct stream *single = holder_open(other, (struct holder_terms){.model = dear_model("single")});
    fill_dear();
    holder_turn(0);
    connection_break(holder);
    ck_assert_uint_eq(holder_shards[0].batch.n_ready, N_MANY);
    holder_push(other, single, 0, 1);
    holder_turn(0);
    holder_turn(0);
    ck_assert_uint_eq(answers_of(other), 1);
    holder_run_dry(0);
    for (size_t i = 0; i < N_MANY; i++)
        ck_assert_uint_eq(stream_waiting(streams[i]), 0);
}
END_TEST

START_TEST(streams_of_two_users_and_of_nobody_are_computed_together)
{
    struct model *model = holder_model("a");
    struct connection *gone = holder_new(0, 3);
    struct stream *all[] = {open_with(model), holder_open(other, (struct holder_terms){.model = model}),
                            holder_open(gone, (struct holder_terms){.model = model})};
    for (size_t i = 0; i < 3; i++)
        holder_push(all[i]->held.by, all[i], 0, 1);
    connection_break(gone);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    ck_assert_str_eq(holder_heard(other), "output 2:0=0 warming");
    ck_assert_uint_eq(stream_waiting(all[2]), 0);
    ck_assert_uint_eq(holder_traffic("a").sizes[2], 1); /* 3 to 4 at once */
}
END_TEST

static Suite *batch_suite(void)
{
    Suite *suite = suite_create("batch");
    TCase *tests = tcase_create("batch");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, streams_of_one_model_are_computed_together);
    tcase_add_test(tests, streams_of_two_models_are_not_computed_together);
    tcase_add_test(tests, a_raw_attention_is_computed_alone);
    tcase_add_test(tests, frames_computed_together_go_to_their_own_streams);
    tcase_add_test(tests, a_batch_has_one_frame_of_a_stream);
    tcase_add_test(tests, a_stream_with_more_frames_goes_behind_the_others);
    tcase_add_test(tests, a_group_is_as_large_as_the_time_of_a_batch_allows);
    tcase_add_test(tests, a_group_is_as_large_as_is_cheapest);
    tcase_add_test(tests, a_frame_that_takes_longer_than_a_batch_is_one);
    tcase_add_test(tests, a_long_frame_waits_for_the_next_batch);
    tcase_add_test(tests, the_outputs_of_a_batch_are_bounded);
    tcase_add_test(tests, the_outputs_of_many_groups_are_bounded);
    tcase_add_test(tests, a_client_that_reads_nothing_holds_up_itself_alone);
    tcase_add_test(tests, many_streams_of_a_client_that_reads_nothing_hold_up_no_other);
    tcase_add_loop_test(tests, others_of_a_model_are_looked_for_so_far_behind, LOOKED_THROUGH - 3, LOOKED_THROUGH + 1);
    tcase_add_test(tests, the_oldest_frame_of_the_first_stream_is_told);
    tcase_add_test(tests, a_lag_is_counted_from_the_arrival_of_its_frame);
    tcase_add_test(tests, no_frame_passes_a_request_that_is_due);
    tcase_add_test(tests, a_stream_that_ends_leaves_the_queue);
    tcase_add_test(tests, the_loop_does_not_turn_for_the_last_stream_that_ended);
    tcase_add_test(tests, a_refused_frame_does_not_spoil_its_group);
    tcase_add_test(tests, what_a_frame_takes_counts_against_its_deadline);
    tcase_add_test(tests, streams_that_wait_count_against_a_deadline);
    tcase_add_test(tests, streams_behind_the_batch_do_not_count_against_a_deadline);
    tcase_add_loop_test(tests, a_user_with_one_stream_waits_for_one_frame_of_another_with_many, 0, N_MANY + 2);
    tcase_add_test(tests, the_streams_of_a_user_take_turns_beside_another_user);
    tcase_add_test(tests, users_have_the_same_time_however_many_streams_they_have);
    tcase_add_test(tests, nobody_saves_up_time);
    tcase_add_test(tests, parked_streams_hold_up_nobody_by_more_than_a_frame);
    tcase_add_test(tests, streams_of_two_users_and_of_nobody_are_computed_together);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(batch_suite());
