/* SPDX-License-Identifier: MIT */
/* Drafts of model files in memory, for tests to spoil. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

#define DRAFT_TENSORS 64

struct draft_tensor {
    char name[160];
    uint32_t rank;
    uint64_t shape[4];
    float *values;
};

struct draft {
    char configuration[2048];
    size_t n_blocks; /* beside block 0 */
    size_t n_tensors;
    struct draft_tensor tensors[DRAFT_TENSORS];
};

/* A whole file, in memory of exactly its size, so that the sanitizers see any read behind it. */
struct draft_file {
    size_t n_bytes;
    unsigned char *bytes;
};

/* A valid model: input 3, E 4, H 2, n 3, F 5, P 2, two outputs, one exact layer, and all that may be absent. */
void draft_init(struct draft *draft);
void draft_done(struct draft *draft);

/* Adds the tensors of one more block, which are those of block 0 so far, and a layer to the configuration. */
void draft_add_block(struct draft *draft, const char *layer);

/* Replaces text in the configuration, which must be there. */
void draft_replace(struct draft *draft, const char *from, const char *to);

/* Adds a tensor of small numbers that are the same in every run; shape ends with 0. */
struct draft_tensor *draft_add(struct draft *draft, const char *name, const uint64_t *shape);
void draft_remove(struct draft *draft, const char *name);
struct draft_tensor *draft_find(struct draft *draft, const char *name);

/* Gives a tensor another shape and values to fit. */
void draft_reshape(struct draft_tensor *tensor, const uint64_t *shape);

/* The file of the draft. Free bytes afterwards, as with every file here. */
struct draft_file draft_write(const struct draft *draft);

/* A file of any header text and n_data zero bytes. */
struct draft_file draft_raw(const char *header, size_t n_data);
