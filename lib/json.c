/* SPDX-License-Identifier: MIT */
/*
 * jansson reads the text. Where memory runs out it mostly says "invalid token", as of a text that is damaged: a caller
 * that tells one from the other (a daemon does not give up a model that it serves for want of memory) cannot go by that. So a
 * text that jansson refuses for its syntax is looked at once more here, without taking memory. Where its syntax is
 * right, memory is what was missing.
 *
 * While it collects a token jansson (2.14) overlooks that its buffer could not grow. So what it may need is asked for
 * beforehand, and given back.
 */
#include "json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "reason.h"

/* How deep arrays and objects nest in the text, whether or not it is well-formed: the parser recurses as deep. */
static size_t nesting(const char *text, size_t n_bytes)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < n_bytes; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

/* Where the text is read, at the nesting that was found to be within its limit. */
struct scan {
    const char *at, *end;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) != NULL && *scan->at != '\0')
        scan->at++;
}

static bool next_is(struct scan *scan, char c)
{
    bool is = scan->at < scan->end && *scan->at == c;
    scan->at += is;
    return is;
}

static bool skip_word(struct scan *scan, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(scan->end - scan->at) < n || memcmp(scan->at, word, n) != 0)
        return false;
    scan->at += n;
    return true;
}

static bool skip_digits(struct scan *scan)
{
    const char *begin = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > begin;
}

static bool skip_number(struct scan *scan)
{
    next_is(scan, '-');
    if (!next_is(scan, '0') && !skip_digits(scan))
        return false;
    if (next_is(scan, '.') && !skip_digits(scan))
        return false;
    if (!next_is(scan, 'e') && !next_is(scan, 'E'))
        return true;
    if (!next_is(scan, '+'))
        next_is(scan, '-');
    return skip_digits(scan);
}

static bool skip_escape(struct scan *scan)
{
    if (!next_is(scan, 'u')) {
        bool is_known = scan->at < scan->end && *scan->at != '\0' && strchr("\"\\/bfnrt", *scan->at) != NULL;
        scan->at += is_known;
        return is_known;
    }
    for (int i = 0; i < 4; i++, scan->at++)
        if (scan->at == scan->end || *scan->at == '\0' || strchr("0123456789abcdefABCDEF", *scan->at) == NULL)
            return false;
    return true;
}

static bool skip_string(struct scan *scan)
{
    if (!next_is(scan, '"'))
        return false;
    while (!next_is(scan, '"')) {
        if (scan->at == scan->end || (unsigned char)*scan->at < 0x20)
            return false;
        if (!next_is(scan, '\\'))
            scan->at++;
        else if (!skip_escape(scan))
            return false;
    }
    return true;
}

static bool skip_value(struct scan *scan);

/* The rest of an array or object whose bracket was read. */
static bool skip_members(struct scan *scan, char close, bool has_names)
{
    skip_space(scan);
    if (next_is(scan, close))
        return true;
    do {
        skip_space(scan);
        if (has_names && !skip_string(scan))
            return false;
        skip_space(scan);
        if ((has_names && !next_is(scan, ':')) || !skip_value(scan))
            return false;
        skip_space(scan);
    } while (next_is(scan, ','));
    return next_is(scan, close);
}

static bool skip_value(struct scan *scan)
{
    skip_space(scan);
    if (next_is(scan, '{'))
        return skip_members(scan, '}', true);
    if (next_is(scan, '['))
        return skip_members(scan, ']', false);
    if (scan->at < scan->end && *scan->at == '"')
        return skip_string(scan);
    return skip_word(scan, "true") || skip_word(scan, "false") || skip_word(scan, "null") || skip_number(scan);
}

/* Whether the text is JSON, but for what its characters, numbers and names may be. */
static bool has_syntax(const char *text, size_t n_bytes)
{
    struct scan scan = {text, text + n_bytes};
    if (!skip_value(&scan))
        return false;
    skip_space(&scan);
    return scan.at == scan.end;
}

/* Of what jansson says of a text that it has not read. */
static bool is_for_memory(const json_error_t *at, const char *text, size_t n_bytes)
{
    if (at->text[0] == '\0') /* no word, and then no code either */
        return has_syntax(text, n_bytes);
    switch (json_error_code(at)) {
    case json_error_out_of_memory:
        return true;
    case json_error_unknown:
    case json_error_invalid_syntax:
    case json_error_premature_end_of_input:
    case json_error_end_of_input_expected:
        return strncmp(at->text, "invalid Unicode", strlen("invalid Unicode")) != 0 && has_syntax(text, n_bytes);
    default:
        return false;
    }
}

/* A list of one-digit numbers takes the most: a value, and a place in the list, for two bytes of text. */
static bool has_memory_for(size_t n_bytes)
{
    void *probe = malloc(32 * n_bytes + 4096);
    bool is_there = probe != NULL;
    free(probe);
    return is_there;
}

json_t *attn_json_read(const char *text, size_t n_bytes, const char *what, int *error, struct attn_reason *why)
{
    size_t deepest = nesting(text, n_bytes);
    if (deepest > ATTN_MAX_NESTING) {
        *error = attn_refuse(why, ATTN_E_MODEL, "%s nests %zu deep; the limit is %d", what, deepest, ATTN_MAX_NESTING);
        return NULL;
    }
    json_error_t at = {.text = ""};
    bool has_memory = has_memory_for(n_bytes);
    json_t *json = has_memory ? json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &at) : NULL;
    if (json == NULL && (!has_memory || is_for_memory(&at, text, n_bytes))) {
        *error = attn_refuse(why, ATTN_E_MEMORY, "no memory to read %s", what);
    } else if (json == NULL) {
        *error = attn_refuse(why, ATTN_E_MODEL, "%s is not valid JSON: byte %d: %s", what, at.position, at.text);
    } else if (!json_is_object(json)) {
        json_decref(json);
        json = NULL;
        *error = attn_refuse(why, ATTN_E_MODEL, "%s is not a JSON object", what);
    }
    return json;
}

const char *attn_json_unknown(json_t *object, const char *const *known)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], name) != 0)
            i++;
        if (known[i] == NULL)
            return name;
    }
    return NULL;
}
