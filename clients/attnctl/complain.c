/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "attnctl/terminal.h"

int complain(enum exit_code code, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (n >= 0)
        terminal_make_safe(text);
    fprintf(stderr, "attnctl: %s\n", n >= 0 ? text : "no memory for the message");
    if (n >= 0)
        free(text);
    return code;
}
