/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "libattnclient/options.h"

#include <string.h>

#include "libattnclient/error.h"

int attnc_options_take(void *own, size_t n_own, size_t n_first, const void *options, const char *name,
                       struct attnc_error *error)
{
    size_t size = *(const size_t *)options;
    if (size < n_first || size > n_own)
        return attnc_fail(error, ATTNC_E_OPTIONS,
                          "%s.size is %zu; this version knows %zu to %zu: set it to sizeof(struct %s)", name, size,
                          n_first, n_own, name);
    memset(own, 0, n_own);
    memcpy(own, options, size);
    return 0;
}
