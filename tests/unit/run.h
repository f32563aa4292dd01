/* SPDX-License-Identifier: MIT */
/* A Check program is made of run.c, which has main(), and of any number of test files. Each file names once the suites
 * that its functions make: `RUN_SUITES(a(), b());`. CK_RUN_SUITE=NAME in the environment runs one suite alone. */
#pragma once

#include <check.h>
#include <stdlib.h>

/* What takes so many seconds hangs; nothing relies on the time that it takes. Check's own 4 s are short on a machine
 * that is busy. To be called before a suite is made; the environment wins. */
static inline void run_patiently(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "600", 0);
}

/* The program runs this suite. Before main. */
void run_add(Suite *suite);

#define RUN_SUITES(...)                                                                                                \
    __attribute__((constructor)) static void add_suites(void)                                                          \
    {                                                                                                                  \
        run_patiently();                                                                                               \
        Suite *suites[] = {__VA_ARGS__};                                                                               \
        for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)                                                \
            run_add(suites[i]);                                                                                        \
    }                                                                                                                  \
    typedef int run_suites_needs_a_semicolon
