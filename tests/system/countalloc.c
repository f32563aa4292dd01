/* SPDX-License-Identifier: MIT */
/* Preloaded into a daemon under test: counts every allocation of the process, its libraries included, in a file that
 * the test maps ($COUNTALLOC_FILE, 8 bytes). Wrapping symbols at link time would miss what shared libraries allocate.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_uint_fast64_t before_file;
static atomic_uint_fast64_t *counter = &before_file;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("COUNTALLOC_FILE");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map != MAP_FAILED)
        counter = map;
    if (fd >= 0)
        close(fd);
}

static void count(void)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    count();
    return __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t n)
{
    count();
    return __libc_realloc(memory, n);
}

__attribute__((visibility("default"))) void *memalign(size_t alignment, size_t n)
{
    count();
    return __libc_memalign(alignment, n);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t alignment, size_t n)
{
    count();
    return __libc_memalign(alignment, n);
}

__attribute__((visibility("default"))) int posix_memalign(void **memory, size_t alignment, size_t n)
{
    count();
    *memory = __libc_memalign(alignment, n);
    return *memory != NULL ? 0 : 12;
}
