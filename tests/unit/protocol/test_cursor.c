/* SPDX-License-Identifier: MIT */
/* The two cursors below everything else: they stay within their bytes, and a failure sticks. */
#include "protocol/cursor.h"

#include <msgpack.h>

#include "protocol/pen.h"
#include "tests/unit/protocol/bytes.h"
#include "tests/unit/protocol/samples.h"
#include "tests/unit/run.h"

/* What msgpack-c makes of the value whose head begins with this byte, followed by zeros. */
static enum attnp_type type_of(uint8_t byte)
{
    static const enum attnp_type types[] = {
        [MSGPACK_OBJECT_NIL] = ATTNP_TYPE_NIL,
        [MSGPACK_OBJECT_BOOLEAN] = ATTNP_TYPE_BOOL,
        [MSGPACK_OBJECT_POSITIVE_INTEGER] = ATTNP_TYPE_UINT,
        [MSGPACK_OBJECT_NEGATIVE_INTEGER] = ATTNP_TYPE_INT,
        [MSGPACK_OBJECT_FLOAT32] = ATTNP_TYPE_FLOAT,
        [MSGPACK_OBJECT_FLOAT64] = ATTNP_TYPE_FLOAT,
        [MSGPACK_OBJECT_STR] = ATTNP_TYPE_STR,
        [MSGPACK_OBJECT_BIN] = ATTNP_TYPE_BIN,
        [MSGPACK_OBJECT_ARRAY] = ATTNP_TYPE_ARRAY,
        [MSGPACK_OBJECT_MAP] = ATTNP_TYPE_MAP,
        [MSGPACK_OBJECT_EXT] = ATTNP_TYPE_EXT,
    };
    char data[64] = {(char)byte};
    msgpack_unpacked unpacked;
    enum attnp_type type = ATTNP_TYPE_RESERVED;
    size_t at = 0;
    msgpack_unpacked_init(&unpacked);
    msgpack_unpack_return result = msgpack_unpack_next(&unpacked, data, sizeof(data), &at);
    if (result != MSGPACK_UNPACK_PARSE_ERROR)
        type = types[unpacked.data.type];
    msgpack_unpacked_destroy(&unpacked);
    return type;
}

START_TEST(test_every_first_byte)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t data[64] = {(uint8_t)byte};
        struct attnp_cursor cursor;
        attnp_cursor_init(&cursor, data, sizeof(data));
        struct attnp_head head = attnp_cursor_head(&cursor);
        ck_assert_msg(head.type == type_of((uint8_t)byte), "0x%02x is %s", byte, attnp_type_text(head.type));
        ck_assert_uint_eq(head.at, 0);
        ck_assert(!cursor.failed);
    }
}
END_TEST

START_TEST(test_numbers_of_heads)
{
    static const struct {
        const char *text;
        uint64_t n;
        enum attnp_type type;
    } cases[] = {
        {"c2", 0, ATTNP_TYPE_BOOL},
        {"c3", 1, ATTNP_TYPE_BOOL},
        {"ff", (uint64_t)-1, ATTNP_TYPE_INT},
        {"e0", (uint64_t)-32, ATTNP_TYPE_INT},
        {"d0 80", (uint64_t)-128, ATTNP_TYPE_INT},
        {"d1 80 00", (uint64_t)-32768, ATTNP_TYPE_INT},
        {"d2 80 00 00 00", (uint64_t)INT32_MIN, ATTNP_TYPE_INT},
        {"d3 80 00 00 00 00 00 00 00", (uint64_t)INT64_MIN, ATTNP_TYPE_INT},
        {"d3 7f ff ff ff ff ff ff ff", INT64_MAX, ATTNP_TYPE_UINT},
        {"ca 3f 80 00 00", 0x3f800000, ATTNP_TYPE_FLOAT},
        {"cb 3f f0 00 00 00 00 00 00", 0x3ff0000000000000, ATTNP_TYPE_FLOAT},
        {"bf", 31, ATTNP_TYPE_STR},
        {"d9 ff", 255, ATTNP_TYPE_STR},
        {"da ff fe", 65534, ATTNP_TYPE_STR},
        {"db ff ff ff ff", UINT32_MAX, ATTNP_TYPE_STR},
        {"c4 01", 1, ATTNP_TYPE_BIN},
        {"c5 01 02", 258, ATTNP_TYPE_BIN},
        {"c6 01 02 03 04", 0x01020304, ATTNP_TYPE_BIN},
        {"9f", 15, ATTNP_TYPE_ARRAY},
        {"dc 00 10", 16, ATTNP_TYPE_ARRAY},
        {"dd 80 00 00 00", 1u << 31, ATTNP_TYPE_ARRAY},
        {"8f", 15, ATTNP_TYPE_MAP},
        {"de 00 10", 16, ATTNP_TYPE_MAP},
        {"df 80 00 00 00", 1u << 31, ATTNP_TYPE_MAP},
    };
    struct bytes *bytes = bytes_of(cases[_i].text);
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, bytes->at, bytes->n);
    struct attnp_head head = attnp_cursor_head(&cursor);
    ck_assert_int_eq(head.type, cases[_i].type);
    ck_assert(head.n == cases[_i].n);
    ck_assert_uint_eq(cursor.at, bytes->n);
}
END_TEST

START_TEST(test_failure_sticks)
{
    struct bytes *bytes = bytes_of("01 cd 00");
    uint8_t *copy = tight(bytes->at, bytes->n);
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, copy, bytes->n);
    ck_assert_int_eq(attnp_cursor_head(&cursor).type, ATTNP_TYPE_UINT);
    ck_assert_int_eq(attnp_cursor_head(&cursor).type, ATTNP_TYPE_NONE);
    ck_assert_uint_eq(cursor.at, 1);
    ck_assert_ptr_null(attnp_cursor_take(&cursor, 0));
    ck_assert(!attnp_cursor_skip(&cursor, 1));
    ck_assert(!attnp_cursor_skip_rest(&cursor, (struct attnp_head){.type = ATTNP_TYPE_NIL}));
    ck_assert(!attnp_cursor_skip_rest(&cursor, (struct attnp_head){.type = ATTNP_TYPE_STR, .n = 1}));
    ck_assert(!attnp_cursor_string_is(&cursor, (struct attnp_head){.type = ATTNP_TYPE_STR}, ""));
    ck_assert_uint_eq(cursor.at, 1);
    free(copy);
}
END_TEST

/* A whole value is stepped over; of a part of it that is said. */
START_TEST(test_skip)
{
    struct bytes *bytes = bytes_of(samples[_i]);
    for (size_t n = 0; n <= bytes->n; n++) {
        uint8_t *copy = tight(bytes->at, n);
        struct attnp_cursor cursor;
        attnp_cursor_init(&cursor, copy, n);
        ck_assert_int_eq(attnp_cursor_skip(&cursor, 1), n == bytes->n);
        if (n == bytes->n)
            ck_assert_uint_eq(cursor.at, n);
        free(copy);
    }
}
END_TEST

START_TEST(test_claims_are_not_believed)
{
    static const char *const claims[] = {"dd ff ff ff ff c0", "df ff ff ff ff c0", "dd ff ff ff ff dd ff ff ff ff",
                                         "c6 ff ff ff ff 00"};
    struct bytes *bytes = bytes_of(claims[_i]);
    uint8_t *copy = tight(bytes->at, bytes->n);
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, copy, bytes->n);
    ck_assert(!attnp_cursor_skip(&cursor, 1));
    ck_assert_uint_le(cursor.at, bytes->n);
    free(copy);
}
END_TEST

static void write_all(struct attnp_pen *pen)
{
    static const uint64_t numbers[] = {0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};
    attnp_pen_array(pen, 15);
    for (int i = 0; i < 10; i++)
        attnp_pen_uint(pen, numbers[i]);
    attnp_pen_string(pen, "push");
    attnp_pen_bin(pen, 3);
    attnp_pen_raw(pen, "\1\2\3", 3);
    attnp_pen_map(pen, 0);
    attnp_pen_bin(pen, 0);
    attnp_pen_raw(pen, NULL, 0);
    attnp_pen_be32(pen, 0x01020304);
}

/* Whatever the room, nothing is written behind it, and the pen says whether it sufficed. */
START_TEST(test_pen_stays_in_its_room)
{
    struct attnp_pen counting, pen;
    attnp_pen_init(&counting, NULL, 0);
    write_all(&counting);
    ck_assert(!counting.failed);
    for (size_t room = 0; room <= counting.at; room++) {
        uint8_t *bytes = malloc(room ? room : 1);
        attnp_pen_init(&pen, bytes, room);
        write_all(&pen);
        ck_assert_int_eq(pen.failed, room < counting.at);
        ck_assert_uint_le(pen.at, room);
        free(bytes);
    }
    ck_assert_uint_eq(pen.at, counting.at);
}
END_TEST

static Suite *cursor_suite(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tests = tcase_create("cursor");
    tcase_add_test(tests, test_every_first_byte);
    tcase_add_loop_test(tests, test_numbers_of_heads, 0, 24);
    tcase_add_test(tests, test_failure_sticks);
    tcase_add_loop_test(tests, test_skip, 0, N_SAMPLES);
    tcase_add_loop_test(tests, test_claims_are_not_believed, 0, 4);
    tcase_add_test(tests, test_pen_stays_in_its_room);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(cursor_suite());
