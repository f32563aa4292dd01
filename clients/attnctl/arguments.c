/* SPDX-License-Identifier: MIT */
/* argp and getopt write to the variable `stderr` of the C library. For the time of the parsing that is a stream that
 * makes safe what it is given. It is flushed at its end, or by exit. */
#include "config.h"

#include "attnctl/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attnctl/terminal.h"

/* Lines stay lines; what else could act on a terminal does not reach it. */
static ssize_t write_safely(void *cookie, const char *bytes, size_t n)
{
    char *text = malloc(n + 1), *next = text;
    (void)cookie;
    if (text == NULL)
        return 0;
    memcpy(text, bytes, n);
    text[n] = '\0';
    for (char *line; (line = strsep(&next, "\n")) != NULL;) {
        terminal_make_safe(line);
        if (next != NULL)
            next[-1] = '\n';
    }
    for (size_t done = 0; done < n;) {
        ssize_t written = write(STDERR_FILENO, text + done, n - done);
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    free(text);
    return (ssize_t)n;
}

void arguments_parse(const struct argp *argp, int argc, char **argv, unsigned flags, void *input)
{
    FILE *before = stderr, *safe = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_safely});
    if (safe != NULL)
        stderr = safe;
    argp_parse(argp, argc, argv, flags, NULL, input);
    stderr = before;
    if (safe != NULL)
        fclose(safe);
}
