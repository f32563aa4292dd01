/* SPDX-License-Identifier: MIT */
/*
 * Saved states. All numbers are little-endian, as the library only runs on machines that are:
 *
 *      0  "attn\r\n\x1a\0"   so that what a transfer did to line ends shows
 *      8  u32 format         what the block's bytes mean; raised by any change of any layer's state
 *     12  u32 variant        of the kernels: with others the stream would not go on with the same bits
 *     16  u64 hash           of the plan
 *     24  u64 size           of all of this, bytes
 *     32  u64 applied, u64 position of the first frame, u64 and u64 the newest frame's work
 *     64  the state's block as it stands in memory, a multiple of 64 bytes
 *      …  u64 checksum       of all before it
 *
 * The block has no padding that was not written (a state is made of zeros), and no pointers. It is not trusted for
 * being somebody's: a checksum is no signature. Whoever can write one can make a stream's outputs wrong, and nothing
 * else.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "plan.h"
#include "reason.h"

#define FORMAT 1

static const unsigned char magic[8] = {'a', 't', 't', 'n', '\r', '\n', 0x1a, 0};

struct header {
    unsigned char magic[8];
    uint32_t format, variant;
    uint64_t hash, n_bytes, applied, first, multiply_adds, bytes;
};

_Static_assert(sizeof(struct header) == ATTN_SAVED_HEADER_BYTES, "no padding, and whole words for the checksum");

/* Of n words, unaligned. Each step maps different sums to different ones, whatever the word, so that no single wrong
 * word is ever overlooked. */
static uint64_t checksum(const unsigned char *bytes, size_t n_words)
{
    uint64_t sum = n_words;
    for (size_t i = 0; i < n_words; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * sizeof(word), sizeof(word));
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return sum;
}

void attn_save(const struct attn_plan *plan, const struct attn_state *state, void *blob)
{
    unsigned char *to = blob;
    size_t n_before = plan->info.saved_bytes - ATTN_SAVED_CHECKSUM_BYTES;
    struct header header = {
        .format = FORMAT,
        .variant = plan->info.variant,
        .hash = plan->info.hash,
        .n_bytes = plan->info.saved_bytes,
        .applied = state->applied,
        .first = state->first,
        .multiply_adds = state->work.multiply_adds,
        .bytes = state->work.bytes,
    };
    memcpy(header.magic, magic, sizeof(magic));
    memcpy(to, &header, sizeof(header));
    memcpy(to + sizeof(header), state + 1, attn_state_block_bytes(plan));
    uint64_t sum = checksum(to, n_before / sizeof(uint64_t));
    memcpy(to + n_before, &sum, sizeof(sum));
}

/* That the blob is whole, and of this version. */
static int check_whole(const struct header *header, const unsigned char *blob, size_t n_bytes, struct attn_reason *why)
{
    if (memcmp(header->magic, magic, sizeof(magic)) != 0)
        return attn_refuse(why, ATTN_E_STATE, "the bytes do not begin as a saved state does");
    if (header->format != FORMAT)
        return attn_refuse(why, ATTN_E_STATE,
                           "the state was saved in format %" PRIu32 " and this version reads %d: send the last frames "
                           "again instead",
                           header->format, FORMAT);
    if (header->n_bytes != n_bytes || n_bytes % sizeof(uint64_t) != 0)
        return attn_refuse(why, ATTN_E_STATE, "the saved state says that it has %" PRIu64 " bytes, and there are %zu",
                           header->n_bytes, n_bytes);
    uint64_t sum;
    memcpy(&sum, blob + n_bytes - sizeof(sum), sizeof(sum));
    if (sum != checksum(blob, n_bytes / sizeof(sum) - 1))
        return attn_refuse(why, ATTN_E_STATE, "the saved state is damaged: its checksum does not fit its %zu bytes",
                           n_bytes);
    return 0;
}

static int check_plan(const struct attn_plan *plan, const struct header *header, struct attn_reason *why)
{
    if (header->hash != plan->info.hash)
        return attn_refuse(why, ATTN_E_STATE,
                           "the state was saved by another plan: its hash is %016" PRIx64
                           " and this plan's %016" PRIx64,
                           header->hash, plan->info.hash);
    if (header->variant != (uint32_t)plan->info.variant) {
        const char *name = attn_variant_name((enum attn_variant)header->variant);
        return attn_refuse(why, ATTN_E_STATE,
                           "the state was saved with the kernel variant %s (%" PRIu32
                           ") and this plan has %s: make the "
                           "plan with the same, or send the last frames again instead",
                           name != NULL ? name : "of another machine", header->variant, plan->kernels->name);
    }
    if (header->n_bytes != plan->info.saved_bytes)
        return attn_refuse(why, ATTN_E_STATE, "the saved state has %" PRIu64 " bytes, and those of this plan have %zu",
                           header->n_bytes, plan->info.saved_bytes);
    return 0;
}

int attn_load(const struct attn_plan *plan, void *memory, struct attn_state **state, const void *blob, size_t n_bytes,
              struct attn_reason *why)
{
    struct header header;
    assert((uintptr_t)memory % ATTN_ALIGN == 0);
    if (n_bytes < attn_saved_bytes(0))
        return attn_refuse(why, ATTN_E_STATE, "a saved state has at least %zu bytes, and there are %zu",
                           attn_saved_bytes(0), n_bytes);
    memcpy(&header, blob, sizeof(header));
    int error = check_whole(&header, blob, n_bytes, why);
    if (error == 0)
        error = check_plan(plan, &header, why);
    if (error != 0)
        return error;
    struct attn_state *made = memory;
    *made = (struct attn_state){
        .applied = header.applied,
        .first = header.first,
        .work = {.multiply_adds = header.multiply_adds, .bytes = header.bytes},
    };
    memcpy(made + 1, (const unsigned char *)blob + sizeof(header), attn_state_block_bytes(plan));
    *state = made;
    return 0;
}
