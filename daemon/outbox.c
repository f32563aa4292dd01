/* SPDX-License-Identifier: MIT */
#include "daemon/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A connection that only said hello keeps so little. */
#define SMALLEST_BYTES 512

void outbox_init(struct outbox *outbox, uv_stream_t *to, void (*sent)(struct outbox *outbox, int status))
{
    *outbox = (struct outbox){.to = to, .sent = sent};
}

void outbox_done(struct outbox *outbox)
{
    free(outbox->filling);
    free(outbox->flying);
    outbox->filling = outbox->flying = NULL;
    outbox->room_filling = outbox->room_flying = 0;
}

/* The room that a buffer of this room is to have for so many bytes. */
static size_t room_for(size_t room, size_t needed)
{
    size_t wanted = room == 0 ? SMALLEST_BYTES : room;
    while (wanted < needed)
        wanted *= 2;
    return wanted;
}

/* Not by realloc, which copies what nobody needs, and so makes room that is only reserved take memory. */
static int grow(uint8_t **buffer, size_t n_used, size_t *room, size_t needed)
{
    size_t wanted = room_for(*room, needed);
    if (wanted == *room)
        return 0;
    uint8_t *larger = malloc(wanted);
    if (larger == NULL)
        return -1;
    if (n_used > 0)
        memcpy(larger, *buffer, n_used);
    free(*buffer);
    *buffer = larger;
    *room = wanted;
    return 0;
}

int outbox_reserve(struct outbox *outbox, size_t n_bytes)
{
    if (grow(&outbox->filling, outbox->n_filling, &outbox->room_filling, n_bytes) != 0)
        return -1;
    return outbox->is_flying ? 0 : grow(&outbox->flying, 0, &outbox->room_flying, n_bytes);
}

size_t outbox_room(const struct outbox *outbox)
{
    return outbox->room_filling + outbox->room_flying;
}

size_t outbox_reserve_takes(const struct outbox *outbox, size_t n_bytes)
{
    size_t more = room_for(outbox->room_filling, n_bytes) - outbox->room_filling;
    return outbox->is_flying ? more : more + room_for(outbox->room_flying, n_bytes) - outbox->room_flying;
}

size_t outbox_add_takes(const struct outbox *outbox, size_t n_bytes)
{
    return room_for(outbox->room_filling, outbox->n_filling + n_bytes) - outbox->room_filling;
}

uint8_t *outbox_add(struct outbox *outbox, size_t n_bytes)
{
    if (grow(&outbox->filling, outbox->n_filling, &outbox->room_filling, outbox->n_filling + n_bytes) != 0)
        return NULL;
    return outbox->filling + outbox->n_filling;
}

void outbox_added(struct outbox *outbox, size_t n_bytes)
{
    assert(n_bytes <= outbox->room_filling - outbox->n_filling); /* that outbox_add made */
    outbox->n_filling += n_bytes;
    outbox->n_added += n_bytes;
}

size_t outbox_bytes(const struct outbox *outbox)
{
    return outbox->n_filling + (outbox->is_flying ? uv_stream_get_write_queue_size(outbox->to) : 0);
}

uint64_t outbox_sent(const struct outbox *outbox)
{
    return outbox->n_added - outbox_bytes(outbox);
}

static void write_ended(uv_write_t *write, int status)
{
    struct outbox *outbox = (struct outbox *)write;
    outbox->is_flying = false;
    outbox->n_flying = 0;
    outbox->sent(outbox, status);
}

/* The two buffers change places, so that the rest can wait in libuv while new messages are appended. */
static int fly(struct outbox *outbox, size_t n_sent)
{
    uint8_t *buffer = outbox->flying;
    size_t room = outbox->room_flying;
    outbox->flying = outbox->filling;
    outbox->room_flying = outbox->room_filling;
    outbox->n_flying = outbox->n_filling - n_sent;
    outbox->filling = buffer;
    outbox->room_filling = room;
    outbox->n_filling = 0;
    uv_buf_t rest = {.base = (char *)outbox->flying + n_sent, .len = outbox->n_flying};
    int status = uv_write(&outbox->write, outbox->to, &rest, 1, write_ended);
    outbox->is_flying = status == 0;
    return status;
}

int outbox_flush(struct outbox *outbox)
{
    if (outbox->is_flying || outbox->n_filling == 0)
        return 0;
    uv_buf_t all = {.base = (char *)outbox->filling, .len = outbox->n_filling}; /* uv_buf_init cuts at 4 GiB */
    int n_sent = uv_try_write(outbox->to, &all, 1);
    if (n_sent < 0 && n_sent != UV_EAGAIN)
        return n_sent;
    if ((size_t)(n_sent < 0 ? 0 : n_sent) < outbox->n_filling)
        return fly(outbox, n_sent < 0 ? 0 : (size_t)n_sent);
    outbox->n_filling = 0;
    return 0;
}
