/* SPDX-License-Identifier: MIT */
#include "daemon/mailbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void mailbox_init(struct mailbox *mailbox)
{
    pthread_mutex_init(&mailbox->mutex, NULL);
    STAILQ_INIT(&mailbox->mails);
    mailbox->lost.n = 0;
}

void mailbox_done(struct mailbox *mailbox)
{
    assert(STAILQ_EMPTY(&mailbox->mails));
    pthread_mutex_destroy(&mailbox->mutex);
}

struct mail *mail_new(enum mail_kind kind, size_t n_bytes)
{
    struct mail *mail = calloc(1, sizeof(*mail) + n_bytes);
    if (mail != NULL) {
        mail->kind = kind;
        mail->n_bytes = n_bytes;
    }
    return mail;
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    pthread_mutex_lock(&mailbox->mutex);
    STAILQ_INSERT_TAIL(&mailbox->mails, mail, link);
    pthread_mutex_unlock(&mailbox->mutex);
}

void mailbox_lose(struct mailbox *mailbox, const struct asker *asker)
{
    pthread_mutex_lock(&mailbox->mutex);
    if (mailbox->lost.n < MAILBOX_LOST)
        mailbox->lost.askers[mailbox->lost.n] = *asker;
    mailbox->lost.n++;
    pthread_mutex_unlock(&mailbox->mutex);
}

void mailbox_take(struct mailbox *mailbox, struct mails *mails, struct lost *lost)
{
    STAILQ_INIT(mails);
    pthread_mutex_lock(&mailbox->mutex);
    STAILQ_CONCAT(mails, &mailbox->mails);
    lost->n = mailbox->lost.n;
    memcpy(lost->askers, mailbox->lost.askers,
           (lost->n < MAILBOX_LOST ? lost->n : MAILBOX_LOST) * sizeof(struct asker));
    mailbox->lost.n = 0;
    pthread_mutex_unlock(&mailbox->mutex);
}
