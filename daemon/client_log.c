/* SPDX-License-Identifier: MIT */
#include "daemon/client_log.h"

#include <sys/socket.h>

#include "daemon/log.h"

/* Those that tell of the daemon's limits; the others are their client's mistakes, which only it can mend. */
static bool concerns_operator(enum attnp_code code)
{
    return code == ATTNP_OVER_CAPACITY || code == ATTNP_NO_MEMORY || code == ATTNP_SERVER_FULL ||
           code == ATTNP_INTERNAL;
}

/* Ends that everybody expects. */
static bool is_usual_end(enum attnp_code code)
{
    return code == ATTNP_DRAINING || code == ATTNP_SUPERSEDED;
}

void client_log_connection(const struct connection *connection, const struct attnp_error *why)
{
    struct shard *shard = connection->shard;
    const struct log_about about = {
        .event = why->code == ATTNP_SLOW_CONSUMER ? "slow_consumer" : "connection_ended",
        .error = attnp_error_name(why->code),
        .connection = connection->id,
        .has_uid = true,
        .uid = connection->uid,
    };
    enum log_level level = why->code == ATTNP_SLOW_CONSUMER || concerns_operator(why->code) ? LOG_LEVEL_WARNING
                           : is_usual_end(why->code)                                        ? LOG_LEVEL_DEBUG
                                                                                            : LOG_LEVEL_INFO;
    log_event(&shard->log_quota, shard_now_us(), level, &about, "connection %ju (uid %u, pid %d) ends: %s: %s",
              (uintmax_t)connection->id, (unsigned)connection->uid, (int)connection->pid, attnp_error_name(why->code),
              why->text);
}

void client_log_request(struct shard *shard, const struct asker *asker, const struct attnp_error *error)
{
    if (!concerns_operator(error->code))
        return;
    const struct connection *here = asker->shard == shard->index ? connection_find(shard, asker->connection) : NULL;
    const struct log_about about = {
        .event = "refused",
        .error = attnp_error_name(error->code),
        .stream = error->has_stream ? error->stream : 0,
        .connection = asker->connection,
        .has_uid = here != NULL,
        .uid = here != NULL ? here->uid : 0,
    };
    log_event(&shard->log_quota, shard_now_us(), LOG_LEVEL_WARNING, &about,
              "a request of connection %ju was refused: %s: %s", (uintmax_t)asker->connection,
              attnp_error_name(error->code), error->text);
}

void client_log_client(struct log_quota *quota, int fd, const struct attnp_error *error)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t n_peer = sizeof(peer);
    if (!concerns_operator(error->code))
        return;
    bool is_known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_peer) == 0;
    const struct log_about about = {
        .event = "turned_away",
        .error = attnp_error_name(error->code),
        .has_uid = is_known,
        .uid = peer.uid,
    };
    log_event(quota, shard_now_us(), LOG_LEVEL_WARNING, &about, "a client (uid %u, pid %d) was turned away: %s: %s",
              (unsigned)peer.uid, (int)peer.pid, attnp_error_name(error->code), error->text);
}

void client_log_stream(struct shard *shard, const struct log_about *about, const char *name, const char *reason)
{
    log_event(&shard->log_quota, shard_now_us(), LOG_LEVEL_INFO, about, "stream %ju%s%s (uid %u) %s%s%s",
              (uintmax_t)about->stream, name[0] != '\0' ? " " : "", name, (unsigned)about->uid, about->event,
              reason[0] != '\0' ? ": " : "", reason);
}
