/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdbool.h>
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

json_t *attn_json_read(const char *text, size_t n_bytes, const char *what, int *error, struct attn_reason *why)
{
    size_t deepest = nesting(text, n_bytes);
    if (deepest > ATTN_MAX_NESTING) {
        *error = attn_refuse(why, ATTN_E_MODEL, "%s nests %zu deep; the limit is %d", what, deepest, ATTN_MAX_NESTING);
        return NULL;
    }
    json_error_t at;
    json_t *json = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &at);
    if (json == NULL && json_error_code(&at) == json_error_out_of_memory) {
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
    json_object_foreach(object, name, value) {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], name) != 0)
            i++;
        if (known[i] == NULL)
            return name;
    }
    return NULL;
}
