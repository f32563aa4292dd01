/* SPDX-License-Identifier: MIT */
/* The scanner, and that what it refuses never reaches an allocator or msgpack-c. */
#include "protocol/scan.h"

#include <msgpack.h>
#include <stdio.h>

#include "protocol/message.h"
#include "protocol/push.h"
#include "protocol/sequence.h"
#include "tests/unit/protocol/bytes.h"
#include "tests/unit/protocol/samples.h"
#include "tests/unit/run.h"

/* The linker sends what protocol/ calls through these. */
static int n_calls;
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__wrap_realloc(void *old, size_t n);
bool __real_msgpack_zone_init(msgpack_zone *zone, size_t chunk_size);
bool __wrap_msgpack_zone_init(msgpack_zone *zone, size_t chunk_size);

void *__wrap_malloc(size_t n)
{
    n_calls++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_calls++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
    n_calls++;
    return __real_realloc(old, n);
}

bool __wrap_msgpack_zone_init(msgpack_zone *zone, size_t chunk_size)
{
    n_calls++;
    return __real_msgpack_zone_init(zone, chunk_size);
}

/* Every reader refuses the bytes with this code, and allocates nothing. */
static void refused(const struct bytes *bytes, enum attnp_code code)
{
    struct attnp_error error = {0}, ignored;
    struct attnp_message message;
    struct attnp_push push;
    struct attnp_output output;
    bool id_known;
    uint8_t *copy = tight(bytes->at, bytes->n);
    n_calls = 0;
    int scanned = attnp_scan(copy, bytes->n, &error);
    int read = attnp_message_read(&message, copy, bytes->n, &id_known, &ignored);
    int pushed = attnp_push_read(&push, copy, bytes->n, &ignored);
    int output_read = attnp_output_read(&output, copy, bytes->n, &ignored);
    int calls = n_calls;
    attnp_message_done(&message);
    free(copy);
    ck_assert_int_eq(scanned, -1);
    ck_assert_int_eq(read, -1);
    ck_assert_int_eq(pushed, -1);
    ck_assert_int_eq(output_read, -1);
    ck_assert_int_eq(calls, 0);
    ck_assert_msg(error.code == code, "%s: %s", attnp_error_name(error.code), error.text);
    ck_assert(error.has_offset);
    ck_assert_uint_le(error.offset, bytes->n);
}

START_TEST(test_bombs)
{
    static const char *const bombs[] = {
        "dd ff ff ff ff",
        "dc ff ff",
        "df ff ff ff ff",
        "de ff ff",
        "db ff ff ff ff",
        "da ff ff",
        "91 dd ff ff ff ff",
        "94 00 01 'open' dd ff ff ff ff",
        "94 00 01 'open' df 80 00 00 00",
        "94 00 01 'open' 81 db ff ff ff ff",
        "94 00 01 'open' 81 'model' dd 7f ff ff ff",
        "93 02 'push' dd ff ff ff ff",
        "93 02 'push' dc ff ff 01 00 c4 00",
        "93 02 'push' 94 01 00 c4 00 df ff ff ff ff",
        "93 02 'push' 94 01 00 c4 00 81 db ff ff ff ff",
        "93 02 'push' 95 01 00 c4 00 80 dd ff ff ff ff",
        "92 dd 00 00 80 00 c0",
        "82 c0 df 00 00 40 00",
        "dd 00 01 00 00",
        "df ff ff ff ff c0",
        "dd ff ff ff ff dd ff ff ff ff dd ff ff ff ff",
        "92 c0 dd ff ff ff fe",
        "81 dd ff ff ff ff",
        "91 df 7f ff ff ff 81 81",
        "9f c0 c0 c0 c0 c0 c0 c0 c0 c0 c0 c0 c0 c0 c0 dd ff ff ff ff",
        "93 02 'output' 94 01 00 c4 00 df ff ff ff ff",
    };
    refused(bytes_of(bombs[_i]), ATTNP_LIMIT_EXCEEDED);
}
END_TEST

/* Headers one within the other: each is small enough, all together ask for more than the limit. */
START_TEST(test_nested_bombs)
{
    static const char *const heads[] = {"91", "81 c0", "dc 40 00", "dd 00 00 7f f0", "de 3f ff", "dc 00 01"};
    struct bytes *bytes = bytes_of("");
    for (int i = 0; i < 31; i++)
        add(bytes, heads[_i]);
    refused(bytes, ATTNP_LIMIT_EXCEEDED);
}
END_TEST

/* A bin is bounded by its message, so that a claim of more is no limit but a lie. */
START_TEST(test_cut_off)
{
    static const char *const cut[] = {
        "",
        "c4",
        "c4 05 00",
        "c6 ff ff ff ff",
        "c5 00",
        "ca 00 00",
        "cb 00",
        "cc",
        "cd 00",
        "ce 00 00 00",
        "cf 00",
        "d0",
        "d1 00",
        "d2 00",
        "d3 00",
        "d9",
        "d9 02 61",
        "da 00",
        "a2 61",
        "91",
        "92 c0",
        "81 c0",
        "dc 00",
        "dd 00 00 00",
        "de",
        "df 00",
        "93 02 'push' 93 01 00 c6 7f ff ff ff 00",
    };
    refused(bytes_of(cut[_i]), ATTNP_BAD_MESSAGE);
}
END_TEST

START_TEST(test_never_in_a_message)
{
    static const struct {
        const char *text;
        size_t offset;
    } cases[] = {
        {"c1", 0},
        {"91 c1", 1},
        {"c7 01 05 00", 0},
        {"c8 00 01 05 00", 0},
        {"c9 00 00 00 01 05 00", 0},
        {"d4 05 00", 0},
        {"d5 05 00 00", 0},
        {"d6 05 00 00 00 00", 0},
        {"92 c0 d7 ff", 2},
        {"d8 00", 0},
        {"c0 c0", 1},
        {"90 00", 1},
        {"91 c0 91", 2},
        {"a1 61 00", 2},
    };
    struct attnp_error error;
    struct bytes *bytes = bytes_of(cases[_i].text);
    refused(bytes, ATTNP_BAD_MESSAGE);
    attnp_scan(bytes->at, bytes->n, &error);
    ck_assert_uint_eq(error.offset, cases[_i].offset);
}
END_TEST

static int scan(const struct bytes *bytes, struct attnp_error *error)
{
    uint8_t *copy = tight(bytes->at, bytes->n);
    int result = attnp_scan(copy, bytes->n, error);
    free(copy);
    return result;
}

START_TEST(test_depth_limit)
{
    for (int depth = ATTNP_MAX_DEPTH - 1; depth <= ATTNP_MAX_DEPTH + 1; depth++) {
        struct attnp_error error = {0};
        struct bytes *bytes = bytes_of("");
        add_fill(bytes, 0x91, (size_t)depth);
        add_byte(bytes, 0xc0);
        ck_assert_int_eq(scan(bytes, &error), depth <= ATTNP_MAX_DEPTH ? 0 : -1);
        if (depth <= ATTNP_MAX_DEPTH)
            continue;
        ck_assert_int_eq(error.code, ATTNP_LIMIT_EXCEEDED);
        ck_assert_uint_eq(error.offset, ATTNP_MAX_DEPTH);
        ck_assert_ptr_nonnull(strstr(error.text, "16 levels"));
    }
}
END_TEST

START_TEST(test_element_limit)
{
    for (unsigned n = ATTNP_MAX_ELEMENTS - 2; n <= ATTNP_MAX_ELEMENTS; n++) { /* and the array itself */
        struct attnp_error error = {0};
        struct bytes *bytes = bytes_of("dc");
        add_byte(bytes, n >> 8);
        add_byte(bytes, n);
        add_fill(bytes, 0xc0, n);
        ck_assert_int_eq(scan(bytes, &error), n < ATTNP_MAX_ELEMENTS ? 0 : -1);
        if (n == ATTNP_MAX_ELEMENTS) {
            ck_assert_int_eq(error.code, ATTNP_LIMIT_EXCEEDED);
            ck_assert_ptr_nonnull(strstr(error.text, "32768 values"));
        }
    }
}
END_TEST

START_TEST(test_string_limit)
{
    for (unsigned n = ATTNP_MAX_STRING - 1; n <= ATTNP_MAX_STRING + 1; n++) {
        struct attnp_error error = {0};
        struct bytes *bytes = bytes_of("91 da");
        add_byte(bytes, n >> 8);
        add_byte(bytes, n);
        add_fill(bytes, 'x', n);
        ck_assert_int_eq(scan(bytes, &error), n <= ATTNP_MAX_STRING ? 0 : -1);
        if (n > ATTNP_MAX_STRING) {
            ck_assert_int_eq(error.code, ATTNP_LIMIT_EXCEEDED);
            ck_assert_uint_eq(error.offset, 1);
            ck_assert_ptr_nonnull(strstr(error.text, "4097 bytes"));
        }
    }
}
END_TEST

START_TEST(test_samples_pass)
{
    struct attnp_error error = {0};
    ck_assert_msg(scan(bytes_of(samples[_i]), &error) == 0, "%s", error.text);
}
END_TEST

/* What a push and its output cost: everything of protocol/ that they go through. */
START_TEST(test_hot_path_allocates_nothing)
{
    static const float frame[3] = {1, 2, 3};
    const struct attnp_push push = {.stream = 1, .frames = (const uint8_t *)frame, .n_bytes = 12, .time = {1, {5}}};
    struct attnp_error error;
    struct attnp_push pushed;
    struct attnp_output output = {.stream = 1, .outputs = (const uint8_t *)frame, .n_bytes = 4, .time = {1, {5}}}, back;
    struct attnp_sequence sequence;
    uint8_t in[128], out[128];
    const uint8_t *body;
    size_t n_body;
    attnp_sequence_init(&sequence, 0, 2);
    n_calls = 0;
    size_t n_in = attnp_push_write(in, &push), n_out = attnp_output_write(out, &output, NULL);
    int found = attnp_message_find(in, n_in, ATTNP_MAX_MESSAGE, &body, &n_body, &error);
    int read = attnp_is_push(body, n_body) ? attnp_push_read(&pushed, body, n_body, &error) : -1;
    bool begun = attnp_sequence_begin(&sequence, pushed.first);
    enum attnp_verdict verdict = attnp_sequence_frame(&sequence, pushed.first);
    uint64_t settled = attnp_sequence_settle(&sequence);
    int answered = attnp_output_read(&back, out + ATTNP_LENGTH_BYTES, n_out - ATTNP_LENGTH_BYTES, &error);
    int calls = n_calls;
    ck_assert_int_eq(calls, 0);
    ck_assert(found == 1 && read == 0 && begun && verdict == ATTNP_TAKE && settled == 0 && answered == 0);
}
END_TEST

START_TEST(test_largest_message_is_read)
{
    struct attnp_error error = {0};
    struct attnp_message message;
    bool id_known;
    struct bytes *bytes = bytes_of("94 00 01 'stats' 81 'x' dc 7f f0");
    add_fill(bytes, 0xc0, 0x7ff0);
    ck_assert_msg(attnp_message_read(&message, bytes->at, bytes->n, &id_known, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(attnp_map_get(message.params, "x")->via.array.size, 0x7ff0);
    attnp_message_done(&message);
}
END_TEST

static Suite *scan_suite(void)
{
    Suite *suite = suite_create("scan");
    TCase *tests = tcase_create("scan");
    tcase_add_loop_test(tests, test_bombs, 0, 26);
    tcase_add_loop_test(tests, test_nested_bombs, 0, 6);
    tcase_add_loop_test(tests, test_cut_off, 0, 27);
    tcase_add_loop_test(tests, test_never_in_a_message, 0, 14);
    tcase_add_test(tests, test_depth_limit);
    tcase_add_test(tests, test_element_limit);
    tcase_add_test(tests, test_string_limit);
    tcase_add_loop_test(tests, test_samples_pass, 0, N_SAMPLES);
    tcase_add_test(tests, test_hot_path_allocates_nothing);
    tcase_add_test(tests, test_largest_message_is_read);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(scan_suite());
