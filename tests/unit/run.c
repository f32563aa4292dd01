/* SPDX-License-Identifier: MIT */
#include "tests/unit/run.h"

static SRunner *runner;

void run_add(Suite *suite)
{
    if (runner == NULL)
        runner = srunner_create(suite);
    else
        srunner_add_suite(runner, suite);
}

int main(void)
{
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
