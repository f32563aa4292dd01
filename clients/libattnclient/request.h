/* SPDX-License-Identifier: MIT */
/* The one request that may be on its way, and its response. The module knows no method and no stream. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/message.h"
#include "protocol/writer.h"

struct attnc_client;

/* A client's requests; the response lives until the next request begins. */
struct attnc_request {
    struct attnp_writer writer;
    uint32_t id;                   /* of the newest request */
    bool has_response;             /* `response` is that to the newest request */
    struct attnp_message response; /* points into `bytes` */
    uint8_t *bytes;
};

void attnc_request_init(struct attnc_request *request);
void attnc_request_done(struct attnc_request *request);

/* A request is written with: begin; the writer's functions for exactly one map of params; end, which sends the request
 * and waits for its response. On success client->request.response.result lives until the next begin. */
struct attnp_writer *attnc_request_begin(struct attnc_client *client, enum attnp_method method);
int attnc_request_end(struct attnc_client *client);

/* Keeps a response, with a copy of its body; one to an older request is let by. 1 where it was kept, else 0; or
 * ATTNC_E_…. */
int attnc_request_answer(struct attnc_client *client, const struct attnp_message *message, const uint8_t *body,
                         size_t n_body);
