/* SPDX-License-Identifier: MIT */
/*
 * /proc/self/cgroup has a line NUMBER:CONTROLLERS:PATH for each hierarchy; in version 2 number and controllers are "0"
 * and empty. A limit holds for all that is below, so every folder from the process' own up to the root is looked at. In
 * a container the path may be one of outside, which does not exist below the root; then the root alone tells.
 */
#include "daemon/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/file.h"

/* Of a file that tells a limit, or the groups: the kernel writes some dozens of bytes a group. */
#define MOST_BYTES (1 << 18)

/* "max", a file that is not there, and version 1's largest number are no limits. */
static uint64_t read_limit(const char *folder, const char *file_name)
{
    char path[PATH_MAX], why[FILE_WHY_BYTES], *text;
    uintmax_t limit = UINT64_MAX;
    size_t n;
    if (snprintf(path, sizeof(path), "%s/%s", folder, file_name) >= (int)sizeof(path))
        return UINT64_MAX;
    if (file_read(path, MOST_BYTES, &text, &n, why) != 0)
        return UINT64_MAX;
    if (sscanf(text, "%ju", &limit) != 1)
        limit = UINT64_MAX;
    free(text);
    return limit;
}

/* Of the folder root + path, and of all above it up to the root. */
static uint64_t least_limit(const char *root, const char *path, const char *file_name)
{
    char folder[PATH_MAX];
    uint64_t least = read_limit(root, file_name);
    if (snprintf(folder, sizeof(folder), "%s%s", root, path) >= (int)sizeof(folder))
        return least;
    for (char *end = folder + strlen(folder); end > folder + strlen(root); end = strrchr(folder, '/')) {
        *end = '\0';
        uint64_t limit = read_limit(folder, file_name);
        least = limit < least ? limit : least;
    }
    return least;
}

/* Whether one of the controllers, which commas separate, is this one. */
static int has_controller(const char *controllers, const char *name)
{
    for (const char *word = controllers; word != NULL; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL)
        if (strncmp(word, name, strlen(name)) == 0 && (word[strlen(name)] == ',' || word[strlen(name)] == '\0'))
            return 1;
    return 0;
}

static uint64_t limit_of_line(char *line, const char *root)
{
    char memory_root[PATH_MAX], *rest = line;
    const char *number = strsep(&rest, ":"), *controllers = strsep(&rest, ":");
    if (rest == NULL)
        return UINT64_MAX;
    if (strcmp(number, "0") == 0 && *controllers == '\0')
        return least_limit(root, rest, "memory.max");
    if (!has_controller(controllers, "memory"))
        return UINT64_MAX;
    snprintf(memory_root, sizeof(memory_root), "%s/memory", root);
    return least_limit(memory_root, rest, "memory.limit_in_bytes");
}

uint64_t cgroup_memory_bytes(const char *membership, const char *root)
{
    char why[FILE_WHY_BYTES], *text;
    size_t n;
    uint64_t least = UINT64_MAX;
    if (file_read(membership, MOST_BYTES, &text, &n, why) != 0)
        return UINT64_MAX;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        uint64_t limit = limit_of_line(line, root);
        least = limit < least ? limit : least;
    }
    free(text);
    return least;
}
