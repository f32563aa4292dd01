/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attnctl/npy_header.h"

#define MAGIC       "\x93NUMPY"
#define MAGIC_BYTES 6
/* numpy writes about a hundred; version 2 allows 4 GiB. */
#define MOST_HEADER_BYTES 65536

static int npy_begins(const uint8_t *bytes, size_t n)
{
    return n >= MAGIC_BYTES && memcmp(bytes, MAGIC, MAGIC_BYTES) == 0;
}

int npy_is_file(const char *path)
{
    struct stat status;
    struct input input;
    const uint8_t *head;
    ssize_t n;

    /* A FIFO is opened only to be read: its writer would write to an end that is closed again. */
    if (strcmp(path, "-") == 0 || stat(path, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
        return -1;
    if (input_open(&input, path, NULL) < 0)
        return 0;
    n = input_peek(&input, MAGIC_BYTES, &head, NULL);
    input_close(&input);
    return n > 0 && npy_begins(head, (size_t)n);
}

static int cut_off_in_header(const struct npy *npy, struct problem *problem)
{
    return problem_set(problem, "%s is a .npy file that is cut off in its header", npy->name);
}

/* The length of the header's text: two bytes in version 1, four in 2 and 3. */
static int64_t read_text_bytes(struct npy *npy, struct problem *problem)
{
    uint8_t head[MAGIC_BYTES + 2], length[4] = {0};
    int64_t got = input_read_all(&npy->input, head, sizeof(head), problem);
    int n_length;
    uint32_t n;

    if (got < 0)
        return -1;
    if (!npy_begins(head, (size_t)got) || got < (int64_t)sizeof(head))
        return problem_set(problem, "%s is not a .npy file: numpy.save() writes one", npy->name);
    if (head[MAGIC_BYTES] < 1 || head[MAGIC_BYTES] > 3)
        return problem_set(problem, "%s is a .npy file of version %u.%u: versions 1 to 3 can be read", npy->name,
                           head[MAGIC_BYTES], head[MAGIC_BYTES + 1]);
    n_length = head[MAGIC_BYTES] == 1 ? 2 : 4;
    got = input_read_all(&npy->input, length, n_length, problem);
    if (got < 0)
        return -1;
    if (got < n_length)
        return cut_off_in_header(npy, problem);
    n = length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16 | (uint32_t)length[3] << 24;
    if (n > MOST_HEADER_BYTES)
        return problem_set(problem, "%s is a damaged .npy file: its header claims %u bytes", npy->name, n);
    return n;
}

static int read_header(struct npy *npy, struct problem *problem)
{
    int64_t n = read_text_bytes(npy, problem), got;
    char *text;
    int result = -1;

    if (n < 0)
        return -1;
    text = calloc(1, (size_t)n + 1);
    if (text == NULL)
        return problem_set(problem, "%s: no memory", npy->name);
    got = input_read_all(&npy->input, text, (uint64_t)n, problem);
    if (got >= 0 && got < n)
        cut_off_in_header(npy, problem);
    else if (got >= 0)
        result = npy_header_parse(npy, text, problem);
    free(text);
    return result;
}

static int cut_off(const struct npy *npy, uint64_t n_rows, struct problem *problem)
{
    return problem_set(problem,
                       "%s is cut off: its header claims %" PRIu64 " rows of %zu numbers, and %" PRIu64 " are there",
                       npy->name, npy->shape[0], npy->row_floats, n_rows);
}

/* Where the length is known, a file that is too short is refused before any of it is used. */
static int check_size(const struct npy *npy, struct problem *problem)
{
    off_t at = npy->input.size < 0 ? 0 : lseek(npy->input.fd, 0, SEEK_CUR);
    uint64_t n_rows;

    if (npy->input.size < 0)
        return 0;
    n_rows = (uint64_t)(npy->input.origin + npy->input.size - at) / sizeof(float) / npy->row_floats;
    return n_rows < npy->shape[0] ? cut_off(npy, n_rows, problem) : 0;
}

int npy_open(struct npy *npy, const char *path, struct problem *problem)
{
    memset(npy, 0, sizeof(*npy));
    if (input_open(&npy->input, path, problem) < 0)
        return -1;
    npy->name = npy->input.name;
    if (read_header(npy, problem) < 0 || check_size(npy, problem) < 0) {
        npy_close(npy);
        return -1;
    }
    return 0;
}

ssize_t npy_read_rows(struct npy *npy, float *rows, size_t n, struct problem *problem)
{
    uint64_t left = npy->shape[0] - npy->n_rows;
    int64_t got;

    if (n > left)
        n = left;
    got = input_read_all(&npy->input, rows, sizeof(float) * n * npy->row_floats, problem);
    if (got < 0)
        return -1;
    if ((uint64_t)got < sizeof(float) * n * npy->row_floats) {
        /* Rows that are whole come first; the next call finds none, and says so. */
        n = (size_t)got / sizeof(float) / npy->row_floats;
        if (n == 0)
            return cut_off(npy, npy->n_rows, problem);
    }
    npy->n_rows += n;
    return (ssize_t)n;
}

void npy_close(struct npy *npy)
{
    input_close(&npy->input);
}

static int cannot_write(const struct npy *npy, struct problem *problem)
{
    return problem_set(problem, "%s cannot be written: %s", npy->output.name, strerror(errno));
}

static int write_header(struct npy *npy, struct problem *problem)
{
    struct npy header = {.n_dims = npy->n_dims};
    char bytes[NPY_HEADER_BYTES];

    memcpy(header.shape, npy->shape, sizeof(header.shape));
    if (npy->n_claimed == NPY_UNKNOWN)
        header.shape[0] = npy->n_rows;
    npy_header_make(&header, bytes);
    return fwrite(bytes, sizeof(bytes), 1, npy->output.file) == 1 ? 0 : cannot_write(npy, problem);
}

int npy_create(struct npy *npy, const char *path, int n_dims, const uint64_t *shape, struct problem *problem)
{
    memset(npy, 0, sizeof(*npy));
    npy->input.fd = -1;
    npy->n_dims = n_dims;
    npy->n_claimed = shape[0];
    npy->row_floats = 1;
    memcpy(npy->shape, shape, sizeof(*shape) * (size_t)n_dims);
    for (int i = 1; i < n_dims; i++)
        npy->row_floats *= shape[i];
    if (npy_is_file(path) == 0)
        return problem_set(
            problem, "%s is there already and is no .npy file: it is not written over; name another output", path);
    if (output_open(&npy->output, path, problem) < 0)
        return -1;
    npy->name = npy->output.name;
    npy->origin = ftell(npy->output.file);
    if (npy->n_claimed == NPY_UNKNOWN && (npy->origin < 0 || fcntl(fileno(npy->output.file), F_GETFL) & O_APPEND)) {
        npy_abandon(npy);
        return problem_set(
            problem,
            "%s cannot be written from its beginning again, and the number of rows is not known before the "
            "end: give the name of a file",
            npy->name);
    }
    if (write_header(npy, problem) < 0) {
        npy_abandon(npy);
        return -1;
    }
    return 0;
}

int npy_write_rows(struct npy *npy, const float *rows, size_t n, struct problem *problem)
{
    if (fwrite(rows, sizeof(float) * npy->row_floats, n, npy->output.file) != n)
        return cannot_write(npy, problem);
    npy->n_rows += n;
    return 0;
}

int npy_write_missing(struct npy *npy, uint64_t n, struct problem *problem)
{
    static const float missing = NAN;

    for (uint64_t i = 0; i < n * npy->row_floats; i++)
        if (fwrite(&missing, sizeof(missing), 1, npy->output.file) != 1)
            return cannot_write(npy, problem);
    npy->n_rows += n;
    return 0;
}

void npy_abandon(struct npy *npy)
{
    output_abandon(&npy->output);
}

int npy_finish(struct npy *npy, struct problem *problem)
{
    FILE *out = npy->output.file;
    int result = 0;

    if (npy->n_claimed == NPY_UNKNOWN)
        result = fseek(out, npy->origin, SEEK_SET) < 0 ? cannot_write(npy, problem) : write_header(npy, problem);
    else if (npy->n_rows != npy->n_claimed)
        result = problem_set(problem, "%s is not complete: %" PRIu64 " rows of %" PRIu64 " were written", npy->name,
                             npy->n_rows, npy->n_claimed);
    if (result == 0)
        return output_finish(&npy->output, problem);
    output_abandon(&npy->output);
    return -1;
}
