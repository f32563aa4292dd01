/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "daemon/away.h"
#include "daemon/models.h"
#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER 1000

static struct connection *client;
static struct model *model;

static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
    model = holder_model("shared");
    cost_set(model->cost, 0, 1e5);
}

/* The response is the only message that was heard. */
static const struct heard_message *response(void)
{
    holder_heard(client);
    ck_assert_uint_eq(holder_messages()->n, 1);
    return &holder_messages()->messages[0];
}

static struct stream *stream_held(uint64_t number)
{
    struct held *held = connection_held(client, number);
    ck_assert_ptr_nonnull(held);
    return stream_of_held(held);
}

static const msgpack_object *field(const struct heard_message *message, const char *key)
{
    const msgpack_object *value = attnp_map_get(message->content, key);
    ck_assert_msg(value != NULL, "no '%s'", key);
    return value;
}

START_TEST(the_answer_says_what_the_stream_is)
{
    wish_open(client, 5, (struct wish){.window = 4, .head_dim = 2});
    const struct heard_message *answer = response();
    ck_assert_uint_eq(answer->id, 5);
    ck_assert_uint_eq(answer->content->via.map.size, 12);
    ck_assert_uint_eq(heard_uint(answer, "stream"), 1);
    ck_assert_uint_eq(field(answer, "token")->via.bin.size, ATTNP_TOKEN_BYTES);
    ck_assert_uint_eq(heard_uint(answer, "input_dim"), 6);
    ck_assert_uint_eq(heard_uint(answer, "output_dim"), 2);
    ck_assert_uint_eq(heard_uint(answer, "credit"), 64);
    ck_assert_uint_eq(heard_uint(answer, "next_frame"), 0);
    ck_assert_uint_eq(heard_uint(answer, "position"), 0);
    ck_assert_uint_eq(heard_uint(answer, "window"), 4);
    ck_assert_uint_eq(heard_uint(answer, "warming_frames"), 3);
    ck_assert_uint_eq(heard_uint(answer, "replay_frames"), 4);
    ck_assert_uint_eq(field(answer, "labels")->via.array.size, 0);
    ck_assert_uint_eq(heard_uint(answer, "state_bytes"), users_count(holder_shared.users, USER, USERS_STATE_BYTES));
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_STREAMS), 1);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.opened), 1);
}
END_TEST

/* Of the tree, as a served model. */
static struct model *bundled(void)
{
    char path[4096], why[256];
    struct plan *plan;
    snprintf(path, sizeof(path), "%s/etc/models/sounds.safetensors",
             getenv("ATTN_SRCDIR") != NULL ? getenv("ATTN_SRCDIR") : ".");
    ck_assert_msg(plan_load(&plan, path, why, sizeof(why)) == 0, "%s", why);
    struct model *sounds = model_new("sounds", plan);
    struct catalogue *catalogue = &holder_shared.models->catalogue;
    catalogue->entries[catalogue->n++] = (struct catalogue_entry){.model = sounds, .path = strdup(path)};
    return sounds;
}

START_TEST(the_answer_for_a_model_names_its_labels_and_its_frontend)
{
    struct model *sounds = bundled();
    const struct plan_facts *facts = plan_facts(sounds->plan);
    wish_open(client, 5, (struct wish){.model = "sounds"});
    const struct heard_message *answer = response();
    ck_assert_uint_eq(answer->content->via.map.size, 13);
    ck_assert_uint_eq(heard_uint(answer, "input_dim"), facts->input_dim);
    ck_assert_uint_eq(field(answer, "labels")->via.array.size, facts->n_labels);
    const msgpack_object *label = &field(answer, "labels")->via.array.ptr[0], *frontend = field(answer, "frontend");
    ck_assert_uint_eq(label->via.str.size, strlen(facts->labels[0]));
    ck_assert_mem_eq(label->via.str.ptr, facts->labels[0], label->via.str.size);
    ck_assert_uint_eq(frontend->via.str.size, strlen(facts->frontend));
    ck_assert_mem_eq(frontend->via.str.ptr, facts->frontend, frontend->via.str.size);
    wish_open(client, 6, (struct wish){.model = "sounds", .output = "embedding"});
    ck_assert_uint_eq(field(response(), "labels")->via.array.size, 0); /* an embedding is not one score a label */
}
END_TEST

START_TEST(an_opened_stream_answers_frames)
{
    wish_open(client, 5, (struct wish){.model = "shared", .first_frame = 7});
    ck_assert_str_eq(holder_heard(client), "response 5");
    struct stream *stream = stream_held(1);
    ck_assert_uint_eq(atomic_load(&model->n_users), 2);
    ck_assert_uint_eq(traffic_streams(holder_shared.traffic, 0), 1);
    holder_push(client, stream, 7, 2);
    holder_turn(0);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "output 1:7=7 warming; output 1:8=7.5 warming");
    holder_ask_about(client, 6, ATTNP_M_CLOSE, stream);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_replay_begins_where_it_was_asked_to)
{
    wish_open(client, 5, (struct wish){.first_frame = 10, .position = 3, .answer_from = 12});
    const struct heard_message *answer = response();
    ck_assert_uint_eq(heard_uint(answer, "next_frame"), 10);
    ck_assert_uint_eq(heard_uint(answer, "position"), 3);
    holder_push(client, stream_held(1), 10, 3);
    for (size_t i = 0; i < 3; i++)
        holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "skipped 1:10+2 replay; output 1:12=11");
    ck_assert_uint_eq(holder_messages()->messages[1].output.position, 5);
}
END_TEST

START_TEST(what_is_late_becomes_of_frames_what_was_asked_for)
{
    static const struct {
        const char *late, *heard;
    } cases[] = {{"drop-oldest", "dropped 1:0+1 late"}, {"skip-output", "skipped 1:0+1 late"}};
    wish_open(client, 5, (struct wish){.deadline_ms = 1000, .late = cases[_i].late});
    ck_assert_str_eq(holder_heard(client), "response 5");
    holder_push(client, stream_held(1), 0, 1);
    holder_age(stream_held(1), 2000000);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), cases[_i].heard);
}
END_TEST

START_TEST(a_rate_claims_its_share_of_the_shard_until_the_end)
{
    wish_open(client, 5, (struct wish){.model = "shared", .rate = 100});
    ck_assert_str_eq(holder_heard(client), "response 5");
    uint64_t claimed_ns = counters_get(&holder_shards[0].ledger.claimed_ns);
    ck_assert_uint_ge(claimed_ns, 100 * UINT64_C(100000)); /* of computing; overhead comes to it */
    ck_assert_uint_eq(counters_get(&holder_shards[1].ledger.claimed_ns), 0);
    holder_ask_about(client, 6, ATTNP_M_CLOSE, stream_held(1));
    holder_expect_no_stream();
}
END_TEST

START_TEST(the_credit_goes_by_the_larger_of_frame_and_output)
{
    wish_open(client, 5, (struct wish){.window = 20000, .landmarks = 16, .retroactive = true});
    const struct heard_message *answer = response();
    ck_assert_uint_eq(heard_uint(answer, "input_dim"), 3);
    ck_assert_uint_eq(heard_uint(answer, "output_dim"), 20000);
    ck_assert_uint_eq(heard_uint(answer, "credit"), (1 << 20) / (20000 * sizeof(float)));
    wish_open(client, 6, (struct wish){.head_dim = 20000});
    ck_assert_uint_eq(heard_uint(response(), "credit"), (1 << 20) / (3 * 20000 * sizeof(float)));
}
END_TEST

START_TEST(the_terms_of_a_stream_can_be_looked_up)
{
    const struct attnp_target target = {.stream = 1};
    struct attnp_error error;
    struct card_view view;
    wish_open(client, 5,
              (struct wish){.model = "shared", .name = "mine", .rate = 25, .deadline_ms = 500, .late = "skip-output"});
    ck_assert_str_eq(holder_heard(client), "response 5");
    ck_assert_int_eq(registry_look(holder_shared.registry, &target, USER, false, &view, &error), 0);
    ck_assert_str_eq(view.name, "mine");
    ck_assert_str_eq(view.model, "shared");
    ck_assert_double_eq(view.terms.rate, 25);
    ck_assert_uint_eq(view.terms.deadline_ms, 500);
    ck_assert_int_eq(view.terms.late, ATTNP_LATE_SKIP_OUTPUT);
    ck_assert_uint_eq(view.connection, client->id);
    ck_assert_uint_eq(view.credit, 64);
}
END_TEST

#define N_TOKENS 16

/* Each byte of a token is chosen anew: one that were the same in so many tokens is not. */
static void expect_random(uint8_t tokens[N_TOKENS][ATTNP_TOKEN_BYTES])
{
    for (size_t i = 0; i < ATTNP_TOKEN_BYTES; i++) {
        size_t n_other = 0;
        for (size_t t = 1; t < N_TOKENS; t++)
            n_other += tokens[t][i] != tokens[0][i];
        ck_assert_msg(n_other > 0, "byte %zu is the same in all tokens", i);
    }
}

START_TEST(numbers_rise_and_every_stream_has_a_token_of_its_own)
{
    uint8_t tokens[N_TOKENS][ATTNP_TOKEN_BYTES];
    for (uint32_t i = 0; i < N_TOKENS; i++) {
        wish_open(client, i, (struct wish){.model = NULL});
        const struct heard_message *answer = response();
        ck_assert_uint_eq(heard_uint(answer, "stream"), i + 1);
        memcpy(tokens[i], field(answer, "token")->via.bin.ptr, ATTNP_TOKEN_BYTES);
        ck_assert_mem_eq(tokens[i], stream_held(i + 1)->open.token, ATTNP_TOKEN_BYTES);
    }
    expect_random(tokens);
}
END_TEST

START_TEST(a_name_is_the_users_own_and_free_again_after_the_end)
{
    struct connection *other = holder_new(0, USER + 1);
    wish_open(client, 1, (struct wish){.name = "mine"});
    wish_open(other, 2, (struct wish){.name = "mine"});
    wish_open(client, 3, (struct wish){.name = "mine"});
    ck_assert_str_eq(holder_heard(client), "response 1; response 3 stream_exists");
    ck_assert_str_eq(holder_heard(other), "response 2");
    holder_ask_about(client, 4, ATTNP_M_CLOSE, stream_held(1));
    wish_open(client, 5, (struct wish){.name = "mine"});
    ck_assert_str_eq(holder_heard(client), "response 4; response 5");
}
END_TEST

static const struct refusal {
    enum config_key key; /* CONFIG_N_KEYS: none */
    const char *value;
    struct wish wish;
    enum attnp_code code;
    const char *text; /* a part of what the client is told */
} refusals[] = {
    {CONFIG_N_KEYS, NULL, {.model = "none"}, ATTNP_UNKNOWN_MODEL, "'none'; `models` lists the 1"},
    {CONFIG_N_KEYS, NULL, {.output = "logits"}, ATTNP_BAD_PARAMS, "'scores' only"},
    {CONFIG_N_KEYS, NULL, {.late = "drop-oldest"}, ATTNP_BAD_PARAMS, "deadline_ms"},
    {CONFIG_N_KEYS, NULL, {.model = "shared", .name = "taken"}, ATTNP_STREAM_EXISTS, "'taken'"},
    {CONFIG_N_KEYS, NULL, {.model = "shared", .rate = 1e6}, ATTNP_OVER_CAPACITY, "1e+06 frames/s"},
    {CONFIG_N_KEYS, NULL, {.model = "shared", .rate = 1, .deadline_ms = 1}, ATTNP_OVER_CAPACITY, "deadline of 1 ms"},
    {CONFIG_limits_message_bytes, "4096", {.head_dim = 1000}, ATTNP_LIMIT_EXCEEDED, "a frame of 3000 floats"},
    {CONFIG_limits_message_bytes,
     "4096",
     {.window = 2000, .retroactive = true},
     ATTNP_LIMIT_EXCEEDED,
     "an output of 2000 floats, since it has a row"},
    {CONFIG_limits_streams, "1", {.model = "shared"}, ATTNP_OVER_CAPACITY, "raise streams in [limits]"},
    {CONFIG_limits_streams_per_user, "1", {.model = "shared"}, ATTNP_OVER_CAPACITY, "raise streams_per_user in"},
    {CONFIG_limits_streams_per_connection, "1", {.model = "shared"}, ATTNP_OVER_CAPACITY, "this connection holds 1"},
    {CONFIG_limits_state_bytes, "4096", {.head_dim = 64}, ATTNP_OVER_CAPACITY, "raise state_bytes in [limits]"},
    {CONFIG_limits_state_bytes_per_user, "4096", {.head_dim = 64}, ATTNP_OVER_CAPACITY, "raise state_bytes_per_user"},
    {CONFIG_limits_buffer_bytes, "4096", {.model = "shared", .rate = 1}, ATTNP_OVER_CAPACITY, "raise buffer_bytes in"},
    {CONFIG_limits_buffer_bytes_per_user,
     "4096",
     {.model = "shared", .rate = 1, .name = "another"},
     ATTNP_OVER_CAPACITY,
     "raise buffer_bytes_per_user"},
};

/* What an open changes. */
struct tally {
    uint64_t users[N_USERS_WHAT], opened, claimed_ns, traffic;
    uint64_t n_held, n_listed, model_users; /* no holes: it is compared whole */
};

static struct tally taken(void)
{
    struct card_view views[4];
    bool more;
    struct tally tally = {
        .opened = counters_get(&holder_shards[0].counters.opened),
        .claimed_ns = counters_get(&holder_shards[0].ledger.claimed_ns),
        .traffic = traffic_streams(holder_shared.traffic, 0),
        .n_held = client->n_streams,
        .n_listed = registry_list(holder_shared.registry, 0, USER, true, views, 4, &more),
        .model_users = atomic_load(&model->n_users),
    };
    for (int what = 0; what < N_USERS_WHAT; what++)
        tally.users[what] = users_count(holder_shared.users, USER, what);
    return tally;
}

START_TEST(a_refused_open_says_why_and_leaves_nothing_behind)
{
    const struct refusal *refusal = &refusals[_i];
    char before[32];
    struct stream *first = holder_open(client, (struct holder_terms){.model = model, .rate = 10, .name = "taken"});
    struct tally tally = taken();
    if (refusal->key != CONFIG_N_KEYS) {
        snprintf(before, sizeof(before), "%ju", (uintmax_t)config_number(&holder_config, refusal->key));
        holder_configure(refusal->key, refusal->value);
    }
    wish_open(client, 5, refusal->wish);
    const struct heard_message *told = response();
    ck_assert_int_eq(told->error.code, refusal->code);
    ck_assert_msg(strstr(told->error.text, refusal->text) != NULL, "'%s' in: %s", refusal->text, told->error.text);
    holder_wait_away(0); /* the memory is the user's until then */
    const struct tally now = taken();
    ck_assert_mem_eq(&now, &tally, sizeof(now));
    ck_assert(TAILQ_FIRST(&holder_shards[0].idle.active) == first && TAILQ_NEXT(first, idle.link) == NULL);
    if (refusal->key != CONFIG_N_KEYS)
        holder_configure(refusal->key, before);
    wish_open(client, 6, (struct wish){.model = "shared", .name = "next", .rate = 1});
    ck_assert_str_eq(holder_heard(client), "response 6");
}
END_TEST

/* Far more landmarks than there may be: what only the library tells. */
#define HAS_NO_PLAN .landmarks = 1000000000

static const struct refusal before_a_plan[] = {
    {CONFIG_N_KEYS, NULL, {HAS_NO_PLAN, .name = "taken"}, ATTNP_STREAM_EXISTS, "'taken'"},
    {CONFIG_limits_streams, "1", {HAS_NO_PLAN}, ATTNP_OVER_CAPACITY, "raise streams in [limits]"},
    {CONFIG_limits_streams_per_user, "1", {HAS_NO_PLAN}, ATTNP_OVER_CAPACITY, "raise streams_per_user in"},
    {CONFIG_limits_streams_per_connection, "1", {HAS_NO_PLAN}, ATTNP_OVER_CAPACITY, "this connection holds 1"},
    {CONFIG_limits_state_bytes, "4096", {HAS_NO_PLAN, .head_dim = 512}, ATTNP_OVER_CAPACITY, "raise state_bytes in"},
    {CONFIG_limits_state_bytes_per_user,
     "4096",
     {HAS_NO_PLAN, .head_dim = 512},
     ATTNP_OVER_CAPACITY,
     "raise state_bytes_per_user"},
    {CONFIG_limits_message_bytes,
     "4096",
     {HAS_NO_PLAN, .head_dim = 1000},
     ATTNP_LIMIT_EXCEEDED,
     "a frame of 3000 floats"},
};

START_TEST(what_does_not_depend_on_a_plan_is_refused_without_one)
{
    const struct refusal *refusal = &before_a_plan[_i];
    holder_open(client, (struct holder_terms){.model = model, .name = "taken"});
    const struct tally tally = taken();
    if (refusal->key != CONFIG_N_KEYS)
        holder_configure(refusal->key, refusal->value);
    wish_ask_open(client, 5, refusal->wish);
    ck_assert(!client->is_waiting); /* and so nothing is being done elsewhere */
    const struct heard_message *told = response();
    ck_assert_int_eq(told->error.code, refusal->code);
    ck_assert_msg(strstr(told->error.text, refusal->text) != NULL, "'%s' in: %s", refusal->text, told->error.text);
    holder_wait_away(0); /* the memory is the user's until then */
    const struct tally now = taken();
    ck_assert_mem_eq(&now, &tally, sizeof(now));
}
END_TEST

START_TEST(what_has_no_plan_is_refused_away_from_the_shard)
{
    wish_ask_open(client, 5, (struct wish){HAS_NO_PLAN});
    ck_assert(client->is_waiting);
    ck_assert_str_eq(holder_heard(client), "");
    holder_wait(client);
    ck_assert_str_eq(holder_heard(client), "response 5 bad_params");
    holder_expect_no_stream();
}
END_TEST

/* The cost of a frame alone, and how much dearer than that the dearest one is. */
static const struct {
    double each_ns, worst;
    bool is_refused;
} dear[] = {{20e6, 1, false}, {20.1e6, 1, true}, {10e6, 2, false}, {10e6, 2.01, true}, {10e6, 1, false}};

START_TEST(a_frame_that_may_take_longer_than_frame_ms_is_refused)
{
    holder_configure(CONFIG_limits_frame_ms, "20");
    cost_set(model->cost, 0, dear[_i].each_ns);
    cost_set_worst(model->cost, dear[_i].worst);
    wish_open(client, 5, (struct wish){.model = "shared"});
    if (!dear[_i].is_refused) {
        ck_assert_str_eq(holder_heard(client), "response 5");
        return;
    }
    ck_assert_str_eq(holder_heard(client), "response 5 limit_exceeded");
    const char *text = holder_messages()->messages[0].error.text;
    ck_assert_msg(strstr(text, "20.1 ms here, and the limit is 20 ms") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "raise frame_ms in [limits]") != NULL, "%s", text);
    holder_expect_no_stream();
    holder_configure(CONFIG_limits_frame_ms, "21");
    wish_open(client, 6, (struct wish){.model = "shared"});
    ck_assert_str_eq(holder_heard(client), "response 6");
}
END_TEST

/* 64 MiB, which a frame of exact attention reads, and which are more than is measured; a frame with landmarks reads a
 * part of them. */
START_TEST(a_state_that_is_too_large_to_be_measured_is_judged_by_what_a_frame_reads)
{
    const struct wish exact = {.window = 1 << 17, .head_dim = 64},
                      landmarks = {.window = 1 << 17, .head_dim = 64, .landmarks = 16, .spread = true};
    holder_configure(CONFIG_limits_frame_ms, "1");
    wish_open(client, 5, exact);
    ck_assert_str_eq(holder_heard(client), "response 5 limit_exceeded");
    ck_assert_ptr_nonnull(strstr(holder_messages()->messages[0].error.text, "the limit is 1 ms"));
    holder_expect_no_stream();
    wish_open(client, 6, landmarks);
    ck_assert_str_eq(holder_heard(client), "response 6");
    holder_configure(CONFIG_limits_frame_ms, "20");
    wish_open(client, 7, exact);
    ck_assert_str_eq(holder_heard(client), "response 7");
}
END_TEST

/* A large model; an attention; and one that is large, which takes both steps. */
static const struct wish steps[] = {{.model = "large"}, {.window = 4}, {.window = 1 << 18}};
#define N_STEPS 3

START_TEST(a_large_stream_is_opened_away_from_the_shard)
{
    holder_large_model("large");
    wish_ask_open(client, 5, steps[_i]);
    ck_assert(client->is_waiting);
    ck_assert_str_eq(holder_heard(client), "");
    holder_wait(client);
    ck_assert_str_eq(holder_heard(client), "response 5");
    holder_push(client, stream_held(1), 0, 2);
    holder_run_dry(0);
    holder_wait_away(0); /* where its frames are dear */
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming");
    holder_ask_about(client, 6, ATTNP_M_CLOSE, stream_held(1));
    holder_wait_away(0);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_connection_that_ends_while_its_stream_is_opened_leaves_nothing)
{
    holder_large_model("large");
    wish_ask_open(client, 5, steps[_i]);
    connection_break(client);
    holder_wait_away(0);
    holder_expect_no_stream();
    ck_assert(LIST_EMPTY(&holder_shards[0].shares.all));
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.opened), 0);
}
END_TEST

START_TEST(a_connection_that_is_ending_is_given_no_stream)
{
    struct attnp_error error;
    holder_large_model("large");
    wish_ask_open(client, 5, steps[_i]);
    attnp_fail(&error, ATTNP_DRAINING, "to end it");
    connection_end(client, &error);
    ck_assert_str_eq(holder_heard(client), "error draining");
    holder_wait_away(0);
    ck_assert_uint_eq(client->n_streams, 0);
    ck_assert_str_eq(holder_heard(client), "");
    holder_expect_no_stream();
}
END_TEST

START_TEST(the_daemon_may_end_while_a_stream_is_opened)
{
    holder_large_model("large");
    wish_ask_open(client, 5, steps[_i]);
    wish_ask_open(holder_new(0, USER), 6, steps[_i]);
    ck_assert(client->is_waiting); /* the fixture ends */
}
END_TEST

/* Work of one user waits for work of the same one, and for nobody else's. */
START_TEST(one_stream_of_a_user_is_opened_at_a_time)
{
    struct connection *second = holder_new(0, USER), *gone = holder_new(0, USER), *other = holder_new(0, USER + 1);
    wish_ask_open(client, 1, steps[_i]);
    wish_ask_open(second, 2, steps[_i]);
    wish_ask_open(gone, 3, steps[_i]);
    wish_ask_open(other, 4, steps[_i]);
    const struct away *first = STAILQ_FIRST(&client->share->away);
    ck_assert(first->is_running && !STAILQ_NEXT(first, link)->is_running);
    ck_assert(STAILQ_FIRST(&other->share->away)->is_running);
    connection_break(gone);
    holder_wait_away(0);
    ck_assert_str_eq(holder_heard(client), "response 1");
    ck_assert_str_eq(holder_heard(second), "response 2");
    ck_assert_str_eq(holder_heard(other), "response 4");
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_STREAMS), 2);
}
END_TEST

/* There is room for one, and that of the first is being given back when the second is asked for. */
START_TEST(a_large_state_is_opened_behind_the_one_that_it_replaces)
{
    char most[32];
    struct connection *next = _i == 0 ? client : holder_new(0, USER);
    holder_large_model("large");
    wish_open(client, 5, (struct wish){.model = "large"});
    snprintf(most, sizeof(most), "%ju", (uintmax_t)users_total(holder_shared.users, USERS_STATE_BYTES));
    holder_configure(CONFIG_limits_state_bytes, most);
    holder_configure(CONFIG_limits_state_bytes_per_user, most);
    struct card *card = registry_find(holder_shared.registry, 1, 0, NULL);
    holder_ask_about(client, 6, ATTNP_M_CLOSE, stream_of_card(card));
    ck_assert_str_eq(holder_heard(client), "response 5; response 6");
    wish_open(next, 7, (struct wish){.model = "large"});
    ck_assert_str_eq(holder_heard(next), "response 7");
}
END_TEST

START_TEST(a_name_is_taken_while_its_stream_is_opened)
{
    struct connection *second = holder_new((unsigned)_i, USER);
    holder_large_model("large");
    wish_ask_open(client, 5, (struct wish){.model = "large", .name = "mine"});
    wish_open(second, 6, (struct wish){.model = "shared", .name = "mine"});
    ck_assert_str_eq(holder_heard(second), "response 6 stream_exists");
    holder_wait(client);
    ck_assert_str_eq(holder_heard(client), "response 5");
}
END_TEST

START_TEST(of_two_attentions_with_one_name_the_second_is_refused)
{
    struct connection *second = holder_new(0, USER);
    wish_ask_open(client, 5, (struct wish){.name = "mine"});
    wish_ask_open(second, 6, (struct wish){.name = "mine"});
    holder_wait(client);
    holder_wait(second);
    ck_assert_str_eq(holder_heard(client), "response 5");
    ck_assert_str_eq(holder_heard(second), "response 6 stream_exists");
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_STREAMS), 1);
}
END_TEST

/* Numbers rise by one, so a client may guess them. */
START_TEST(nothing_can_be_asked_of_a_stream_that_is_being_opened)
{
    const uint8_t token[ATTNP_TOKEN_BYTES] = {0};
    struct connection *root = holder_new((unsigned)_i, 0);
    static const enum attnp_method methods[] = {ATTNP_M_RESET, ATTNP_M_CLOSE, ATTNP_M_KILL};
    holder_large_model("large");
    wish_ask_open(client, 5, (struct wish){.model = "large"});
    for (uint32_t i = 0; i < 3; i++) {
        struct attnp_writer *writer = holder_ask(i, methods[i]);
        attnp_write_map(writer, 1);
        attnp_put_uint(writer, "stream", 1);
        holder_asked(root);
    }
    wish_attach(root, 3, 1, token);
    holder_take_mail(0);
    holder_wait(client);
    holder_open_mail((unsigned)_i);
    ck_assert_str_eq(holder_heard(root), "response 0 unknown_stream; response 1 unknown_stream; "
                                         "response 2 unknown_stream; response 3 unknown_stream");
    ck_assert_ptr_nonnull(strstr(holder_messages()->messages[0].error.text, "still being opened"));
    ck_assert_str_eq(holder_heard(client), "response 5");
    ck_assert_uint_eq(users_count(holder_shared.users, 0, USERS_WAITING_REQUESTS), 0);
}
END_TEST

START_TEST(a_stream_without_room_for_its_answers_is_refused_after_all)
{
    holder_large_model("large");
    wish_open(client, 4, (struct wish){.model = "none"}); /* so that there is room to be refused */
    response();
    struct tally tally = taken();
    wish_ask_open(client, 5, steps[_i]);
    holder_configure(CONFIG_limits_buffer_bytes, "4096");
    holder_wait(client);
    const struct heard_message *told = response();
    ck_assert_int_eq(told->error.code, ATTNP_OVER_CAPACITY);
    ck_assert_msg(strstr(told->error.text, "raise buffer_bytes in") != NULL, "%s", told->error.text);
    holder_wait_away(0); /* the memory is the user's until then */
    const struct tally now = taken();
    ck_assert_mem_eq(&now, &tally, sizeof(now));
    holder_expect_no_stream();
}
END_TEST

static Suite *open_suite(void)
{
    Suite *suite = suite_create("open");
    TCase *tests = tcase_create("open");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, the_answer_says_what_the_stream_is);
    tcase_add_test(tests, the_answer_for_a_model_names_its_labels_and_its_frontend);
    tcase_add_test(tests, an_opened_stream_answers_frames);
    tcase_add_test(tests, a_replay_begins_where_it_was_asked_to);
    tcase_add_loop_test(tests, what_is_late_becomes_of_frames_what_was_asked_for, 0, 2);
    tcase_add_test(tests, a_rate_claims_its_share_of_the_shard_until_the_end);
    tcase_add_test(tests, the_credit_goes_by_the_larger_of_frame_and_output);
    tcase_add_test(tests, the_terms_of_a_stream_can_be_looked_up);
    tcase_add_test(tests, numbers_rise_and_every_stream_has_a_token_of_its_own);
    tcase_add_test(tests, a_name_is_the_users_own_and_free_again_after_the_end);
    tcase_add_loop_test(tests, a_refused_open_says_why_and_leaves_nothing_behind, 0,
                        sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_loop_test(tests, what_does_not_depend_on_a_plan_is_refused_without_one, 0,
                        sizeof(before_a_plan) / sizeof(before_a_plan[0]));
    tcase_add_test(tests, what_has_no_plan_is_refused_away_from_the_shard);
    tcase_add_loop_test(tests, a_frame_that_may_take_longer_than_frame_ms_is_refused, 0,
                        sizeof(dear) / sizeof(dear[0]));
    tcase_add_test(tests, a_state_that_is_too_large_to_be_measured_is_judged_by_what_a_frame_reads);
    tcase_add_loop_test(tests, a_large_stream_is_opened_away_from_the_shard, 0, N_STEPS);
    tcase_add_loop_test(tests, a_connection_that_ends_while_its_stream_is_opened_leaves_nothing, 0, N_STEPS);
    tcase_add_loop_test(tests, a_connection_that_is_ending_is_given_no_stream, 0, N_STEPS);
    tcase_add_loop_test(tests, the_daemon_may_end_while_a_stream_is_opened, 0, N_STEPS);
    tcase_add_loop_test(tests, one_stream_of_a_user_is_opened_at_a_time, 1, N_STEPS);
    tcase_add_loop_test(tests, a_large_state_is_opened_behind_the_one_that_it_replaces, 0, 2);
    tcase_add_loop_test(tests, a_name_is_taken_while_its_stream_is_opened, 0, HOLDER_SHARDS);
    tcase_add_test(tests, of_two_attentions_with_one_name_the_second_is_refused);
    tcase_add_loop_test(tests, nothing_can_be_asked_of_a_stream_that_is_being_opened, 0, HOLDER_SHARDS);
    tcase_add_loop_test(tests, a_stream_without_room_for_its_answers_is_refused_after_all, 0, N_STEPS);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(open_suite());
