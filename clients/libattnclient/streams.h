/* SPDX-License-Identifier: MIT */
/* The table of a client's open streams. The table owns no stream. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct attnc_stream;

struct attnc_streams {
    struct attnc_stream **all; /* [n], by rising number */
    size_t n;
};

/* Frees the table; the streams are the caller's. */
void attnc_streams_done(struct attnc_streams *streams);

/* The stream of that number; NULL where none is open here. Of two with the same number, the newer one. */
struct attnc_stream *attnc_streams_find(const struct attnc_streams *streams, uint64_t number);

/* Puts a stream at its place, behind one of the same number. 0, or −1: no memory. */
int attnc_streams_add(struct attnc_streams *streams, struct attnc_stream *stream);

/* Takes out a stream, which has to be in the table. */
void attnc_streams_remove(struct attnc_streams *streams, const struct attnc_stream *stream);
