/* SPDX-License-Identifier: MIT */
#include "daemon/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/run.h"

#define MOST 10000

static char folder[64], path[96], why[FILE_WHY_BYTES];

static void set_up(void)
{
    strcpy(folder, "/tmp/attnd-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const char *text, size_t n)
{
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, n, file), n);
    fclose(file);
}

/* Whether the file at `path` is these bytes. */
static void is_read(const char *text, size_t n)
{
    char *got;
    size_t n_got;
    ck_assert_int_eq(file_read(path, MOST, &got, &n_got, why), 0);
    ck_assert_uint_eq(n_got, n);
    ck_assert_mem_eq(got, text, n);
    ck_assert_int_eq(got[n], '\0');
    free(got);
}

static void is_refused(const char *name, const char *words)
{
    char *got;
    size_t n_got;
    ck_assert_int_eq(file_read(name, MOST, &got, &n_got, why), -1);
    ck_assert_msg(strstr(why, words) != NULL, "%s: %s", name, why);
    ck_assert_ptr_null(got);
}

START_TEST(a_file_of_any_size_up_to_the_limit_is_read_whole)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, MOST - 1, MOST};
    char text[MOST + 1];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put(path, text, sizes[i]);
        is_read(text, sizes[i]);
    }
    put(path, text, MOST + 1);
    is_refused(path, "it has 10001 bytes; the limit is 10000");
}
END_TEST

START_TEST(what_is_no_regular_file_is_named)
{
    is_refused("/", "directory");
    is_refused("/dev/zero", "device");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    is_refused(path, "FIFO");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    is_refused(address.sun_path, "socket");
    close(fd);
}
END_TEST

START_TEST(a_masked_file_is_an_empty_one)
{
    ck_assert_int_eq(symlink("/dev/null", path), 0);
    is_read("", 0);
}
END_TEST

START_TEST(no_file_is_told_from_one_that_cannot_be_read)
{
    char *got;
    size_t n;
    ck_assert_int_eq(file_read(path, MOST, &got, &n, why), FILE_ABSENT);
    ck_assert_int_eq(symlink(path, path), 0);
    is_refused(path, "symbolic links");
}
END_TEST

/* Some of the kernel's say that they have no bytes, and have more than may be read. */
START_TEST(a_file_that_claims_less_than_it_has_is_bounded_all_the_same)
{
    char *got;
    size_t n;
    ck_assert_int_eq(file_read("/proc/self/comm", MOST, &got, &n, why), 0);
    ck_assert_ptr_nonnull(strstr(got, "test_"));
    free(got);
    ck_assert_int_eq(file_read("/proc/self/status", 100, &got, &n, why), -1);
    ck_assert_str_eq(why, "it has more than 100 bytes, which is the limit");
}
END_TEST

START_TEST(a_sparse_file_is_judged_by_its_size)
{
    put(path, "x", 1);
    ck_assert_int_eq(truncate(path, (off_t)1 << 40), 0);
    is_refused(path, "1099511627776 bytes");
}
END_TEST

START_TEST(a_file_takes_the_place_of_what_was_there)
{
    struct stat status;
    ck_assert_int_eq(file_replace(path, "one", 3, why), 0);
    is_read("one", 3);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0666), 0);
    ck_assert_int_eq(file_replace(path, "two", 3, why), 0);
    is_read("two", 3);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(file_replace(path, "three", 5, why), -1);
}
END_TEST

/* A link with the name of what is written first would have somebody else's file overwritten; a FIFO would be waited
 * for. */
START_TEST(what_stands_where_the_new_file_is_made_is_removed_first)
{
    char beside[128], victim[128], text[16] = "";
    snprintf(beside, sizeof(beside), "%s.new", path);
    snprintf(victim, sizeof(victim), "%s/victim", folder);
    put(victim, "precious", 8);
    for (int is_fifo = 0; is_fifo <= 1; is_fifo++) {
        ck_assert_int_eq(is_fifo ? mkfifo(beside, 0600) : symlink(victim, beside), 0);
        ck_assert_int_eq(file_replace(path, "costs", 5, why), 0);
        is_read("costs", 5);
        ck_assert_int_ne(access(beside, F_OK), 0);
    }
    FILE *file = fopen(victim, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
    fclose(file);
    ck_assert_str_eq(text, "precious");
}
END_TEST

START_TEST(a_file_of_its_own_is_no_link_and_no_device)
{
    int fd = file_open_own(path, why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    char link[128], fifo[128];
    snprintf(link, sizeof(link), "%s/link", folder);
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(file_open_own(link, why), -1);
    ck_assert_ptr_nonnull(strstr(why, "symbolic link"));
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(file_open_own(fifo, why), -1);
    ck_assert_ptr_nonnull(strstr(why, "FIFO"));
    ck_assert_int_eq(file_open_own("/dev/null", why), -1);
    ck_assert_ptr_nonnull(strstr(why, "device"));
}
END_TEST

START_TEST(closed_standard_descriptors_get_a_meaning_and_open_ones_keep_theirs)
{
    int ends[2];
    struct stat before, after;
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDOUT_FILENO), 0);
    ck_assert_int_eq(fstat(STDOUT_FILENO, &before), 0);
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    file_keep_standard();
    ck_assert_int_eq(fstat(STDOUT_FILENO, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0);
    ck_assert_int_ge(fcntl(STDERR_FILENO, F_GETFD), 0);
    int next = file_open_nothing();
    ck_assert_int_gt(next, STDERR_FILENO);
    ck_assert_int_eq((int)write(STDERR_FILENO, "x", 1), -1); /* who prints learns of it */
}
END_TEST

static Suite *file_suite(void)
{
    Suite *suite = suite_create("file");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_file_of_any_size_up_to_the_limit_is_read_whole);
    tcase_add_test(tests, what_is_no_regular_file_is_named);
    tcase_add_test(tests, a_masked_file_is_an_empty_one);
    tcase_add_test(tests, no_file_is_told_from_one_that_cannot_be_read);
    tcase_add_test(tests, a_file_that_claims_less_than_it_has_is_bounded_all_the_same);
    tcase_add_test(tests, a_sparse_file_is_judged_by_its_size);
    tcase_add_test(tests, a_file_takes_the_place_of_what_was_there);
    tcase_add_test(tests, what_stands_where_the_new_file_is_made_is_removed_first);
    tcase_add_test(tests, a_file_of_its_own_is_no_link_and_no_device);
    tcase_add_test(tests, closed_standard_descriptors_get_a_meaning_and_open_ones_keep_theirs);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(file_suite());
