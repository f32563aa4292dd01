/* SPDX-License-Identifier: MIT */
#include "reason.h"

#include <stdarg.h>
#include <stdio.h>

/* Bytes of the UTF-8 character that begins here, or 0 where none does, or one that controls a terminal. */
static size_t character_bytes(const unsigned char *at)
{
    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7f;
    size_t n_bytes = at[0] >= 0xf5 ? 0 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;
    for (size_t i = 1; i < n_bytes; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool is_control = at[0] == 0xc2 && at[1] < 0xa0;
    bool is_overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool is_no_character = (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf4 && at[1] >= 0x90); /* RFC 3629 */
    return is_control || is_overlong || is_no_character ? 0 : n_bytes;
}

int attn_refuse(struct attn_reason *why, int error, const char *format, ...)
{
    if (why == NULL)
        return error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof(why->text), format, arguments);
    va_end(arguments);
    for (unsigned char *at = (unsigned char *)why->text; *at != '\0';) {
        size_t n_bytes = character_bytes(at);
        if (n_bytes == 0)
            *at++ = '?';
        at += n_bytes;
    }
    return error;
}

bool attn_reason_printable(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        size_t n_bytes = character_bytes(at);
        if (n_bytes == 0)
            return false;
        at += n_bytes;
    }
    return true;
}
