/* SPDX-License-Identifier: MIT */
/*
 * One reader a type of parameter, one line a parameter. A reader leaves its target alone where the parameter is absent,
 * and says what it found where the parameter is wrong: `window is -3, but should be an integer from 1 to 4294967295`.
 */
#include "protocol/request.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "protocol/utf8.h"

/* The map that is read, the name it has in messages ("attention."), and where errors go. */
struct fields {
    const msgpack_object *map;
    const char *prefix;
    struct attnp_error *error;
};

/* Says in `text` what an object is, with its value where that is short. */
static void describe(const msgpack_object *object, char text[64])
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        snprintf(text, 64, "nil");
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        snprintf(text, 64, "%s", object->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        snprintf(text, 64, "%" PRIu64, object->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        snprintf(text, 64, "%" PRId64, object->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        snprintf(text, 64, "the float %g", object->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        snprintf(text, 64, "\"%.*s%s\"", object->via.str.size > 40 ? 40 : (int)object->via.str.size,
                 attnp_text_of(object), object->via.str.size > 40 ? "…" : "");
        break;
    case MSGPACK_OBJECT_BIN:
        snprintf(text, 64, "a bin of %" PRIu32 " bytes", object->via.bin.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        snprintf(text, 64, "an array of %" PRIu32, object->via.array.size);
        break;
    default:
        snprintf(text, 64, "a map of %" PRIu32, object->via.map.size);
    }
}

static int wrong(const struct fields *fields, const char *key, const msgpack_object *found, const char *wanted)
{
    char what[64];
    describe(found, what);
    return attnp_fail(fields->error, ATTNP_BAD_PARAMS, "%s%s is %s, but should be %s", fields->prefix, key, what,
                      wanted);
}

static int missing(const struct fields *fields, const char *key, const char *wanted)
{
    return attnp_fail(fields->error, ATTNP_BAD_PARAMS, "%s%s is missing: it should be %s", fields->prefix, key, wanted);
}

/* The parameter, or NULL where it is absent or nil. */
static const msgpack_object *get(const struct fields *fields, const char *key)
{
    const msgpack_object *found = attnp_map_get(fields->map, key);
    return found && found->type != MSGPACK_OBJECT_NIL ? found : NULL;
}

static int read_uint(const struct fields *fields, const char *key, uint64_t least, uint64_t most, uint64_t *value)
{
    char wanted[80];
    const msgpack_object *found = get(fields, key);
    if (!found)
        return 0;
    if (found->type == MSGPACK_OBJECT_POSITIVE_INTEGER && found->via.u64 >= least && found->via.u64 <= most) {
        *value = found->via.u64;
        return 0;
    }
    snprintf(wanted, sizeof(wanted), "an integer from %" PRIu64 " to %" PRIu64, least, most);
    return wrong(fields, key, found, wanted);
}

static int read_u32(const struct fields *fields, const char *key, uint32_t least, uint32_t *value)
{
    uint64_t wide = *value;
    if (read_uint(fields, key, least, UINT32_MAX, &wide) < 0)
        return -1;
    *value = (uint32_t)wide;
    return 0;
}

/* A u32 of 1 or more that may not be absent. */
static int need_u32(const struct fields *fields, const char *key, uint32_t *value)
{
    return get(fields, key) ? read_u32(fields, key, 1, value) : missing(fields, key, "an integer from 1 to 4294967295");
}

static int read_text(const struct fields *fields, const char *key, unsigned most, struct attnp_string *text)
{
    char wanted[80];
    const msgpack_object *found = get(fields, key);
    if (!found)
        return 0;
    if (found->type == MSGPACK_OBJECT_STR && found->via.str.size > 0 && found->via.str.size <= most &&
        attnp_utf8_clean(found->via.str.ptr, found->via.str.size)) {
        *text = (struct attnp_string){found->via.str.ptr, found->via.str.size};
        return 0;
    }
    snprintf(wanted, sizeof(wanted), "a string of 1 to %u bytes of UTF-8 without control characters", most);
    return wrong(fields, key, found, wanted);
}

/* One of n names, by its index. */
static int read_choice(const struct fields *fields, const char *key, const char *const *names, int n, int *choice)
{
    char wanted[80] = "";
    const msgpack_object *found = get(fields, key);
    if (!found)
        return 0;
    for (int i = 0; i < n; i++) {
        if (found->type == MSGPACK_OBJECT_STR && found->via.str.size == strlen(names[i]) &&
            memcmp(found->via.str.ptr, names[i], found->via.str.size) == 0) {
            *choice = i;
            return 0;
        }
        size_t at = strlen(wanted);
        snprintf(wanted + at, sizeof(wanted) - at, "%s\"%s\"", i == 0 ? "" : i == n - 1 ? " or " : ", ", names[i]);
    }
    return wrong(fields, key, found, wanted);
}

static int read_bool(const struct fields *fields, const char *key, bool *value)
{
    const msgpack_object *found = get(fields, key);
    if (!found)
        return 0;
    if (found->type != MSGPACK_OBJECT_BOOLEAN)
        return wrong(fields, key, found, "true or false");
    *value = found->via.boolean;
    return 0;
}

static int read_bin(const struct fields *fields, const char *key, const uint8_t **data, size_t *n_bytes)
{
    const msgpack_object *found = get(fields, key);
    if (!found)
        return 0;
    if (found->type != MSGPACK_OBJECT_BIN)
        return wrong(fields, key, found, "a bin of float32");
    *data = (const uint8_t *)found->via.bin.ptr;
    *n_bytes = found->via.bin.size;
    return 0;
}

static int read_rate(const struct fields *fields, bool *has, double *rate)
{
    const msgpack_object *found = get(fields, "rate");
    if (!found)
        return 0;
    double value = -1;
    if (found->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        value = (double)found->via.u64;
    else if (found->type == MSGPACK_OBJECT_FLOAT32 || found->type == MSGPACK_OBJECT_FLOAT64)
        value = found->via.f64;
    if (!isfinite(value) || value <= 0)
        return wrong(fields, "rate", found, "a number of frames a second above 0");
    *has = true;
    *rate = value;
    return 0;
}

int attnp_hello_read(struct attnp_hello *hello, const msgpack_object *params, struct attnp_error *error)
{
    const struct fields fields = {params, "", error};
    *hello = (struct attnp_hello){0};
    if (read_text(&fields, "client", ATTNP_MAX_NAME, &hello->client) < 0)
        return -1;
    const msgpack_object *versions = get(&fields, "versions");
    if (!versions)
        return missing(&fields, "versions", "an array of the versions that the client speaks, such as [1]");
    if (versions->type != MSGPACK_OBJECT_ARRAY)
        return wrong(&fields, "versions", versions, "an array of the versions that the client speaks, such as [1]");
    for (uint32_t i = 0; i < versions->via.array.size; i++) {
        const msgpack_object *version = &versions->via.array.ptr[i];
        if (version->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
            return wrong(&fields, "a value of versions", version, "an integer of 0 or more");
        hello->speaks_version |= version->via.u64 == ATTNP_VERSION;
    }
    return 0;
}

static int read_choices(const struct fields *fields, struct attnp_attention *attention)
{
    static const char *const methods[] = {"exact", "nystrom"}, *const policies[] = {"means", "fixed"},
                             *const refreshes[] = {"immediate", "spread"}, *const scales[] = {"matrix", "heads"};
    int method = 0, policy = 0, refresh = 0, scale = 0;
    if (!get(fields, "method"))
        return missing(fields, "method", "\"exact\" or \"nystrom\"");
    if (read_choice(fields, "method", methods, 2, &method) < 0 ||
        read_choice(fields, "landmark_policy", policies, 2, &policy) < 0 ||
        read_choice(fields, "refresh", refreshes, 2, &refresh) < 0 ||
        read_choice(fields, "inverse_scale", scales, 2, &scale) < 0)
        return -1;
    attention->method = method;
    attention->landmark_policy = policy;
    attention->refresh = refresh;
    attention->inverse_scale = scale;
    return 0;
}

/* One of q_landmarks and k_landmarks: exactly where the policy is fixed, and of the size that the dimensions say. */
static int read_landmarks(const struct fields *fields, const char *key, const struct attnp_attention *attention,
                          const uint8_t **data, size_t *n_bytes)
{
    bool fixed = attention->landmark_policy == ATTNP_POLICY_FIXED;
    uint64_t floats = (uint64_t)attention->heads * attention->landmarks, wanted;
    char text[80];
    if (read_bin(fields, key, data, n_bytes) < 0)
        return -1;
    if (!*data)
        return fixed ? missing(fields, key, "a bin of heads x landmarks x head_dim float32") : 0;
    if (!fixed)
        return wrong(fields, key, get(fields, key), "absent, since landmark_policy is not \"fixed\"");
    if (!__builtin_mul_overflow(floats, 4ull * attention->head_dim, &wanted) && wanted == *n_bytes)
        return 0;
    snprintf(text, sizeof(text), "%u x %u x %u float32 (heads x landmarks x head_dim)", attention->heads,
             attention->landmarks, attention->head_dim);
    return wrong(fields, key, get(fields, key), text);
}

static int read_attention(struct attnp_attention *attention, const msgpack_object *map, struct attnp_error *error)
{
    const struct fields fields = {map, "attention.", error};
    if (read_choices(&fields, attention) < 0 || need_u32(&fields, "window", &attention->window) < 0 ||
        need_u32(&fields, "heads", &attention->heads) < 0 || need_u32(&fields, "head_dim", &attention->head_dim) < 0 ||
        read_u32(&fields, "landmarks", 0, &attention->landmarks) < 0 ||
        read_bool(&fields, "retroactive", &attention->retroactive) < 0)
        return -1;
    if (read_landmarks(&fields, "q_landmarks", attention, &attention->q_landmarks, &attention->n_q_bytes) < 0)
        return -1;
    return read_landmarks(&fields, "k_landmarks", attention, &attention->k_landmarks, &attention->n_k_bytes);
}

/* What the stream computes: a model by name, or an attention. */
static int read_what(const struct fields *fields, struct attnp_open *open)
{
    const msgpack_object *attention = get(fields, "attention");
    if (read_text(fields, "model", ATTNP_MAX_MODEL, &open->model) < 0)
        return -1;
    if (!attention && !open->model.data)
        return attnp_fail(fields->error, ATTNP_BAD_PARAMS,
                          "model and attention are missing: open needs one of them (models lists the models)");
    if (attention && open->model.data)
        return attnp_fail(fields->error, ATTNP_BAD_PARAMS,
                          "model and attention are both given: open takes one of them");
    if (!attention)
        return 0;
    if (attention->type != MSGPACK_OBJECT_MAP)
        return wrong(fields, "attention", attention, "a map");
    open->has_attention = true;
    return read_attention(&open->attention, attention, fields->error);
}

static int read_how(const struct fields *fields, struct attnp_open *open)
{
    static const char *const lates[] = {"block", "drop-oldest", "skip-output"};
    static const char *const outputs[] = {"scores", "logits", "embedding"};
    int late = ATTNP_LATE_BLOCK, output = ATTNP_OUTPUT_SCORES;
    if (read_choice(fields, "late", lates, 3, &late) < 0 || read_choice(fields, "output", outputs, 3, &output) < 0 ||
        read_u32(fields, "deadline_ms", 1, &open->deadline_ms) < 0 ||
        read_rate(fields, &open->has_rate, &open->rate) < 0)
        return -1;
    open->late = late;
    open->output = output;
    open->has_deadline = open->deadline_ms > 0;
    if (late != ATTNP_LATE_BLOCK && !open->has_deadline)
        return attnp_fail(fields->error, ATTNP_BAD_PARAMS, "late is %s, which needs deadline_ms: by when is a frame late?",
                          lates[late]);
    return 0;
}

/* first_frame alone numbers a fresh stream; a replay needs all three. */
static int read_replay(const struct fields *fields, struct attnp_open *open)
{
    open->has_first_frame = get(fields, "first_frame");
    open->has_replay = get(fields, "position") || get(fields, "answer_from");
    if (read_uint(fields, "first_frame", 0, ATTNP_MAX_NUMBER, &open->first_frame) < 0 ||
        read_uint(fields, "position", 0, ATTNP_MAX_NUMBER, &open->position) < 0 ||
        read_uint(fields, "answer_from", 0, ATTNP_MAX_NUMBER, &open->answer_from) < 0)
        return -1;
    if (!open->has_replay)
        return 0;
    for (const char *const *key = (const char *const[]){"first_frame", "position", "answer_from", NULL}; *key; key++)
        if (!get(fields, *key))
            return missing(fields, *key, "given, since a replay needs first_frame, position and answer_from");
    if (open->answer_from < open->first_frame)
        return attnp_fail(fields->error, ATTNP_BAD_PARAMS,
                          "answer_from is %" PRIu64 ", but should be %" PRIu64 " (first_frame) or more",
                          open->answer_from, open->first_frame);
    return 0;
}

int attnp_open_read(struct attnp_open *open, const msgpack_object *params, struct attnp_error *error)
{
    const struct fields fields = {params, "", error};
    *open = (struct attnp_open){0};
    if (read_what(&fields, open) < 0 || read_text(&fields, "name", ATTNP_MAX_NAME, &open->name) < 0 ||
        read_how(&fields, open) < 0)
        return -1;
    return read_replay(&fields, open);
}

int attnp_target_read(struct attnp_target *target, const msgpack_object *params, struct attnp_error *error)
{
    const struct fields fields = {params, "", error};
    *target = (struct attnp_target){0};
    bool by_number = get(&fields, "stream");
    if (read_uint(&fields, "stream", 0, UINT64_MAX, &target->stream) < 0 ||
        read_text(&fields, "name", ATTNP_MAX_NAME, &target->name) < 0)
        return -1;
    target->by_name = target->name.data;
    if (by_number == target->by_name)
        return attnp_fail(error, ATTNP_BAD_PARAMS, "stream and name are both %s: one of them says which stream",
                          by_number ? "given" : "missing");
    return 0;
}

int attnp_attach_read(struct attnp_attach *attach, const msgpack_object *params, struct attnp_error *error)
{
    const struct fields fields = {params, "", error};
    const msgpack_object *token = get(&fields, "token");
    *attach = (struct attnp_attach){0};
    if (attnp_target_read(&attach->target, params, error) < 0)
        return -1;
    if (!token)
        return missing(&fields, "token", "the bytes that `open` answered with");
    if (token->type != MSGPACK_OBJECT_BIN || token->via.bin.size != ATTNP_TOKEN_BYTES)
        return wrong(&fields, "token", token, "a bin of 16 bytes");
    attach->token = (const uint8_t *)token->via.bin.ptr;
    return 0;
}

int attnp_kill_read(struct attnp_kill *kill, const msgpack_object *params, struct attnp_error *error)
{
    const struct fields fields = {params, "", error};
    *kill = (struct attnp_kill){0};
    if (attnp_target_read(&kill->target, params, error) < 0)
        return -1;
    return read_text(&fields, "reason", ATTNP_MAX_REASON, &kill->reason);
}
