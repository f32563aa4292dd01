/* SPDX-License-Identifier: MIT */
/*
 * The dictionary is read strictly: the three keys that numpy writes, once each, and nothing else. numpy itself reads it
 * as a Python literal, but has never written anything that this refuses.
 */
#include "attnctl/npy_header.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows are held in memory; no model or attention has frames of more. */
#define MOST_ROW_FLOATS (1u << 24)

struct parser {
    struct npy *npy;
    const char *at;
    bool has_type, has_order, has_shape;
    struct problem *problem;
};

static int damaged(struct parser *parser, const char *what)
{
    return problem_set(parser->problem, "%s is a damaged .npy file: %s", parser->npy->name, what);
}

static void skip_spaces(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t\r\n");
}

/* Goes on behind `text` if it is next. */
static bool take(struct parser *parser, const char *text)
{
    size_t n = strlen(text);

    skip_spaces(parser);
    if (strncmp(parser->at, text, n) != 0)
        return false;
    parser->at += n;
    return true;
}

static int parse_type(struct parser *parser)
{
    const char *name = parser->npy->name;
    char type[32];
    size_t n;

    skip_spaces(parser);
    if (*parser->at == '[')
        return problem_set(parser->problem, "%s is a .npy file of records: it has to be one array of float32", name);
    if (*parser->at != '\'' && *parser->at != '"')
        return damaged(parser, "its header has no type where one belongs");
    n = strcspn(parser->at + 1, "'\"");
    snprintf(type, sizeof(type), "%.*s", n > 20 ? 20 : (int)n, parser->at + 1);
    parser->at += n + 2;
    if (parser->at[-1] == '\0')
        return damaged(parser, "its header ends inside the type");
    parser->has_type = true;
    if (strcmp(type, "<f4") == 0)
        return 0;
    return problem_set(parser->problem, "%s holds %s, and has to be float32 ('<f4'): save it with .astype('float32')",
                       name, strcmp(type, "<f8") == 0 ? "float64 ('<f8')" : type);
}

static int parse_order(struct parser *parser)
{
    parser->has_order = true;
    if (take(parser, "False"))
        return 0;
    if (take(parser, "True"))
        return problem_set(parser->problem,
                           "%s is in Fortran order: save it in C order, with numpy.ascontiguousarray(array)",
                           parser->npy->name);
    return damaged(parser, "its header does not say whether it is in Fortran order");
}

static int parse_shape(struct parser *parser)
{
    struct npy *npy = parser->npy;

    parser->has_shape = true;
    if (!take(parser, "("))
        return damaged(parser, "its header has no shape where one belongs");
    while (!take(parser, ")")) {
        char *end;

        skip_spaces(parser);
        if (npy->n_dims == NPY_MOST_DIMS)
            return problem_set(parser->problem, "%s has more than %d dimensions", npy->name, NPY_MOST_DIMS);
        if (*parser->at < '0' || *parser->at > '9')
            return damaged(parser, "its shape is not a list of numbers");
        npy->shape[npy->n_dims++] = strtoull(parser->at, &end, 10);
        parser->at = end;
        if (!take(parser, ",")) {
            skip_spaces(parser);
            if (*parser->at != ')')
                return damaged(parser, "its shape is not a list of numbers");
        }
    }
    return 0;
}

static int check_shape(struct parser *parser)
{
    struct npy *npy = parser->npy;

    if (npy->n_dims == 0)
        return problem_set(parser->problem, "%s is a single number, not an array of rows", npy->name);
    npy->row_floats = 1;
    for (int i = 1; i < npy->n_dims; i++) {
        if (npy->shape[i] == 0 || npy->shape[i] > MOST_ROW_FLOATS / npy->row_floats)
            return problem_set(parser->problem, "%s has rows of %s: dimension %d is %" PRIu64, npy->name,
                               npy->shape[i] == 0 ? "no numbers" : "too many numbers", i, npy->shape[i]);
        npy->row_floats *= npy->shape[i];
    }
    if (npy->shape[0] > INT64_MAX / sizeof(float) / npy->row_floats)
        return problem_set(parser->problem, "%s is a damaged .npy file: it claims %" PRIu64 " rows", npy->name,
                           npy->shape[0]);
    return 0;
}

int npy_header_parse(struct npy *npy, const char *text, struct problem *problem)
{
    struct parser parser = {.npy = npy, .at = text, .problem = problem};

    npy->n_dims = 0;
    if (!take(&parser, "{"))
        return damaged(&parser, "its header is not a dictionary");
    while (!take(&parser, "}")) {
        int result;

        if (!parser.has_type && take(&parser, "'descr':"))
            result = parse_type(&parser);
        else if (!parser.has_order && take(&parser, "'fortran_order':"))
            result = parse_order(&parser);
        else if (!parser.has_shape && take(&parser, "'shape':"))
            result = parse_shape(&parser);
        else
            result = damaged(&parser, "its header is not what numpy writes");
        if (result < 0)
            return -1;
        take(&parser, ",");
    }
    if (!parser.has_type || !parser.has_order || !parser.has_shape)
        return damaged(&parser, "its header does not give type, order and shape");
    return check_shape(&parser);
}

void npy_header_make(const struct npy *npy, char *bytes)
{
    size_t n = 10;

    memset(bytes, ' ', NPY_HEADER_BYTES);
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (char)((NPY_HEADER_BYTES - 10) & 0xFF);
    bytes[9] = (char)((NPY_HEADER_BYTES - 10) >> 8);
    n += (size_t)snprintf(bytes + n, NPY_HEADER_BYTES - n, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < npy->n_dims; i++)
        n += (size_t)snprintf(bytes + n, NPY_HEADER_BYTES - n, "%" PRIu64 ",%s", npy->shape[i],
                              i < npy->n_dims - 1 ? " " : "");
    n += (size_t)snprintf(bytes + n, NPY_HEADER_BYTES - n, "), }");
    bytes[n] = ' ';
    bytes[NPY_HEADER_BYTES - 1] = '\n';
}
