/* SPDX-License-Identifier: MIT */
/* Text that came over the wire: is it UTF-8 that can be shown in one line? Private to protocol/. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at the start of text[0..n): 1 to 4; 0 where it is no UTF-8 (RFC 3629: no overlong form, no
 * surrogate, at most U+10FFFF), cut off, or a control character (below U+0020, U+007F to U+009F). */
size_t attnp_utf8_step(const char *text, size_t n);

/* Whether all n bytes are such characters. */
bool attnp_utf8_clean(const char *text, size_t n);

/* Copies text into a line of at most n_to bytes and its terminator: what is no clean character becomes '?', and no
 * character is cut in two. Returns its length. */
size_t attnp_utf8_copy(char *to, size_t n_to, const char *text, size_t n);
