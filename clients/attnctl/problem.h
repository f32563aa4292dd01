/* SPDX-License-Identifier: MIT */
/* What went wrong with a user's input, as one sentence that names the cause and, where there is one, the way out. */
#pragma once

struct problem {
    char text[512];
};

/* Writes the sentence, cut where it is too long; `problem` may be NULL. Returns -1, so that callers can return it. */
int problem_set(struct problem *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));
