/* SPDX-License-Identifier: MIT */
/* What is no model file is refused by name before anything of it is read. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../run.h"
#include "attn/attn.h"

#define FOLDER "/tmp/attn-load-XXXXXX"

static char folder[] = FOLDER;
static char path[sizeof(folder) + 16];

static void setup(void)
{
    strcpy(folder, FOLDER);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/model", folder);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

static void make_file(off_t n_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, n_bytes), 0);
    close(fd);
}

static void refused(const char *name, int error, const char *text)
{
    struct attn_plan *plan = NULL;
    struct attn_reason why = {""};
    ck_assert_int_eq(attn_plan_load(&plan, name, NULL, &why), error);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(why.text, text) != NULL, "'%s' does not say '%s'", why.text, text);
}

START_TEST(a_missing_file_is_refused)
{
    refused(path, ATTN_E_FILE, "No such file");
    refused(path, ATTN_E_FILE, path);
}
END_TEST

START_TEST(a_folder_is_refused)
{
    refused(folder, ATTN_E_FILE, "not a regular file");
}
END_TEST

/* Nobody writes to it: opening it must not wait. */
START_TEST(a_fifo_is_refused)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused(path, ATTN_E_FILE, "not a regular file");
}
END_TEST

START_TEST(a_huge_file_is_refused)
{
    make_file((off_t)5 << 30);
    refused(path, ATTN_E_FILE, "5368709120 bytes");
}
END_TEST

/* Bytes that this process has read so far; 0: the kernel does not tell. */
static unsigned long long read_so_far(void)
{
    unsigned long long n = 0;
    FILE *file = fopen("/proc/self/io", "r");
    if (file == NULL || fscanf(file, "rchar: %llu", &n) != 1)
        n = 0;
    if (file != NULL)
        fclose(file);
    return n;
}

/* What is no model is found out before a gigabyte of it is read. */
START_TEST(a_file_is_judged_by_its_header)
{
    static const struct {
        const char *header, *says;
    } cases[] = {
        {"{", "the header is not valid JSON"},
        {"{\"__metadata__\":{\"attnd\":\"{}\"}}", "belong to no tensor"},
        {"{\"__metadata__\":{\"attnd\":\"{}\"},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[268435408],\"data_offsets\":[0,1073741632]}}",
         "configuration: version is missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t length = strlen(cases[i].header);
        make_file(i < 2 ? (off_t)1 << 30 : (off_t)(8 + length) + 1073741632);
        int fd = open(path, O_WRONLY);
        ck_assert_int_eq((int)write(fd, &length, sizeof(length)), (int)sizeof(length));
        ck_assert_int_eq((int)write(fd, cases[i].header, (size_t)length), (int)length);
        close(fd);
        unsigned long long before = read_so_far();
        refused(path, ATTN_E_MODEL, cases[i].says);
        if (before != 0)
            ck_assert_uint_lt(read_so_far() - before, 4u << 20);
        unlink(path);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("load");
    TCase *cases = tcase_create("load");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_missing_file_is_refused);
    tcase_add_test(cases, a_folder_is_refused);
    tcase_add_test(cases, a_fifo_is_refused);
    tcase_add_test(cases, a_huge_file_is_refused);
    tcase_add_test(cases, a_file_is_judged_by_its_header);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
