/* SPDX-License-Identifier: MIT */
/* What a client wants of open and attach, as requests of the fake holder. */
#pragma once

#include "tests/unit/daemon/holder.h"

/* Zeros and NULLs are left out of the request. Without a model, an attention like that of the fixture is wished for. */
struct wish {
    const char *model, *name, *output, *late;
    uint32_t window, head_dim, landmarks; /* of the attention; 0: 3, 1, and none: an exact one */
    bool retroactive, spread;
    double rate;
    uint32_t deadline_ms;
    uint64_t first_frame, position, answer_from;
};

/* The open with this id is asked, and done; or only asked: part of it may then be away (holder_wait). */
void wish_open(struct connection *client, uint32_t id, struct wish wish);
void wish_ask_open(struct connection *client, uint32_t id, struct wish wish);

/* The attach with this id is asked, of the stream of this number, with this token. */
void wish_attach(struct connection *client, uint32_t id, uint64_t number, const uint8_t *token);
