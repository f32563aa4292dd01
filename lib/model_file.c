/* SPDX-License-Identifier: MIT */
#include "model_file.h"

#include "hash.h"
#include "model_json.h"
#include "safetensors.h"

int attn_model_file_parse(struct attn_encoder **encoder, const void *bytes, size_t n_bytes, enum attn_variant variant,
                          struct attn_reason *why)
{
    struct attn_safetensors file;
    struct attn_model_json json = {0};
    *encoder = NULL;
    int error = attn_safetensors_init(&file, bytes, n_bytes, why);
    if (error == 0)
        error = attn_model_json_init(&json, file.configuration, why);
    if (error == 0) {
        struct attn_model_source source = {
            .config = &json.config,
            .tensors = file.tensors,
            .n_tensors = file.n_tensors,
            .hash = attn_hash(ATTN_HASH_START, bytes, n_bytes),
        };
        error = attn_encoder_build(encoder, &source, variant, why);
    }
    attn_model_json_done(&json);
    attn_safetensors_done(&file);
    return error;
}
