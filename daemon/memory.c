/* SPDX-License-Identifier: MIT */
#include "daemon/memory.h"

#include <malloc.h>
#include <unistd.h>

#include "daemon/cgroup.h"

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
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t limit = cgroup_memory_bytes("/proc/self/cgroup", "/sys/fs/cgroup");
    return limit < bytes ? limit : bytes;
}
