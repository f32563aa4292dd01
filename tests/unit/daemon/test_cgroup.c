/* SPDX-License-Identifier: MIT */
#include "daemon/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/unit/run.h"

static char folder[64];

static void set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/attnd-cgroup-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* A file below the folder, and the folders that lead to it. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *c = path + sizeof("/tmp/"); *c != '\0'; c++)
        if (*c == '/') {
            *c = '\0';
            mkdir(path, 0700);
            *c = '/';
        }
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static uint64_t limit(void)
{
    char membership[128], root[128];
    snprintf(membership, sizeof(membership), "%s/membership", folder);
    snprintf(root, sizeof(root), "%s/root", folder);
    return cgroup_memory_bytes(membership, root);
}

START_TEST(a_service_has_the_limit_of_its_own_group)
{
    put("membership", "0::/system.slice/attnd.service\n");
    put("root/system.slice/attnd.service/memory.max", "1000\n");
    put("root/system.slice/memory.max", "max\n");
    ck_assert_uint_eq(limit(), 1000);
}
END_TEST

START_TEST(the_least_of_all_groups_above_holds)
{
    put("membership", "0::/a/b\n");
    put("root/a/b/memory.max", "3000\n");
    put("root/a/memory.max", "2000\n");
    put("root/memory.max", "5000\n");
    ck_assert_uint_eq(limit(), 2000);
}
END_TEST

START_TEST(a_container_has_the_root_alone)
{
    put("membership", "0::/docker/0123\n");
    put("root/memory.max", "7000\n");
    ck_assert_uint_eq(limit(), 7000);
}
END_TEST

START_TEST(version_1_has_a_hierarchy_for_memory)
{
    put("membership", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/x\n0::/x\n");
    put("root/memory/x/memory.limit_in_bytes", "800\n");
    put("root/memory/memory.limit_in_bytes", "9223372036854771712\n");
    ck_assert_uint_eq(limit(), 800);
}
END_TEST

START_TEST(without_limits_there_is_none)
{
    ck_assert_uint_eq(limit(), UINT64_MAX);
    put("membership", "0::/\nrubbish\n7:memoryless:/x\n");
    put("root/memory.max", "max\n");
    ck_assert_uint_eq(limit(), UINT64_MAX);
}
END_TEST

static Suite *cgroup_suite(void)
{
    Suite *suite = suite_create("cgroup");
    TCase *tests = tcase_create("cgroup");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_service_has_the_limit_of_its_own_group);
    tcase_add_test(tests, the_least_of_all_groups_above_holds);
    tcase_add_test(tests, a_container_has_the_root_alone);
    tcase_add_test(tests, version_1_has_a_hierarchy_for_memory);
    tcase_add_test(tests, without_limits_there_is_none);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(cgroup_suite());
