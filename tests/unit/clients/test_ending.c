/* SPDX-License-Identifier: MIT */
/* Processes that end in every way, and what they have undone by then. */
#include "attnctl/ending.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/run.h"

static int ends[2];
static char told[16]; /* what the process undid, a letter each */

static void tell(void *ctx)
{
    ssize_t written = write(ends[1], ctx, 1);
    (void)written;
}

/* Runs a process, and returns its status. */
static int status_of(void (*run)(int number), int number)
{
    int status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(number, SIG_DFL); /* Check handles some */
        run(number);
        _exit(0);
    }
    close(ends[1]);
    memset(told, 0, sizeof(told));
    for (ssize_t n, at = 0; (n = read(ends[0], told + at, sizeof(told) - 1 - (size_t)at)) > 0;)
        at += n;
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void list_three(int number)
{
    (void)number;
    ending_start();
    ending_add(tell, "a");
    ending_add(tell, "b");
    ending_add(tell, "c");
}

static void be_ended(int number)
{
    list_three(number);
    raise(number);
}

START_TEST(a_signal_undoes_all_and_ends_the_process)
{
    const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGXFSZ, SIGPROF, SIGRTMIN, SIGRTMAX};
    int status = status_of(be_ended, numbers[_i]);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == numbers[_i]);
    ck_assert_str_eq(told, "cba");
}
END_TEST

static void go_on(int number)
{
    list_three(number);
    raise(number);
    _exit(3);
}

START_TEST(a_signal_that_ends_no_process_undoes_nothing)
{
    const int numbers[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH};
    int status = status_of(go_on, numbers[_i]);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    ck_assert_str_eq(told, "");
}
END_TEST

static void ignore(int number)
{
    signal(number, SIG_IGN);
    go_on(number);
}

START_TEST(a_signal_that_is_ignored_stays_so)
{
    ck_assert(WIFEXITED(status_of(ignore, SIGTERM)));
    ck_assert_str_eq(told, "");
}
END_TEST

static void leave(int number)
{
    list_three(number);
    exit(4);
}

START_TEST(exit_undoes_all)
{
    ck_assert_int_eq(WEXITSTATUS(status_of(leave, 0)), 4);
    ck_assert_str_eq(told, "cba");
}
END_TEST

static void remove_one(int number)
{
    static char b[] = "b";
    ending_start();
    ending_add(tell, "a");
    ending_add(tell, b);
    ending_add(tell, "c");
    ending_remove(tell, b);
    ending_remove(tell, b);
    raise(number);
}

START_TEST(an_entry_that_was_removed_is_not_undone)
{
    status_of(remove_one, SIGTERM);
    ck_assert_str_eq(told, "ca");
}
END_TEST

static void hold(int number)
{
    ending_start();
    ending_hold();
    raise(number);
    ending_add(tell, "a");
    ending_release();
}

START_TEST(a_signal_that_is_held_comes_at_the_release)
{
    ck_assert(WIFSIGNALED(status_of(hold, SIGTERM)));
    ck_assert_str_eq(told, "a");
}
END_TEST

static void forget(int number)
{
    list_three(number);
    ending_hold();
    ending_forget();
    raise(number);
}

START_TEST(a_new_process_undoes_nothing)
{
    ck_assert(WIFSIGNALED(status_of(forget, SIGTERM)));
    ck_assert_str_eq(told, "");
}
END_TEST

static Suite *ending_suite(void)
{
    Suite *suite = suite_create("ending");
    TCase *tcase = tcase_create("ending");
    tcase_add_loop_test(tcase, a_signal_undoes_all_and_ends_the_process, 0, 9);
    tcase_add_loop_test(tcase, a_signal_that_ends_no_process_undoes_nothing, 0, 4);
    tcase_add_test(tcase, a_signal_that_is_ignored_stays_so);
    tcase_add_test(tcase, exit_undoes_all);
    tcase_add_test(tcase, an_entry_that_was_removed_is_not_undone);
    tcase_add_test(tcase, a_signal_that_is_held_comes_at_the_release);
    tcase_add_test(tcase, a_new_process_undoes_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(ending_suite());
