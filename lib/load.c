/* SPDX-License-Identifier: MIT */
/* Plans from files and their bytes: the only place of the library that opens a file. no_load.c takes its place in a
 * build without a loader. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attn/attn.h"
#include "bounds.h"
#include "model_file.h"
#include "options.h"
#include "plan.h"
#include "reason.h"

int attn_plan_parse(struct attn_plan **plan, const void *bytes, size_t n_bytes,
                    const struct attn_model_options *options, struct attn_reason *why)
{
    struct attn_model_options own;
    struct attn_encoder *encoder = NULL;
    int error = attn_model_options_take(&own, options, why);
    if (error == 0)
        error = attn_model_file_parse(&encoder, bytes, n_bytes, own.variant, why);
    return error != 0 ? error : attn_plan_make(plan, NULL, encoder, why);
}

static int check(const struct stat *status, const char *path, struct attn_reason *why)
{
    if (!S_ISREG(status->st_mode))
        return attn_refuse(why, ATTN_E_FILE, "%s is not a regular file", path);
    if (status->st_size > (off_t)ATTN_MAX_FILE_BYTES)
        return attn_refuse(why, ATTN_E_FILE, "%s has %lld bytes; a model file may have %u", path,
                           (long long)status->st_size, ATTN_MAX_FILE_BYTES);
    return 0;
}

/* The descriptor of a file that may be read, and its size in bytes, or an error. It is looked at before it is opened,
 * as opening a device may do something, and afterwards, as the name may mean another file by then; a FIFO must not
 * block the open. */
static int open_model(const char *path, size_t *n_bytes, struct attn_reason *why)
{
    struct stat status;
    int error = 0;
    if (stat(path, &status) != 0)
        return attn_refuse(why, ATTN_E_FILE, "%s: %s", path, strerror(errno));
    if ((error = check(&status, path, why)) < 0)
        return error;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return attn_refuse(why, ATTN_E_FILE, "%s: %s", path, strerror(errno));
    if (fstat(fd, &status) != 0)
        error = attn_refuse(why, ATTN_E_FILE, "%s: %s", path, strerror(errno));
    else
        error = check(&status, path, why);
    if (error < 0) {
        close(fd);
        return error;
    }
    *n_bytes = (size_t)status.st_size;
    return fd;
}

/* Bytes from the descriptor's place, *done, up to `end`. */
static int read_on(int fd, const char *path, unsigned char *bytes, size_t *done, size_t end, size_t n_bytes,
                   struct attn_reason *why)
{
    while (*done < end) {
        ssize_t got = read(fd, bytes + *done, end - *done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return attn_refuse(why, ATTN_E_FILE, "%s: %s", path, strerror(errno));
        if (got == 0)
            return attn_refuse(why, ATTN_E_FILE, "%s ended after %zu of %zu bytes: somebody is writing it", path, *done,
                               n_bytes);
        *done += (size_t)got;
    }
    return 0;
}

/* Takes no more memory, and reads no more, than the header has shown to be worth it. *bytes is the caller's, also after
 * an error. */
static int read_model(struct attn_encoder **encoder, int fd, const char *path, unsigned char **bytes, size_t n_bytes,
                      enum attn_variant variant, struct attn_reason *why)
{
    struct attn_model_file file = {0};
    size_t done = 0, n_begin = n_bytes < ATTN_SAFETENSORS_BEGIN ? n_bytes : ATTN_SAFETENSORS_BEGIN;
    *bytes = malloc(n_begin > 0 ? n_begin : 1);
    if (*bytes == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for the header of %s", path);
    int error = read_on(fd, path, *bytes, &done, n_begin, n_bytes, why);
    if (error == 0)
        error = attn_model_file_open(&file, *bytes, n_bytes, why);
    if (error == 0 && n_begin < n_bytes) {
        unsigned char *all = realloc(*bytes, n_bytes);
        *bytes = all != NULL ? all : *bytes;
        error = all != NULL ? read_on(fd, path, all, &done, n_bytes, n_bytes, why)
                            : attn_refuse(why, ATTN_E_MEMORY, "no memory for the %zu bytes of %s", n_bytes, path);
    }
    if (error == 0)
        error = attn_model_file_build(encoder, &file, *bytes, n_bytes, variant, why);
    attn_model_file_done(&file);
    return error;
}

int attn_plan_load(struct attn_plan **plan, const char *path, const struct attn_model_options *options,
                   struct attn_reason *why)
{
    struct attn_model_options own;
    struct attn_encoder *encoder = NULL;
    unsigned char *bytes = NULL;
    size_t n_bytes = 0;
    int error = attn_model_options_take(&own, options, why);
    if (error < 0)
        return error;
    int fd = open_model(path, &n_bytes, why);
    if (fd < 0)
        return fd;
    error = read_model(&encoder, fd, path, &bytes, n_bytes, own.variant, why);
    free(bytes);
    close(fd);
    return error < 0 ? error : attn_plan_make(plan, NULL, encoder, why);
}
