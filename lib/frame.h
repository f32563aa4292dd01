/* SPDX-License-Identifier: MIT */
/* One frame of one stream on its way through a model. */
#pragma once

#include "attn/attn.h"
#include "run.h"

struct attn_encoder_frame {
    void *state;           /* the stream's block */
    struct attn_when when; /* one position more each step */
    const float *input;    /* [input_dim], finite */
    enum attn_output kind; /* one that the model has */
    float *output;         /* [attn_encoder_output_dim(kind)], or NULL: only the state advances */
    struct attn_work work; /* out: that of the attention of all layers */
};

/* Adds what one attention did to what the frame's others did. */
static inline void attn_frame_count(struct attn_encoder_frame *frame, const struct attn_run *run)
{
    frame->work.multiply_adds += run->work.multiply_adds;
    frame->work.bytes += run->work.bytes;
}
