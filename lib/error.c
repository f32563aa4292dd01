/* SPDX-License-Identifier: MIT */
#include "attn/attn.h"

#include "config.h"

const char *attn_error_text(int error)
{
    switch (error) {
#define X(name, value, text) \
    case name: \
        return text;
        ATTN_ERRORS(X)
#undef X
    case 0:
        return "no error";
    default:
        return "unknown error";
    }
}

const char *attn_version(void)
{
    return PACKAGE_VERSION;
}
