/* SPDX-License-Identifier: MIT */
/* push and output: read in every encoding, written in the shortest. */
#include "protocol/push.h"

#include "protocol/message.h"
#include "tests/unit/protocol/bytes.h"
#include "tests/unit/run.h"

static struct attnp_error error;

static int read_push(struct attnp_push *push, const struct bytes *bytes)
{
    ck_assert(attnp_is_push(bytes->at, bytes->n));
    return attnp_push_read(push, bytes->at, bytes->n, &error);
}

START_TEST(test_every_encoding)
{
    static const char *const arrays[] = {"93", "dc 00 03", "dd 00 00 00 03"};
    static const char *const twos[] = {"02", "cc 02", "d1 00 02", "cf 00 00 00 00 00 00 00 02"};
    static const char *const names[] = {"'push'", "d9 04 70 75 73 68", "da 00 04 70 75 73 68",
                                        "db 00 00 00 04 70 75 73 68"};
    static const char *const fives[] = {"05",
                                        "cc 05",
                                        "cd 00 05",
                                        "ce 00 00 00 05",
                                        "cf 00 00 00 00 00 00 00 05",
                                        "d0 05",
                                        "d1 00 05",
                                        "d2 00 00 00 05",
                                        "d3 00 00 00 00 00 00 00 05"};
    static const char *const bins[] = {"c4 04", "c5 00 04", "c6 00 00 00 04"};
    for (int i = 0; i < 3 * 3 * 4 * 4 * 9 * 9 * 3; i++) {
        struct attnp_push push;
        struct bytes *bytes = bytes_of(arrays[i % 3]);
        add(bytes, twos[i / 9 % 4]);
        add(bytes, names[i / 36 % 4]);
        add(bytes, arrays[i / 3 % 3]);
        add(bytes, fives[i / 144 % 9]);
        add(bytes, fives[i / 1296 % 9]);
        add(bytes, bins[i / 11664]);
        add(bytes, "01 02 03 04");
        ck_assert_msg(read_push(&push, bytes) == 0, "%s", error.text);
        ck_assert_uint_eq(push.stream, 5);
        ck_assert_uint_eq(push.first, 5);
        ck_assert_uint_eq(push.n_bytes, 4);
        ck_assert_mem_eq(push.frames, "\1\2\3\4", 4);
        ck_assert_uint_eq(push.time.n_bytes, 0);
    }
}
END_TEST

START_TEST(test_integers)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        {"00", 0},
        {"7f", 127},
        {"cc 80", 128},
        {"cc ff", 255},
        {"cd ff ff", 65535},
        {"ce 80 00 00 00", 1ull << 31},
        {"ce ff ff ff ff", UINT32_MAX},
        {"cf ff ff ff ff ff ff ff ff", UINT64_MAX},
        {"cf 00 00 00 01 00 00 00 00", 1ull << 32},
        {"d0 7f", 127},
        {"d1 7f ff", 32767},
        {"d2 7f ff ff ff", INT32_MAX},
        {"d3 7f ff ff ff ff ff ff ff", INT64_MAX},
    };
    struct attnp_push push;
    struct bytes *bytes = bytes_of("93 02 'push' 93");
    add(bytes, cases[_i].text);
    add(bytes, cases[_i].text);
    add(bytes, "c4 00");
    ck_assert_msg(read_push(&push, bytes) == 0, "%s", error.text);
    ck_assert(push.stream == cases[_i].value);
    ck_assert(push.first == cases[_i].value);
}
END_TEST

START_TEST(test_wrong_pushes)
{
    static const struct {
        const char *params, *says;
    } cases[] = {
        {"80", "the params of a push is a map"},
        {"90", "have 0 values"},
        {"92 01 00", "have 2 values"},
        {"93 ff 00 c4 00", "the stream of a push is a negative integer"},
        {"93 'x' 00 c4 00", "the stream of a push is a string"},
        {"93 c0 00 c4 00", "the stream of a push is nil"},
        {"93 01 ca 00 00 00 00 c4 00", "the first frame number of a push is a float"},
        {"93 01 d0 80 c4 00", "the first frame number of a push is a negative integer"},
        {"93 01 00 'abcd'", "the data of a push is a string"},
        {"93 01 00 90", "the data of a push is an array"},
        {"94 01 00 c4 00 01", "the fourth value of a push is an integer"},
        {"94 01 00 c4 00 81 'time' 'now'", "the time of a push is a string"},
        {"94 01 00 c4 00 81 'time' 90", "the time of a push is an array"},
        {"94 01 00 c4 00 81 'time' c3", "the time of a push is a boolean"},
    };
    struct attnp_push push;
    struct bytes *bytes = bytes_of("93 02 'push'");
    add(bytes, cases[_i].params);
    ck_assert_int_eq(read_push(&push, bytes), -1);
    ck_assert_int_eq(error.code, ATTNP_BAD_MESSAGE);
    ck_assert(error.has_offset);
    ck_assert_msg(strstr(error.text, cases[_i].says) != NULL, "%s", error.text);
}
END_TEST

START_TEST(test_what_is_unknown_is_stepped_over)
{
    struct attnp_push push;
    ck_assert_int_eq(
        read_push(&push,
                  bytes_of("95 02 'push' 96 01 02 c4 04 00 00 80 3f 85 'room' 92 01 81 'a' 90 07 08 'time' 2a 'time' 2b"
                           " 92 c0 c0 c3 'late' c0 'more' 81 'x' 93 01 02 03")),
        0);
    ck_assert_uint_eq(push.stream, 1);
    ck_assert_uint_eq(push.first, 2);
    ck_assert_uint_eq(push.time.n_bytes, 1); /* of a key that comes twice the first counts */
    ck_assert_uint_eq(push.time.bytes[0], 0x2a);
    ck_assert_int_eq(read_push(&push, bytes_of("93 02 'push' 94 01 02 c4 00 c0")), 0);
    ck_assert_int_eq(read_push(&push, bytes_of("93 02 'push' 94 01 02 c4 00 81 'time' c0")), 0);
    ck_assert_uint_eq(push.time.n_bytes, 0);
}
END_TEST

START_TEST(test_time_goes_back_as_it_came)
{
    static const char *const times[] = {"00",
                                        "7f",
                                        "ff",
                                        "e0",
                                        "cc 01",
                                        "cd 00 01",
                                        "ce 00 00 00 01",
                                        "cf 00 00 00 00 00 00 00 01",
                                        "d0 80",
                                        "d1 80 00",
                                        "d2 80 00 00 00",
                                        "d3 80 00 00 00 00 00 00 00",
                                        "ca 7f c0 00 01",
                                        "cb 7f f8 00 00 00 00 00 01"};
    struct attnp_push push;
    struct attnp_output output = {.n_bytes = 0}, back;
    uint8_t written[128];
    struct bytes *bytes = bytes_of("93 02 'push' 94 01 00 c4 00 81 'time'");
    size_t before = bytes->n;
    add(bytes, times[_i]);
    ck_assert_msg(read_push(&push, bytes) == 0, "%s", error.text);
    output.time = push.time;
    size_t n = attnp_output_write(written, &output, NULL);
    ck_assert_int_eq(attnp_output_read(&back, written + 4, n - 4, &error), 0);
    ck_assert_uint_eq(back.time.n_bytes, bytes->n - before);
    ck_assert_mem_eq(back.time.bytes, bytes->at + before, bytes->n - before);
}
END_TEST

START_TEST(test_is_push_and_is_output)
{
    static const char *const neither[] = {"",
                                          "93",
                                          "93 02",
                                          "93 02 a4 70 75",
                                          "94 00 01 'push' 90",
                                          "93 02 'pusx' 90",
                                          "93 02 'pushx' 90",
                                          "92 02 'push'",
                                          "93 02 c4 04 70 75 73 68 90",
                                          "93 02 'event' 80",
                                          "80",
                                          "93 c0 'push' 90",
                                          "94 01 'push' c0 c0"};
    struct attnp_push push;
    struct attnp_output output;
    struct bytes *bytes = bytes_of(neither[_i]);
    uint8_t *copy = tight(bytes->at, bytes->n);
    ck_assert(!attnp_is_push(copy, bytes->n));
    ck_assert(!attnp_is_output(copy, bytes->n));
    ck_assert_int_eq(attnp_push_read(&push, copy, bytes->n, &error), -1);
    ck_assert_int_eq(attnp_output_read(&output, copy, bytes->n, &error), -1);
    free(copy);
}
END_TEST

START_TEST(test_push_round_trip)
{
    static const size_t sizes[] = {0, 1, 255, 256, 65535, 65536, 262144};
    static const uint64_t numbers[] = {0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};
    uint8_t *frames = malloc(sizes[_i] + 1);
    for (size_t i = 0; i < sizes[_i]; i++)
        frames[i] = (uint8_t)(i * 7);
    for (int i = 0; i < 20; i++) {
        struct attnp_push push = {.stream = numbers[i / 2],
                                  .first = numbers[9 - i / 2],
                                  .frames = frames,
                                  .n_bytes = sizes[_i]},
                          back;
        if (i % 2)
            push.time = (struct attnp_time){9, {0xcb, 0x40}};
        size_t n = attnp_push_bytes(&push), n_body = 0;
        uint8_t *written = malloc(n);
        const uint8_t *body = NULL;
        ck_assert_uint_eq(attnp_push_write(written, &push), n);
        ck_assert_int_eq(attnp_message_find(written, n, n, &body, &n_body, &error), 1);
        ck_assert(attnp_is_push(body, n_body) && !attnp_is_output(body, n_body));
        ck_assert_int_eq(attnp_push_read(&back, body, n_body, &error), 0);
        ck_assert(back.stream == push.stream && back.first == push.first && back.n_bytes == push.n_bytes);
        ck_assert_mem_eq(back.frames, frames, sizes[_i]);
        ck_assert_uint_eq(back.time.n_bytes, push.time.n_bytes);
        free(written);
    }
    free(frames);
}
END_TEST

START_TEST(test_output_round_trip)
{
    static const uint64_t numbers[] = {0, 127, 128, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};
    const uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int i = 0; i < 7; i++) {
        struct attnp_output output = {.stream = numbers[i],
                                      .first = numbers[6 - i],
                                      .n_bytes = 8,
                                      .position = numbers[i],
                                      .lag_us = numbers[6 - i],
                                      .warming = (uint32_t)numbers[i]},
                            back;
        size_t n = attnp_output_bytes(&output), gap = 0;
        uint8_t *written = malloc(n), whole[128];
        ck_assert_uint_eq(attnp_output_write(written, &output, &gap), n);
        memcpy(written + gap, data, 8);
        ck_assert(attnp_is_output(written + 4, n - 4) && !attnp_is_push(written + 4, n - 4));
        ck_assert_msg(attnp_output_read(&back, written + 4, n - 4, &error) == 0, "%s", error.text);
        ck_assert(back.stream == output.stream && back.first == output.first && back.position == output.position);
        ck_assert(back.lag_us == output.lag_us && back.warming == output.warming && back.n_bytes == 8);
        ck_assert_mem_eq(back.outputs, data, 8);
        output.outputs = data;
        ck_assert_uint_eq(attnp_output_write(whole, &output, NULL), n);
        ck_assert_mem_eq(whole, written, n);
        free(written);
    }
}
END_TEST

START_TEST(test_output_options)
{
    struct attnp_output output;
    struct bytes *bytes = bytes_of(
        "93 02 'output' 94 01 02 c4 00 87 'warming' cf 00 00 00 01 00 00 00 00 'new' 90 'lag_us' 03 'lag_us' 04"
        " 05 06 'position' 07 'time' ca 00 00 00 00");
    ck_assert_msg(attnp_output_read(&output, bytes->at, bytes->n, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(output.warming, UINT32_MAX);
    ck_assert_uint_eq(output.lag_us, 3);
    ck_assert_uint_eq(output.position, 7);
    ck_assert_uint_eq(output.time.n_bytes, 5);
    bytes = bytes_of("93 02 'output' 93 01 02 c4 00");
    ck_assert_int_eq(attnp_output_read(&output, bytes->at, bytes->n, &error), 0);
    static const char *const wrong[] = {"81 'position' ff", "81 'lag_us' 'x'", "81 'warming' c0", "81 'time' 'x'",
                                        "90"};
    for (size_t i = 0; i < 5; i++) {
        bytes = bytes_of("93 02 'output' 94 01 02 c4 00");
        add(bytes, wrong[i]);
        ck_assert_int_eq(attnp_output_read(&output, bytes->at, bytes->n, &error), -1);
        ck_assert_int_eq(error.code, ATTNP_BAD_MESSAGE);
    }
    bytes = bytes_of("93 02 'output' 80");
    ck_assert_int_eq(attnp_output_read(&output, bytes->at, bytes->n, &error), -1);
}
END_TEST

static Suite *push_suite(void)
{
    Suite *suite = suite_create("push");
    TCase *tests = tcase_create("push");
    tcase_add_test(tests, test_every_encoding);
    tcase_add_loop_test(tests, test_integers, 0, 13);
    tcase_add_loop_test(tests, test_wrong_pushes, 0, 14);
    tcase_add_test(tests, test_what_is_unknown_is_stepped_over);
    tcase_add_loop_test(tests, test_time_goes_back_as_it_came, 0, 14);
    tcase_add_loop_test(tests, test_is_push_and_is_output, 0, 13);
    tcase_add_loop_test(tests, test_push_round_trip, 0, 7);
    tcase_add_test(tests, test_output_round_trip);
    tcase_add_test(tests, test_output_options);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(push_suite());
