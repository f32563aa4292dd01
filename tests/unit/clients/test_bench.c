/* SPDX-License-Identifier: MIT */
/* What of `attnctl bench` needs no daemon: the search, the frames, the checksum, the medians. */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "attnctl/bench_capacity.h"
#include "attnctl/bench_frames.h"
#include "attnctl/bench_samples.h"
#include "attnctl/bench_talk.h"
#include "fake_daemon.h"
#include "tests/unit/run.h"

/* Searches where up to `capacity` streams pass. Returns the number of trials, and what was found. */
static int search_for(uint32_t capacity, uint32_t first, uint32_t *found)
{
    struct bench_search search = {0};
    uint32_t next;
    int n = 0;
    while ((next = bench_search_next(&search, first)) != 0) {
        if (next <= capacity)
            search.passed = next;
        else
            search.failed = next;
        ck_assert_int_lt(n++, 100);
    }
    *found = search.passed;
    return n;
}

START_TEST(a_search_finds_any_capacity_to_three_percent)
{
    uint32_t found;
    for (uint32_t capacity = 0; capacity < 16000; capacity += 1 + capacity / 7) {
        int n = search_for(capacity, 16, &found);
        ck_assert_uint_le(found, capacity);
        ck_assert_msg(capacity - found <= (capacity < 34 ? 0 : capacity * 4 / 100), "found %u of %u", found, capacity);
        ck_assert_int_le(n, 16);
    }
}
END_TEST

START_TEST(a_search_without_end_ends)
{
    uint32_t found;
    search_for(UINT32_MAX, 1, &found);
    ck_assert_uint_ge(found, 1u << 20);
}
END_TEST

START_TEST(frames_depend_on_seed_stream_and_number_alone)
{
    struct bench_frames one, same, other;
    ck_assert_int_eq(bench_frames_init(&one, 7, 50), 0);
    ck_assert_int_eq(bench_frames_init(&same, 7, 50), 0);
    ck_assert_int_eq(bench_frames_init(&other, 8, 50), 0);
    int n_alike = 0;
    for (uint64_t i = 0; i < 100; i++) {
        const uint8_t *frame = bench_frames_at(&one, 3, i);
        ck_assert_mem_eq(frame, bench_frames_at(&same, 3, i), 200);
        ck_assert_mem_ne(frame, bench_frames_at(&other, 3, i), 200);
        n_alike += memcmp(frame, bench_frames_at(&one, 4, i), 200) == 0;
    }
    ck_assert_int_lt(n_alike, 20);
    bench_frames_done(&one);
    bench_frames_done(&same);
    bench_frames_done(&other);
}
END_TEST

START_TEST(frames_have_unit_variance)
{
    struct bench_frames frames;
    ck_assert_int_eq(bench_frames_init(&frames, 1, 256), 0);
    double sum = 0, squares = 0;
    const size_t n = BENCH_RING * 256;
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, frames.ring + i * sizeof(float), sizeof(value));
        sum += value;
        squares += (double)value * value;
    }
    ck_assert_double_lt(fabs(sum / n), 0.03);
    ck_assert_double_lt(fabs(squares / n - 1), 0.03);
    bench_frames_done(&frames);
}
END_TEST

START_TEST(a_checksum_tells_every_bit_and_the_order)
{
    uint8_t output[21] = {0};
    uint64_t zeros = bench_frames_sum(0, 0, output, sizeof(output));
    for (size_t bit = 0; bit < 8 * sizeof(output); bit++) {
        output[bit / 8] ^= 1u << bit % 8;
        ck_assert_uint_ne(bench_frames_sum(0, 0, output, sizeof(output)), zeros);
        output[bit / 8] ^= 1u << bit % 8;
    }
    ck_assert_uint_ne(bench_frames_sum(0, 1, output, sizeof(output)), zeros);
    uint64_t forwards = bench_frames_sum(bench_frames_sum(0, 0, (const uint8_t *)"a", 1), 1, (const uint8_t *)"b", 1);
    uint64_t exchanged = bench_frames_sum(bench_frames_sum(0, 0, (const uint8_t *)"b", 1), 1, (const uint8_t *)"a", 1);
    ck_assert_uint_ne(forwards, exchanged);
    ck_assert_uint_ne(bench_frames_part(0, forwards) + bench_frames_part(1, exchanged),
                      bench_frames_part(0, exchanged) + bench_frames_part(1, forwards));
}
END_TEST

START_TEST(medians)
{
    struct bench_samples samples;
    double values[] = {5, 1, 4, 2};
    ck_assert_int_eq(bench_samples_init(&samples, 3), 0);
    ck_assert_double_eq(bench_samples_median_us(&samples), 0);
    bench_samples_add(&samples, 9000);
    bench_samples_add(&samples, UINT64_MAX);
    bench_samples_add(&samples, 10500);
    bench_samples_add(&samples, 1);
    ck_assert_uint_eq(samples.n, 3);
    ck_assert_double_eq(bench_samples_median_us(&samples), 10.5);
    bench_samples_done(&samples);
    ck_assert_double_eq(bench_median(values, 4), 3);
    ck_assert_double_eq(bench_median(values, 3), 2);
}
END_TEST

/* Never silent, and never greets. */
static void script_babble(struct fake *fake)
{
    char byte;
    fake_accept(fake);
    fake_request(fake, ATTNP_M_HELLO);
    while (recv(fake->socket, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) {
        fake_event(fake, "idle", "", 0, 0);
        poll(NULL, 0, 1);
    }
}

static bool take_message(struct bench_link *link, const uint8_t *body, size_t n_body, uint64_t now_ns)
{
    (void)now_ns;
    return bench_talk_take(link->owner, link, body, n_body);
}

static void ignore(struct bench_link *link)
{
    (void)link;
}

START_TEST(a_question_is_not_waited_for_because_something_else_comes)
{
    static const struct bench_link_events events = {take_message, ignore, ignore};
    struct fake fake;
    struct bench_load load;
    struct problem problem;
    fake_start(&fake, script_babble);
    const struct bench_plan plan = {.socket = fake.path, .connections = 1, .streams = 1};
    ck_assert_int_eq(bench_load_init(&load, &plan, &events), 0);
    ck_assert_int_eq(bench_talk_init(&load), 0);
    ck_assert_msg(bench_load_connect(&load, &problem) == 0, "%s", problem.text);
    ck_assert_int_lt(bench_talk_ask(&load, BENCH_HELLO, 0.05, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "1 requests (hello) were not answered"));
    bench_talk_done(&load);
    bench_load_done(&load);
    fake_stop(&fake);
}
END_TEST

static Suite *bench(void)
{
    Suite *suite = suite_create("bench");
    TCase *tcase = tcase_create("bench");
    tcase_add_test(tcase, a_search_finds_any_capacity_to_three_percent);
    tcase_add_test(tcase, a_search_without_end_ends);
    tcase_add_test(tcase, frames_depend_on_seed_stream_and_number_alone);
    tcase_add_test(tcase, frames_have_unit_variance);
    tcase_add_test(tcase, a_checksum_tells_every_bit_and_the_order);
    tcase_add_test(tcase, medians);
    tcase_add_test(tcase, a_question_is_not_waited_for_because_something_else_comes);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(bench());
