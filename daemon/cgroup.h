/* SPDX-License-Identifier: MIT */
/* What control groups, version 2 or 1, allow this process. */
#pragma once

#include <stdint.h>

/* The least memory limit of the groups that the process is in, from its own (systemd's MemoryMax=) up to the one whose
 * inside it sees (a container's), in bytes; UINT64_MAX: there is none. `membership` is /proc/self/cgroup, `root`
 * /sys/fs/cgroup, but for tests. Any thread. */
uint64_t cgroup_memory_bytes(const char *membership, const char *root);
