/* SPDX-License-Identifier: MIT */
/*
 * Going on with a stream whose connection broke. What was lost on the way is found out by numbers alone: the caller
 * knows below which one everything was settled, the daemon which one it expects. So going on is going back: the next
 * frame is set to the caller's number, the frames in between are pushed once more, and the daemon, which keeps its
 * newest answers for as many frames as a stream may have on its way, answers them again.
 */
#include "config.h"

#include "libattnclient/client.h"
#include "libattnclient/error.h"
#include "libattnclient/options.h"
#include "protocol/limits.h"

/* The next frame becomes the first one whose answer the caller lacks. A stream that never had what it is said to have
 * answered is another one. */
static int go_back(struct attnc_stream *stream, const struct attnc_attach_options *options)
{
    struct attnc_stream_info *info = &stream->info;
    if (options->settled > info->next_frame)
        return attnc_fail(&stream->client->error, ATTNC_E_OPTIONS,
                          "settled is %llu, but the daemon expects frame %llu of this stream: it is another one",
                          (unsigned long long)options->settled, (unsigned long long)info->next_frame);
    stream->resumed_frame = info->next_frame;
    stream->resumed_position = info->position;
    if (options->settled < info->next_frame)
        info->position = options->position;
    info->next_frame = info->settled = options->settled;
    return 0;
}

static int send_attach(struct attnc_client *client, const struct attnc_attach_options *options)
{
    struct attnp_writer *writer = attnc_request_begin(client, ATTNP_M_ATTACH);
    attnp_write_map(writer, 2);
    if (options->name)
        attnp_put_string(writer, "name", options->name);
    else
        attnp_put_uint(writer, "stream", options->stream);
    attnp_put_bin(writer, "token", options->token, ATTNP_TOKEN_BYTES);
    return attnc_request_end(client);
}

int attnc_attach(struct attnc_client *client, struct attnc_stream **out, const struct attnc_attach_options *given)
{
    struct attnc_attach_options options;
    *out = NULL;
    int result =
        attnc_options_take(&options, sizeof(options), sizeof(options), given, "attnc_attach_options", &client->error);
    if (result == 0 && !options.token)
        result = attnc_fail(&client->error, ATTNC_E_OPTIONS,
                            "attach needs the stream's token, which was in its info when it was opened");
    if (result == 0)
        result = send_attach(client, &options);
    if (result < 0)
        return result;
    struct attnc_stream *stream;
    const struct attnc_listener listener = {options.on_output, options.on_notice, options.ctx};
    result = attnc_stream_opened(client, &stream, &listener);
    if (result < 0)
        return result;
    if (options.again)
        result = go_back(stream, &options);
    if (result < 0)
        attnc_stream_leave(stream);
    else
        *out = stream;
    return result;
}
