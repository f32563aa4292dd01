/* SPDX-License-Identifier: MIT */
/* Every limit on what a model file or options may claim. They bound memory and time before anything is allocated;
 * attnd-model(7) lists them. (Not named after <limits.h>, which a file of that name would hide: this folder is on the
 * include path.) */
#pragma once

#define ATTN_MAX_HEADER_BYTES  (1u << 20) /* of the safetensors header, configuration included */
#define ATTN_MAX_NESTING       32         /* arrays and objects inside each other, in any JSON text of the file */
#define ATTN_MAX_NAME_BYTES    128        /* of a tensor's name */
#define ATTN_MAX_RANK          4          /* dimensions of a tensor */
#define ATTN_MAX_WIDTH         65536      /* input_dim, model_dim, width of a feed-forward, outputs of a head */
#define ATTN_MAX_HEADS         1024
#define ATTN_MAX_WINDOW        (1u << 20) /* frames */
#define ATTN_MAX_POSITIONS     (1u << 20) /* rows of pe.weight */
#define ATTN_MAX_LANDMARKS     4096
#define ATTN_MAX_LAYERS        64
#define ATTN_MAX_LABEL_BYTES   255
#define ATTN_MAX_HOPS          1024  /* of a frame of the vggish front-end, and its stride */
#define ATTN_MAX_EVENT_FRAMES  65536 /* whose scores an event averages */
#define ATTN_MAX_DIGEST_FRAMES 4096
#define ATTN_MAX_DIGEST_WORK   0x1p33     /* multiply-adds of all its frames: half a second */
#define ATTN_MAX_STATE_BYTES   (1u << 30) /* of one stream */
#define ATTN_MAX_INVERSE_WORK  0x1p30     /* multiply-adds of g, for all heads and layers: 0.1 s, as reading 1 GiB */
#define ATTN_MAX_ROW_FLOATS    (1u << 24) /* of a retroactive output: 64 MiB */
#define ATTN_MAX_SCRATCH_BYTES (1u << 30) /* of one frame */
#define ATTN_MAX_ALL_ROWS_WORK                                                                                         \
    0x1p32 /* multiply-adds of a frame that computes all its rows: 0.1 s at 40 billion a second */
#define ATTN_MAX_FILE_BYTES (1u << 30) /* published models take 2 to 60 MB */
