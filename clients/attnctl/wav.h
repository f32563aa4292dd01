/* SPDX-License-Identifier: MIT */
/*
 * The header of a WAV file, read forwards only, so that a pipe will do. It trusts no length: those of a live source are
 * placeholders. libsndfile wants to seek, and believes them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attnctl/input.h"
#include "attnctl/pcm.h"

#define WAV_MAGIC_BYTES 12
#define WAV_CHUNK_BYTES 8

struct wav {
    enum pcm_format format;  /* PCM_NONE: compressed or of a width that pcm.h does not read */
    uint16_t codec, bits;    /* as the header has them, for messages */
    uint32_t rate, channels; /* > 0 */
    uint32_t data_bytes;     /* what the data chunk claims */
    uint64_t header_bytes;   /* from the first byte of the file to the first sample */
};

/* Whether n bytes begin a WAV file: RIFF or RF64, and WAVE. */
bool wav_begins(const uint8_t *bytes, size_t n);

/* Reads from the first byte of the file to the first sample. -1 and a problem where no sample can be reached. */
int wav_read_header(struct input *input, struct wav *wav, struct problem *problem);

/* Whether the claim is one that writers leave in headers they cannot go back to: nothing is known of the length then.
 */
bool wav_claim_is_placeholder(uint32_t data_bytes);

/* Whether eight bytes behind the samples begin one of the chunks that writers put there, rather than more samples. */
bool wav_chunk_begins(const uint8_t *bytes);
