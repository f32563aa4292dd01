/* SPDX-License-Identifier: MIT */
/*
 * The file is text, so that it can be looked at and deleted; it is written whole and renamed, so that no stop leaves a
 * part of one. All the same it is read as anybody's: its first section has to say that it is ours, its last one how
 * many values there were, and whatever is not as this file writes it means that nothing of it is believed.
 */
#include "daemon/costs.h"

#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/file.h"
#include "daemon/log.h"

#define VERSION "1"

/* What inih returns where it has none. */
#define INI_NO_MEMORY (-2)

/* All records with all sizes take some 100 kB. */
#define MOST_BYTES (1 << 20)

/* The dearest frame that libattn takes on is about a second's work: larger values are none. Of what is not computing
 * there are microseconds. */
#define MOST_NS          UINT64_C(1000000000)
#define MOST_OVERHEAD_NS UINT64_C(10000000)

/* What is saved anew without need. */
#define CHANGE 0.1

struct reading {
    struct costs *costs;
    bool is_ours, is_wrong, is_ended;
    bool has_no_memory; /* and is_wrong */
    uint64_t n_values;
};

static bool parse_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *number = value;
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value <= most;
}

/* batch_N, where N is one of the sizes; COST_SIZES: it is not. */
static size_t parse_size(const char *name)
{
    char expected[16];
    size_t i = 0;
    for (; i < COST_SIZES; i++) {
        snprintf(expected, sizeof(expected), "batch_%zu", COST_SIZE(i));
        if (strcmp(name, expected) == 0)
            break;
    }
    return i;
}

static bool take_value(struct reading *reading, const char *key, const char *name, const char *value)
{
    uint64_t number;
    size_t i = parse_size(name);
    bool is_worst = strcmp(name, "worst_percent") == 0;
    bool is_known = strncmp(key, "model ", 6) == 0 || strncmp(key, "attention ", 10) == 0;
    if (!is_known || (i == COST_SIZES && !is_worst) || !parse_number(value, MOST_NS, &number) || number == 0)
        return false;
    struct record *record = costs_record(reading->costs, key);
    if (record == NULL) {
        reading->has_no_memory = reading->costs->n < COSTS_MOST;
        return false;
    }
    if (is_worst) {
        cost_set_worst(record->cost, (double)number / 100);
    } else {
        cost_set(record->cost, i, (double)number);
        record->saved[i] = (double)number;
        record->is_hearsay = true;
    }
    reading->n_values++;
    return true;
}

static bool take_pair(struct reading *reading, const char *section, const char *name, const char *value)
{
    uint64_t number;
    if (strcmp(section, "costs") == 0 && strcmp(name, "version") == 0)
        return reading->is_ours = strcmp(value, VERSION) == 0;
    if (!reading->is_ours || reading->is_ended)
        return false;
    if (strcmp(section, "costs") == 0 && strcmp(name, "overhead") == 0 &&
        parse_number(value, MOST_OVERHEAD_NS, &number)) {
        reading->costs->overhead_ns = (double)number;
        return true;
    }
    if (strcmp(section, "end") == 0 && strcmp(name, "values") == 0 &&
        parse_number(value, COSTS_MOST * COST_SIZES, &number))
        return reading->is_ended = number == reading->n_values;
    return take_value(reading, section, name, value);
}

static int handle_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reading *reading = user;
    if (!reading->is_wrong)
        reading->is_wrong = !take_pair(reading, section, name, value);
    return 1;
}

/* 0, also where there is no file, or -1: damaged, which was logged; records may have been made. */
static int read_file(struct costs *costs)
{
    struct reading reading = {.costs = costs};
    char why[FILE_WHY_BYTES], *text;
    size_t n;
    int status = file_read(costs->path, MOST_BYTES, &text, &n, why);
    if (status == FILE_ABSENT)
        return 0;
    if (status != 0) {
        log_warning("%s cannot be read: %s; costs are measured anew", costs->path, why);
        return -1;
    }
    status = ini_parse_string(text, handle_pair, &reading);
    bool failed = status != 0 || strlen(text) != n || reading.is_wrong || !reading.is_ended;
    free(text);
    if (reading.has_no_memory || status == INI_NO_MEMORY)
        log_warning("there is no memory to read %s; costs are measured anew", costs->path);
    else if (failed)
        log_warning("%s is damaged, or no file of attnd's; costs are measured anew, and it will be replaced",
                    costs->path);
    return failed ? -1 : 0;
}

void costs_load(struct costs *costs)
{
    if (costs->path != NULL && read_file(costs) != 0)
        costs_forget_all(costs);
}

static bool is_changed(const struct record *record)
{
    bool changed = false;
    for (size_t i = 0; i < COST_SIZES; i++) {
        double ns = atomic_load_explicit(&record->cost->ns[i], memory_order_relaxed);
        changed = changed || fabs(ns - record->saved[i]) > CHANGE * record->saved[i];
    }
    return changed;
}

/* Returns how many values were written. */
static unsigned print_record(FILE *out, struct record *record)
{
    unsigned n = 0;
    for (size_t i = 0; i < COST_SIZES; i++) {
        double ns = atomic_load_explicit(&record->cost->ns[i], memory_order_relaxed);
        record->saved[i] = ns;
        if (ns == 0)
            continue;
        if (n++ == 0)
            fprintf(out, "\n[%s]\n", record->key);
        fprintf(out, "batch_%zu = %.0f\n", COST_SIZE(i), fmin(fmax(ns, 1), (double)MOST_NS));
    }
    double worst = atomic_load_explicit(&record->cost->worst_ratio, memory_order_relaxed);
    if (n > 0 && worst > 0) {
        fprintf(out, "worst_percent = %.0f\n", ceil(100 * worst));
        n++;
    }
    return n;
}

/* The text of the file, *n bytes, the caller's; NULL: no memory. */
static char *print(struct costs *costs, size_t *n)
{
    char *text = NULL;
    unsigned n_values = 0;
    FILE *out = open_memstream(&text, n);
    if (out == NULL)
        return NULL;
    fprintf(
        out,
        "; What frames cost on this machine, in nanoseconds: measured by attnd, which replaces this file. It may be\n"
        "; deleted while attnd does not run; costs are then measured anew.\n[costs]\nversion = %s\noverhead = %.0f\n",
        VERSION, fmin(costs->overhead_ns, (double)MOST_OVERHEAD_NS));
    for (size_t i = 0; i < costs->n; i++)
        n_values += print_record(out, &costs->records[i]);
    fprintf(out, "\n[end]\nvalues = %u\n", n_values);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

void costs_save(struct costs *costs, double overhead_ns, bool always)
{
    size_t n = 0;
    char *text = NULL, why[FILE_WHY_BYTES] = "no memory";
    bool changed = always;
    if (costs->path == NULL)
        return;
    pthread_mutex_lock(&costs->mutex);
    for (size_t i = 0; i < costs->n && !changed; i++)
        changed = is_changed(&costs->records[i]);
    costs->overhead_ns = overhead_ns;
    if (changed)
        text = print(costs, &n);
    pthread_mutex_unlock(&costs->mutex);
    if (!changed)
        return;
    if (text == NULL || file_replace(costs->path, text, n, why) != 0)
        log_warning("%s cannot be written: %s; costs will be measured anew at the next start", costs->path, why);
    free(text);
}
