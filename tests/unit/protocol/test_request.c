/* SPDX-License-Identifier: MIT */
/* The parameters of requests: every field against every MessagePack type, and what the errors say. */
#include "protocol/request.h"

#include "tests/unit/protocol/bytes.h"
#include "tests/unit/run.h"

enum reader { HELLO, OPEN, TARGET, ATTACH, KILL };

static struct attnp_error error;
static struct attnp_hello hello;
static struct attnp_open open_params;
static struct attnp_target target;
static struct attnp_attach attach_params;
static struct attnp_kill kill_params;
static struct attnp_message message;
static struct bytes request; /* what message points into */

static int read_request(enum reader reader)
{
    bool id_known;
    memset(&error, 0, sizeof(error));
    attnp_message_done(&message);
    ck_assert_msg(attnp_message_read(&message, request.at, request.n, &id_known, &error) == 0, "%s", error.text);
    if (reader == HELLO)
        return attnp_hello_read(&hello, message.params, &error);
    if (reader == OPEN)
        return attnp_open_read(&open_params, message.params, &error);
    if (reader == ATTACH)
        return attnp_attach_read(&attach_params, message.params, &error);
    if (reader == KILL)
        return attnp_kill_read(&kill_params, message.params, &error);
    return attnp_target_read(&target, message.params, &error);
}

static int read_params(enum reader reader, const char *params)
{
    request.n = 0;
    add(&request, "94 00 01 'x'");
    add(&request, params);
    return read_request(reader);
}

static void refused(enum reader reader, const char *params, const char *says)
{
    ck_assert_msg(read_params(reader, params) == -1, "%s is taken", params);
    ck_assert_int_eq(error.code, ATTNP_BAD_PARAMS);
    ck_assert_msg(strstr(error.text, says) != NULL, "%s: %s", params, error.text);
}

static void taken(enum reader reader, const char *params)
{
    ck_assert_msg(read_params(reader, params) == 0, "%s: %s", params, error.text);
}

static void equal(struct attnp_string string, const char *text)
{
    ck_assert_uint_eq(string.n, strlen(text));
    ck_assert_mem_eq(string.data, text, string.n);
}

/* One value of every type. */
static const struct {
    const char *name, *text;
} types[] = {
    {"nil", "c0"},
    {"false", "c2"},
    {"true", "c3"},
    {"int", "05"},
    {"negative", "fd"},
    {"float32", "ca 3f c0 00 00"},
    {"float64", "cb 3f f8 00 00 00 00 00 00"},
    {"string", "'abc'"},
    {"bin", "c4 03 61 62 63"},
    {"array", "91 05"},
    {"map", "81 'a' 05"},
};

enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

/* A field, what its params are but for it (pairs, and the head of the whole map), and the types that it takes besides
 * nil where it is optional. */
static const struct {
    enum reader reader;
    const char *head, *field, *takes;
} fields[] = {
    {HELLO, "82 'versions' 91 01", "client", "nil string"},
    {HELLO, "81", "versions", "array"},
    {OPEN, "81", "model", "string"},
    {OPEN, "81", "attention", ""},
    {OPEN, "82 'model' 'm'", "name", "nil string"},
    {OPEN, "82 'model' 'm'", "rate", "nil int float32 float64"},
    {OPEN, "82 'model' 'm'", "deadline_ms", "nil int"},
    {OPEN, "82 'model' 'm'", "late", "nil"},
    {OPEN, "82 'model' 'm'", "output", "nil"},
    {OPEN, "82 'model' 'm'", "first_frame", "nil int"},
    {OPEN, "84 'model' 'm' 'first_frame' 01 'answer_from' 01", "position", "int"},
    {OPEN, "84 'model' 'm' 'first_frame' 01 'position' 01", "answer_from", "int"},
    {OPEN, "81 'attention' 84 'window' 05 'heads' 01 'head_dim' 01", "method", ""},
    {OPEN, "81 'attention' 84 'method' 'exact' 'heads' 01 'head_dim' 01", "window", "int"},
    {OPEN, "81 'attention' 84 'method' 'exact' 'window' 01 'head_dim' 01", "heads", "int"},
    {OPEN, "81 'attention' 84 'method' 'exact' 'window' 01 'heads' 01", "head_dim", "int"},
    {OPEN, "81 'attention' 85 'method' 'exact' 'window' 01 'heads' 01 'head_dim' 01", "landmarks", "nil int"},
    {OPEN, "81 'attention' 85 'method' 'exact' 'window' 01 'heads' 01 'head_dim' 01", "landmark_policy", "nil"},
    {OPEN, "81 'attention' 85 'method' 'exact' 'window' 01 'heads' 01 'head_dim' 01", "refresh", "nil"},
    {OPEN, "81 'attention' 85 'method' 'exact' 'window' 01 'heads' 01 'head_dim' 01", "inverse_scale", "nil"},
    {OPEN, "81 'attention' 85 'method' 'exact' 'window' 01 'heads' 01 'head_dim' 01", "retroactive", "nil false true"},
    {OPEN, "81 'attention' 85 'method' 'exact' 'window' 01 'heads' 01 'head_dim' 01", "q_landmarks", "nil"},
    {OPEN, "81 'attention' 85 'method' 'exact' 'window' 01 'heads' 01 'head_dim' 01", "k_landmarks", "nil"},
    {TARGET, "81", "stream", "int"},
    {TARGET, "81", "name", "string"},
};

enum { N_FIELDS = sizeof(fields) / sizeof(fields[0]) };

START_TEST(test_every_field_against_every_type)
{
    for (int i = 0; i < N_TYPES; i++) {
        request.n = 0;
        add(&request, "94 00 01 'x'");
        add(&request, fields[_i].head);
        add_byte(&request, 0xa0 | (unsigned)strlen(fields[_i].field));
        add_raw(&request, fields[_i].field, strlen(fields[_i].field));
        add(&request, types[i].text);
        const char *found = strstr(fields[_i].takes, types[i].name);
        bool takes = found && (found[strlen(types[i].name)] == ' ' || found[strlen(types[i].name)] == '\0');
        int result = read_request(fields[_i].reader);
        ck_assert_msg(result == (takes ? 0 : -1), "%s as %s: %s", fields[_i].field, types[i].name, error.text);
        if (takes)
            continue;
        ck_assert_int_eq(error.code, ATTNP_BAD_PARAMS);
        ck_assert_msg(strstr(error.text, fields[_i].field) || strstr(error.text, "attention."), "%s as %s: %s",
                      fields[_i].field, types[i].name, error.text);
    }
}
END_TEST

START_TEST(test_hello)
{
    taken(HELLO, "83 'client' 'attnctl' 'versions' 93 00 01 02 'new' c0");
    equal(hello.client, "attnctl");
    ck_assert(hello.speaks_version);
    taken(HELLO, "81 'versions' 90");
    ck_assert(!hello.speaks_version);
    ck_assert_ptr_null(hello.client.data);
    taken(HELLO, "81 'versions' 92 02 cf ff ff ff ff ff ff ff ff");
    ck_assert(!hello.speaks_version);
    refused(HELLO, "80", "versions is missing: it should be an array");
    refused(HELLO, "81 'versions' 92 01 '1'", "a value of versions is \"1\", but should be an integer");
}
END_TEST

START_TEST(test_open_model)
{
    taken(OPEN, "88 'model' 'speech' 'name' 'kitchen' 'rate' cb 40 59 00 00 00 00 00 00 'deadline_ms' 64 'late' "
                "'skip-output' 'output'"
                " 'embedding' 'first_frame' 07 'later' 90");
    equal(open_params.model, "speech");
    equal(open_params.name, "kitchen");
    ck_assert(!open_params.has_attention && open_params.has_rate && open_params.has_deadline &&
              open_params.has_first_frame);
    ck_assert(!open_params.has_replay);
    ck_assert_double_eq(open_params.rate, 100);
    ck_assert_uint_eq(open_params.deadline_ms, 100);
    ck_assert_int_eq(open_params.late, ATTNP_LATE_SKIP_OUTPUT);
    ck_assert_int_eq(open_params.output, ATTNP_OUTPUT_EMBEDDING);
    ck_assert_uint_eq(open_params.first_frame, 7);
    taken(OPEN, "81 'model' 'm'");
    ck_assert(!open_params.has_rate && !open_params.has_deadline && !open_params.has_first_frame &&
              !open_params.has_replay);
    ck_assert_int_eq(open_params.late, ATTNP_LATE_BLOCK);
    ck_assert_int_eq(open_params.output, ATTNP_OUTPUT_SCORES);
    ck_assert_ptr_null(open_params.name.data);
    taken(OPEN, "84 'model' 'm' 'late' 'drop-oldest' 'deadline_ms' 01 'output' 'logits'");
    ck_assert_int_eq(open_params.late, ATTNP_LATE_DROP_OLDEST);
    ck_assert_int_eq(open_params.output, ATTNP_OUTPUT_LOGITS);
    taken(OPEN, "82 'model' 'm' 'rate' 0a");
    ck_assert_double_eq(open_params.rate, 10);
}
END_TEST

START_TEST(test_open_says_what_is_wrong)
{
    refused(OPEN, "80", "model and attention are missing");
    refused(OPEN, "82 'model' 'm' 'attention' 80", "model and attention are both given");
    refused(OPEN, "82 'model' 'm' 'late' 'skip-output'", "late is skip-output, which needs deadline_ms");
    refused(OPEN, "82 'model' 'm' 'late' 'drop'",
            "late is \"drop\", but should be \"block\", \"drop-oldest\" or \"skip-output\"");
    refused(OPEN, "82 'model' 'm' 'output' 'score'", "should be \"scores\", \"logits\" or \"embedding\"");
    refused(OPEN, "82 'model' 'm' 'deadline_ms' 00", "deadline_ms is 0, but should be an integer from 1 to 4294967295");
    refused(OPEN, "82 'model' 'm' 'deadline_ms' cf 00 00 00 01 00 00 00 00", "deadline_ms is 4294967296");
    refused(OPEN, "82 'model' 'm' 'rate' 00", "rate is 0, but should be a number of frames a second above 0");
    refused(OPEN, "82 'model' 'm' 'rate' cb 7f f0 00 00 00 00 00 00", "rate is the float inf");
    refused(OPEN, "82 'model' 'm' 'rate' ca 7f c0 00 00", "rate is the float");
    refused(OPEN, "82 'model' 'm' 'rate' ca bf c0 00 00", "rate is the float -1.5");
    refused(OPEN, "82 'model' 'm' 'name' a0", "name is \"\", but should be a string of 1 to 64 bytes");
    refused(OPEN, "82 'model' 'm' 'name' a2 61 0a", "without control characters");
    refused(OPEN, "82 'model' 'm' 'name' a1 ff", "UTF-8");
    refused(OPEN, "82 'model' 'm' 'name' a2 c3 28", "UTF-8");
    refused(OPEN, "81 'model' a0", "model is \"\"");
    refused(OPEN, "82 'model' 'm' 'first_frame' cf 80 00 00 00 00 00 00 00", "first_frame is 9223372036854775808");
    refused(OPEN, "81 'attention' 'exact'", "attention is \"exact\", but should be a map");
}
END_TEST

START_TEST(test_length_of_a_name)
{
    for (unsigned n = ATTNP_MAX_NAME - 1; n <= ATTNP_MAX_NAME + 1; n++) {
        request.n = 0;
        add(&request, "94 00 01 'x' 82 'model' 'm' 'name' d9");
        add_byte(&request, n);
        for (unsigned i = 0; i < n / 2; i++)
            add(&request, "c3 a9");
        add_fill(&request, 'e', n % 2);
        ck_assert_int_eq(read_request(OPEN), n <= ATTNP_MAX_NAME ? 0 : -1);
        if (n <= ATTNP_MAX_NAME)
            ck_assert_uint_eq(open_params.name.n, n);
    }
    for (unsigned n = ATTNP_MAX_MODEL - 1; n <= ATTNP_MAX_MODEL + 1; n++) {
        request.n = 0;
        add(&request, "94 00 01 'x' 81 'model' da");
        add_byte(&request, n >> 8);
        add_byte(&request, n);
        add_fill(&request, 'm', n);
        ck_assert_int_eq(read_request(OPEN), n <= ATTNP_MAX_MODEL ? 0 : -1);
    }
}
END_TEST

START_TEST(test_open_replay)
{
    taken(OPEN, "84 'model' 'm' 'first_frame' 05 'position' 00 'answer_from' 05");
    ck_assert(open_params.has_replay && open_params.has_first_frame);
    ck_assert_uint_eq(open_params.answer_from, 5);
    refused(OPEN, "84 'model' 'm' 'first_frame' 05 'position' 09 'answer_from' 04",
            "answer_from is 4, but should be 5 (first_frame) or more");
    refused(OPEN, "83 'model' 'm' 'first_frame' 05 'position' 03", "answer_from is missing");
    refused(OPEN, "83 'model' 'm' 'first_frame' 05 'answer_from' 09", "position is missing");
    refused(OPEN, "83 'model' 'm' 'position' 05 'answer_from' 09", "first_frame is missing");
    refused(OPEN, "82 'model' 'm' 'answer_from' 09", "first_frame is missing");
}
END_TEST

START_TEST(test_open_attention)
{
    taken(
        OPEN,
        "81 'attention' 8b 'method' 'nystrom' 'window' 78 'landmarks' 02 'landmark_policy' 'fixed' 'refresh' 'spread'"
        " 'inverse_scale' 'heads' 'heads' 03 'head_dim' 01 'retroactive' c3 'q_landmarks' c4 18 00 00 80 3f 00 00 80 3f"
        " 00 00 80 3f 00 00 80 3f 00 00 80 3f 00 00 80 3f 'k_landmarks' c4 18 00 00 80 3f 00 00 80 3f 00 00 80 3f 00 00"
        " 80 3f 00 00 80 3f 00 00 80 3f");
    const struct attnp_attention *attention = &open_params.attention;
    ck_assert(open_params.has_attention && attention->retroactive);
    ck_assert_int_eq(attention->method, ATTNP_METHOD_NYSTROM);
    ck_assert_uint_eq(attention->window, 120);
    ck_assert_uint_eq(attention->landmarks, 2);
    ck_assert_uint_eq(attention->heads, 3);
    ck_assert_uint_eq(attention->head_dim, 1);
    ck_assert_int_eq(attention->landmark_policy, ATTNP_POLICY_FIXED);
    ck_assert_int_eq(attention->refresh, ATTNP_REFRESH_SPREAD);
    ck_assert_int_eq(attention->inverse_scale, ATTNP_INVERSE_HEADS);
    ck_assert_uint_eq(attention->n_q_bytes, 24);
    ck_assert_uint_eq(attention->n_k_bytes, 24);
    taken(OPEN, "81 'attention' 84 'method' 'exact' 'window' 02 'heads' 01 'head_dim' 01");
    ck_assert(attention->method == ATTNP_METHOD_EXACT && attention->landmark_policy == ATTNP_POLICY_MEANS);
    ck_assert(attention->refresh == ATTNP_REFRESH_IMMEDIATE && attention->inverse_scale == ATTNP_INVERSE_MATRIX);
    ck_assert(!attention->q_landmarks && !attention->k_landmarks && !attention->retroactive);
}
END_TEST

#define FIXED                                                                                                          \
    "81 'attention' 88 'method' 'nystrom' 'window' 08 'heads' 01 'head_dim' 01 'landmarks' 01 'landmark_policy' "      \
    "'fixed' "

START_TEST(test_attention_says_what_is_wrong)
{
    refused(OPEN, "81 'attention' 83 'window' 02 'heads' 01 'head_dim' 01",
            "attention.method is missing: it should be \"exact\" or");
    refused(OPEN, "81 'attention' 83 'method' 'exact' 'heads' 01 'head_dim' 01", "attention.window is missing");
    refused(OPEN, "81 'attention' 84 'method' 'Exact' 'window' 02 'heads' 01 'head_dim' 01",
            "attention.method is \"Exact\"");
    refused(OPEN, "81 'attention' 84 'method' 'exact' 'window' fd 'heads' 01 'head_dim' 01",
            "attention.window is -3, but should be an integer from 1 to 4294967295");
    refused(OPEN, "81 'attention' 84 'method' 'exact' 'window' 00 'heads' 01 'head_dim' 01", "attention.window is 0");
    refused(OPEN, FIXED "'q_landmarks' c4 04 00 00 80 3f 'k_landmarks' c4 03 00 00 80",
            "attention.k_landmarks is a bin of 3 bytes");
    refused(OPEN, FIXED "'q_landmarks' c4 08 00 00 80 3f 00 00 80 3f 'k_landmarks' c4 04 00 00 80 3f",
            "attention.q_landmarks is a bin of 8 bytes, but should be 1 x 1 x 1 float32");
    refused(OPEN, FIXED "'q_landmarks' c4 04 00 00 80 3f 'k_landmarks' c0", "attention.k_landmarks is missing");
    refused(OPEN, FIXED "'q_landmarks' c0 'k_landmarks' c4 04 00 00 80 3f", "attention.q_landmarks is missing");
    refused(OPEN,
            "81 'attention' 85 'method' 'nystrom' 'window' 08 'heads' 01 'head_dim' 01 'q_landmarks' c4 04 00 00 80 3f",
            "attention.q_landmarks is a bin of 4 bytes, but should be absent");
    /* 4·H·m·d of 2⁹⁸: the product is not to wrap. */
    refused(
        OPEN,
        "81 'attention' 88 'method' 'nystrom' 'window' 08 'heads' ce 80 00 00 00 'head_dim' ce 80 00 00 00 'landmarks'"
        " ce 80 00 00 00 'landmark_policy' 'fixed' 'q_landmarks' c4 00 'k_landmarks' c4 00",
        "2147483648 x 2147483648 x 2147483648");
}
END_TEST

START_TEST(test_target)
{
    taken(TARGET, "81 'stream' cf ff ff ff ff ff ff ff ff");
    ck_assert(!target.by_name && target.stream == UINT64_MAX);
    taken(TARGET, "82 'stream' c0 'name' 'kitchen'");
    ck_assert(target.by_name);
    equal(target.name, "kitchen");
    refused(TARGET, "80", "stream and name are both missing");
    refused(TARGET, "82 'stream' 01 'name' 'kitchen'", "stream and name are both given");
    refused(TARGET, "81 'stream' 'kitchen'", "stream is \"kitchen\", but should be an integer");
}
END_TEST

#define TOKEN "'token' c4 10 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"

START_TEST(test_attach)
{
    taken(ATTACH, "82 'name' 'kitchen' " TOKEN);
    equal(attach_params.target.name, "kitchen");
    ck_assert_uint_eq(attach_params.token[0], 0);
    ck_assert_uint_eq(attach_params.token[15], 15);
    refused(ATTACH, "81 " TOKEN, "stream and name are both missing");
    refused(ATTACH, "81 'stream' 01", "token is missing");
    refused(ATTACH, "82 'stream' 01 'token' c4 01 00", "token is a bin of 1 bytes, but should be a bin of 16 bytes");
    refused(ATTACH, "82 'stream' 01 'token' 'sesame'", "token is \"sesame\", but should be a bin of 16 bytes");
}
END_TEST

START_TEST(test_kill)
{
    taken(KILL, "81 'stream' 05");
    ck_assert_ptr_null(kill_params.reason.data);
    taken(KILL, "82 'name' 'kitchen' 'reason' 'noise at night'");
    equal(kill_params.reason, "noise at night");
    refused(KILL, "82 'stream' 01 'reason' 07", "reason is 7, but should be");
    refused(KILL, "80", "stream and name are both missing");
}
END_TEST

START_TEST(test_long_values_are_cut_in_messages)
{
    request.n = 0;
    add(&request, "94 00 01 'x' 82 'model' 'm' 'late' da 01 00");
    add_fill(&request, 'z', 256);
    ck_assert_int_eq(read_request(OPEN), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "zzz…\", but should be \"block\""));
    ck_assert_uint_lt(strlen(error.text), 160);
}
END_TEST

static void done(void)
{
    attnp_message_done(&message);
}

static Suite *request_suite(void)
{
    Suite *suite = suite_create("request");
    TCase *tests = tcase_create("request");
    tcase_add_checked_fixture(tests, NULL, done);
    tcase_add_loop_test(tests, test_every_field_against_every_type, 0, N_FIELDS);
    tcase_add_test(tests, test_hello);
    tcase_add_test(tests, test_open_model);
    tcase_add_test(tests, test_open_says_what_is_wrong);
    tcase_add_test(tests, test_length_of_a_name);
    tcase_add_test(tests, test_open_replay);
    tcase_add_test(tests, test_open_attention);
    tcase_add_test(tests, test_attention_says_what_is_wrong);
    tcase_add_test(tests, test_target);
    tcase_add_test(tests, test_attach);
    tcase_add_test(tests, test_kill);
    tcase_add_test(tests, test_long_values_are_cut_in_messages);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(request_suite());
