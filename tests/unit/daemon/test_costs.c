/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/costs.h"
#include "daemon/measure.h"
#include "tests/unit/failing.h"
#include "tests/unit/run.h"

static char folder[] = "/tmp/attnd-costs-XXXXXX";
static char path[sizeof(folder) + 16];

static struct costs *costs;

static void set_up(void)
{
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/costs", folder);
    costs = costs_new(folder);
    ck_assert_ptr_nonnull(costs);
    costs_load(costs);
}

static void tear_down(void)
{
    costs_free(costs);
    unlink(path);
    rmdir(folder);
}

static void begin_again(void)
{
    costs_free(costs);
    costs = costs_new(folder);
    ck_assert_ptr_nonnull(costs);
    costs_load(costs);
}

static struct model *attention_of(uint32_t window, uint32_t landmarks)
{
    const struct attnp_attention attention = {
        .method = landmarks > 0 ? ATTNP_METHOD_NYSTROM : ATTNP_METHOD_EXACT,
        .window = window,
        .landmarks = landmarks,
        .heads = 2,
        .head_dim = 8,
    };
    struct attnp_error error;
    struct plan *plan;
    ck_assert_int_eq(plan_of_attention(&plan, &attention, &error), 0);
    struct model *model = model_new("", plan);
    ck_assert_ptr_nonnull(model);
    return model;
}

/* A frame alone or among less than 8; among 8 and less than 16; among more. */
static struct cost *cost_of(double alone, double among_8, double among_more)
{
    struct cost *cost = cost_new();
    ck_assert_ptr_nonnull(cost);
    for (size_t i = 0; i < COST_SIZES; i++)
        cost_set(cost, i, i < 3 ? alone : i == 3 ? among_8 : among_more);
    return cost;
}

START_TEST(unknown_costs_nothing_and_takes_all)
{
    struct cost *cost = cost_new();
    ck_assert_double_eq(cost_frame_ns(cost, 1), 0);
    ck_assert_double_eq(cost_frame_ns(cost, 64), 0);
    ck_assert_uint_eq(cost_best(cost, 17), 17);
    cost_release(cost);
}
END_TEST

START_TEST(between_measured_sizes_is_interpolated)
{
    struct cost *cost = cost_new();
    cost_set(cost, 0, 100);
    ck_assert_double_eq(cost_frame_ns(cost, 50), 100); /* all that is known */
    cost_set(cost, 2, 60);
    cost_set(cost, 3, 40);
    ck_assert_double_eq(cost_frame_ns(cost, 4), 60);
    ck_assert_double_eq(cost_frame_ns(cost, 6), 50);
    ck_assert_double_eq(cost_frame_ns(cost, 7), 45);
    ck_assert_double_eq(cost_frame_ns(cost, 9), 40);
    ck_assert_double_eq(cost_frame_ns(cost, 64), 40);
    cost_release(cost);
}
END_TEST

START_TEST(the_cheapest_group_is_taken)
{
    struct cost *cost = cost_of(10, 6, 8);
    ck_assert_uint_eq(cost_best(cost, 64), 8);
    ck_assert_uint_eq(cost_best(cost, 8), 8);
    ck_assert_uint_eq(cost_best(cost, 1), 1);
    cost_release(cost);
    cost = cost_of(10, 6, 3);
    ck_assert_uint_eq(cost_best(cost, 64), 64);
    cost_release(cost);
    cost = cost_of(1, 6, 8);
    ck_assert_uint_eq(cost_best(cost, 64), 4);
    cost_release(cost);
}
END_TEST

/* A mean that never comes to where the notes are, or that one late thread throws over, would refuse streams. */
START_TEST(notes_move_the_mean)
{
    struct cost *cost = cost_of(1000, 600, 800);
    for (int i = 0; i < 2000; i++)
        cost_note(cost, 1, 1500);
    ck_assert_double_eq_tol(cost_frame_ns(cost, 1), 1500, 1);
    ck_assert_double_gt(cost_frame_ns(cost, 8), 600); /* what is dear alone is dearer among others, too */
    ck_assert_double_lt(cost_frame_ns(cost, 8), 900);
    cost_note(cost, 1, 1e9);
    ck_assert_double_lt(cost_frame_ns(cost, 1), 1700);
    for (int i = 0; i < 4000; i++)
        cost_note(cost, 1, 10);
    ck_assert_double_eq_tol(cost_frame_ns(cost, 1), 10, 0.1);
    cost_release(cost);
}
END_TEST

/* Groups of one size alone, which take now more and now less than the mean: what the other sizes cost relative to it is
 * not known any better than before, however many they are. */
START_TEST(notes_of_one_size_leave_the_others_in_proportion)
{
    static const double each_ns[] = {500, 700, 800, 2000};
    struct cost *cost = cost_of(1000, 600, 800);
    for (int k = 0; k < 1000000; k++)
        cost_note(cost, 1, each_ns[k % 4]);
    ck_assert_double_eq_tol(cost_frame_ns(cost, 1), 1000, 100);
    ck_assert_double_eq_tol(cost_frame_ns(cost, 8), 600, 60);
    ck_assert_double_eq_tol(cost_frame_ns(cost, 64), 800, 80);
    cost_release(cost);
}
END_TEST

START_TEST(a_note_between_sizes_is_scaled)
{
    struct cost *cost = cost_of(1000, 600, 800);
    cost_set(cost, 1, 900);
    cost_set(cost, 2, 700);
    for (int i = 0; i < 1000; i++)
        cost_note(cost, 3, 800); /* just what is expected */
    ck_assert_double_eq_tol(cost_frame_ns(cost, 2), 900, 1);
    ck_assert_double_eq_tol(cost_frame_ns(cost, 4), 700, 1);
    cost_release(cost);
}
END_TEST

START_TEST(equal_shapes_share_a_cost)
{
    struct model *one = attention_of(12, 3), *same = attention_of(12, 3), *other = attention_of(12, 4);
    ck_assert_int_eq(costs_learn(costs, one, COSTS_ATTENTION_NS), 1);
    ck_assert_int_eq(costs_learn(costs, same, COSTS_ATTENTION_NS), 0);
    ck_assert_int_eq(costs_learn(costs, other, COSTS_ATTENTION_NS), 1);
    ck_assert_ptr_eq(one->cost, same->cost);
    ck_assert_ptr_ne(one->cost, other->cost);
    ck_assert_double_gt(cost_us(one->cost), 0);
    model_release(one);
    model_release(same);
    model_release(other);
}
END_TEST

START_TEST(a_file_gives_the_costs_back)
{
    struct model *one = attention_of(12, 3), *again = attention_of(12, 3);
    costs_learn(costs, one, COSTS_ATTENTION_NS);
    cost_set(one->cost, 0, 123456);
    costs_save(costs, 7890, false);
    begin_again();
    ck_assert_double_eq(costs_overhead_ns(costs), 7890);
    ck_assert_int_eq(costs_learn(costs, again, COSTS_ATTENTION_NS), 0);
    ck_assert_double_eq(cost_frame_ns(again->cost, 1), 123456);
    ck_assert_double_eq(cost_frame_ns(one->cost, 1), 123456); /* a user keeps what the table has given up */
    model_release(one);
    model_release(again);
}
END_TEST

START_TEST(what_hardly_changed_is_not_written)
{
    struct model *model = attention_of(12, 3);
    costs_learn(costs, model, COSTS_ATTENTION_NS);
    cost_set(model->cost, 0, 1000);
    costs_save(costs, 1, false);
    ck_assert_int_eq(unlink(path), 0);
    cost_set(model->cost, 0, 1090);
    costs_save(costs, 1, false);
    ck_assert_int_ne(access(path, F_OK), 0);
    cost_set(model->cost, 0, 1110);
    costs_save(costs, 1, false);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(unlink(path), 0);
    costs_save(costs, 1, true);
    ck_assert_int_eq(access(path, F_OK), 0);
    model_release(model);
}
END_TEST

static size_t read_file(char *text, size_t room)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size_t n = fread(text, 1, room, file);
    fclose(file);
    return n;
}

static void write_file(const char *text, size_t n)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, n, file), n);
    fclose(file);
}

/* Nothing of a file that was cut, wherever, is believed. */
START_TEST(a_cut_file_is_no_file)
{
    struct model *model = attention_of(12, 3);
    char text[1024];
    costs_learn(costs, model, COSTS_ATTENTION_NS);
    cost_set(model->cost, 0, 123456);
    costs_save(costs, 7890, true);
    size_t n = read_file(text, sizeof(text));
    ck_assert_uint_lt(n, sizeof(text));
    for (size_t cut = 0; cut < n - 1; cut++) { /* the last byte is a line's end */
        write_file(text, cut);
        begin_again();
        ck_assert_uint_eq(costs->n, 0);
        ck_assert_double_eq(costs_overhead_ns(costs), COSTS_OVERHEAD_NS);
    }
    write_file(text, n);
    begin_again();
    ck_assert_uint_eq(costs->n, 1);
    model_release(model);
}
END_TEST

START_TEST(foreign_files_are_no_files)
{
    static const char *const files[] = {
        "hello",
        "[costs]\nversion = 2\n[end]\nvalues = 0\n",
        "[model a]\nbatch_1 = 5\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[model a]\nbatch_1 = 5\n[end]\nvalues = 2\n",
        "[costs]\nversion = 1\n[model a]\nbatch_3 = 5\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[model a]\nbatch_1 = 0\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[model a]\nbatch_1 = -5\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[model a]\nbatch_1 = 5e3\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[model a]\nbatch_1 = 99999999999999999999\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[model a]\nbatch_1 = 1000000001\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\noverhead = 10000001\n[model a]\nbatch_1 = 5\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[somebody]\nbatch_1 = 5\n[end]\nvalues = 1\n",
        "[costs]\nversion = 1\n[end]\nvalues = 0\n[model a]\nbatch_1 = 5\n",
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_file(files[i], strlen(files[i]));
        begin_again();
        ck_assert_uint_eq(costs->n, 0);
    }
    static const char good[] = "[costs]\nversion = 1\n[model a]\nbatch_1 = 5\n[end]\nvalues = 1\n";
    write_file(good, strlen(good));
    begin_again();
    ck_assert_uint_eq(costs->n, 1);
}
END_TEST

/* What cannot be read as a file is waited for by nobody, and is replaced like one that is damaged. */
START_TEST(what_is_no_file_is_replaced)
{
    static const char *const targets[] = {"/dev/zero", "/proc/self/mem", NULL};
    char text[1024], victim[sizeof(path)], beside[sizeof(path) + 4];
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        ck_assert_int_eq(targets[i] != NULL ? symlink(targets[i], path) : mkfifo(path, 0600), 0);
        begin_again();
        ck_assert_uint_eq(costs->n, 0);
        costs_save(costs, 1234, true);
        begin_again();
        ck_assert_double_eq(costs_overhead_ns(costs), 1234);
        ck_assert_int_eq(unlink(path), 0);
    }
    write_file("", 0);
    ck_assert_int_eq(truncate(path, (off_t)1 << 40), 0);
    begin_again();
    costs_save(costs, 1234, true);
    ck_assert_uint_lt(read_file(text, sizeof(text)), sizeof(text));
    snprintf(victim, sizeof(victim), "%s/victim", folder);
    snprintf(beside, sizeof(beside), "%s.new", path);
    ck_assert_int_eq(symlink(victim, beside), 0);
    costs_save(costs, 1234, true);
    ck_assert_int_ne(access(victim, F_OK), 0);
    ck_assert_int_ne(access(beside, F_OK), 0);
}
END_TEST

START_TEST(no_memory_is_not_called_damage)
{
    static const char text[] = "[costs]\nversion = 1\n[model a]\nbatch_1 = 5\n[end]\nvalues = 1\n";
    char words[256] = "";
    int ends[2];
    write_file(text, sizeof(text) - 1);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    for (long n = 0; n < 2; n++) { /* of the text, and of the record */
        costs_forget_all(costs);
        failing_after = n;
        costs_load(costs);
        ck_assert_int_eq(failing_after, LONG_MAX);
        ck_assert_uint_eq(costs->n, 0);
        ck_assert_int_gt((int)read(ends[0], words, sizeof(words) - 1), 0);
        ck_assert_ptr_nonnull(strstr(words, "no memory"));
    }
    costs_load(costs);
    ck_assert_uint_eq(costs->n, 1);
}
END_TEST

/* A cost that is possible and false would keep streams from being admitted for as long as nobody computes. */
START_TEST(a_doubtful_cost_is_measured_once)
{
    struct model *first = attention_of(12, 3), *again = attention_of(12, 3), *third = attention_of(12, 3);
    costs_learn(costs, first, COSTS_ATTENTION_NS);
    cost_set(first->cost, 0, COSTS_DOUBTFUL_NS);
    cost_set_worst(first->cost, 1e6);
    costs_save(costs, 7890, true);
    begin_again();
    ck_assert_int_eq(costs_learn(costs, again, COSTS_ATTENTION_NS), 1);
    ck_assert_double_lt(cost_frame_ns(again->cost, 1), COSTS_DOUBTFUL_NS);
    ck_assert_double_lt(cost_worst_ns(again->cost), 1000.0 * COSTS_DOUBTFUL_NS);
    cost_set(again->cost, 0, 5 * COSTS_DOUBTFUL_NS); /* what this run has found is believed */
    ck_assert_int_eq(costs_learn(costs, third, COSTS_ATTENTION_NS), 0);
    ck_assert_double_eq(cost_frame_ns(third->cost, 1), 5 * COSTS_DOUBTFUL_NS);
    model_release(first);
    model_release(again);
    model_release(third);
}
END_TEST

/* Clients decide about shapes: the table stays bounded, and gives up first what nobody uses. */
START_TEST(the_longest_unused_goes_first)
{
    struct model *used = attention_of(12, 3), *second = attention_of(12, 4);
    char key[COSTS_KEY_BYTES];
    costs_learn(costs, used, COSTS_ATTENTION_NS);
    costs_learn(costs, second, COSTS_ATTENTION_NS);
    model_release(second);
    for (size_t i = 2; i < COSTS_MOST; i++) {
        snprintf(key, sizeof(key), "attention %zu", i);
        ck_assert_ptr_nonnull(costs_record(costs, key));
    }
    ck_assert_uint_eq(costs->n, COSTS_MOST);
    ck_assert_ptr_nonnull(costs_record(costs, "attention one more"));
    ck_assert_uint_eq(costs->n, COSTS_MOST);
    struct model *again = attention_of(12, 3), *gone = attention_of(12, 4);
    ck_assert_int_eq(costs_learn(costs, again, COSTS_ATTENTION_NS), 0);
    ck_assert_ptr_eq(again->cost, used->cost);
    ck_assert_int_eq(costs_learn(costs, gone, COSTS_ATTENTION_NS), 1);
    model_release(used);
    model_release(again);
    model_release(gone);
}
END_TEST

/* Every size is measured where there is time, and something is known where there is none. */
START_TEST(measuring_fills_in_what_it_can)
{
    struct model *model = attention_of(40, 0), *huge = attention_of(1 << 20, 0);
    struct cost *cost = cost_new();
    ck_assert_int_eq(measure_plan(cost, model->plan, COST_MOST_TOGETHER, 1000000000), 0);
    for (size_t i = 0; i < COST_SIZES; i++)
        ck_assert_double_gt(atomic_load(&cost->ns[i]), 0);
    struct cost *larger = cost_new();
    ck_assert_int_eq(measure_plan(larger, huge->plan, 1, COSTS_ATTENTION_NS), 0);
    ck_assert_double_gt(cost_frame_ns(larger, 1), cost_frame_ns(cost, 1));
    cost_release(larger);
    cost_release(cost);
    model_release(model);
    model_release(huge);
}
END_TEST

static Suite *costs_suite(void)
{
    Suite *suite = suite_create("costs");
    TCase *tests = tcase_create("costs");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, unknown_costs_nothing_and_takes_all);
    tcase_add_test(tests, between_measured_sizes_is_interpolated);
    tcase_add_test(tests, the_cheapest_group_is_taken);
    tcase_add_test(tests, notes_move_the_mean);
    tcase_add_test(tests, notes_of_one_size_leave_the_others_in_proportion);
    tcase_add_test(tests, a_note_between_sizes_is_scaled);
    tcase_add_test(tests, equal_shapes_share_a_cost);
    tcase_add_test(tests, a_file_gives_the_costs_back);
    tcase_add_test(tests, what_hardly_changed_is_not_written);
    tcase_add_test(tests, a_cut_file_is_no_file);
    tcase_add_test(tests, foreign_files_are_no_files);
    tcase_add_test(tests, what_is_no_file_is_replaced);
    tcase_add_test(tests, no_memory_is_not_called_damage);
    tcase_add_test(tests, a_doubtful_cost_is_measured_once);
    tcase_add_test(tests, the_longest_unused_goes_first);
    tcase_add_test(tests, measuring_fills_in_what_it_can);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(costs_suite());
