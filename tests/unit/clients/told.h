/* SPDX-License-Identifier: MIT */
/* A client under test, and what its callbacks were told. */
#pragma once

#include "attnc/client.h"
#include "fake_daemon.h"

/* A letter a frame, by number: o output, d dropped, s skipped, e refused. */
struct told {
    char frames[64];
    int n_notices;
    struct attnc_notice notice; /* the last one; its texts in: */
    char what[32], name[32];
};

/* The callbacks, whose ctx is a struct told. An output has to hold its frame's number, and comes once. */
void told_output(void *ctx, const struct attnc_output *output);
void told_notice(void *ctx, const struct attnc_notice *notice);

/* Everything below fails the test where it does not succeed. */

struct attnc_client *told_connect(const struct fake *fake);

/* Options for the model "sounds" with the callbacks; *told is emptied. */
struct attnc_open_options told_options(struct told *told);

/* Opens with them. */
struct attnc_stream *told_open(struct attnc_client *client, struct told *told);

/* Waits until n notices have come in all. */
void told_wait(struct attnc_client *client, const struct told *told, int n);

/* Pushes one frame, so that the script's next read returns. */
void told_push(struct attnc_stream *stream);
