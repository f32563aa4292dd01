/* SPDX-License-Identifier: MIT */
/* The order of frames, by cases and against a naive model that remembers every number. */
#include "protocol/sequence.h"

#include <string.h>

#include "tests/unit/run.h"

START_TEST(test_in_order)
{
    struct attnp_sequence sequence;
    attnp_sequence_init(&sequence, 7, 3);
    for (uint64_t number = 7; number < 30; number++) {
        ck_assert(attnp_sequence_begin(&sequence, number));
        ck_assert_int_eq(attnp_sequence_frame(&sequence, number), ATTNP_TAKE);
        ck_assert_uint_eq(attnp_sequence_waiting(&sequence), 1);
        ck_assert_uint_eq(attnp_sequence_settle(&sequence), number);
    }
}
END_TEST

START_TEST(test_gap_is_reported_once)
{
    struct attnp_sequence sequence;
    attnp_sequence_init(&sequence, 0, 8);
    ck_assert(attnp_sequence_begin(&sequence, 0));
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 0), ATTNP_TAKE);
    ck_assert(attnp_sequence_begin(&sequence, 2));
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 2), ATTNP_REFUSE_GAP);
    ck_assert_uint_eq(sequence.next, 1);
    ck_assert(!attnp_sequence_begin(&sequence, 3));
    ck_assert(!attnp_sequence_begin(&sequence, 0)); /* a repeat does not end the silence either */
    ck_assert(attnp_sequence_begin(&sequence, 1));
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 1), ATTNP_TAKE);
    ck_assert(attnp_sequence_begin(&sequence, 9));
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 9), ATTNP_REFUSE_GAP);
}
END_TEST

START_TEST(test_credit)
{
    struct attnp_sequence sequence;
    attnp_sequence_init(&sequence, 0, 2);
    ck_assert(attnp_sequence_begin(&sequence, 0));
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 0), ATTNP_TAKE);
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 1), ATTNP_TAKE);
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 2), ATTNP_REFUSE_CREDIT);
    ck_assert(!attnp_sequence_begin(&sequence, 3));
    ck_assert(attnp_sequence_begin(&sequence, 2)); /* still no credit: said again, since the client asked again */
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 2), ATTNP_REFUSE_CREDIT);
    ck_assert_uint_eq(attnp_sequence_settle(&sequence), 0);
    ck_assert(attnp_sequence_begin(&sequence, 2));
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 2), ATTNP_TAKE);
}
END_TEST

START_TEST(test_repeats)
{
    struct attnp_sequence sequence;
    attnp_sequence_init(&sequence, 10, 2);
    for (uint64_t number = 10; number < 14; number++) {
        attnp_sequence_begin(&sequence, number);
        attnp_sequence_frame(&sequence, number);
        attnp_sequence_settle(&sequence);
    }
    attnp_sequence_begin(&sequence, 14);
    attnp_sequence_frame(&sequence, 14);
    ck_assert(attnp_sequence_begin(&sequence, 9));
    ck_assert_uint_eq(attnp_sequence_too_old(&sequence, 9, 6), 3);
    ck_assert_uint_eq(attnp_sequence_too_old(&sequence, 9, 2), 2);
    ck_assert_uint_eq(attnp_sequence_too_old(&sequence, 12, 6), 0);
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 9), ATTNP_REFUSE_OLD); /* before the stream's first */
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 11), ATTNP_REFUSE_OLD);
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 12), ATTNP_ANSWER_AGAIN);
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 13), ATTNP_ANSWER_AGAIN);
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 14), ATTNP_WAITS);
    ck_assert_uint_eq(attnp_sequence_waiting(&sequence), 1); /* repeats take no credit */
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 15), ATTNP_TAKE);
}
END_TEST

/* The answers before a fresh stream's first frame were never there, however few are settled. */
START_TEST(test_nothing_before_the_first)
{
    struct attnp_sequence sequence;
    attnp_sequence_init(&sequence, 10, 8);
    attnp_sequence_begin(&sequence, 10);
    attnp_sequence_frame(&sequence, 10);
    attnp_sequence_settle(&sequence);
    ck_assert(attnp_sequence_begin(&sequence, 9));
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 9), ATTNP_REFUSE_OLD);
    ck_assert_int_eq(attnp_sequence_frame(&sequence, 10), ATTNP_ANSWER_AGAIN);
}
END_TEST

START_TEST(test_bad_bin)
{
    struct attnp_sequence sequence;
    attnp_sequence_init(&sequence, 0, 2);
    ck_assert(attnp_sequence_begin(&sequence, 0));
    attnp_sequence_bad_bin(&sequence);
    ck_assert(!attnp_sequence_begin(&sequence, 1));
    ck_assert(attnp_sequence_begin(&sequence, 0));
}
END_TEST

enum { MOST = 20000 };

/* The naive model: what each number is, and what the client is told, straight from the words of the protocol. */
struct oracle {
    enum { NEVER_SENT, WAITING, SETTLED } state[MOST];
    uint64_t first;
    uint32_t credit;
    bool silent;
};

static uint64_t oracle_expected(const struct oracle *oracle)
{
    uint64_t number = oracle->first;
    while (oracle->state[number] != NEVER_SENT)
        number++;
    return number;
}

static uint32_t oracle_count(const struct oracle *oracle, int state)
{
    uint32_t n = 0;
    for (uint64_t number = oracle->first; number < MOST && oracle->state[number] != NEVER_SENT; number++)
        n += (int)oracle->state[number] == state;
    return n;
}

static enum attnp_verdict oracle_frame(struct oracle *oracle, uint64_t number)
{
    uint64_t expected = oracle_expected(oracle);
    uint32_t newer = 0;
    if (number > expected || (number == expected && oracle_count(oracle, WAITING) == oracle->credit)) {
        oracle->silent = true;
        return number > expected ? ATTNP_REFUSE_GAP : ATTNP_REFUSE_CREDIT;
    }
    if (number == expected) {
        oracle->state[number] = WAITING;
        return ATTNP_TAKE;
    }
    if (oracle->state[number] == WAITING)
        return ATTNP_WAITS;
    for (uint64_t other = number + 1; other < expected; other++)
        newer += oracle->state[other] == SETTLED;
    return oracle->state[number] == SETTLED && newer < oracle->credit ? ATTNP_ANSWER_AGAIN : ATTNP_REFUSE_OLD;
}

/* xorshift64: the same walk everywhere. */
static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 33) % below;
}

static void walk_push(struct attnp_sequence *sequence, struct oracle *oracle, uint64_t *seed, unsigned seen[6])
{
    uint64_t number = oracle_expected(oracle);
    uint32_t back = draw(seed, 4) == 0 ? draw(seed, 2 * oracle->credit + 4) : 0;
    number = number > back ? number - back : 0;
    number += draw(seed, 12) == 0 ? 1 + draw(seed, 3) : 0;
    if (number == oracle_expected(oracle))
        oracle->silent = false;
    ck_assert_int_eq(attnp_sequence_begin(sequence, number), !oracle->silent);
    if (oracle->silent)
        return;
    if (draw(seed, 20) == 0) {
        attnp_sequence_bad_bin(sequence);
        oracle->silent = true;
        return;
    }
    uint32_t k = 1 + draw(seed, 5);
    uint64_t n_old = attnp_sequence_too_old(sequence, number, k), first = number;
    for (; k > 0; k--, number++) {
        enum attnp_verdict verdict = attnp_sequence_frame(sequence, number);
        ck_assert_int_eq(verdict, oracle_frame(oracle, number));
        ck_assert_int_eq(verdict == ATTNP_REFUSE_OLD, number < first + n_old);
        seen[verdict]++;
        if (verdict == ATTNP_REFUSE_GAP || verdict == ATTNP_REFUSE_CREDIT)
            return;
    }
}

START_TEST(test_random_walk)
{
    static struct oracle oracle;
    struct attnp_sequence sequence;
    uint64_t seed = 88172645463325252ull + (uint64_t)_i;
    unsigned seen[6] = {0};
    memset(&oracle, 0, sizeof(oracle));
    oracle.first = draw(&seed, 10);
    oracle.credit = 2 + draw(&seed, 7);
    attnp_sequence_init(&sequence, oracle.first, oracle.credit);
    for (int step = 0; step < 3000; step++) {
        if (draw(&seed, 2) == 0)
            walk_push(&sequence, &oracle, &seed, seen);
        else if (attnp_sequence_waiting(&sequence) > 0)
            oracle.state[attnp_sequence_settle(&sequence)] = SETTLED;
        ck_assert_uint_eq(sequence.next, oracle_expected(&oracle));
        ck_assert_uint_eq(attnp_sequence_waiting(&sequence), oracle_count(&oracle, WAITING));
        ck_assert_int_eq(sequence.ignoring, oracle.silent);
    }
    for (int verdict = 0; verdict < 6; verdict++)
        ck_assert_msg(seen[verdict] > 0, "the walk never met verdict %d", verdict);
}
END_TEST

START_TEST(test_credit_rule)
{
    ck_assert_uint_eq(attnp_credit(0, 0), 64);
    ck_assert_uint_eq(attnp_credit(12, 4), 64);
    ck_assert_uint_eq(attnp_credit(16384, 4), 64);
    ck_assert_uint_eq(attnp_credit(16385, 4), 63);
    ck_assert_uint_eq(attnp_credit(4, 16385), 63);
    ck_assert_uint_eq(attnp_credit(1 << 18, 4), 4);
    ck_assert_uint_eq(attnp_credit(1 << 19, 4), 2);
    ck_assert_uint_eq(attnp_credit(1 << 20, 4), 2);
    ck_assert_uint_eq(attnp_credit(UINT64_MAX, UINT64_MAX), 2);
}
END_TEST

static Suite *sequence_suite(void)
{
    Suite *suite = suite_create("sequence");
    TCase *tests = tcase_create("sequence");
    tcase_add_test(tests, test_in_order);
    tcase_add_test(tests, test_gap_is_reported_once);
    tcase_add_test(tests, test_credit);
    tcase_add_test(tests, test_repeats);
    tcase_add_test(tests, test_nothing_before_the_first);
    tcase_add_test(tests, test_bad_bin);
    tcase_add_loop_test(tests, test_random_walk, 0, 10);
    tcase_add_test(tests, test_credit_rule);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(sequence_suite());
