/* SPDX-License-Identifier: MIT */
#include "tensor_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reason.h"

enum {
    NAME_BYTES = 64, /* of the longest name that an architecture has, and more */
    PLACE_BYTES = 40
};

int attn_tensor_set_init(struct attn_tensor_set *set, const struct attn_tensor *tensors, size_t n_tensors,
                         struct attn_reason *why)
{
    *set = (struct attn_tensor_set){.tensors = tensors, .n_tensors = n_tensors, .why = why};
    set->taken = calloc(n_tensors + 1, sizeof(*set->taken));
    return set->taken != NULL ? 0 : attn_refuse(why, ATTN_E_MEMORY, "no memory for the list of %zu tensors", n_tensors);
}

void attn_tensor_set_done(struct attn_tensor_set *set)
{
    free(set->taken);
    memset(set, 0, sizeof(*set));
}

/* "[192, 128]" */
static void print_shape(char *text, size_t n_bytes, const uint64_t *shape, uint32_t rank)
{
    size_t used = (size_t)snprintf(text, n_bytes, "[");
    for (uint32_t i = 0; i < rank && used < n_bytes; i++) {
        const char *comma = i == 0 ? "" : ", ";
        if (shape[i] == ATTN_ANY)
            used += (size_t)snprintf(text + used, n_bytes - used, "%s1..%d", comma, ATTN_MAX_WIDTH);
        else
            used += (size_t)snprintf(text + used, n_bytes - used, "%s%" PRIu64, comma, shape[i]);
    }
    if (used < n_bytes)
        snprintf(text + used, n_bytes - used, "]");
}

/* " at offset 1234", of a tensor that is in a file */
static void print_place(char text[PLACE_BYTES], const struct attn_tensor *tensor)
{
    text[0] = '\0';
    if (tensor->offset != 0)
        snprintf(text, PLACE_BYTES, " at offset %zu", tensor->offset);
}

static int check_shape(const struct attn_tensor_set *set, const struct attn_tensor *tensor, const uint64_t *shape,
                       uint32_t rank)
{
    bool equal = tensor->rank == rank;
    for (uint32_t i = 0; equal && i < rank; i++)
        equal = shape[i] == tensor->shape[i] || (shape[i] == ATTN_ANY && tensor->shape[i] <= ATTN_MAX_WIDTH);
    if (equal)
        return 0;
    char place[PLACE_BYTES], found[100], needed[100];
    print_place(place, tensor);
    print_shape(found, sizeof(found), tensor->shape, tensor->rank);
    print_shape(needed, sizeof(needed), shape, rank);
    return attn_refuse(set->why, ATTN_E_MODEL, "tensor %s%s: its shape is %s, the configuration needs %s", tensor->name,
                       place, found, needed);
}

/* The tensor of a part, whose name goes to `name`, or NULL. */
static const struct attn_tensor *find(const struct attn_tensor_set *set, char name[NAME_BYTES], const char *part,
                                      const char *half)
{
    snprintf(name, NAME_BYTES, "%s%s%s", set->where, part, half);
    return attn_tensor_find(set->tensors, set->n_tensors, name);
}

bool attn_tensor_set_has(const struct attn_tensor_set *set, const char *part)
{
    char name[NAME_BYTES];
    return find(set, name, part, ".weight") != NULL || find(set, name, part, ".bias") != NULL;
}

static int take(const struct attn_tensor_set *set, const struct attn_tensor **tensor, const char *part,
                const char *half, uint32_t rank, const uint64_t *shape)
{
    char name[NAME_BYTES];
    *tensor = find(set, name, part, half);
    if (*tensor == NULL)
        return attn_refuse(set->why, ATTN_E_MODEL, "tensor %s is missing; the configuration needs it", name);
    set->taken[*tensor - set->tensors] = true;
    return check_shape(set, *tensor, shape, rank);
}

int attn_tensor_set_take(const struct attn_tensor_set *set, const struct attn_tensor **tensor, const char *name,
                         uint32_t rank, const uint64_t *shape)
{
    return take(set, tensor, name, "", rank, shape);
}

int attn_tensor_set_take_pair(const struct attn_tensor_set *set, const struct attn_tensor *pair[2], const char *part,
                              uint64_t n_out, uint64_t n_in)
{
    int error = take(set, &pair[0], part, ".weight", n_in == 0 ? 1 : 2, (uint64_t[]){n_out, n_in});
    return error < 0 ? error : take(set, &pair[1], part, ".bias", 1, pair[0]->shape);
}

int attn_tensor_set_check_taken(const struct attn_tensor_set *set)
{
    for (size_t i = 0; i < set->n_tensors; i++) {
        if (set->taken[i])
            continue;
        char place[PLACE_BYTES];
        print_place(place, &set->tensors[i]);
        return attn_refuse(set->why, ATTN_E_MODEL, "tensor %s%s: the configuration has no use for it",
                           set->tensors[i].name, place);
    }
    return 0;
}
