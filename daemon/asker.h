/* SPDX-License-Identifier: MIT */
/* Who asked for something, and where the response goes, wherever that client's stream is by then. */
#pragma once

#include <stdint.h>

struct asker {
    unsigned shard;      /* of the connection */
    uint64_t connection; /* its id */
    uint32_t id;         /* of the request, chosen by the client */
};
