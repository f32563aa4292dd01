/* SPDX-License-Identifier: MIT */
/* Shards without a thread, and holders without a socket: what the unit tests of the way of a frame, and of requests,
 * stand on. The test is the thread: it pushes, takes turns, and reads what a holder would have been sent. No clock but
 * the daemon's own runs, and no test waits for it.
 *
 * Every frame is (0, 0, x) of an exact attention of one head of one dimension with a window of 3, so that its output is
 * the mean of the last three x, and the first two outputs are warming. Streams have the numbers 1, 2, ... in the order
 * in which they are opened. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/connection.h"
#include "daemon/registry.h"
#include "daemon/shard.h"
#include "daemon/stream.h"
#include "tests/unit/daemon/heard.h"

#define HOLDER_SHARDS 2

extern struct config holder_config;
extern struct shared holder_shared;
extern struct shard holder_shards[HOLDER_SHARDS];

/* A checked fixture: makes the shards; and ends every connection and stream and looks whether all was given back. */
void holder_set_up(void);
void holder_tear_down(void);

/* As a line of the configuration; in force at once. */
void holder_configure(enum config_key key, const char *value);

/* A client of this shard that said hello. Owner: the fixture. */
struct connection *holder_new(unsigned shard, uid_t uid);

/* The same with a socket, whose other end *fd belongs to the caller: it is served by holder_poll alone, and what it is
 * sent is read there. */
struct connection *holder_plug(unsigned shard, uid_t uid, int *fd);

/* A model that several streams may compute with, together; open knows it by its name. Owner: the fixture. */
struct model *holder_model(const char *name);

/* The same with a state that is too large to be filled, emptied and given back at once: its outputs are the mean of all
 * x, and all of them are warming. */
struct model *holder_large_model(const char *name);

/* What a stream is to be; zeros are fine. */
struct holder_terms {
    struct model *model; /* NULL: a raw attention of its own */
    uint32_t credit;     /* 0: 4 */
    uint32_t deadline_ms;
    enum attnp_late late;
    uint64_t first_frame, position, answer_from;
    double rate;
    const char *name;
};

/* A stream that the holder holds, as an open would make it, without the response. Owner: the shard. */
struct stream *holder_open(struct connection *holder, struct holder_terms terms);

/* The holder pushes frames from `first` on: n of them with the values first, first + 1, ...; or these values. The test
 * fails where that ends the connection. */
void holder_push(struct connection *holder, const struct stream *stream, uint64_t first, size_t n);
void holder_push_values(struct connection *holder, const struct stream *stream, uint64_t first, const float *values,
                        size_t n);

/* A whole message comes, with its length header, as a client writes it; the handler's answer is returned. */
enum connection_next holder_say(struct connection *holder, const uint8_t *bytes, size_t n_bytes);

/* A request: begins it in a writer, whose params are to be written next; and says it. */
struct attnp_writer *holder_ask(uint32_t id, enum attnp_method method);
void holder_asked(struct connection *holder);

/* A whole request that takes nothing but the number of a stream: reset, finish, close, info. */
void holder_ask_about(struct connection *holder, uint32_t id, enum attnp_method method, const struct stream *stream);

/* All frames that wait in the stream came so much earlier; or one came at this time. */
void holder_age(struct stream *stream, uint64_t us);
void holder_arrive(struct stream *stream, uint64_t number, uint64_t us);

/* One turn of the shard's loop: a batch, then the requests that are due. */
void holder_turn(unsigned shard);

/* One whole turn as loop.c takes it, with sockets and what comes back from other threads. */
void holder_poll(unsigned shard);

/* Turns until no frame waits that can be computed. What one batch holds may depend on the clock; the order does not. */
void holder_run_dry(unsigned shard);

/* Whether the loop would go on at once, for there is something to do. */
bool holder_is_busy(unsigned shard);

/* What was counted of a model's frames on all shards; "": of raw attentions. */
struct traffic_sum holder_traffic(const char *model);

/* The mail that was posted to the shard is opened, and connections that are over are freed. */
void holder_open_mail(unsigned shard);

/* The mail alone: what is done on other threads does not come back by this. */
void holder_take_mail(unsigned shard);

/* What the holder asked for is being done on another thread: until that is done. */
void holder_wait(struct connection *holder);

/* What is being done on other threads for users of this shard, until all of it is done. */
void holder_wait_away(unsigned shard);

/* All that can be done for this shard is done, here and on other threads. */
void holder_run_all(unsigned shard);

/* Told when such a wait begins and ends, for a test that has to know when the daemon's code runs; NULL: nobody is. */
extern void (*holder_on_wait)(bool begins);

/* What the holder was sent since the last call, which has left by this; its text is valid until the next call. */
const char *holder_heard(struct connection *holder);

/* The messages of the newest holder_heard, of whichever holder. */
const struct heard *holder_messages(void);

/* The holder, of whom all was heard, has read: what was held back goes on. */
void holder_relieve(struct connection *holder);

/* The test fails where anything of a stream is left: in the registry, in a list of a shard, in what users, ledgers and
 * models count. */
void holder_expect_no_stream(void);
