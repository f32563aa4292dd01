/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnc/client.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libattnclient/client.h"
#include "libattnclient/error.h"
#include "libattnclient/field.h"
#include "libattnclient/options.h"
#include "protocol/preface.h"
#include "protocol/scan.h"

#define DEFAULT_CONNECT_MS 5000
#define DEFAULT_SILENCE_MS 30000
#define DEFAULT_CALL_MS    60000

/* Where the fields begin that later versions added. */
#define CONNECT_BYTES_FIRST offsetof(struct attnc_connect_options, call_ms)

#define LARGEST_MESSAGE (256u * 1024 * 1024) /* that a daemon may claim to take or send */
#define LEAST_MESSAGE   1024                 /* what every request without landmarks fits */

static void keep_limits(struct attnc_client *client, const msgpack_object *limits)
{
    uint64_t most;
    if (!attnc_field_number(limits, "max_message", LARGEST_MESSAGE, &most) || most < LEAST_MESSAGE)
        return;
    client->max_message = most;
    if (client->connection.max_message < most)
        client->connection.max_message = most;
}

/* The preface and `hello`, whose answer says whom we speak to. */
static int greet(struct attnc_client *client, const char *name)
{
    uint8_t preface[ATTNP_MAX_PREFACE];
    size_t n = attnp_preface_write(preface, NULL, 0);
    int result = attnc_connection_send(&client->connection, preface, n);
    if (result < 0)
        return result;
    struct attnp_writer *writer = attnc_request_begin(client, ATTNP_M_HELLO);
    attnp_write_map(writer, 2);
    attnp_put_string(writer, "client", name);
    attnp_write_key(writer, "versions");
    attnp_write_array(writer, 1);
    attnp_write_uint(writer, ATTNP_VERSION);
    result = attnc_request_end(client);
    if (result < 0)
        return result;
    const msgpack_object *hello = client->request.response.result;
    const size_t room = sizeof(client->server);
    if (!attnc_field_text(hello, "server", client->server, room))
        return attnc_fail(&client->error, ATTNC_E_PROTOCOL,
                          "the daemon's greeting does not say what it is (server); is it attnd?");
    size_t used = strlen(client->server);
    if (used + 2 < room && attnc_field_text(hello, "version", client->server + used + 1, room - used - 1))
        client->server[used] = ' ';
    keep_limits(client, attnp_map_get(hello, "limits"));
    return 0;
}

static struct attnc_client *new_client(const struct attnc_connect_options *options)
{
    struct attnc_client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    attnc_connection_init(&client->connection, &client->error, attnc_dispatch, client);
    attnc_request_init(&client->request);
    msgpack_sbuffer_init(&client->result);
    client->max_message = ATTNP_MAX_MESSAGE;
    client->on_notice = options->on_notice;
    client->ctx = options->ctx;
    return client;
}

/* poll takes an int. */
static uint32_t limit_ms(uint32_t ms, uint32_t otherwise)
{
    return ms == 0 ? otherwise : ms > INT_MAX ? INT_MAX : ms;
}

/* The greeting has one limit alone; from then on it is the calls that have. */
static void set_limits(struct attnc_client *client, const struct attnc_connect_options *options)
{
    uint32_t silence_ms = limit_ms(options->silence_ms, DEFAULT_SILENCE_MS);
    client->call_ms = limit_ms(options->call_ms, silence_ms > DEFAULT_CALL_MS ? silence_ms : DEFAULT_CALL_MS);
    client->connection.silence_ms = silence_ms;
    attnc_connection_limit(&client->connection, 0, NULL);
}

int attnc_connect(struct attnc_client **out, const struct attnc_connect_options *given, struct attnc_error *error)
{
    static const struct attnc_connect_options defaults = {.size = sizeof(defaults)};
    struct attnc_connect_options options;
    struct attnc_error ignored;
    error = error ? error : &ignored;
    *out = NULL;
    int result = attnc_options_take(&options, sizeof(options), CONNECT_BYTES_FIRST, given ? given : &defaults,
                                    "attnc_connect_options", error);
    if (result < 0)
        return result;
    struct attnc_client *client = new_client(&options);
    if (!client)
        return attnc_fail(error, ATTNC_E_MEMORY, "no memory for a client");
    client->connection.silence_ms = INT_MAX;
    attnc_connection_limit(&client->connection, limit_ms(options.connect_ms, DEFAULT_CONNECT_MS), "greeting");
    result = attnc_connection_open(&client->connection, options.socket ? options.socket : ATTNC_DEFAULT_SOCKET);
    if (result == 0)
        result = greet(client, options.name ? options.name : "libattnclient");
    if (result < 0) {
        *error = client->error;
        attnc_close(client);
        return result;
    }
    set_limits(client, &options);
    *out = client;
    return 0;
}

void attnc_close(struct attnc_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->streams.n; i++)
        attnc_stream_free(client->streams.all[i]);
    attnc_streams_done(&client->streams);
    attnc_request_done(&client->request);
    free(client->push_bytes);
    msgpack_sbuffer_destroy(&client->result);
    attnc_connection_done(&client->connection);
    free(client);
}

const struct attnc_error *attnc_last_error(const struct attnc_client *client)
{
    return &client->error;
}

const char *attnc_server(const struct attnc_client *client)
{
    return client->server;
}

int attnc_descriptor(const struct attnc_client *client)
{
    return client->connection.descriptor;
}

int attnc_wait(struct attnc_client *client, int timeout_ms)
{
    return attnc_connection_receive(&client->connection, timeout_ms);
}

static enum attnp_method find_method(const char *name)
{
    for (int method = 0; method < ATTNP_M_UNKNOWN; method++)
        if (strcmp(attnp_method_name(method), name) == 0)
            return method;
    return ATTNP_M_UNKNOWN;
}

int attnc_call(struct attnc_client *client, const char *method, const void *params, size_t n_params,
               const void **result, size_t *n_result)
{
    struct attnp_error wire;
    enum attnp_method number = find_method(method);
    if (number == ATTNP_M_UNKNOWN)
        return attnc_fail(&client->error, ATTNC_E_OPTIONS, "%s is no method of the protocol", method);
    if (params && attnp_scan(params, n_params, &wire) < 0)
        return attnc_fail_wire(&client->error, ATTNC_E_OPTIONS, &wire);
    struct attnp_writer *writer = attnc_request_begin(client, number);
    if (params)
        writer->failed |= msgpack_sbuffer_write(&writer->buffer, params, n_params) < 0;
    else
        attnp_write_map(writer, 0);
    int outcome = attnc_request_end(client);
    if (outcome < 0)
        return outcome;
    msgpack_packer packer;
    msgpack_sbuffer_clear(&client->result);
    msgpack_packer_init(&packer, &client->result, msgpack_sbuffer_write);
    if (msgpack_pack_object(&packer, *client->request.response.result) < 0)
        return attnc_fail(&client->error, ATTNC_E_MEMORY, "no memory for the result of %s", method);
    *result = client->result.data;
    *n_result = client->result.size;
    return 0;
}
