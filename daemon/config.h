/* SPDX-License-Identifier: MIT */
/* The daemon's configuration: attnd.conf(5). It knows nothing of what is done with the values. */
#pragma once

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol/errors.h"

#define CONFIG_TEXT_BYTES 1024

/* Each key: section, name, type, whether a reload applies it or only a restart, default, smallest, largest, unit and
 * meaning. Sizes take the suffixes K, M and G. RESTART: what is made once at the start, and what every client was told
 * in hello and has its buffers made for. */
/* clang-format off */
#define CONFIG_KEYS(X) \
    X(listen, socket, TEXT, RESTART, "/run/attnd/attnd.sock", 1, 107, "path of the Unix socket, at most 107 bytes") \
    X(listen, group, TEXT, RESTART, "", 0, 63, "group that may connect; empty: that of the daemon's process") \
    X(listen, mode, MODE, RESTART, "0660", 0, 0777, "permissions of the socket, octal") \
    X(listen, backlog, NUMBER, RESTART, "4096", 1, 65535, "connections that may wait to be accepted") \
    X(models, directories, LIST, RELOAD, MODEL_DIRECTORY, 0, 0, \
      "directories, separated by ':', whose *.safetensors files are served") \
    X(models, files, LIST, RELOAD, "", 0, 0, "single model files, separated by ':'") \
    X(daemon, shards, NUMBER, RESTART, "0", 0, 256, "threads that compute; 0: one a processor") \
    X(daemon, log_level, LEVEL, RELOAD, "info", 0, 0, "error, warning, info or debug") \
    X(daemon, state_directory, TEXT, RESTART, "", 0, 1023, \
      "directory where measured costs are kept; empty: systemd's StateDirectory=, or none") \
    X(admission, load_percent, NUMBER, RELOAD, "45", 1, 100, \
      "share of each shard's time that streams with a rate may claim together") \
    X(admission, load_percent_per_user, NUMBER, RELOAD, "0", 0, 100, \
      "those of one user, of all shards' time together; 0: all but a sixteenth") \
    X(limits, connections, NUMBER, RELOAD, "12000", 1, 1000000, \
      "connections at the same time; also bounded by the descriptor limit") \
    X(limits, connections_per_user, NUMBER, RELOAD, "0", 0, 1000000, "those of one user; 0: all but a sixteenth") \
    X(limits, streams, NUMBER, RELOAD, "20000", 1, 10000000, "streams at the same time") \
    X(limits, streams_per_user, NUMBER, RELOAD, "0", 0, 10000000, "those of one user; 0: all but a sixteenth") \
    X(limits, streams_per_connection, NUMBER, RELOAD, "4096", 1, 1000000, "streams of one connection") \
    X(limits, state_bytes, SIZE, RELOAD, "0", 0, INT64_MAX, \
      "bytes of all streams and models together; 0: half of the memory of the machine or container") \
    X(limits, state_bytes_per_user, SIZE, RELOAD, "0", 0, INT64_MAX, "those of one user; 0: all but a sixteenth") \
    X(limits, buffer_bytes, SIZE, RELOAD, "0", 0, INT64_MAX, \
      "bytes of all connections' buffers, of unfinished and of unsent messages; 0: an eighth of the memory") \
    X(limits, buffer_bytes_per_user, SIZE, RELOAD, "0", 0, INT64_MAX, "those of one user; 0: all but a sixteenth") \
    X(limits, waiting_requests, NUMBER, RELOAD, "65536", 1, 10000000, "requests that may wait for their turn behind frames") \
    X(limits, waiting_requests_per_user, NUMBER, RELOAD, "0", 0, 10000000, "those of one user; 0: all but a sixteenth") \
    X(limits, frame_ms, NUMBER, RELOAD, "20", 1, 60000, \
      "milliseconds that the dearest frame of a stream may take: its user's other dear frames wait meanwhile") \
    X(limits, message_bytes, SIZE, RESTART, "1M", 4096, 1 << 30, "bytes of the longest message") \
    X(limits, unsent_bytes, SIZE, RESTART, "1M", 4096, 1 << 30, \
      "bytes that may wait for one client to read; with more it is not served until it has read half of them") \
    X(timeouts, park_ms, NUMBER, RELOAD, "60000", 0, 86400000, \
      "milliseconds for which a stream whose connection broke can be attached; 0: it ends at once") \
    X(timeouts, idle_ms, NUMBER, RELOAD, "3600000", 0, 1000000000, \
      "milliseconds without a push or request after which a stream ends; warned of when a quarter is left; 0: never") \
    X(timeouts, hello_ms, NUMBER, RELOAD, "10000", 1, 86400000, "milliseconds from connecting to hello") \
    X(timeouts, send_ms, NUMBER, RELOAD, "30000", 1, 86400000, \
      "milliseconds for which a client may read nothing while something waits for it") \
    X(timeouts, drain_ms, NUMBER, RELOAD, "5000", 0, 86400000, "milliseconds to settle accepted frames when the daemon stops")
/* clang-format on */

enum config_key {
#define X(section, name, ...) CONFIG_##section##_##name,
    CONFIG_KEYS(X)
#undef X
        CONFIG_N_KEYS
};

/* Any thread may read the numbers of the configuration that is in force; its texts, lists and origins are the main
 * thread's, which alone changes any of it. */
struct config {
    struct {
        char text[CONFIG_TEXT_BYTES]; /* TEXT and LIST */
        atomic_uint_fast64_t number;  /* the others */
        char origin[PATH_MAX + 32];   /* "default", "FILE:LINE" or the option */
    } values[CONFIG_N_KEYS];
};

/* All keys at their defaults. */
void config_init(struct config *config);

/* Reads a file over what is there, then every *.conf of the folder FILE.d, where that exists, in the order of their
 * names: of two files the later one wins. 0, or -1 and every mistake as a line "FILE:LINE: …" on `complaints`. A file
 * that does not exist is a mistake only where `must_exist`. On -1 the configuration is not to be used. */
int config_read(struct config *config, const char *path, bool must_exist, FILE *complaints);

/* Sets one value as if it stood in a file. 0, or -1 and why. */
int config_set(struct config *config, enum config_key key, const char *value, const char *origin,
               char why[ATTNP_ERROR_TEXT + 1]);

/* The same of a value that stands for itself: in a LIST it is one item, whatever characters it has. `append`: after
 * those that are there. */
int config_set_item(struct config *config, enum config_key key, const char *item, const char *origin, bool append,
                    char why[ATTNP_ERROR_TEXT + 1]);

/* The items of a LIST: *rest begins as its text and is moved on; false where none is left. Items are separated by ':';
 * a backslash before a character takes away its meaning. Empty items are none. */
bool config_next_item(const char **rest, char item[CONFIG_TEXT_BYTES]);

/* The whole effective configuration as a valid file, each value with its origin and whether a reload applies it. */
void config_print(const struct config *config, FILE *out);

/* A key whose value is another one now. */
struct config_change {
    const char *section, *name, *origin;                /* the origin of the new value */
    char was[CONFIG_TEXT_BYTES], is[CONFIG_TEXT_BYTES]; /* as a file would have them */
    bool is_applied;                                    /* false: the old value stays in force until a restart */
};

/* Takes over the RELOAD keys of `fresh`, one by one, and calls `changed` for each key that differs, RESTART keys
 * included. Main thread, while others read the numbers of `live`. */
void config_apply(struct config *live, const struct config *fresh, void (*changed)(const struct config_change *change));

static inline uint64_t config_number(const struct config *config, enum config_key key)
{
    return atomic_load_explicit(&config->values[key].number, memory_order_relaxed);
}

static inline const char *config_text(const struct config *config, enum config_key key)
{
    return config->values[key].text;
}
