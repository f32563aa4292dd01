/* SPDX-License-Identifier: MIT */
#include "fake_daemon.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/preface.h"

#define MOST_MESSAGE (64 * 1024 * 1024)

static void *run(void *argument)
{
    struct fake *fake = argument;
    fake->script(fake);
    if (fake->socket >= 0)
        close(fake->socket);
    return NULL;
}

void fake_start(struct fake *fake, void (*script)(struct fake *fake))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *fake = (struct fake){.socket = -1, .script = script};
    attnp_writer_init(&fake->writer);
    strcpy(fake->folder, "/tmp/attnd-fake-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fake->folder));
    snprintf(fake->path, sizeof(fake->path), "%s/socket", fake->folder);
    strcpy(address.sun_path, fake->path);
    fake->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fake->listener, 8), 0);
    ck_assert_int_eq(pthread_create(&fake->thread, NULL, run, fake), 0);
}

static void forget_request(struct fake *fake)
{
    if (fake->has_request)
        attnp_message_done(&fake->request);
    fake->has_request = false;
    free(fake->request_bytes);
    fake->request_bytes = NULL;
}

void fake_stop(struct fake *fake)
{
    pthread_join(fake->thread, NULL);
    close(fake->listener);
    unlink(fake->path);
    rmdir(fake->folder);
    free(fake->message);
    forget_request(fake);
    attnp_writer_done(&fake->writer);
    ck_assert(!fake->failed);
}

static bool read_all(struct fake *fake, void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t some = read(fake->socket, (uint8_t *)bytes + done, n - done);
        if (some <= 0)
            return false;
        done += some;
    }
    return true;
}

void fake_send(struct fake *fake, const void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t some = send(fake->socket, (const uint8_t *)bytes + done, n - done, MSG_NOSIGNAL);
        if (some <= 0)
            return;
        done += some;
    }
}

void fake_send_written(struct fake *fake)
{
    const uint8_t *bytes;
    size_t n_bytes;
    if (attnp_write_end(&fake->writer, MOST_MESSAGE, &bytes, &n_bytes) < 0)
        fake->failed = true;
    else
        fake_send(fake, bytes, n_bytes);
}

bool fake_read(struct fake *fake)
{
    uint32_t length;
    if (!read_all(fake, &length, sizeof(length)))
        return false;
    fake->n_body = ntohl(length);
    free(fake->message);
    fake->message = malloc(fake->n_body);
    return read_all(fake, fake->message, fake->n_body);
}

uint32_t fake_request(struct fake *fake, enum attnp_method method)
{
    bool id_known;
    forget_request(fake);
    if (!fake_read(fake)) {
        fake->failed = true;
        return 0;
    }
    fake->request_bytes = fake->message;
    fake->message = NULL;
    fake->has_request = attnp_message_read(&fake->request, fake->request_bytes, fake->n_body, &id_known, NULL) == 0;
    fake->failed |= !fake->has_request || fake->request.kind != ATTNP_REQUEST || fake->request.method != method;
    return fake->has_request ? fake->request.id : 0;
}

bool fake_has_params(const struct fake *fake, uint32_t n)
{
    const msgpack_object *params = fake->has_request ? fake->request.params : NULL;
    return params && params->type == MSGPACK_OBJECT_MAP && params->via.map.size == n;
}

int64_t fake_param(const struct fake *fake, const char *key)
{
    const msgpack_object *value = fake->has_request ? attnp_map_get(fake->request.params, key) : NULL;
    return value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? (int64_t)value->via.u64 : -1;
}

void fake_describe(struct fake *fake, uint32_t id, uint64_t next_frame, uint64_t position)
{
    fake->output_dim = 1;
    attnp_write_response(&fake->writer, id);
    attnp_write_map(&fake->writer, 10);
    attnp_put_uint(&fake->writer, "stream", FAKE_STREAM);
    attnp_put_bin(&fake->writer, "token", FAKE_TOKEN, ATTNP_TOKEN_BYTES);
    attnp_put_uint(&fake->writer, "input_dim", 1);
    attnp_put_uint(&fake->writer, "output_dim", 1);
    attnp_put_uint(&fake->writer, "credit", 8);
    attnp_put_uint(&fake->writer, "next_frame", next_frame);
    attnp_put_uint(&fake->writer, "position", position);
    attnp_put_uint(&fake->writer, "replay_frames", 31);
    attnp_put_uint(&fake->writer, "state_bytes", 4096);
    attnp_put_uint(&fake->writer, "warming_frames", 15);
    fake_send_written(fake);
}

bool fake_push(struct fake *fake, struct attnp_push *push)
{
    bool good = fake_read(fake) && attnp_push_read(push, fake->message, fake->n_body, NULL) == 0;
    fake->failed |= !good;
    return good;
}

void fake_accept(struct fake *fake)
{
    uint8_t preface[ATTNP_MAX_PREFACE], expected[ATTNP_MAX_PREFACE];
    size_t n = attnp_preface_write(expected, NULL, 0);
    fake->socket = accept(fake->listener, NULL, NULL);
    fake->failed |= !read_all(fake, preface, n) || memcmp(preface, expected, n) != 0;
}

void fake_respond(struct fake *fake, uint32_t id)
{
    attnp_write_response(&fake->writer, id);
    attnp_write_map(&fake->writer, 0);
    fake_send_written(fake);
}

void fake_greet(struct fake *fake)
{
    fake_accept(fake);
    attnp_write_response(&fake->writer, fake_request(fake, ATTNP_M_HELLO));
    attnp_write_map(&fake->writer, 1);
    attnp_put_string(&fake->writer, "server", "fake 1");
    fake_send_written(fake);
}

void fake_open(struct fake *fake, uint32_t input_dim, uint32_t output_dim, uint32_t credit)
{
    fake_greet(fake);
    fake->output_dim = output_dim;
    attnp_write_response(&fake->writer, fake_request(fake, ATTNP_M_OPEN));
    attnp_write_map(&fake->writer, 6);
    attnp_put_uint(&fake->writer, "stream", FAKE_STREAM);
    attnp_put_uint(&fake->writer, "input_dim", input_dim);
    attnp_put_uint(&fake->writer, "output_dim", output_dim);
    attnp_put_uint(&fake->writer, "credit", credit);
    attnp_put_uint(&fake->writer, "next_frame", 0);
    attnp_write_key(&fake->writer, "labels");
    attnp_write_array(&fake->writer, 3);
    attnp_write_string(&fake->writer, "speech", 6);
    attnp_write_string(&fake->writer, "noise", 5);
    attnp_write_string(&fake->writer, "", 0);
    fake_send_written(fake);
}

void fake_output(struct fake *fake, uint64_t first, uint32_t k)
{
    size_t n = (size_t)k * fake->output_dim;
    float *values = malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(first + i / fake->output_dim);
    struct attnp_output output = {
        .stream = FAKE_STREAM,
        .first = first,
        .outputs = (const uint8_t *)values,
        .n_bytes = n * sizeof(float),
        .position = first,
        .lag_us = 41,
        .warming = first == 0,
    };
    uint8_t *bytes = malloc(attnp_output_bytes(&output));
    fake_send(fake, bytes, attnp_output_write(bytes, &output, NULL));
    free(bytes);
    free(values);
}

void fake_event(struct fake *fake, const char *event, const char *reason, uint64_t first, uint64_t count)
{
    attnp_write_notification(&fake->writer, ATTNP_M_EVENT);
    attnp_write_map(&fake->writer, count ? 5 : 3);
    attnp_put_uint(&fake->writer, "stream", FAKE_STREAM);
    attnp_put_string(&fake->writer, "event", event);
    attnp_put_string(&fake->writer, "reason", reason);
    if (count) {
        attnp_put_uint(&fake->writer, "first", first);
        attnp_put_uint(&fake->writer, "count", count);
    }
    fake_send_written(fake);
}

void fake_open_full(struct fake *fake, uint64_t next_frame, uint64_t position)
{
    fake_greet(fake);
    fake_describe(fake, fake_request(fake, ATTNP_M_OPEN), next_frame, position);
}

void fake_kill(struct fake *fake, const char *message)
{
    attnp_write_notification(&fake->writer, ATTNP_M_EVENT);
    attnp_write_map(&fake->writer, 4);
    attnp_put_uint(&fake->writer, "stream", FAKE_STREAM);
    attnp_put_string(&fake->writer, "event", "ended");
    attnp_put_string(&fake->writer, "reason", "killed");
    attnp_put_string(&fake->writer, "message", message);
    fake_send_written(fake);
}
