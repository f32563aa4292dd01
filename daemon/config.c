/* SPDX-License-Identifier: MIT */
/*
 * Configuration by a table: a key is one line of CONFIG_KEYS, and reading, checking, printing and the manual's test all
 * walk that table. inih splits the lines; it gives no line numbers to its handler, so the reader below counts them.
 * Every mistake of a file is told, not only the first, since whoever edits it wants to fix all of them at once.
 */
#include "daemon/config.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

enum type { TYPE_TEXT, TYPE_LIST, TYPE_NUMBER, TYPE_SIZE, TYPE_MODE, TYPE_LEVEL };

static const struct key {
    const char *section, *name;
    enum type type;
    const char *fallback;
    uint64_t min, max;
    const char *about;
} keys[] = {
#define X(section, name, type, ...) {#section, #name, TYPE_##type, __VA_ARGS__},
    CONFIG_KEYS(X)
#undef X
};

struct reading {
    struct config *config;
    const char *path;
    FILE *file, *complaints;
    int line, mistakes;
    int line_of[CONFIG_N_KEYS]; /* where a key was given in this file; 0: not yet */
};

static int set_text(struct config *config, enum config_key key, const char *value, bool append,
                    char why[ATTNP_ERROR_TEXT + 1])
{
    char *text = config->values[key].text;
    size_t used = append ? strlen(text) : 0;
    size_t most = keys[key].max != 0 ? keys[key].max : CONFIG_TEXT_BYTES - 1;
    size_t separator = used != 0 ? 1 : 0;
    if (used + separator + strlen(value) > most || strlen(value) < keys[key].min) {
        snprintf(why, ATTNP_ERROR_TEXT, "%s is %zu bytes long; it has to be %ju to %zu bytes", keys[key].name,
                 used + separator + strlen(value), (uintmax_t)keys[key].min, most);
        return -1;
    }
    if (separator != 0)
        text[used] = ':';
    strcpy(text + used + separator, value);
    return 0;
}

/* "64K" and the like; false where the text is no such number or does not fit. */
static bool parse_number(const char *text, enum type type, uint64_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, type == TYPE_MODE ? 8 : 10);
    unsigned shift = 0;
    if (type == TYPE_SIZE && end != text && *end != '\0') {
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
    static const char *const kinds[] = {[TYPE_NUMBER] = "a number",
                                        [TYPE_SIZE] = "a size such as 64K, 1M or 2G",
                                        [TYPE_MODE] = "octal permissions such as 0660"};
    const struct key *k = &keys[key];
    uint64_t number;
    if (!parse_number(value, k->type, &number)) {
        snprintf(why, ATTNP_ERROR_TEXT, "%s is '%.60s', which is not %s", k->name, value, kinds[k->type]);
        return -1;
    }
    if (number < k->min || number > k->max) {
        snprintf(why, ATTNP_ERROR_TEXT,
                 k->type == TYPE_MODE ? "%s is %#jo; it has to be from %#jo to %#jo"
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
        snprintf(why, ATTNP_ERROR_TEXT, "%s is '%.60s'; it has to be error, warning, info or debug", keys[key].name,
                 value);
        return -1;
    }
    config->values[key].number = (uint64_t)level;
    return 0;
}

static int set(struct config *config, enum config_key key, const char *value, const char *origin, bool append,
               char why[ATTNP_ERROR_TEXT + 1])
{
    int status;
    if (keys[key].type == TYPE_TEXT || keys[key].type == TYPE_LIST)
        status = set_text(config, key, value, append && keys[key].type == TYPE_LIST, why);
    else if (keys[key].type == TYPE_LEVEL)
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
    if (keys[key].type != TYPE_LIST)
        return config_set(config, key, item, origin, why);
    if (strlen(item) >= CONFIG_TEXT_BYTES) {
        snprintf(why, ATTNP_ERROR_TEXT, "%zu bytes are given; at most %d fit", strlen(item), CONFIG_TEXT_BYTES - 1);
        return -1;
    }
    for (const char *c = item; *c != '\0'; c++) {
        if (*c == ':' || *c == '\\')
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
        if (config_set(config, key, keys[key].fallback, "default", why) != 0)
            strcpy(config->values[key].text, keys[key].fallback); /* an empty default of a key that must not be empty */
}

/* Single edits that turn one word into the other (Levenshtein); words of at most 31 bytes, else "far". */
static unsigned distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    unsigned row[32];
    if (strlen(a) > 31 || n > 31)
        return 99;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
            unsigned shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[n];
}

static bool section_known(const char *section)
{
    for (int key = 0; key < CONFIG_N_KEYS; key++)
        if (strcmp(keys[key].section, section) == 0)
            return true;
    return false;
}

/* What may have been meant: the key with the nearest name in any section, else all keys of the section. */
static void complain_unknown(struct reading *reading, const char *section, const char *name)
{
    int nearest = -1;
    unsigned best = 4;
    for (int key = 0; key < CONFIG_N_KEYS; key++)
        if (distance(name, keys[key].name) < best) {
            best = distance(name, keys[key].name);
            nearest = key;
        }
    fprintf(reading->complaints, "%s:%d: ", reading->path, reading->line);
    if (nearest >= 0) {
        fprintf(reading->complaints, "unknown key '%s' in [%s]; did you mean '%s' in [%s]?\n", name, section,
                keys[nearest].name, keys[nearest].section);
        return;
    }
    bool known = section_known(section);
    fprintf(reading->complaints,
            known ? "unknown key '%s' in [%s]; its keys are:"
                  : "unknown key '%s' in unknown section [%s]; the sections are:",
            name, section);
    for (int key = 0; key < CONFIG_N_KEYS; key++) {
        if (known && strcmp(keys[key].section, section) == 0)
            fprintf(reading->complaints, " %s", keys[key].name);
        if (!known && (key == 0 || strcmp(keys[key].section, keys[key - 1].section) != 0))
            fprintf(reading->complaints, " [%s]", keys[key].section);
    }
    fputc('\n', reading->complaints);
}

static int handle_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reading *reading = user;
    char why[ATTNP_ERROR_TEXT + 1] = "", origin[sizeof(reading->config->values[0].origin)];
    int key = 0;
    while (key < CONFIG_N_KEYS && (strcmp(keys[key].section, section) != 0 || strcmp(keys[key].name, name) != 0))
        key++;
    if (key == CONFIG_N_KEYS) {
        complain_unknown(reading, section, name);
        reading->mistakes++;
        return 1;
    }
    snprintf(origin, sizeof(origin), "%s:%d", reading->path, reading->line);
    if (reading->line_of[key] != 0)
        snprintf(why, sizeof(why), "%s is given twice; the first is in line %d", name, reading->line_of[key]);
    else if (config_set(reading->config, key, value, origin, why) == 0)
        why[0] = '\0';
    reading->line_of[key] = reading->line;
    if (why[0] != '\0') {
        fprintf(reading->complaints, "%s: %s\n", origin, why);
        reading->mistakes++;
    }
    return 1;
}

/* fgets that counts lines and tells one that does not fit inih's buffer, which inih itself would take for two. */
static char *read_line(char *line, int n_bytes, void *user)
{
    struct reading *reading = user;
    if (fgets(line, n_bytes, reading->file) == NULL)
        return NULL;
    reading->line++;
    if (strchr(line, '\n') == NULL && !feof(reading->file)) {
        fprintf(reading->complaints, "%s:%d: the line is longer than %d bytes\n", reading->path, reading->line,
                n_bytes - 2);
        reading->mistakes++;
        for (int c = 0; c != '\n' && c != EOF;)
            c = fgetc(reading->file);
        strcpy(line, "\n");
    }
    return line;
}

int config_read(struct config *config, const char *path, int must_exist, FILE *complaints)
{
    struct reading reading = {.config = config, .path = path, .complaints = complaints};
    reading.file = fopen(path, "re");
    if (reading.file == NULL && errno == ENOENT && !must_exist)
        return 0;
    if (reading.file == NULL) {
        fprintf(complaints, "%s: the configuration cannot be read: %s\n", path, strerror(errno));
        return -1;
    }
    int syntax = ini_parse_stream(read_line, &reading, handle_pair, &reading);
    if (syntax > 0)
        fprintf(complaints, "%s:%d: this is neither [section], nor 'key = value', nor a comment\n", path, syntax);
    else if (syntax < 0)
        fprintf(complaints, "%s: no memory to read the configuration\n", path);
    else if (ferror(reading.file))
        fprintf(complaints, "%s: the configuration cannot be read: is it a file?\n", path);
    int failed = syntax != 0 || reading.mistakes != 0 || ferror(reading.file);
    fclose(reading.file);
    return failed ? -1 : 0;
}

void config_print(const struct config *config, FILE *out)
{
    const char *section = "";
    for (int key = 0; key < CONFIG_N_KEYS; key++) {
        const struct key *k = &keys[key];
        if (strcmp(section, k->section) != 0)
            fprintf(out, "%s[%s]\n", key == 0 ? "" : "\n", k->section);
        section = k->section;
        fprintf(out, "; %s (%s)\n%s = ", k->about, config->values[key].origin, k->name);
        if (k->type == TYPE_TEXT || k->type == TYPE_LIST)
            fprintf(out, "%s\n", config->values[key].text);
        else if (k->type == TYPE_LEVEL)
            fprintf(out, "%s\n", log_level_name(config->values[key].number));
        else
            fprintf(out, k->type == TYPE_MODE ? "%#jo\n" : "%ju\n", (uintmax_t)config->values[key].number);
    }
}
