/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "daemon/log.h"
#include "tests/unit/run.h"

#define SECOND_US 1000000

static int ends[2] = {-1, -1};
static const struct log_about about = {
    .connection = 7, .stream = 9, .has_uid = true, .uid = 1000, .error = "no_memory"};

/* Standard error becomes a pipe. */
static void set_up(void)
{
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    unsetenv("JOURNAL_STREAM");
    log_start(LOG_LEVEL_INFO);
}

static size_t read_all(char *text, size_t room)
{
    ssize_t n = read(ends[0], text, room - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

START_TEST(a_line_for_people_says_level_and_sentence)
{
    struct log_quota quota = {0};
    char text[512];
    ck_assert(log_event(&quota, SECOND_US, LOG_LEVEL_WARNING, &about, "no room for %d\n", 3));
    read_all(text, sizeof(text));
    ck_assert_str_eq(text, "attnd: warning: no room for 3?\n");
    ck_assert(!log_event(&quota, SECOND_US, LOG_LEVEL_DEBUG, &about, "unimportant"));
    ck_assert_uint_eq(read_all(text, sizeof(text)), 0);
}
END_TEST

START_TEST(a_line_of_the_daemons_own_is_never_left_out)
{
    char text[4096];
    for (int i = 0; i < 3 * LOG_LINES_PER_S; i++)
        log_with(LOG_LEVEL_ERROR, &about, "%d", i % 10);
    log_with(LOG_LEVEL_DEBUG, &about, "unimportant");
    ck_assert_uint_eq(read_all(text, sizeof(text)), 3 * LOG_LINES_PER_S * strlen("attnd: error: 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "attnd: error: 9\n"));
}
END_TEST

START_TEST(a_flood_is_cut_and_told_how_much_was)
{
    struct log_quota quota = {0};
    char text[4096];
    unsigned n_written = 0;
    for (int i = 0; i < 1000; i++)
        n_written += log_event(&quota, SECOND_US + i, LOG_LEVEL_WARNING, &about, "line");
    ck_assert_uint_eq(n_written, LOG_LINES_PER_S);
    read_all(text, sizeof(text));
    log_left_out(&quota, SECOND_US + 1000);
    ck_assert_uint_eq(read_all(text, sizeof(text)), 0);
    log_left_out(&quota, 2 * SECOND_US);
    read_all(text, sizeof(text));
    ck_assert_str_eq(text, "attnd: warning: 990 more lines like these were left out\n");
    ck_assert(log_event(&quota, 2 * SECOND_US, LOG_LEVEL_INFO, &about, "line"));
    read_all(text, sizeof(text));
    ck_assert_str_eq(text, "attnd: line\n");
}
END_TEST

START_TEST(a_flood_of_mistakes_leaves_room_for_warnings)
{
    struct log_quota quota = {0};
    char text[4096];
    unsigned n_mistakes = 0, n_warnings = 0;
    for (int i = 0; i < 100; i++)
        n_mistakes += log_event(&quota, SECOND_US + i, LOG_LEVEL_INFO, &about, "line");
    for (int i = 0; i < 100; i++)
        n_warnings += log_event(&quota, SECOND_US + 100 + i, LOG_LEVEL_WARNING, &about, "line");
    ck_assert_uint_eq(n_mistakes, LOG_LINES_PER_S_INFO);
    ck_assert_uint_eq(n_warnings, LOG_LINES_PER_S - LOG_LINES_PER_S_INFO);
    ck_assert_uint_eq(quota.n_left_out, 200 - LOG_LINES_PER_S);
    read_all(text, sizeof(text));
}
END_TEST

START_TEST(a_pipe_that_nobody_reads_holds_nobody_up)
{
    struct log_quota quota = {0};
    char line[513];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, 0), 0); /* a write that finds no room would wait for ever */
    unsigned n_written = 0;
    for (uint64_t second = 1; second < 100; second++)
        for (int i = 0; i < LOG_LINES_PER_S; i++)
            n_written += log_event(&quota, second * SECOND_US, LOG_LEVEL_INFO, &about, "%s", line);
    ck_assert_uint_lt(n_written, 99 * LOG_LINES_PER_S_INFO);
    ck_assert_uint_gt(quota.n_left_out, 0);
}
END_TEST

static void fill(int fd)
{
    static const char nothing[4096];
    int flags = fcntl(fd, F_GETFL);
    ck_assert_int_eq(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, nothing, sizeof(nothing)) > 0 || write(fd, nothing, 1) > 0)
        ;
    ck_assert_int_eq(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
}

static void drain(int fd)
{
    char text[4096];
    while (read(fd, text, sizeof(text)) > 0)
        ;
}

/* Neither a line of the daemon's own nor one about clients waits; how many were lost is told when there is room again.
 */
START_TEST(what_finds_no_room_is_lost_and_counted)
{
    for (int is_socket = 0; is_socket <= 1; is_socket++) {
        char text[512];
        if (is_socket)
            ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
        log_start(LOG_LEVEL_INFO);
        fill(STDERR_FILENO);
        log_error("one");
        log_with(LOG_LEVEL_WARNING, &about, "two");
        log_info("three");
        log_debug("none");
        log_lost();
        ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0); /* other processes use it, too */
        drain(ends[0]);
        log_info("four");
        log_lost();
        read_all(text, sizeof(text));
        ck_assert_str_eq(text, "attnd: warning: lines of this log were lost, as nobody read it or it was full: 3\n"
                               "attnd: four\n");
        fill(STDERR_FILENO);
        log_info("five");
        drain(ends[0]);
        log_lost();
        read_all(text, sizeof(text));
        ck_assert_str_eq(text, "attnd: warning: lines of this log were lost, as nobody read it or it was full: 1\n");
    }
}
END_TEST

/* The words of clients, and of who names files, reach a terminal. */
START_TEST(what_is_no_text_is_marked)
{
    char text[512], line[1100], cut[2048];
    log_info("a\x1b[31mb\xff_\xc3\xa9h\xc2\x9bi\tj");
    read_all(text, sizeof(text));
    ck_assert_str_eq(text, "attnd: a?[31mb?_\xc3\xa9h??i?j\n");
    for (size_t i = 0; i < sizeof(line) - 1; i++) /* it is cut within a character */
        line[i] = i % 2 == 0 ? '\xc3' : '\xa9';
    line[sizeof(line) - 1] = '\0';
    log_info("%s", line);
    size_t n = read_all(cut, sizeof(cut));
    ck_assert_int_eq(cut[n - 2], '?');
    ck_assert_int_eq(cut[n - 3], '\xa9');
}
END_TEST

START_TEST(the_journals_pipe_gets_levels_where_its_socket_takes_nothing)
{
    struct log_quota quota = {0};
    struct stat status;
    char text[512];
    fstat(STDERR_FILENO, &status);
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
    log_start(LOG_LEVEL_INFO);
    log_warning("plain");
    read_all(text, sizeof(text));
    ck_assert_str_eq(text, "<4>plain\n");
    if (access(JOURNAL_SOCKET, F_OK) == 0)
        return; /* there is a journal, which takes the next one */
    ck_assert(log_event(&quota, SECOND_US, LOG_LEVEL_INFO, &about, "fields"));
    read_all(text, sizeof(text));
    ck_assert_str_eq(text, "<6>fields\n");
}
END_TEST

/* A journal's socket in a new folder. */
static int make_journal(struct sockaddr_un *address)
{
    char folder[] = "/tmp/attnd-test-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/journal", folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

static void remove_journal(int fd, struct sockaddr_un *address)
{
    close(fd);
    unlink(address->sun_path);
    *strrchr(address->sun_path, '/') = '\0';
    rmdir(address->sun_path);
}

START_TEST(an_entry_arrives_with_its_fields)
{
    struct sockaddr_un address;
    int journal = make_journal(&address), fd = journal_open();
    char bytes[JOURNAL_ENTRY_BYTES];
    struct journal_entry entry = {.n = 0};
    journal_add(&entry, "MESSAGE", "two\nlines");
    journal_add(&entry, "ATTND_STREAM", "%d", 9);
    ck_assert(journal_send(fd, address.sun_path, &entry));
    ssize_t n = recv(journal, bytes, sizeof(bytes), 0);
    ck_assert_int_gt((int)n, 0);
    bytes[n] = '\0';
    ck_assert_str_eq(bytes, "MESSAGE=two lines\nATTND_STREAM=9\n");
    ck_assert(!journal_send(fd, "/nowhere/at/all", &entry));
    close(fd);
    remove_journal(journal, &address);
}
END_TEST

START_TEST(a_field_without_room_is_left_out_whole)
{
    struct journal_entry entry = {.n = 0};
    char large[JOURNAL_ENTRY_BYTES];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    journal_add(&entry, "MESSAGE", "%s", large);
    ck_assert(entry.is_cut);
    journal_add(&entry, "ATTND_STREAM", "%d", 9);
    ck_assert_uint_eq(entry.n, strlen("ATTND_STREAM=9\n"));
}
END_TEST

START_TEST(a_journal_that_reads_nothing_holds_nobody_up)
{
    struct sockaddr_un address;
    int journal = make_journal(&address), fd = journal_open();
    struct journal_entry entry = {.n = 0};
    int n_taken = 0;
    journal_add(&entry, "MESSAGE", "one of many");
    while (n_taken < 100000 && journal_send(fd, address.sun_path, &entry))
        n_taken++;
    ck_assert_int_lt(n_taken, 100000);
    close(fd);
    remove_journal(journal, &address);
}
END_TEST

static Suite *log_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_line_for_people_says_level_and_sentence);
    tcase_add_test(tcase, a_line_of_the_daemons_own_is_never_left_out);
    tcase_add_test(tcase, a_flood_is_cut_and_told_how_much_was);
    tcase_add_test(tcase, a_flood_of_mistakes_leaves_room_for_warnings);
    tcase_add_test(tcase, a_pipe_that_nobody_reads_holds_nobody_up);
    tcase_add_test(tcase, what_finds_no_room_is_lost_and_counted);
    tcase_add_test(tcase, what_is_no_text_is_marked);
    tcase_add_test(tcase, the_journals_pipe_gets_levels_where_its_socket_takes_nothing);
    tcase_add_test(tcase, an_entry_arrives_with_its_fields);
    tcase_add_test(tcase, a_field_without_room_is_left_out_whole);
    tcase_add_test(tcase, a_journal_that_reads_nothing_holds_nobody_up);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(log_suite());
