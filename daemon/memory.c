/* SPDX-License-Identifier: MIT */
#include "daemon/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* glibc raises by itself, up to 32 MiB, the size from which a piece is a mapping of its own, and keeps what is smaller:
 * models that are replaced would leave holes that the next do not fill. Below 1 MiB little is lost, and the number of
 * mappings, which is limited, stays small. */
void memory_give_back(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

uint64_t memory_bytes(void)
{
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        FILE *file = fopen(limits[i], "re");
        uintmax_t limit;
        if (file != NULL && fscanf(file, "%ju", &limit) == 1 && limit < bytes)
            bytes = limit;
        if (file != NULL)
            fclose(file);
    }
    return bytes;
}
