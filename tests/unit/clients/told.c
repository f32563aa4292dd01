/* SPDX-License-Identifier: MIT */
#include "told.h"

#include <check.h>
#include <stdio.h>

void told_output(void *ctx, const struct attnc_output *output)
{
    struct told *told = ctx;
    ck_assert_uint_lt(output->frame, sizeof(told->frames) - 1);
    ck_assert_float_eq(output->values[0], (float)output->frame);
    ck_assert_msg(!told->frames[output->frame], "frame %d was told twice", (int)output->frame);
    told->frames[output->frame] = 'o';
}

void told_notice(void *ctx, const struct attnc_notice *notice)
{
    struct told *told = ctx;
    told->n_notices++;
    told->notice = *notice;
    snprintf(told->what, sizeof(told->what), "%s", notice->what);
    snprintf(told->name, sizeof(told->name), "%s", notice->name);
    for (uint64_t i = notice->first; i < notice->first + notice->count; i++)
        told->frames[i] = notice->what[0];
}

struct attnc_client *told_connect(const struct fake *fake)
{
    struct attnc_connect_options options = {
        .size = sizeof(options), .socket = fake->path, .connect_ms = FAKE_PATIENCE_MS};
    struct attnc_client *client;
    struct attnc_error error;
    ck_assert_msg(attnc_connect(&client, &options, &error) == 0, "%s", error.text);
    return client;
}

struct attnc_open_options told_options(struct told *told)
{
    *told = (struct told){0};
    return (struct attnc_open_options){.size = sizeof(struct attnc_open_options),
                                       .model = "sounds",
                                       .on_output = told_output,
                                       .on_notice = told_notice,
                                       .ctx = told};
}

struct attnc_stream *told_open(struct attnc_client *client, struct told *told)
{
    struct attnc_stream *stream;
    struct attnc_open_options options = told_options(told);
    ck_assert_int_eq(attnc_open(client, &stream, &options), 0);
    return stream;
}

void told_wait(struct attnc_client *client, const struct told *told, int n)
{
    while (told->n_notices < n)
        ck_assert_int_ge(attnc_wait(client, -1), 0);
}

void told_push(struct attnc_stream *stream)
{
    float frame = 0;
    ck_assert_int_eq(attnc_push(stream, &frame, 1), 0);
}
