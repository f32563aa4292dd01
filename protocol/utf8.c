/* SPDX-License-Identifier: MIT */
#include "protocol/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

size_t attnp_utf8_step(const char *text, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (n == 0)
        return 0;
    uint8_t first = (uint8_t)text[0];
    size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    if (length == 0 || length > n)
        return 0;
    uint32_t character = length == 1 ? first : first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        uint8_t next = (uint8_t)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (next & 0x3f);
    }
    bool surrogate = character >= 0xd800 && character < 0xe000;
    /* A first byte of 0xf8 or more claims five or six bytes, which RFC 3629 took away. */
    if (first >= 0xf8 || character < least[length] || character > 0x10ffff || surrogate || is_control(character))
        return 0;
    return length;
}

bool attnp_utf8_clean(const char *text, size_t n)
{
    for (size_t at = 0, step; at < n; at += step) {
        step = attnp_utf8_step(text + at, n - at);
        if (step == 0)
            return false;
    }
    return true;
}

size_t attnp_utf8_copy(char *to, size_t n_to, const char *text, size_t n)
{
    size_t written = 0;
    for (size_t at = 0; at < n;) {
        size_t step = attnp_utf8_step(text + at, n - at);
        size_t n_character = step ? step : 1;
        if (n_character > n_to - written)
            break;
        if (step)
            memcpy(to + written, text + at, step);
        else
            to[written] = '?';
        written += n_character;
        at += n_character;
    }
    to[written] = '\0';
    return written;
}
