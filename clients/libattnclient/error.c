/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "libattnclient/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int fill(struct attnc_error *error, int result, const char *format, va_list arguments)
{
    error->result = result;
    error->system = 0;
    error->name[0] = '\0';
    error->retry_ms = 0;
    error->left_shard = error->left_all = 0;
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    return result;
}

int attnc_fail(struct attnc_error *error, int result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, result, format, arguments);
    va_end(arguments);
    return result;
}

int attnc_fail_system(struct attnc_error *error, int result, const char *format, ...)
{
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    fill(error, result, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof(error->text) - used, ": %s", strerror(saved));
    error->system = saved;
    return result;
}

int attnc_fail_wire(struct attnc_error *error, int result, const struct attnp_error *wire)
{
    const char *text = wire->text[0] ? wire->text : attnp_error_general_text(wire->code);
    attnc_fail(error, result, "%s", text);
    snprintf(error->name, sizeof(error->name), "%s", attnp_error_name(wire->code));
    error->retry_ms = wire->retry_ms;
    error->left_shard = wire->left_shard;
    error->left_all = wire->left_all;
    return result;
}
