/* SPDX-License-Identifier: MIT */
/* The writer: what it writes is read back, and without memory it says so once and goes on. */
#include "protocol/writer.h"

#include "protocol/scan.h"
#include "tests/unit/protocol/bytes.h"
#include "tests/unit/protocol/samples.h"
#include "tests/unit/run.h"

/* The linker sends what protocol/ calls through these. They fail once calls_left is 0; negative: never. */
static int calls_left = -1;
void *__real_realloc(void *old, size_t n);
void *__wrap_realloc(void *old, size_t n);
bool __real_msgpack_zone_init(msgpack_zone *zone, size_t chunk_size);
bool __wrap_msgpack_zone_init(msgpack_zone *zone, size_t chunk_size);
msgpack_unpack_return __real_msgpack_unpack(const char *data, size_t n, size_t *at, msgpack_zone *zone,
                                            msgpack_object *object);
msgpack_unpack_return __wrap_msgpack_unpack(const char *data, size_t n, size_t *at, msgpack_zone *zone,
                                            msgpack_object *object);

static bool fails(void)
{
    if (calls_left > 0)
        calls_left--;
    else if (calls_left == 0)
        return true;
    return false;
}

void *__wrap_realloc(void *old, size_t n)
{
    return fails() ? NULL : __real_realloc(old, n);
}

bool __wrap_msgpack_zone_init(msgpack_zone *zone, size_t chunk_size)
{
    return fails() ? false : __real_msgpack_zone_init(zone, chunk_size);
}

static msgpack_unpack_return failure = MSGPACK_UNPACK_NOMEM_ERROR;

msgpack_unpack_return __wrap_msgpack_unpack(const char *data, size_t n, size_t *at, msgpack_zone *zone,
                                            msgpack_object *object)
{
    return fails() ? failure : __real_msgpack_unpack(data, n, at, zone, object);
}

static struct attnp_writer writer;
static struct attnp_message message;
static struct attnp_error error;

/* Ends the message and reads it back. */
static void read_back(void)
{
    const uint8_t *bytes, *body;
    size_t n, n_body;
    bool id_known;
    ck_assert_int_eq(attnp_write_end(&writer, 1 << 20, &bytes, &n), 0);
    ck_assert_int_eq(attnp_message_find(bytes, n, 1 << 20, &body, &n_body, &error), 1);
    ck_assert_uint_eq(n, 4 + n_body);
    attnp_message_done(&message);
    ck_assert_msg(attnp_message_read(&message, body, n_body, &id_known, &error) == 0, "%s", error.text);
}

START_TEST(test_every_value)
{
    attnp_write_request(&writer, 77, ATTNP_M_OPEN);
    attnp_write_map(&writer, 9);
    attnp_put_uint(&writer, "uint", UINT64_MAX);
    attnp_put_double(&writer, "double", -1.5);
    attnp_put_bool(&writer, "yes", true);
    attnp_put_bool(&writer, "no", false);
    attnp_put_string(&writer, "string", "été");
    attnp_put_bin(&writer, "bin", "\0\1\2", 3);
    attnp_put_bin(&writer, "empty", NULL, 0);
    attnp_put_nil(&writer, "nil");
    attnp_write_key(&writer, "array");
    attnp_write_array(&writer, 2);
    attnp_write_uint(&writer, 5);
    attnp_write_string(&writer, "abc", 2);
    read_back();
    const msgpack_object *params = message.params;
    ck_assert_uint_eq(message.id, 77);
    ck_assert_int_eq(message.method, ATTNP_M_OPEN);
    ck_assert(attnp_map_get(params, "uint")->via.u64 == UINT64_MAX);
    ck_assert_double_eq(attnp_map_get(params, "double")->via.f64, -1.5);
    ck_assert(attnp_map_get(params, "yes")->via.boolean && !attnp_map_get(params, "no")->via.boolean);
    ck_assert_mem_eq(attnp_map_get(params, "string")->via.str.ptr, "été", 5);
    ck_assert_uint_eq(attnp_map_get(params, "bin")->via.bin.size, 3);
    ck_assert_uint_eq(attnp_map_get(params, "empty")->via.bin.size, 0);
    ck_assert_int_eq(attnp_map_get(params, "nil")->type, MSGPACK_OBJECT_NIL);
    const msgpack_object_array *array = &attnp_map_get(params, "array")->via.array;
    ck_assert_uint_eq(array->ptr[0].via.u64, 5);
    ck_assert_uint_eq(array->ptr[1].via.str.size, 2);
}
END_TEST

START_TEST(test_responses_and_notifications)
{
    attnp_write_response(&writer, UINT32_MAX);
    attnp_write_map(&writer, 0);
    read_back();
    ck_assert_int_eq(message.kind, ATTNP_RESPONSE);
    ck_assert_uint_eq(message.id, UINT32_MAX);
    ck_assert_int_eq(message.error->type, MSGPACK_OBJECT_NIL);
    ck_assert_int_eq(message.result->type, MSGPACK_OBJECT_MAP);
    attnp_write_notification(&writer, ATTNP_M_EVENT);
    attnp_write_map(&writer, 1);
    attnp_put_string(&writer, "event", "idle");
    read_back();
    ck_assert_int_eq(message.kind, ATTNP_NOTIFICATION);
    ck_assert_int_eq(message.method, ATTNP_M_EVENT);
}
END_TEST

static void same(const struct attnp_error *read, const struct attnp_error *written, const char *text)
{
    ck_assert_int_eq(read->code, written->code);
    ck_assert_str_eq(read->text, text);
    ck_assert(read->has_stream == written->has_stream && read->stream == written->stream);
    ck_assert(read->has_frame == written->has_frame && read->frame == written->frame);
    ck_assert(read->has_count == written->has_count && read->count == written->count);
    ck_assert(read->has_expected == written->has_expected && read->expected == written->expected);
    ck_assert(read->has_offset == written->has_offset && read->offset == written->offset);
    ck_assert(read->has_left == written->has_left);
    ck_assert_double_eq(read->left_shard, written->left_shard);
    ck_assert_double_eq(read->left_all, written->left_all);
    ck_assert(read->has_retry == written->has_retry && read->retry_ms == written->retry_ms);
}

/* Every code, every set of optional fields, in a response and in a notification. */
START_TEST(test_errors)
{
    for (int i = 0; i < 25 * 64; i++) {
        struct attnp_error written = {.code = (enum attnp_code)(i / 64 + 1)}, read;
        if (i % 3)
            attnp_fail(&written, written.code, "frame %d", i);
        if (i & 1)
            written.has_stream = true, written.stream = 300;
        if (i & 2)
            written.has_frame = true, written.frame = 1ull << 40;
        if (i & 4)
            written.has_expected = true, written.expected = 7;
        if (i % 5 == 0)
            written.has_count = true, written.count = 5;
        if (i & 8)
            written.has_offset = true, written.offset = 70000;
        if (i & 16)
            written.has_left = true, written.left_shard = 12.5, written.left_all = 1e6;
        if (i & 32)
            written.has_retry = true, written.retry_ms = 250;
        const char *text = i % 3 ? written.text : attnp_error_general_text(written.code);
        attnp_write_error_response(&writer, 9, &written);
        read_back();
        ck_assert_int_eq(message.result->type, MSGPACK_OBJECT_NIL);
        ck_assert_int_eq(attnp_error_read(message.error, &read), 0);
        same(&read, &written, text);
        attnp_write_error_notification(&writer, &written);
        read_back();
        ck_assert_int_eq(message.method, ATTNP_M_ERROR);
        ck_assert_int_eq(attnp_error_read(message.params, &read), 0);
        same(&read, &written, text);
    }
}
END_TEST

START_TEST(test_longest_message)
{
    const uint8_t *bytes;
    size_t n = 0;
    for (size_t max = 99; max <= 101; max++) {
        attnp_write_response(&writer, 1); /* 4 bytes, and the bin 2 + 94 */
        attnp_write_map(&writer, 1);      /* 1 + 2 + 2 + … */
        attnp_put_bin(&writer, "b", bytes_of("")->at, 100 - 4 - 1 - 2 - 2);
        ck_assert_int_eq(attnp_write_end(&writer, max, &bytes, &n), max < 100 ? -1 : 0);
    }
    ck_assert_uint_eq(n, 104);
}
END_TEST

START_TEST(test_no_memory_for_writing)
{
    static const char large[9000];
    const uint8_t *bytes;
    size_t n;
    for (int round = 0; round < 3; round++) {
        calls_left = round; /* the first buffer, the second one, none */
        attnp_write_notification(&writer, ATTNP_M_EVENT);
        attnp_write_map(&writer, 2);
        attnp_put_bin(&writer, "large", large, sizeof(large));
        attnp_put_uint(&writer, "after", 1);
        ck_assert_int_eq(writer.failed, round < 2);
        ck_assert_int_eq(attnp_write_end(&writer, 1 << 20, &bytes, &n), round < 2 ? -1 : 0);
        calls_left = -1;
        attnp_writer_done(&writer);
        attnp_write_notification(&writer, ATTNP_M_EVENT);
        attnp_write_map(&writer, 0);
        read_back();
        attnp_writer_done(&writer);
    }
}
END_TEST

START_TEST(test_no_memory_for_reading)
{
    bool id_known;
    struct bytes *bytes = bytes_of(samples[0]);
    for (calls_left = 0; calls_left < 2; calls_left++) {
        int left = calls_left;
        ck_assert_int_eq(attnp_message_read(&message, bytes->at, bytes->n, &id_known, &error), -1);
        ck_assert_int_eq(error.code, ATTNP_NO_MEMORY);
        ck_assert(id_known);
        ck_assert_uint_eq(message.id, 1);
        attnp_message_done(&message);
        calls_left = left;
    }
    calls_left = 1;
    failure = MSGPACK_UNPACK_PARSE_ERROR;
    ck_assert_int_eq(attnp_message_read(&message, bytes->at, bytes->n, &id_known, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_BAD_MESSAGE);
    calls_left = -1;
}
END_TEST

static void start(void)
{
    attnp_writer_init(&writer);
}

static void end(void)
{
    attnp_message_done(&message);
    attnp_message_done(NULL);
    attnp_writer_done(&writer);
    attnp_writer_done(NULL);
}

static Suite *writer_suite(void)
{
    Suite *suite = suite_create("writer");
    TCase *tests = tcase_create("writer");
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, test_every_value);
    tcase_add_test(tests, test_responses_and_notifications);
    tcase_add_test(tests, test_errors);
    tcase_add_test(tests, test_longest_message);
    tcase_add_test(tests, test_no_memory_for_writing);
    tcase_add_test(tests, test_no_memory_for_reading);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(writer_suite());
