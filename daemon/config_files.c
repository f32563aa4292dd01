/* SPDX-License-Identifier: MIT */
/*
 * Reading configuration files. inih splits the lines; it gives no line numbers to its handler, so the reader below
 * counts them. Every mistake of every file is told, not only the first, since an operator who edits them wants to fix
 * all of them at once.
 */
#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_keys.h"
#include "daemon/file.h"

/* With every key at its longest a file has some dozens of kilobytes; the rest is for comments. */
#define MOST_BYTES (1 << 20)

struct reading {
    struct config *config;
    const char *path;
    const char *rest, *end; /* of the text that is not yet read */
    FILE *complaints;
    int line, mistakes;
    int line_of[CONFIG_N_KEYS]; /* where a key was given in this file; 0: not yet */
};

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
        if (strcmp(config_keys[key].section, section) == 0)
            return true;
    return false;
}

/* What may have been meant: the key with the nearest name in any section, else all keys of the section. */
static void complain_unknown(struct reading *reading, const char *section, const char *name)
{
    int nearest = -1;
    unsigned best = strlen(name) < 4 ? 2 : 4; /* any key is like one of a few letters */
    for (int key = 0; key < CONFIG_N_KEYS; key++)
        if (distance(name, config_keys[key].name) < best) {
            best = distance(name, config_keys[key].name);
            nearest = key;
        }
    fprintf(reading->complaints, "%s:%d: ", reading->path, reading->line);
    if (nearest >= 0) {
        fprintf(reading->complaints, "unknown key '%s' in [%s]; did you mean '%s' in [%s]?\n", name, section,
                config_keys[nearest].name, config_keys[nearest].section);
        return;
    }
    bool known = section_known(section);
    fprintf(reading->complaints,
            known ? "unknown key '%s' in [%s]; its keys are:"
                  : "unknown key '%s' in unknown section [%s]; the sections are:",
            name, section);
    for (int key = 0; key < CONFIG_N_KEYS; key++) {
        if (known && strcmp(config_keys[key].section, section) == 0)
            fprintf(reading->complaints, " %s", config_keys[key].name);
        if (!known && (key == 0 || strcmp(config_keys[key].section, config_keys[key - 1].section) != 0))
            fprintf(reading->complaints, " [%s]", config_keys[key].section);
    }
    fputc('\n', reading->complaints);
}

static int handle_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reading *reading = user;
    char why[ATTNP_ERROR_TEXT + 1] = "", origin[sizeof(reading->config->values[0].origin)];
    int key = 0;
    while (key < CONFIG_N_KEYS &&
           (strcmp(config_keys[key].section, section) != 0 || strcmp(config_keys[key].name, name) != 0))
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

static void complain(struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct reading *reading, const char *format, ...)
{
    va_list arguments;
    fprintf(reading->complaints, "%s:%d: ", reading->path, reading->line);
    va_start(arguments, format);
    vfprintf(reading->complaints, format, arguments);
    va_end(arguments);
    fputc('\n', reading->complaints);
    reading->mistakes++;
}

/* What stands behind a section's bracket inih would pass over, and likewise what follows " ;". A " #" it would leave in
 * the value, which is how a mistake with a key that is no text is found all the same. */
static bool is_whole(struct reading *reading, const char *line, size_t n)
{
    const char *bracket = line[0] == '[' ? memchr(line, ']', n) : NULL;
    for (size_t i = bracket != NULL ? (size_t)(bracket - line) + 1 : n; i < n; i++)
        if (strchr(" \t\r", line[i]) == NULL) {
            complain(reading,
                     "text follows the section; what it is to be, comment or key, stands on a line of its own");
            return false;
        }
    for (size_t i = 1; bracket == NULL && i < n; i++)
        if (line[i] == ';' && (line[i - 1] == ' ' || line[i - 1] == '\t')) {
            complain(reading, CONFIG_COMMENT_TEXT, "the value", ';');
            return false;
        }
    return true;
}

/* Whether inih is to see this line of n bytes, for which it has n_bytes of room, the line's end and a zero included. A
 * comment may be as long as it likes. */
static bool is_good(struct reading *reading, const char *line, size_t n, size_t n_bytes)
{
    size_t n_space = 0;
    while (n_space < n && (line[n_space] == ' ' || line[n_space] == '\t'))
        n_space++;
    if (memchr(line, '\0', n) != NULL) {
        complain(reading, "there is a zero byte in it: this is no text");
        return false;
    }
    if (n_space == n || line[n_space] == ';' || line[n_space] == '#')
        return false;
    if (n > n_bytes - 2) {
        complain(reading, "the line is longer than %zu bytes", n_bytes - 2);
        return false;
    }
    return is_whole(reading, line + n_space, n - n_space);
}

/* Gives inih the next line. Comments, and lines with a mistake that was told, are empty for it. */
static char *read_line(char *line, int n_bytes, void *user)
{
    struct reading *reading = user;
    if (reading->rest == reading->end)
        return NULL;
    const char *begin = reading->rest, *end = memchr(begin, '\n', (size_t)(reading->end - begin));
    reading->rest = end != NULL ? end + 1 : reading->end;
    size_t n = (size_t)((end != NULL ? end : reading->end) - begin);
    reading->line++;
    if (!is_good(reading, begin, n, (size_t)n_bytes))
        n = 0;
    memcpy(line, begin, n);
    line[n] = '\n';
    line[n + 1] = '\0';
    return line;
}

static int read_file(struct config *config, const char *path, bool must_exist, FILE *complaints)
{
    struct reading reading = {.config = config, .path = path, .complaints = complaints};
    char why[FILE_WHY_BYTES], *text;
    size_t n;
    int status = file_read(path, MOST_BYTES, &text, &n, why);
    if (status == FILE_ABSENT && !must_exist)
        return 0;
    if (status != 0) {
        fprintf(complaints, "%s: the configuration cannot be read: %s\n", path, why);
        return -1;
    }
    reading.rest = text;
    reading.end = text + n;
    int syntax = ini_parse_stream(read_line, &reading, handle_pair, &reading);
    free(text);
    if (syntax > 0)
        fprintf(complaints, "%s:%d: this is neither [section], nor 'key = value', nor a comment\n", path, syntax);
    else if (syntax < 0)
        fprintf(complaints, "%s: no memory to read the configuration\n", path);
    return syntax != 0 || reading.mistakes != 0 ? -1 : 0;
}

static int is_conf(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

/* By bytes, whatever the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_folder(struct config *config, const char *folder, FILE *complaints)
{
    struct dirent **entries;
    int status = 0, n = scandir(folder, &entries, is_conf, by_bytes);
    if (n < 0 && errno == ENOENT)
        return 0;
    if (n < 0) {
        fprintf(complaints, "%s: the folder cannot be read: %s\n", folder, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (length >= (int)sizeof(path)) {
            fprintf(complaints, "%s: the path of %s is longer than %zu bytes\n", folder, entries[i]->d_name,
                    sizeof(path) - 1);
            status = -1;
        } else if (read_file(config, path, true, complaints) != 0) {
            status = -1;
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

int config_read(struct config *config, const char *path, bool must_exist, FILE *complaints)
{
    char folder[PATH_MAX];
    int status = read_file(config, path, must_exist, complaints);
    if (snprintf(folder, sizeof(folder), "%s.d", path) >= (int)sizeof(folder)) {
        fprintf(complaints, "%s: the path is longer than %zu bytes\n", path, sizeof(folder) - 3);
        return -1;
    }
    if (read_folder(config, folder, complaints) != 0)
        status = -1;
    return status;
}
