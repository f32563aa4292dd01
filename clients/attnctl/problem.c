/* SPDX-License-Identifier: MIT */
#include "attnctl/problem.h"

#include <stdarg.h>
#include <stdio.h>

int problem_set(struct problem *problem, const char *format, ...)
{
    va_list arguments;

    if (problem == NULL)
        return -1;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof(problem->text), format, arguments);
    va_end(arguments);
    return -1;
}
