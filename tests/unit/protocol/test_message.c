/* SPDX-License-Identifier: MIT */
/* Messages found in bytes, and their envelopes. */
#include "protocol/message.h"

#include "protocol/preface.h"
#include "protocol/push.h"
#include "protocol/request.h"
#include "tests/unit/protocol/bytes.h"
#include "tests/unit/protocol/samples.h"
#include "tests/unit/run.h"

static struct attnp_message message;
static struct attnp_error error;
static bool id_known;
static uint8_t *body;

static int read_bytes(const struct bytes *bytes)
{
    attnp_message_done(&message);
    free(body);
    body = tight(bytes->at, bytes->n);
    return attnp_message_read(&message, body, bytes->n, &id_known, &error);
}

static int read_text(const char *text)
{
    return read_bytes(bytes_of(text));
}

static void forget(void)
{
    attnp_message_done(&message);
    free(body);
    body = NULL;
}

/* Everything that takes a body, one after the other: what comes of it is the business of other tests. */
static void read_with_everything(const uint8_t *data, size_t n)
{
    struct attnp_push push;
    struct attnp_output output;
    struct attnp_hello hello;
    struct attnp_open open;
    struct attnp_target target;
    struct attnp_message any;
    attnp_push_read(&push, data, n, &error);
    attnp_output_read(&output, data, n, &error);
    if (attnp_message_read(&any, data, n, &id_known, &error) == 0) {
        attnp_hello_read(&hello, any.params, &error);
        attnp_open_read(&open, any.params, &error);
        attnp_target_read(&target, any.params, &error);
        attnp_error_read(any.kind == ATTNP_RESPONSE ? any.error : any.params, &error);
        attnp_message_done(&any);
    }
}

START_TEST(test_samples_are_read)
{
    struct bytes *bytes = bytes_of(samples[_i]);
    ck_assert_msg(read_bytes(bytes) == 0, "%s", error.text);
    ck_assert_int_eq(message.kind, bytes->at[1]);
    ck_assert_int_eq(id_known, message.kind == ATTNP_REQUEST);
    if (message.kind == ATTNP_RESPONSE) {
        ck_assert_ptr_nonnull(message.error);
        ck_assert_ptr_nonnull(message.result);
    } else {
        ck_assert_int_ne(message.method, ATTNP_M_UNKNOWN);
        ck_assert_str_eq(message.method_name, attnp_method_name(message.method));
        ck_assert_ptr_nonnull(message.params);
    }
    forget();
}
END_TEST

START_TEST(test_truncations_are_refused)
{
    struct bytes *bytes = bytes_of(samples[_i]);
    for (size_t n = 0; n < bytes->n; n++) {
        uint8_t *copy = tight(bytes->at, n);
        struct attnp_message cut;
        memset(&error, 0, sizeof(error));
        ck_assert_int_eq(attnp_message_read(&cut, copy, n, &id_known, &error), -1);
        ck_assert_int_eq(error.code, ATTNP_BAD_MESSAGE);
        read_with_everything(copy, n);
        free(copy);
    }
}
END_TEST

START_TEST(test_changed_bytes_are_survived)
{
    struct bytes *bytes = bytes_of(samples[_i]);
    uint8_t *copy = tight(bytes->at, bytes->n);
    for (size_t i = 0; i < bytes->n; i++)
        for (unsigned value = 0; value < 256; value++) {
            copy[i] = (uint8_t)value;
            read_with_everything(copy, bytes->n);
            copy[i] = bytes->at[i];
        }
    free(copy);
}
END_TEST

START_TEST(test_wrong_envelopes)
{
    static const struct {
        const char *text, *says;
        size_t offset;
    } cases[] = {
        {"c0", "the message is nil", 0},
        {"80", "the message is a map", 0},
        {"05", "the message is an integer", 0},
        {"'hello'", "the message is a string", 0},
        {"90", "an empty array", 0},
        {"91 00", "an array of 1", 0},
        {"92 00 01", "an array of 2", 0},
        {"93 01 01 c0", "an array of 3", 0},
        {"91 02", "an array of 1", 0},
        {"94 03 01 'ping' 80", "does not begin with 0", 1},
        {"94 ff 01 'ping' 80", "does not begin with 0", 1},
        {"94 'x' 01 'ping' 80", "does not begin with 0", 1},
        {"94 00 ff 'ping' 80", "the id is a negative integer", 2},
        {"94 00 'x' 'ping' 80", "the id is a string", 2},
        {"94 00 cf 00 00 00 01 00 00 00 00 'ping' 80", "the id is larger", 2},
        {"94 01 c0 c0 c0", "the id is nil", 2},
        {"94 00 01 02 80", "the method is an integer", 3},
        {"94 00 01 c4 04 70 69 6e 67 80", "the method is a bin", 3},
        {"93 02 c0 80", "the method is nil", 2},
        {"94 00 01 'ping' 90", "the params of ping are an array, but should be a map", 8},
        {"94 00 01 'ping' 07", "the params of ping are an integer", 8},
        {"94 00 01 'ping' c3", "the params of ping are a boolean", 8},
        {"94 00 01 'ping' ca 00 00 00 00", "the params of ping are a float", 8},
        {"93 02 'event' 90", "the params of event are an array", 8},
        {"93 02 'push' 80", "the params of push are a map, but should be an array", 7},
        {"92 02 'push'", "the params of push are nil", 7},
        {"94 01 01 05 c0", "the error of a response is an integer", 3},
    };
    ck_assert_int_eq(read_text(cases[_i].text), -1);
    ck_assert_int_eq(error.code, ATTNP_BAD_MESSAGE);
    ck_assert_msg(strstr(error.text, cases[_i].says) != NULL, "%s", error.text);
    ck_assert(error.has_offset);
    ck_assert_uint_eq(error.offset, cases[_i].offset);
    forget();
}
END_TEST

START_TEST(test_params_may_be_absent)
{
    static const char *const texts[] = {"93 00 01 'ping'", "94 00 01 'ping' c0", "94 00 01 'ping' 80",
                                        "95 00 01 'ping' 80 c3"};
    ck_assert_msg(read_text(texts[_i]) == 0, "%s", error.text);
    ck_assert_int_eq(message.params->type, MSGPACK_OBJECT_MAP);
    ck_assert_uint_eq(message.params->via.map.size, 0);
    forget();
}
END_TEST

START_TEST(test_every_encoding_of_the_envelope)
{
    static const char *const arrays[] = {"94", "dc 00 04", "dd 00 00 00 04"};
    static const char *const zeros[] = {"00",
                                        "cc 00",
                                        "cd 00 00",
                                        "ce 00 00 00 00",
                                        "cf 00 00 00 00 00 00 00 00",
                                        "d0 00",
                                        "d1 00 00",
                                        "d2 00 00 00 00",
                                        "d3 00 00 00 00 00 00 00 00"};
    static const char *const nines[] = {"09",
                                        "cc 09",
                                        "cd 00 09",
                                        "ce 00 00 00 09",
                                        "cf 00 00 00 00 00 00 00 09",
                                        "d0 09",
                                        "d1 00 09",
                                        "d2 00 00 00 09",
                                        "d3 00 00 00 00 00 00 00 09"};
    static const char *const methods[] = {"'ping'", "d9 04 70 69 6e 67", "da 00 04 70 69 6e 67",
                                          "db 00 00 00 04 70 69 6e 67"};
    static const char *const maps[] = {"80", "de 00 00", "df 00 00 00 00"};
    for (int i = 0; i < 3 * 9 * 9 * 4 * 3; i++) {
        struct bytes *bytes = bytes_of(arrays[i % 3]);
        add(bytes, zeros[i / 3 % 9]);
        add(bytes, nines[i / 27 % 9]);
        add(bytes, methods[i / 243 % 4]);
        add(bytes, maps[i / 972]);
        ck_assert_msg(read_bytes(bytes) == 0, "%s", error.text);
        ck_assert_int_eq(message.kind, ATTNP_REQUEST);
        ck_assert_uint_eq(message.id, 9);
        ck_assert_int_eq(message.method, ATTNP_M_PING);
    }
    forget();
}
END_TEST

START_TEST(test_unknown_method)
{
    struct bytes *bytes = bytes_of("94 00 ce ff ff ff ff d9 28");
    add_fill(bytes, 'm', 38);
    add(bytes, "0a ff 90");
    ck_assert_msg(read_bytes(bytes) == 0, "%s", error.text);
    ck_assert_uint_eq(message.id, UINT32_MAX);
    ck_assert_int_eq(message.method, ATTNP_M_UNKNOWN);
    ck_assert_str_eq(message.method_name, "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm");
    ck_assert_msg(read_text("94 00 01 a3 61 0a ff 90") == 0, "%s", error.text);
    ck_assert_str_eq(message.method_name, "a??");
    ck_assert_str_eq(attnp_method_name(message.method), "unknown");
    forget();
}
END_TEST

START_TEST(test_id_of_a_refused_request)
{
    ck_assert_int_eq(read_text("94 00 cd 01 2c 'open' dd ff ff ff ff"), -1);
    ck_assert(id_known);
    ck_assert_uint_eq(message.id, 300);
    ck_assert_int_eq(read_text("94 00 07 'open' 90"), -1);
    ck_assert(id_known);
    ck_assert_uint_eq(message.id, 7);
    static const char *const without[] = {"dd ff ff ff ff",
                                          "91 00",
                                          "94 01 07 c0 c1",
                                          "93 02 07 90",
                                          "94 00 ff 'open' 80",
                                          "80",
                                          "94 00 cf 00 00 00 01 00 00 00 00 'ping' 80",
                                          "94 00"};
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        ck_assert_int_eq(read_text(without[i]), -1);
        ck_assert_msg(!id_known, "%s", without[i]);
    }
    forget();
}
END_TEST

START_TEST(test_map_get)
{
    ck_assert_int_eq(read_text("94 00 01 'open' 86 01 02 'name' 03 'nam' 04 'namex' 05 'name' 06 c0 c0"), 0);
    ck_assert_uint_eq(attnp_map_get(message.params, "name")->via.u64, 3);
    ck_assert_uint_eq(attnp_map_get(message.params, "nam")->via.u64, 4);
    ck_assert_ptr_null(attnp_map_get(message.params, "na"));
    ck_assert_ptr_null(attnp_map_get(NULL, "na"));
    ck_assert_ptr_null(attnp_map_get(attnp_map_get(message.params, "name"), "na"));
    forget();
}
END_TEST

START_TEST(test_error_maps)
{
    struct attnp_error read;
    static const char *const wrong[] = {"c0",
                                        "80",
                                        "81 'code' c0",
                                        "81 'code' ff",
                                        "81 'code' 00",
                                        "81 'name' 05",
                                        "81 'code' cf 00 00 00 00 80 00 00 00"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct bytes *bytes = bytes_of("94 01 01");
        add(bytes, wrong[i]);
        add(bytes, "c0");
        ck_assert_int_eq(read_bytes(bytes), 0);
        ck_assert_int_eq(attnp_error_read(message.error, &read), -1);
    }
    ck_assert_int_eq(read_text("94 01 01 84 'code' cd 03 e8 'message' 05 'stream' 'x' 'frame' 02 c0"), 0);
    ck_assert_int_eq(attnp_error_read(message.error, &read), 0);
    ck_assert_int_eq(read.code, 1000);
    ck_assert_str_eq(attnp_error_name(read.code), "unknown");
    ck_assert_str_eq(read.text, "");
    ck_assert(!read.has_stream && read.has_frame && !read.has_expected && !read.has_offset);
    ck_assert_uint_eq(read.frame, 2);
    forget();
}
END_TEST

/* What an over_capacity says is left: integers and floats of either length are rates; both count, or none. */
START_TEST(test_error_rates)
{
    static const struct {
        const char *left_shard, *left_all;
        bool has;
    } cases[] = {
        {"07", "cb 40 29 00 00 00 00 00 00", true}, /* 12.5 */
        {"ca 40 e0 00 00", "ca 41 48 00 00", true},
        {"07", "c0", false},
        {"ff", "07", false},
        {"07", "ca bf 80 00 00", false},
        {"ca 7f 80 00 00", "07", false}, /* infinity */
        {"07", "cb 7f f8 00 00 00 00 00 00", false},
        {"'x'", "07", false},
    };
    struct attnp_error read;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes *bytes = bytes_of("94 01 01 84 'code' 10 'retry_ms' cd 03 e8 'left_shard'");
        add(bytes, cases[i].left_shard);
        add(bytes, "'left_all'");
        add(bytes, cases[i].left_all);
        add(bytes, "c0");
        ck_assert_int_eq(read_bytes(bytes), 0);
        ck_assert_int_eq(attnp_error_read(message.error, &read), 0);
        ck_assert_int_eq(read.code, ATTNP_OVER_CAPACITY);
        ck_assert(read.has_retry && read.retry_ms == 1000);
        ck_assert_int_eq(read.has_left, cases[i].has);
        ck_assert_double_eq(read.left_shard, cases[i].has && i < 2 ? 7 : 0);
        ck_assert_double_eq(read.left_all, cases[i].has && i < 2 ? 12.5 : 0);
        forget();
    }
}
END_TEST

START_TEST(test_length_header)
{
    static const struct {
        size_t claimed, max;
        int result;
    } cases[] = {{0, 10, -1}, {1, 10, 1}, {9, 10, 1}, {10, 10, 1}, {11, 10, -1}, {0xffffffff, 10, -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t claimed = cases[i].claimed, n_body = 0;
        uint8_t bytes[4 + 12] = {(uint8_t)(claimed >> 24), (uint8_t)(claimed >> 16), (uint8_t)(claimed >> 8),
                                 (uint8_t)claimed};
        const uint8_t *found = NULL;
        ck_assert_int_eq(attnp_message_find(bytes, sizeof(bytes), cases[i].max, &found, &n_body, &error),
                         cases[i].result);
        if (cases[i].result == 1) {
            ck_assert_ptr_eq(found, bytes + 4);
            ck_assert_uint_eq(n_body, claimed);
            ck_assert_int_eq(attnp_message_find(bytes, 4 + claimed - 1, cases[i].max, &found, &n_body, &error), 0);
        } else {
            ck_assert_int_eq(error.code, ATTNP_LIMIT_EXCEEDED);
            ck_assert_int_eq(attnp_message_find(bytes, 4, cases[i].max, &found, &n_body, &error), -1);
        }
        ck_assert_int_eq(attnp_message_find(bytes, 3, cases[i].max, &found, &n_body, &error), 0);
    }
}
END_TEST

/* What a connection does: it takes the preface and then whole messages off what has come. */
struct receiver {
    struct bytes waiting, bodies;
    bool has_preface;
    int n_messages;
};

static void receive(struct receiver *receiver, const uint8_t *data, size_t n)
{
    struct attnp_preface preface;
    const uint8_t *found;
    size_t n_body, taken = 0;
    add_raw(&receiver->waiting, data, n);
    uint8_t *copy = tight(receiver->waiting.at, receiver->waiting.n);
    if (!receiver->has_preface) {
        int length = attnp_preface_read(&preface, copy, receiver->waiting.n, &error);
        ck_assert_int_ge(length, 0);
        taken = (size_t)length;
        receiver->has_preface = length > 0;
    }
    while (receiver->has_preface &&
           attnp_message_find(copy + taken, receiver->waiting.n - taken, 1 << 20, &found, &n_body, &error) == 1) {
        add_raw(&receiver->bodies, found, n_body);
        receiver->n_messages++;
        taken += ATTNP_LENGTH_BYTES + n_body;
    }
    memmove(receiver->waiting.at, receiver->waiting.at + taken, receiver->waiting.n - taken);
    receiver->waiting.n -= taken;
    free(copy);
}

static void whole_session(struct bytes *session, struct bytes *bodies)
{
    add(session, "41 54 54 4e 01 03 61 62 63");
    for (int i = 0; i < N_SAMPLES; i++) {
        struct bytes *sample = bytes_of(samples[i]);
        add(session, "00 00");
        add_byte(session, (unsigned)(sample->n >> 8));
        add_byte(session, (unsigned)sample->n);
        add_raw(session, sample->at, sample->n);
        add_raw(bodies, sample->at, sample->n);
    }
}

static void received_all(const struct receiver *receiver, const struct bytes *bodies)
{
    ck_assert_int_eq(receiver->n_messages, N_SAMPLES);
    ck_assert_uint_eq(receiver->waiting.n, 0);
    ck_assert_uint_eq(receiver->bodies.n, bodies->n);
    ck_assert_mem_eq(receiver->bodies.at, bodies->at, bodies->n);
}

START_TEST(test_session_cut_anywhere)
{
    static struct bytes session, bodies;
    static struct receiver receiver;
    whole_session(&session, &bodies);
    for (size_t cut = 0; cut <= session.n; cut++) {
        receiver.waiting.n = receiver.bodies.n = 0;
        receiver.n_messages = receiver.has_preface = 0;
        receive(&receiver, session.at, cut);
        receive(&receiver, session.at + cut, session.n - cut);
        received_all(&receiver, &bodies);
    }
}
END_TEST

START_TEST(test_session_byte_by_byte)
{
    static struct bytes session, bodies;
    static struct receiver receiver;
    whole_session(&session, &bodies);
    for (size_t i = 0; i < session.n; i++)
        receive(&receiver, session.at + i, 1);
    received_all(&receiver, &bodies);
}
END_TEST

static Suite *message_suite(void)
{
    Suite *suite = suite_create("message");
    TCase *tests = tcase_create("message");
    tcase_add_loop_test(tests, test_samples_are_read, 0, N_SAMPLES);
    tcase_add_loop_test(tests, test_truncations_are_refused, 0, N_SAMPLES);
    tcase_add_loop_test(tests, test_changed_bytes_are_survived, 0, N_SAMPLES);
    tcase_add_loop_test(tests, test_wrong_envelopes, 0, 27);
    tcase_add_loop_test(tests, test_params_may_be_absent, 0, 4);
    tcase_add_test(tests, test_every_encoding_of_the_envelope);
    tcase_add_test(tests, test_unknown_method);
    tcase_add_test(tests, test_id_of_a_refused_request);
    tcase_add_test(tests, test_map_get);
    tcase_add_test(tests, test_error_maps);
    tcase_add_test(tests, test_error_rates);
    tcase_add_test(tests, test_length_header);
    tcase_add_test(tests, test_session_cut_anywhere);
    tcase_add_test(tests, test_session_byte_by_byte);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(message_suite());
