/* SPDX-License-Identifier: MIT */
#include "reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Takes away the bytes of a last character that the end of the buffer cut through. */
static void drop_cut_character(char *text)
{
    size_t end = strlen(text);
    size_t lead = end;
    while (lead > 0 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return;
    unsigned char first = (unsigned char)text[lead - 1];
    size_t needed = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    if (end - (lead - 1) < needed)
        text[lead - 1] = '\0';
}

int attn_refuse(struct attn_reason *why, int error, const char *format, ...)
{
    if (why == NULL)
        return error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof(why->text), format, arguments);
    va_end(arguments);
    drop_cut_character(why->text);
    for (unsigned char *c = (unsigned char *)why->text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
    return error;
}
