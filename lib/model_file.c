/* SPDX-License-Identifier: MIT */
#include "model_file.h"

#include <string.h>

#include "hash.h"

int attn_model_file_open(struct attn_model_file *file, const void *bytes, size_t n_bytes, struct attn_reason *why)
{
    memset(file, 0, sizeof(*file));
    int error = attn_safetensors_open(&file->tensors, bytes, n_bytes, why);
    return error < 0 ? error : attn_model_json_init(&file->json, file->tensors.configuration, why);
}

int attn_model_file_build(struct attn_encoder **encoder, struct attn_model_file *file, const void *bytes,
                          size_t n_bytes, enum attn_variant variant, struct attn_reason *why)
{
    *encoder = NULL;
    int error = attn_safetensors_fill(&file->tensors, bytes, why);
    if (error < 0)
        return error;
    struct attn_model_source source = {
        .config = &file->json.config,
        .tensors = file->tensors.tensors,
        .n_tensors = file->tensors.n_tensors,
        .hash = attn_hash(ATTN_HASH_START, bytes, n_bytes),
    };
    error = attn_encoder_build(encoder, &source, variant, why);
    if (error == 0 && (error = attn_digest_check(&file->json.digest, *encoder, why)) < 0) {
        attn_encoder_free(*encoder);
        *encoder = NULL;
    }
    return error;
}

void attn_model_file_done(struct attn_model_file *file)
{
    attn_model_json_done(&file->json);
    attn_safetensors_done(&file->tensors);
}

int attn_model_file_parse(struct attn_encoder **encoder, const void *bytes, size_t n_bytes, enum attn_variant variant,
                          struct attn_reason *why)
{
    struct attn_model_file file;
    *encoder = NULL;
    int error = attn_model_file_open(&file, bytes, n_bytes, why);
    if (error == 0)
        error = attn_model_file_build(encoder, &file, bytes, n_bytes, variant, why);
    attn_model_file_done(&file);
    return error;
}
