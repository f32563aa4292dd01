/* SPDX-License-Identifier: MIT */
#include "protocol/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/utf8.h"

const char *attnp_error_name(enum attnp_code code)
{
    switch (code) {
#define X(number, name, string, ends, text) \
    case ATTNP_##name: \
        return string;
        ATTNP_ERRORS(X)
#undef X
    default:
        return "unknown";
    }
}

const char *attnp_error_general_text(enum attnp_code code)
{
    switch (code) {
#define X(number, name, string, ends, text) \
    case ATTNP_##name: \
        return text;
        ATTNP_ERRORS(X)
#undef X
    default:
        return "unknown";
    }
}

enum attnp_ends attnp_error_ends(enum attnp_code code)
{
    switch (code) {
#define X(number, name, string, ends, text) \
    case ATTNP_##name: \
        return ATTNP_ENDS_##ends;
        ATTNP_ERRORS(X)
#undef X
    default:
        return ATTNP_ENDS_REQUEST;
    }
}

__attribute__((format(printf, 3, 0)))
static void fill(struct attnp_error *error, enum attnp_code code, const char *format, va_list arguments)
{
    if (!error)
        return;
    /* A character more than fits, so that a text that is too long is cut between characters. */
    char text[sizeof(error->text) + 4];
    vsnprintf(text, sizeof(text), format, arguments);
    *error = (struct attnp_error){.code = code};
    attnp_utf8_copy(error->text, ATTNP_ERROR_TEXT, text, strlen(text));
}

int attnp_fail(struct attnp_error *error, enum attnp_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, code, format, arguments);
    va_end(arguments);
    return -1;
}

int attnp_fail_at(struct attnp_error *error, enum attnp_code code, uint64_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, code, format, arguments);
    va_end(arguments);
    if (error) {
        error->has_offset = true;
        error->offset = offset;
    }
    return -1;
}
