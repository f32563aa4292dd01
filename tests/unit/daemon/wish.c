/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/wish.h"

static uint32_t n_fields(const struct wish *wish)
{
    return 1u + (wish->name != NULL) + (wish->output != NULL) + (wish->late != NULL) + (wish->rate != 0) +
           (wish->deadline_ms != 0) + (wish->answer_from != 0 ? 3u : wish->first_frame != 0);
}

static void put_attention(struct attnp_writer *writer, const struct wish *wish)
{
    attnp_write_key(writer, "attention");
    attnp_write_map(writer, wish->landmarks != 0 ? 7 : 5);
    attnp_put_string(writer, "method", wish->landmarks != 0 ? "nystrom" : "exact");
    if (wish->landmarks != 0) {
        attnp_put_uint(writer, "landmarks", wish->landmarks);
        attnp_put_string(writer, "refresh", wish->spread ? "spread" : "immediate");
    }
    attnp_put_uint(writer, "window", wish->window != 0 ? wish->window : 3);
    attnp_put_uint(writer, "heads", 1);
    attnp_put_uint(writer, "head_dim", wish->head_dim != 0 ? wish->head_dim : 1);
    attnp_put_bool(writer, "retroactive", wish->retroactive);
}

void wish_ask_open(struct connection *client, uint32_t id, struct wish wish)
{
    struct attnp_writer *writer = holder_ask(id, ATTNP_M_OPEN);
    attnp_write_map(writer, n_fields(&wish));
    if (wish.model != NULL)
        attnp_put_string(writer, "model", wish.model);
    else
        put_attention(writer, &wish);
    if (wish.name != NULL)
        attnp_put_string(writer, "name", wish.name);
    if (wish.output != NULL)
        attnp_put_string(writer, "output", wish.output);
    if (wish.late != NULL)
        attnp_put_string(writer, "late", wish.late);
    if (wish.rate != 0)
        attnp_put_double(writer, "rate", wish.rate);
    if (wish.deadline_ms != 0)
        attnp_put_uint(writer, "deadline_ms", wish.deadline_ms);
    if (wish.answer_from != 0 || wish.first_frame != 0)
        attnp_put_uint(writer, "first_frame", wish.first_frame);
    if (wish.answer_from != 0) {
        attnp_put_uint(writer, "position", wish.position);
        attnp_put_uint(writer, "answer_from", wish.answer_from);
    }
    holder_asked(client);
}

void wish_open(struct connection *client, uint32_t id, struct wish wish)
{
    wish_ask_open(client, id, wish);
    holder_wait(client);
}

void wish_attach(struct connection *client, uint32_t id, uint64_t number, const uint8_t *token)
{
    struct attnp_writer *writer = holder_ask(id, ATTNP_M_ATTACH);
    attnp_write_map(writer, 2);
    attnp_put_uint(writer, "stream", number);
    attnp_put_bin(writer, "token", token, ATTNP_TOKEN_BYTES);
    holder_asked(client);
}
