/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "libattnclient/request.h"

#include <stdlib.h>
#include <string.h>

#include "libattnclient/client.h"
#include "libattnclient/error.h"

void attnc_request_init(struct attnc_request *request)
{
    *request = (struct attnc_request){0};
    attnp_writer_init(&request->writer);
}

/* Frees the response, if there is one. */
static void drop_response(struct attnc_request *request)
{
    if (request->has_response)
        attnp_message_done(&request->response);
    request->has_response = false;
}

void attnc_request_done(struct attnc_request *request)
{
    drop_response(request);
    free(request->bytes);
    attnp_writer_done(&request->writer);
}

struct attnp_writer *attnc_request_begin(struct attnc_client *client, enum attnp_method method)
{
    struct attnc_request *request = &client->request;
    attnp_write_request(&request->writer, ++request->id, method);
    drop_response(request);
    return &request->writer;
}

int attnc_request_end(struct attnc_client *client)
{
    struct attnc_request *request = &client->request;
    const uint8_t *bytes;
    size_t n_bytes;
    if (attnp_write_end(&request->writer, client->max_message, &bytes, &n_bytes) < 0)
        return attnc_fail(&client->error, ATTNC_E_OPTIONS,
                          "the request does not fit into memory or into a message, which has at most %zu bytes",
                          client->max_message);
    if (client->call_ms > 0) /* else it is the greeting, whose limit is set */
        attnc_connection_limit(&client->connection, client->call_ms, "answer");
    int result = attnc_connection_send(&client->connection, bytes, n_bytes);
    while (result >= 0 && !request->has_response)
        result = attnc_connection_receive(&client->connection, -1);
    if (client->call_ms > 0)
        attnc_connection_limit(&client->connection, 0, NULL);
    if (result < 0)
        return result;
    const msgpack_object *refusal = request->response.error;
    if (refusal->type == MSGPACK_OBJECT_NIL)
        return 0;
    struct attnp_error wire;
    if (attnp_error_read(refusal, &wire) < 0)
        return attnc_fail(&client->error, ATTNC_E_PROTOCOL,
                          "the daemon refused the request with an error that cannot be read");
    return attnc_fail_wire(&client->error, ATTNC_E_REFUSED, &wire);
}

int attnc_request_answer(struct attnc_client *client, const struct attnp_message *message, const uint8_t *body,
                         size_t n_body)
{
    struct attnc_request *request = &client->request;
    struct attnp_error wire;
    bool id_known;
    if (message->id != request->id || request->has_response)
        return 0;
    /* The bytes are kept too: the response lives longer than the read buffer that it came in. */
    uint8_t *bytes = realloc(request->bytes, n_body);
    if (!bytes)
        return attnc_fail(&client->error, ATTNC_E_MEMORY, "no memory for a response of %zu bytes", n_body);
    memcpy(bytes, body, n_body);
    request->bytes = bytes;
    if (attnp_message_read(&request->response, bytes, n_body, &id_known, &wire) < 0)
        return attnc_fail_wire(&client->error, ATTNC_E_PROTOCOL, &wire);
    request->has_response = true;
    return 1; /* what stands behind it may concern the stream that it opens */
}
