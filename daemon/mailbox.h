/* SPDX-License-Identifier: MIT */
/* What other threads want of a shard, in order. It knows no loop: the sender wakes the shard afterwards. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/asker.h"

enum mail_kind {
    MAIL_CONNECTION, /* a new connection for this shard */
    MAIL_RESET,      /* somebody, perhaps on another shard, asks this of a stream here */
    MAIL_CLOSE,
    MAIL_KILL,    /* bytes: the reason, terminated */
    MAIL_ATTACH,  /* bytes: the token */
    MAIL_STREAM,  /* a stream comes to this shard, for somebody here to hold */
    MAIL_RESPONSE /* a finished message for a connection here */
};

struct shard;

struct mail {
    STAILQ_ENTRY(mail) link;
    enum mail_kind kind;
    int fd; /* CONNECTION: owned */
    uid_t uid;
    bool is_charged; /* of a request: to this user, as one that waits, until the mail is opened */
    pid_t pid;
    uint64_t connection; /* CONNECTION, RESPONSE: its id */
    uint64_t stream;     /* of all others: its number */
    struct asker asker;
    struct shard *to; /* STREAM */
    size_t n_bytes;   /* of RESPONSE, KILL, ATTACH */
    uint8_t bytes[];
};

STAILQ_HEAD(mails, mail);

/* Who waits for a response that was lost on its way, for want of memory; beyond so many, not all are named. */
#define MAILBOX_LOST 64
struct lost {
    size_t n; /* of all */
    struct asker askers[MAILBOX_LOST];
};

struct mailbox {
    pthread_mutex_t mutex;
    struct mails mails;
    struct lost lost;
};

void mailbox_init(struct mailbox *mailbox);
void mailbox_done(struct mailbox *mailbox); /* all mails are to be taken before */

/* A mail on the heap with room for n_bytes; NULL: no memory. Freed by the taker with free(). */
struct mail *mail_new(enum mail_kind kind, size_t n_bytes);

/* Any thread. The mail is the mailbox's from here on. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

/* No mail could be made of the response to this asker, who is on the mailbox's shard. Any thread; cannot fail. */
void mailbox_lose(struct mailbox *mailbox, const struct asker *asker);

/* Moves all mails to *mails, and what was lost to *lost. */
void mailbox_take(struct mailbox *mailbox, struct mails *mails, struct lost *lost);
