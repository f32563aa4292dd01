/* SPDX-License-Identifier: MIT */
/* The main function of a Check program: `RUN_SUITES(a(), b())` runs the suites that the functions make. */
#pragma once

#include <check.h>
#include <stdlib.h>

/* What takes so many seconds hangs; nothing relies on the time that it takes. Check's own 4 s are short on a machine
 * that is busy. To be called before a suite is made; the environment wins. */
static inline void run_patiently(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "600", 0);
}

#define RUN_SUITES(...)                                                                                                \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        run_patiently();                                                                                               \
        Suite *suites[] = {__VA_ARGS__};                                                                               \
        SRunner *runner = srunner_create(suites[0]);                                                                   \
        for (size_t i = 1; i < sizeof(suites) / sizeof(suites[0]); i++)                                                \
            srunner_add_suite(runner, suites[i]);                                                                      \
        srunner_run_all(runner, CK_ENV);                                                                               \
        int failed = srunner_ntests_failed(runner);                                                                    \
        srunner_free(runner);                                                                                          \
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;                                                              \
    }                                                                                                                  \
    typedef int run_suites_needs_a_semicolon
