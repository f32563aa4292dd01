/* SPDX-License-Identifier: MIT */
#include "protocol/cursor.h"

#include <string.h>

/* The heads from 0xc0 to 0xdf: type, and the bytes of big-endian number that follow. Heads of ext have no number here,
 * since nothing reads an ext: it is refused where it stands. Source: the MessagePack specification, "Formats". */
static const struct {
    uint8_t type, n_bytes;
} heads[32] = {
    {ATTNP_TYPE_NIL, 0},   {ATTNP_TYPE_RESERVED, 0}, {ATTNP_TYPE_BOOL, 0},  {ATTNP_TYPE_BOOL, 0},  /* c0 … c3 */
    {ATTNP_TYPE_BIN, 1},   {ATTNP_TYPE_BIN, 2},      {ATTNP_TYPE_BIN, 4},   {ATTNP_TYPE_EXT, 0},   /* c4 … c7 */
    {ATTNP_TYPE_EXT, 0},   {ATTNP_TYPE_EXT, 0},      {ATTNP_TYPE_FLOAT, 4}, {ATTNP_TYPE_FLOAT, 8}, /* c8 … cb */
    {ATTNP_TYPE_UINT, 1},  {ATTNP_TYPE_UINT, 2},     {ATTNP_TYPE_UINT, 4},  {ATTNP_TYPE_UINT, 8},  /* cc … cf */
    {ATTNP_TYPE_INT, 1},   {ATTNP_TYPE_INT, 2},      {ATTNP_TYPE_INT, 4},   {ATTNP_TYPE_INT, 8},   /* d0 … d3 */
    {ATTNP_TYPE_EXT, 0},   {ATTNP_TYPE_EXT, 0},      {ATTNP_TYPE_EXT, 0},   {ATTNP_TYPE_EXT, 0},   /* d4 … d7 */
    {ATTNP_TYPE_EXT, 0},   {ATTNP_TYPE_STR, 1},      {ATTNP_TYPE_STR, 2},   {ATTNP_TYPE_STR, 4},   /* d8 … db */
    {ATTNP_TYPE_ARRAY, 2}, {ATTNP_TYPE_ARRAY, 4},    {ATTNP_TYPE_MAP, 2},   {ATTNP_TYPE_MAP, 4},   /* dc … df */
};

const char *attnp_type_text(enum attnp_type type)
{
    static const char *const texts[] = {
        [ATTNP_TYPE_NONE] = "nothing",
        [ATTNP_TYPE_NIL] = "nil",
        [ATTNP_TYPE_BOOL] = "a boolean",
        [ATTNP_TYPE_UINT] = "an integer",
        [ATTNP_TYPE_INT] = "a negative integer",
        [ATTNP_TYPE_FLOAT] = "a float",
        [ATTNP_TYPE_STR] = "a string",
        [ATTNP_TYPE_BIN] = "a bin",
        [ATTNP_TYPE_ARRAY] = "an array",
        [ATTNP_TYPE_MAP] = "a map",
        [ATTNP_TYPE_EXT] = "an ext",
        [ATTNP_TYPE_RESERVED] = "the reserved byte 0xc1",
    };
    return texts[type];
}

void attnp_cursor_init(struct attnp_cursor *cursor, const uint8_t *bytes, size_t n_bytes)
{
    *cursor = (struct attnp_cursor){.bytes = bytes, .n_bytes = n_bytes};
}

const uint8_t *attnp_cursor_take(struct attnp_cursor *cursor, uint64_t n)
{
    if (cursor->failed || n > cursor->n_bytes - cursor->at) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *taken = cursor->bytes + cursor->at;
    cursor->at += n;
    return taken;
}

static uint64_t big_endian(const uint8_t *bytes, unsigned n_bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < n_bytes; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* The heads that hold their number in the first byte. */
static struct attnp_head short_head(uint8_t byte, size_t at)
{
    if (byte < 0x80)
        return (struct attnp_head){ATTNP_TYPE_UINT, byte, at};
    if (byte < 0x90)
        return (struct attnp_head){ATTNP_TYPE_MAP, byte & 0x0f, at};
    if (byte < 0xa0)
        return (struct attnp_head){ATTNP_TYPE_ARRAY, byte & 0x0f, at};
    if (byte < 0xc0)
        return (struct attnp_head){ATTNP_TYPE_STR, byte & 0x1f, at};
    return (struct attnp_head){ATTNP_TYPE_INT, (uint64_t)(int8_t)byte, at};
}

struct attnp_head attnp_cursor_head(struct attnp_cursor *cursor)
{
    size_t at = cursor->at;
    const uint8_t *first = attnp_cursor_take(cursor, 1);
    if (!first)
        return (struct attnp_head){ATTNP_TYPE_NONE, 0, at};
    if (*first < 0xc0 || *first >= 0xe0)
        return short_head(*first, at);

    struct attnp_head head = {heads[*first - 0xc0].type, *first == 0xc3, at};
    unsigned n_bytes = heads[*first - 0xc0].n_bytes;
    if (n_bytes == 0)
        return head;
    const uint8_t *number = attnp_cursor_take(cursor, n_bytes);
    if (!number) {
        cursor->at = at;
        return (struct attnp_head){ATTNP_TYPE_NONE, 0, at};
    }
    head.n = big_endian(number, n_bytes);
    if (head.type == ATTNP_TYPE_INT) {
        unsigned unused = 64 - 8 * n_bytes;
        head.n = (uint64_t)((int64_t)(head.n << unused) >> unused);
        if (head.n <= INT64_MAX)
            head.type = ATTNP_TYPE_UINT;
    }
    return head;
}

/* How many values follow within a value of this head. */
static uint64_t n_within(struct attnp_head head)
{
    if (head.type == ATTNP_TYPE_ARRAY)
        return head.n;
    return head.type == ATTNP_TYPE_MAP ? 2 * head.n : 0;
}

static bool skip_body(struct attnp_cursor *cursor, struct attnp_head head)
{
    if (head.type == ATTNP_TYPE_STR || head.type == ATTNP_TYPE_BIN)
        return attnp_cursor_take(cursor, head.n) != NULL;
    return !cursor->failed;
}

bool attnp_cursor_skip(struct attnp_cursor *cursor, uint64_t n)
{
    /* Each value takes a byte at least, so n cannot wrap: 2³² more for each byte of at most one message. */
    while (n > 0 && !cursor->failed) {
        struct attnp_head head = attnp_cursor_head(cursor);
        skip_body(cursor, head);
        n += n_within(head);
        n--;
    }
    return !cursor->failed;
}

bool attnp_cursor_skip_rest(struct attnp_cursor *cursor, struct attnp_head head)
{
    return skip_body(cursor, head) && attnp_cursor_skip(cursor, n_within(head));
}

bool attnp_cursor_string_is(struct attnp_cursor *cursor, struct attnp_head head, const char *text)
{
    size_t start = cursor->at;
    return attnp_cursor_skip_rest(cursor, head) && head.type == ATTNP_TYPE_STR && head.n == strlen(text) &&
           memcmp(cursor->bytes + start, text, head.n) == 0;
}
