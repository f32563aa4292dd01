/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/heard.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"

uint64_t heard_uint(const struct heard_message *message, const char *key)
{
    const msgpack_object *value = attnp_map_get(message->content, key);
    ck_assert_msg(value != NULL && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER, "no number '%s'", key);
    return value->via.u64;
}

float heard_float(const struct heard_message *message, size_t i)
{
    float x;
    ck_assert_uint_lt(i * sizeof(x), message->output.n_bytes);
    memcpy(&x, message->output.outputs + i * sizeof(x), sizeof(x));
    return x;
}

static bool has(const struct heard_message *message, const char *key)
{
    return attnp_map_get(message->content, key) != NULL;
}

static void copy_string(char *to, size_t n_to, const msgpack_object *map, const char *key)
{
    const msgpack_object *value = attnp_map_get(map, key);
    to[0] = '\0';
    if (value != NULL && value->type == MSGPACK_OBJECT_STR)
        snprintf(to, n_to, "%.*s", (int)value->via.str.size, value->via.str.ptr);
}

static void read_output(struct heard_message *message, size_t n_body, FILE *text)
{
    struct attnp_error error;
    message->kind = HEARD_OUTPUT;
    ck_assert_int_eq(attnp_output_read(&message->output, message->bytes, n_body, &error), 0);
    message->stream = message->output.stream;
    fprintf(text, "output %ju:%ju=%g%s", (uintmax_t)message->stream, (uintmax_t)message->output.first,
            (double)heard_float(message, 0), message->output.warming != 0 ? " warming" : "");
}

static void read_event(struct heard_message *message, FILE *text)
{
    char words[ATTNP_MAX_REASON + 1];
    message->kind = HEARD_EVENT;
    copy_string(message->event, sizeof(message->event), message->content, "event");
    copy_string(message->reason, sizeof(message->reason), message->content, "reason");
    copy_string(words, sizeof(words), message->content, "message");
    fputs(message->event, text);
    if (has(message, "stream"))
        fprintf(text, " %ju", (uintmax_t)(message->stream = heard_uint(message, "stream")));
    if (has(message, "first"))
        fprintf(text, ":%ju+%ju", (uintmax_t)heard_uint(message, "first"), (uintmax_t)heard_uint(message, "count"));
    if (has(message, "next_frame"))
        fprintf(text, ":%ju", (uintmax_t)heard_uint(message, "next_frame"));
    if (has(message, "expires_ms"))
        fprintf(text, " %ju", (uintmax_t)heard_uint(message, "expires_ms"));
    if (has(message, "deadline_ms"))
        fprintf(text, " %ju", (uintmax_t)heard_uint(message, "deadline_ms"));
    if (message->reason[0] != '\0')
        fprintf(text, " %s", message->reason);
    if (words[0] != '\0')
        fprintf(text, ": %s", words);
}

static void read_error(struct heard_message *message, FILE *text)
{
    struct attnp_error *error = &message->error;
    message->kind = HEARD_ERROR;
    ck_assert_int_eq(attnp_error_read(message->content, error), 0);
    fprintf(text, "error %s", attnp_error_name(error->code));
    if (error->has_stream)
        fprintf(text, " %ju", (uintmax_t)(message->stream = error->stream));
    if (error->has_frame)
        fprintf(text, ":%ju", (uintmax_t)error->frame);
    if (error->has_count)
        fprintf(text, "+%ju", (uintmax_t)error->count);
    if (error->has_expected)
        fprintf(text, " expected %ju", (uintmax_t)error->expected);
}

static void read_response(struct heard_message *message, FILE *text)
{
    message->kind = HEARD_RESPONSE;
    message->id = message->message.id;
    message->content = message->message.result;
    fprintf(text, "response %u", message->id);
    if (message->message.error->type == MSGPACK_OBJECT_NIL)
        return;
    ck_assert_int_eq(attnp_error_read(message->message.error, &message->error), 0);
    fprintf(text, " %s", attnp_error_name(message->error.code));
}

static void read_cold(struct heard_message *message, size_t n_body, FILE *text)
{
    struct attnp_error error;
    bool id_known;
    int status = attnp_message_read(&message->message, message->bytes, n_body, &id_known, &error);
    ck_assert_msg(status == 0, "%s", error.text);
    message->content = message->message.params;
    if (message->message.kind == ATTNP_RESPONSE)
        read_response(message, text);
    else if (message->message.method == ATTNP_M_EVENT)
        read_event(message, text);
    else if (message->message.method == ATTNP_M_ERROR)
        read_error(message, text);
    else
        ck_abort_msg("a client is sent no '%s'", message->message.method_name);
}

static void read_one(struct heard_message *message, const uint8_t *body, size_t n_body, FILE *text)
{
    *message = (struct heard_message){.bytes = malloc(n_body)};
    ck_assert_ptr_nonnull(message->bytes);
    memcpy(message->bytes, body, n_body);
    if (attnp_is_output(body, n_body))
        read_output(message, n_body, text);
    else
        read_cold(message, n_body, text);
}

static struct heard_message *one_more(struct heard *heard)
{
    heard->messages = realloc(heard->messages, (heard->n + 1) * sizeof(*heard->messages));
    ck_assert_ptr_nonnull(heard->messages);
    return &heard->messages[heard->n++];
}

void heard_read(struct heard *heard, const uint8_t *bytes, size_t n_bytes)
{
    const uint8_t *body;
    size_t n_body, n_text;
    struct attnp_error error;
    *heard = (struct heard){.n = 0};
    FILE *text = open_memstream(&heard->text, &n_text);
    ck_assert_ptr_nonnull(text);
    while (n_bytes > 0) {
        ck_assert_int_eq(attnp_message_find(bytes, n_bytes, ATTNP_MAX_MESSAGE, &body, &n_body, &error), 1);
        if (heard->n > 0)
            fputs("; ", text);
        read_one(one_more(heard), body, n_body, text);
        bytes += ATTNP_LENGTH_BYTES + n_body;
        n_bytes -= ATTNP_LENGTH_BYTES + n_body;
    }
    fclose(text);
}

void heard_done(struct heard *heard)
{
    for (size_t i = 0; i < heard->n; i++) {
        if (heard->messages[i].kind != HEARD_OUTPUT)
            attnp_message_done(&heard->messages[i].message);
        free(heard->messages[i].bytes);
    }
    free(heard->messages);
    free(heard->text);
    *heard = (struct heard){.n = 0};
}
