/* SPDX-License-Identifier: MIT */
/* Configuration by a table: a key is one line of CONFIG_KEYS, and reading, checking, printing, reloading and the
 * manual's test all walk that table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_keys.h"
#include "daemon/log.h"

const struct config_key_facts config_keys[CONFIG_N_KEYS] = {
#define X(section, name, type, change, ...) {#section, #name, CONFIG_TYPE_##type, CONFIG_##change, __VA_ARGS__},
    CONFIG_KEYS(X)
#undef X
};

static int set_text(struct config *config, enum config_key key, const char *value, bool append,
                    char why[ATTNP_ERROR_TEXT + 1])
{
    char *text = config->values[key].text;
    size_t used = append ? strlen(text) : 0;
    size_t most = config_keys[key].max != 0 ? config_keys[key].max : CONFIG_TEXT_BYTES - 1;
    size_t separator = used != 0 ? 1 : 0;
    if (used + separator + strlen(value) > most || strlen(value) < config_keys[key].min) {
        snprintf(why, ATTNP_ERROR_TEXT, "%s is %zu bytes long; it has to be %ju to %zu bytes", config_keys[key].name,
                 used + separator + strlen(value), (uintmax_t)config_keys[key].min, most);
        return -1;
    }
    if (separator != 0)
        text[used] = ':';
    strcpy(text + used + separator, value);
    return 0;
}

/* A comment begins with either character, at the beginning of a line. Where one of them begins a value, or follows
 * white space in it, somebody took the value for ended. */
static char comment_in(const char *value)
{
    for (const char *c = value; *c != '\0'; c++)
        if ((*c == '#' || *c == ';') && (c == value || c[-1] == ' ' || c[-1] == '\t'))
            return *c;
    return '\0';
}

/* "64K" and the like; false where the text is no such number or does not fit. */
static bool parse_number(const char *text, enum config_type type, uint64_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, type == CONFIG_TYPE_MODE ? 8 : 10);
    unsigned shift = 0;
    if (type == CONFIG_TYPE_SIZE && end != text && *end != '\0') {
        const char *suffix = strchr("KMG", *end);
        if (suffix == NULL)
            return false;
        shift = 10u * (unsigned)(suffix - "KMG" + 1);
        end++;
    }
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value > UINT64_MAX >> shift)
        return false;
    *number = (uint64_t)value << shift;
    return true;
}

static int set_number(struct config *config, enum config_key key, const char *value, char why[ATTNP_ERROR_TEXT + 1])
{
    static const char *const kinds[] = {[CONFIG_TYPE_NUMBER] = "a number",
                                        [CONFIG_TYPE_SIZE] = "a size such as 64K, 1M or 2G",
                                        [CONFIG_TYPE_MODE] = "octal permissions such as 0660"};
    const struct config_key_facts *k = &config_keys[key];
    uint64_t number;
    if (!parse_number(value, k->type, &number)) {
        snprintf(why, ATTNP_ERROR_TEXT, "%s is '%.60s', which is not %s", k->name, value, kinds[k->type]);
        return -1;
    }
    if (number < k->min || number > k->max) {
        snprintf(why, ATTNP_ERROR_TEXT,
                 k->type == CONFIG_TYPE_MODE ? "%s is %#jo; it has to be from %#jo to %#jo"
                                             : "%s is %ju; it has to be from %ju to %ju",
                 k->name, (uintmax_t)number, (uintmax_t)k->min, (uintmax_t)k->max);
        return -1;
    }
    config->values[key].number = number;
    return 0;
}

static int set_level(struct config *config, enum config_key key, const char *value, char why[ATTNP_ERROR_TEXT + 1])
{
    int level = log_level_of(value);
    if (level < 0) {
        snprintf(why, ATTNP_ERROR_TEXT, "%s is '%.60s'; it has to be error, warning, info or debug",
                 config_keys[key].name, value);
        return -1;
    }
    config->values[key].number = (uint64_t)level;
    return 0;
}

static int set(struct config *config, enum config_key key, const char *value, const char *origin, bool append,
               char why[ATTNP_ERROR_TEXT + 1])
{
    int status;
    char comment = comment_in(value);
    if (comment != '\0') {
        snprintf(why, ATTNP_ERROR_TEXT, CONFIG_COMMENT_TEXT, config_keys[key].name, comment);
        return -1;
    }
    if (config_is_text(key))
        status = set_text(config, key, value, append && config_keys[key].type == CONFIG_TYPE_LIST, why);
    else if (config_keys[key].type == CONFIG_TYPE_LEVEL)
        status = set_level(config, key, value, why);
    else
        status = set_number(config, key, value, why);
    if (status == 0)
        snprintf(config->values[key].origin, sizeof(config->values[key].origin), "%s", origin);
    return status;
}

int config_set(struct config *config, enum config_key key, const char *value, const char *origin,
               char why[ATTNP_ERROR_TEXT + 1])
{
    return set(config, key, value, origin, false, why);
}

int config_set_item(struct config *config, enum config_key key, const char *item, const char *origin, bool append,
                    char why[ATTNP_ERROR_TEXT + 1])
{
    char quoted[2 * CONFIG_TEXT_BYTES], *end = quoted;
    if (config_keys[key].type != CONFIG_TYPE_LIST)
        return config_set(config, key, item, origin, why);
    if (strlen(item) >= CONFIG_TEXT_BYTES) {
        snprintf(why, ATTNP_ERROR_TEXT, "%zu bytes are given; at most %d fit", strlen(item), CONFIG_TEXT_BYTES - 1);
        return -1;
    }
    for (const char *c = item; *c != '\0'; c++) {
        if (strchr(":\\#;", *c) != NULL)
            *end++ = '\\';
        *end++ = *c;
    }
    *end = '\0';
    return set(config, key, quoted, origin, append, why);
}

bool config_next_item(const char **rest, char item[CONFIG_TEXT_BYTES])
{
    size_t n = 0;
    const char *c = *rest;
    while (*c == ':')
        c++;
    for (; *c != '\0' && *c != ':'; c++) {
        if (*c == '\\' && c[1] != '\0')
            c++;
        item[n++] = *c;
    }
    item[n] = '\0';
    *rest = c;
    return n > 0;
}

void config_init(struct config *config)
{
    char why[ATTNP_ERROR_TEXT + 1];
    memset(config, 0, sizeof(*config));
    for (int key = 0; key < CONFIG_N_KEYS; key++)
        if (config_set(config, key, config_keys[key].fallback, "default", why) != 0)
            strcpy(config->values[key].text,
                   config_keys[key].fallback); /* an empty default of a key that must not be empty */
}

/* The value as a file has it. */
static void write_value(const struct config *config, enum config_key key, char text[CONFIG_TEXT_BYTES])
{
    uint64_t number = config_number(config, key);
    if (config_is_text(key))
        strcpy(text, config->values[key].text);
    else if (config_keys[key].type == CONFIG_TYPE_LEVEL)
        strcpy(text, log_level_name(number));
    else
        snprintf(text, CONFIG_TEXT_BYTES, config_keys[key].type == CONFIG_TYPE_MODE ? "%#jo" : "%ju",
                 (uintmax_t)number);
}

/* A path may have a line break in it, which would end the comment. */
static void print_origin(const char *origin, FILE *out)
{
    for (const char *c = origin; *c != '\0'; c++)
        fputc((unsigned char)*c < 0x20 ? '?' : *c, out);
}

void config_print(const struct config *config, FILE *out)
{
    const char *section = "";
    char value[CONFIG_TEXT_BYTES];
    for (int key = 0; key < CONFIG_N_KEYS; key++) {
        const struct config_key_facts *k = &config_keys[key];
        if (strcmp(section, k->section) != 0)
            fprintf(out, "%s[%s]\n", key == 0 ? "" : "\n", k->section);
        section = k->section;
        write_value(config, key, value);
        fprintf(out, "; %s\n; %s (", k->about, k->needs == CONFIG_RELOAD ? "a reload applies it" : "needs a restart");
        print_origin(config->values[key].origin, out);
        fprintf(out, ")\n%s = %s\n", k->name, value);
    }
}

void config_apply(struct config *live, const struct config *fresh, void (*changed)(const struct config_change *change))
{
    for (int key = 0; key < CONFIG_N_KEYS; key++) {
        const struct config_key_facts *k = &config_keys[key];
        struct config_change change = {k->section, k->name, fresh->values[key].origin,
                                       "",         "",      k->needs == CONFIG_RELOAD};
        write_value(live, key, change.was);
        write_value(fresh, key, change.is);
        bool is_equal = strcmp(change.was, change.is) == 0;
        if (!is_equal)
            changed(&change);
        if (is_equal || change.is_applied) {
            strcpy(live->values[key].text, fresh->values[key].text);
            strcpy(live->values[key].origin, fresh->values[key].origin);
            atomic_store_explicit(&live->values[key].number, config_number(fresh, key), memory_order_relaxed);
        }
    }
}
