/* SPDX-License-Identifier: MIT */
#include "npy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "{'descr': '<f4', 'fortran_order': False, 'shape': (44, 10), }" */
static int read_header(FILE *file, struct npy *npy, size_t *value_bytes)
{
    unsigned char start[10];
    char header[1024] = "";
    if (fread(start, 1, sizeof(start), file) != sizeof(start) || memcmp(start, "\x93NUMPY\x01", 7) != 0)
        return -1;
    size_t length = start[8] | (size_t)start[9] << 8;
    if (length >= sizeof(header) || fread(header, 1, length, file) != length)
        return -1;
    const char *shape = strstr(header, "'shape': (");
    if (shape == NULL || strstr(header, "'fortran_order': False") == NULL)
        return -1;
    int found = sscanf(shape, "'shape': (%zu, %zu", &npy->rows, &npy->columns);
    if (found == 1)
        npy->columns = 1;
    *value_bytes = strstr(header, "'<f4'") != NULL ? 4 : strstr(header, "'<f8'") != NULL ? 8 : 0;
    return found < 1 || *value_bytes == 0 ? -1 : 0;
}

static int read_values(FILE *file, struct npy *npy, size_t value_bytes)
{
    size_t n = npy->rows * npy->columns;
    npy->values = calloc(n + 1, sizeof(double));
    if (npy->values == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        float narrow = 0;
        void *target = value_bytes == 4 ? (void *)&narrow : (void *)&npy->values[i];
        if (fread(target, value_bytes, 1, file) != 1)
            return -1;
        if (value_bytes == 4)
            npy->values[i] = narrow;
    }
    return 0;
}

int npy_read(struct npy *npy, const char *path)
{
    size_t value_bytes;
    memset(npy, 0, sizeof(*npy));
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    int result = read_header(file, npy, &value_bytes);
    if (result == 0)
        result = read_values(file, npy, value_bytes);
    fclose(file);
    if (result < 0) {
        free(npy->values);
        npy->values = NULL;
    }
    return result;
}
