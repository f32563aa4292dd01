/* SPDX-License-Identifier: MIT */
/*
 * msgpack-c allocates what a length header claims before it looks at the bytes: `dd ff ff ff ff` alone asks it for 128
 * GiB. So every message is walked here first, with one counter a nesting level on the stack and nothing else. What
 * passes is complete, and holds at most ATTNP_MAX_ELEMENTS values, so that the memory msgpack-c takes for it is bounded
 * (see limits.h).
 *
 * A claim is compared with the limits before it is compared with the bytes that are there: a bomb is called by its
 * name, and not "truncated". Strings are not checked for UTF-8 here; who shows or stores one does that.
 */
#include "protocol/scan.h"

#include "protocol/cursor.h"

struct scan {
    struct attnp_cursor cursor;
    uint32_t n_elements;            /* values announced so far, the root included */
    uint32_t depth;                 /* arrays and maps that are open */
    uint32_t left[ATTNP_MAX_DEPTH]; /* values to come in each of them */
    struct attnp_error *error;
};

static int truncated(struct scan *scan, size_t at)
{
    return attnp_fail_at(scan->error, ATTNP_BAD_MESSAGE, at,
                         "the value at byte %zu is cut off: the message ends at byte %zu", at, scan->cursor.n_bytes);
}

static int enter(struct scan *scan, struct attnp_head head, uint64_t n)
{
    if (n > ATTNP_MAX_ELEMENTS - scan->n_elements) {
        return attnp_fail_at(scan->error, ATTNP_LIMIT_EXCEEDED, head.at,
                             "%s of %llu at byte %zu: a message may hold %d values in all", attnp_type_text(head.type),
                             (unsigned long long)head.n, head.at, ATTNP_MAX_ELEMENTS);
    }
    if (scan->depth == ATTNP_MAX_DEPTH) {
        return attnp_fail_at(scan->error, ATTNP_LIMIT_EXCEEDED, head.at,
                             "%s at byte %zu is nested too deep: the limit is %d levels", attnp_type_text(head.type),
                             head.at, ATTNP_MAX_DEPTH);
    }
    scan->n_elements += (uint32_t)n;
    scan->left[scan->depth++] = (uint32_t)n;
    return 0;
}

static int scan_string(struct scan *scan, struct attnp_head head)
{
    if (head.type == ATTNP_TYPE_STR && head.n > ATTNP_MAX_STRING) {
        return attnp_fail_at(scan->error, ATTNP_LIMIT_EXCEEDED, head.at,
                             "a string of %llu bytes at byte %zu: the limit is %d bytes", (unsigned long long)head.n,
                             head.at, ATTNP_MAX_STRING);
    }
    if (!attnp_cursor_take(&scan->cursor, head.n))
        return truncated(scan, head.at);
    return 0;
}

static int scan_value(struct scan *scan)
{
    struct attnp_head head = attnp_cursor_head(&scan->cursor);
    switch (head.type) {
    case ATTNP_TYPE_NONE:
        return truncated(scan, head.at);
    case ATTNP_TYPE_STR:
    case ATTNP_TYPE_BIN:
        return scan_string(scan, head);
    case ATTNP_TYPE_ARRAY:
        return enter(scan, head, head.n);
    case ATTNP_TYPE_MAP:
        return enter(scan, head, 2 * head.n);
    case ATTNP_TYPE_EXT:
    case ATTNP_TYPE_RESERVED:
        return attnp_fail_at(scan->error, ATTNP_BAD_MESSAGE, head.at, "%s at byte %zu: no message holds one",
                             attnp_type_text(head.type), head.at);
    default:
        return 0;
    }
}

/* Closes the arrays and maps that are complete; false where the root is. */
static bool more_to_come(struct scan *scan)
{
    while (scan->depth > 0 && scan->left[scan->depth - 1] == 0)
        scan->depth--;
    if (scan->depth == 0)
        return false;
    scan->left[scan->depth - 1]--;
    return true;
}

int attnp_scan(const uint8_t *bytes, size_t n_bytes, struct attnp_error *error)
{
    struct scan scan = {.n_elements = 1, .error = error};
    attnp_cursor_init(&scan.cursor, bytes, n_bytes);
    do {
        if (scan_value(&scan) < 0)
            return -1;
    } while (more_to_come(&scan));
    if (scan.cursor.at < n_bytes) {
        return attnp_fail_at(error, ATTNP_BAD_MESSAGE, scan.cursor.at,
                             "%zu bytes after the end of the message's value at byte %zu", n_bytes - scan.cursor.at,
                             scan.cursor.at);
    }
    return 0;
}
