/* SPDX-License-Identifier: MIT */
/* In place of load.c where the library is built without a loader, so that the same programs link with both. */
#include "attn/attn.h"
#include "reason.h"

static int refuse(struct attn_reason *why)
{
    return attn_refuse(
        why, ATTN_E_SUPPORT,
        "this libattn was built without its loader of model files; hand the tensors to attn_plan_build, or "
        "build with --with-loader");
}

int attn_plan_parse(struct attn_plan **plan, const void *bytes, size_t n_bytes,
                    const struct attn_model_options *options, struct attn_reason *why)
{
    (void)plan, (void)bytes, (void)n_bytes, (void)options;
    return refuse(why);
}

int attn_plan_load(struct attn_plan **plan, const char *path, const struct attn_model_options *options,
                   struct attn_reason *why)
{
    (void)plan, (void)path, (void)options;
    return refuse(why);
}
