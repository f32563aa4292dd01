/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "tests/unit/run.h"

static struct config config;
static char complaints[4096];

static char written[32];

static void write_bytes(const char *text, size_t n)
{
    strcpy(written, "/tmp/attnd-config-XXXXXX");
    int fd = mkstemp(written);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
    close(fd);
}

/* Reads and removes what was written; what it complains about is in `complaints`. */
static int read_written(void)
{
    memset(complaints, 0, sizeof(complaints));
    FILE *out = fmemopen(complaints, sizeof(complaints) - 1, "w");
    config_init(&config);
    int status = config_read(&config, written, 1, out);
    fclose(out);
    unlink(written);
    return status;
}

/* Reads `text` as a file. */
static int read_text(const char *text)
{
    write_bytes(text, strlen(text));
    return read_written();
}

START_TEST(defaults_are_within_their_own_ranges)
{
    char why[ATTNP_ERROR_TEXT + 1];
    config_init(&config);
    ck_assert_str_eq(config_text(&config, CONFIG_listen_socket), "/run/attnd/attnd.sock");
    ck_assert_uint_eq(config_number(&config, CONFIG_limits_message_bytes), 1 << 20);
    ck_assert_uint_eq(config_number(&config, CONFIG_listen_mode), 0660);
    for (int key = 0; key < CONFIG_N_KEYS; key++)
        ck_assert_str_eq(config.values[key].origin, "default");
    ck_assert_int_eq(config_set(&config, CONFIG_limits_streams, "12", "test", why), 0);
    ck_assert_str_eq(config.values[CONFIG_limits_streams].origin, "test");
}
END_TEST

START_TEST(sizes_take_suffixes_and_refuse_what_does_not_fit)
{
    char why[ATTNP_ERROR_TEXT + 1];
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"4096", 4096}, {"64K", 65536}, {"3M", 3u << 20}, {"1G", 1u << 30}};
    static const char *const bad[] = {"",
                                      "K",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1KB",
                                      "1.5M",
                                      "0x1000",
                                      "2G",
                                      "4095",
                                      "18446744073709551616",
                                      "18446744073709551615G"};
    config_init(&config);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_int_eq(config_set(&config, CONFIG_limits_message_bytes, good[i].text, "test", why), 0);
        ck_assert_uint_eq(config_number(&config, CONFIG_limits_message_bytes), good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(config_set(&config, CONFIG_limits_message_bytes, bad[i], "test", why) == -1, "%s was taken",
                      bad[i]);
        ck_assert_ptr_nonnull(strstr(why, "message_bytes"));
        ck_assert_uint_eq(config_number(&config, CONFIG_limits_message_bytes), 1u << 30);
    }
}
END_TEST

START_TEST(lists_grow_only_where_asked)
{
    char why[ATTNP_ERROR_TEXT + 1];
    config_init(&config);
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_files, "/a", "test", false, why), 0);
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_files, "/b", "test", true, why), 0);
    ck_assert_str_eq(config_text(&config, CONFIG_models_files), "/a:/b");
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_files, "/c", "test", false, why), 0);
    ck_assert_str_eq(config_text(&config, CONFIG_models_files), "/c");
}
END_TEST

/* The items that are in `files`, each followed by '|'. */
static const char *items(void)
{
    static char all[2 * CONFIG_TEXT_BYTES];
    char item[CONFIG_TEXT_BYTES];
    const char *rest = config_text(&config, CONFIG_models_files);
    all[0] = '\0';
    while (config_next_item(&rest, item))
        strcat(strcat(all, item), "|");
    return all;
}

START_TEST(a_list_is_split_at_colons_but_not_within_an_item)
{
    char why[ATTNP_ERROR_TEXT + 1], item[CONFIG_TEXT_BYTES];
    config_init(&config);
    ck_assert_str_eq(items(), "");
    ck_assert_int_eq(config_set(&config, CONFIG_models_files, ":/a::/b:", "test", why), 0);
    ck_assert_str_eq(items(), "/a|/b|");
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_files, "/12:30\\:x\\", "test", false, why), 0);
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_files, ":", "test", true, why), 0);
    ck_assert_str_eq(items(), "/12:30\\:x\\|:|");
    ck_assert_int_eq(config_set(&config, CONFIG_models_files, "/ends\\", "test", why), 0);
    ck_assert_str_eq(items(), "/ends\\|");
    memset(item, ':', sizeof(item));
    item[sizeof(item) - 1] = '\0';
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_files, item, "test", false, why), -1);
    ck_assert_str_eq(items(), "/ends\\|");
}
END_TEST

START_TEST(a_longest_text_fits_and_a_longer_one_does_not)
{
    char why[ATTNP_ERROR_TEXT + 1], path[256];
    config_init(&config);
    memset(path, 'x', sizeof(path));
    path[107] = '\0';
    ck_assert_int_eq(config_set(&config, CONFIG_listen_socket, path, "test", why), 0);
    path[107] = 'x';
    path[108] = '\0';
    ck_assert_int_eq(config_set(&config, CONFIG_listen_socket, path, "test", why), -1);
    ck_assert_ptr_nonnull(strstr(why, "108 bytes"));
}
END_TEST

START_TEST(comments_and_empty_lines_mean_nothing)
{
    ck_assert_int_eq(read_text("; a comment\n# another\n \t; a third\n\n[limits]\t\nstreams = 5\n# the last"), 0);
    ck_assert_uint_eq(config_number(&config, CONFIG_limits_streams), 5);
    ck_assert_str_eq(complaints, "");
}
END_TEST

/* Taken for a part of a path, it would be found where nobody looks; left out in silence, it may have been one. */
START_TEST(a_comment_behind_a_value_is_a_mistake_of_its_line)
{
    static const char *const lines[] = {"socket = /run/a # b",  "socket = /run/a ; b",  "socket = /run/a\t#b",
                                        "socket = # a comment", "socket = ; a comment", "socket = /run/a ;"};
    char text[128];
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        snprintf(text, sizeof(text), "[listen]\n\n%s\n", lines[i]);
        ck_assert_msg(read_text(text) == -1, "%s was taken", lines[i]);
        ck_assert_msg(strstr(complaints, ":3: ") != NULL, "%s: %s", lines[i], complaints);
        ck_assert_ptr_nonnull(strstr(complaints, "a comment stands on a line of its own"));
    }
    ck_assert_int_eq(read_text("[models]\nfiles = /a : /b # c\n[limits] # d\n[limits] streams = 5\n"), -1);
    ck_assert_ptr_nonnull(strstr(complaints, ":2: files seems to have a comment behind it"));
    ck_assert_ptr_nonnull(strstr(complaints, ":3: text follows the section"));
    ck_assert_ptr_nonnull(strstr(complaints, ":4: text follows the section"));
    ck_assert_int_eq(read_text("[listen]\nsocket = /run/a#b;c\n"), 0);
    ck_assert_str_eq(config_text(&config, CONFIG_listen_socket), "/run/a#b;c");
}
END_TEST

START_TEST(a_path_may_have_what_begins_comments)
{
    char why[ATTNP_ERROR_TEXT + 1], text[CONFIG_TEXT_BYTES + 32];
    ck_assert_int_eq(read_text("[models]\nfiles = /a \\# b:/c \\; d\n"), 0);
    ck_assert_str_eq(items(), "/a # b|/c ; d|");
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_files, "# e ;f", "test", false, why), 0);
    ck_assert_str_eq(items(), "# e ;f|");
    snprintf(text, sizeof(text), "[models]\nfiles = %s\n", config_text(&config, CONFIG_models_files));
    ck_assert_int_eq(read_text(text), 0);
    ck_assert_str_eq(items(), "# e ;f|");
}
END_TEST

START_TEST(what_is_no_text_is_told_by_line)
{
    static const char text[] = "[limits]\nstreams = 5\0\nconnections = x\n";
    write_bytes(text, sizeof(text) - 1);
    ck_assert_int_eq(read_written(), -1);
    ck_assert_ptr_nonnull(strstr(complaints, ":2: there is a zero byte in it"));
    ck_assert_ptr_nonnull(strstr(complaints, ":3: connections is 'x'"));
}
END_TEST

/* A device without an end, and what no memory would hold, are met at a start as at a reload. */
START_TEST(what_is_no_file_is_told)
{
    static const char *const paths[] = {"/dev/zero", "/", "/proc/self/mem"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        memset(complaints, 0, sizeof(complaints));
        FILE *out = fmemopen(complaints, sizeof(complaints) - 1, "w");
        config_init(&config);
        ck_assert_int_eq(config_read(&config, paths[i], true, out), -1);
        fclose(out);
        ck_assert_ptr_nonnull(strstr(complaints, "the configuration cannot be read: "));
    }
    write_bytes("", 0);
    ck_assert_int_eq(truncate(written, (off_t)1 << 40), 0);
    ck_assert_int_eq(read_written(), -1);
    ck_assert_ptr_nonnull(strstr(complaints, "1099511627776 bytes"));
    config_init(&config);
    ck_assert_int_eq(config_read(&config, "/dev/null", true, stderr), 0); /* none */
}
END_TEST

START_TEST(every_line_with_a_mistake_is_named)
{
    ck_assert_int_eq(read_text("[limits]\nstreams = x\nnosuch = 1\n[daemon]\nshards = 300\n"), -1);
    ck_assert_ptr_nonnull(strstr(complaints, ":2: streams is 'x'"));
    ck_assert_ptr_nonnull(strstr(complaints, ":3: unknown key 'nosuch'"));
    ck_assert_ptr_nonnull(strstr(complaints, ":5: shards is 300; it has to be from 0 to 256"));
}
END_TEST

START_TEST(a_file_without_a_last_newline_is_read_whole)
{
    ck_assert_int_eq(read_text("[limits]\nstreams = 5"), 0);
    ck_assert_uint_eq(config_number(&config, CONFIG_limits_streams), 5);
}
END_TEST

START_TEST(a_missing_file_is_a_mistake_only_where_it_was_asked_for)
{
    config_init(&config);
    ck_assert_int_eq(config_read(&config, "/nonexistent/attnd.conf", 0, stderr), 0);
    FILE *out = fmemopen(complaints, sizeof(complaints) - 1, "w");
    ck_assert_int_eq(config_read(&config, "/nonexistent/attnd.conf", 1, out), -1);
    ck_assert_int_eq(config_read(&config, "/", 1, out), -1);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(complaints, "/nonexistent/attnd.conf"));
}
END_TEST

static char folder[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/attnd-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* Reads attnd.conf of the folder, with what stands beside it, and removes the folder. */
static int read_folder(bool must_exist)
{
    char path[128], command[160];
    snprintf(path, sizeof(path), "%s/attnd.conf", folder);
    memset(complaints, 0, sizeof(complaints));
    FILE *out = fmemopen(complaints, sizeof(complaints) - 1, "w");
    config_init(&config);
    int status = config_read(&config, path, must_exist, out);
    fclose(out);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    return status;
}

static void make_folder_of_parts(void)
{
    char path[128];
    make_folder();
    snprintf(path, sizeof(path), "%s/attnd.conf.d", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(later_files_win_in_the_order_of_their_names)
{
    make_folder_of_parts();
    write_file("attnd.conf", "[limits]\nstreams = 1\nconnections = 1\n[models]\nfiles = /a:/b\n");
    write_file("attnd.conf.d/9.conf", "[limits]\nstreams = 9\n");
    write_file("attnd.conf.d/10.conf", "\n[limits]\nstreams = 10\nconnections = 10\n[models]\nfiles = /c\n");
    write_file("attnd.conf.d/Z.conf", "[limits]\nstreams_per_connection = 7\n");
    write_file("attnd.conf.d/a.conf", "[limits]\nstreams_per_connection = 8\n");
    write_file("attnd.conf.d/z.conf~", "[limits]\nstreams = x\n");
    write_file("attnd.conf.d/.z.conf", "[limits]\nstreams = x\n");
    ck_assert_int_eq(read_folder(true), 0);
    ck_assert_uint_eq(config_number(&config, CONFIG_limits_streams), 9);
    ck_assert_uint_eq(config_number(&config, CONFIG_limits_connections), 10);
    ck_assert_uint_eq(config_number(&config, CONFIG_limits_streams_per_connection), 8);
    ck_assert_str_eq(config_text(&config, CONFIG_models_files), "/c");
    ck_assert_ptr_nonnull(strstr(config.values[CONFIG_limits_streams].origin, "/attnd.conf.d/9.conf:2"));
    ck_assert_ptr_nonnull(strstr(config.values[CONFIG_models_files].origin, "/attnd.conf.d/10.conf:6"));
}
END_TEST

START_TEST(mistakes_of_all_files_are_named)
{
    make_folder_of_parts();
    write_file("attnd.conf", "[limits]\nstreams = x\n");
    write_file("attnd.conf.d/1.conf", "[limits]\nstreams = 1\nstreams = 2\n");
    write_file("attnd.conf.d/2.conf", "[limits]\nstream = 1\n");
    ck_assert_int_eq(read_folder(true), -1);
    ck_assert_ptr_nonnull(strstr(complaints, "/attnd.conf:2: streams is 'x'"));
    ck_assert_ptr_nonnull(strstr(complaints, "/attnd.conf.d/1.conf:3: streams is given twice; the first is in line 2"));
    ck_assert_ptr_nonnull(strstr(complaints, "/attnd.conf.d/2.conf:2: unknown key 'stream'"));
}
END_TEST

START_TEST(a_fifo_is_not_waited_for)
{
    char path[128];
    make_folder_of_parts();
    snprintf(path, sizeof(path), "%s/attnd.conf.d/1.conf", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    write_file("attnd.conf.d/2.conf", "[limits]\nstreams = 3\n");
    ck_assert_int_eq(read_folder(false), -1);
    ck_assert_ptr_nonnull(strstr(complaints, "/1.conf: the configuration cannot be read: it is a FIFO"));
}
END_TEST

START_TEST(the_folder_counts_where_the_file_is_missing)
{
    make_folder_of_parts();
    write_file("attnd.conf.d/1.conf", "[limits]\nstreams = 3\n");
    ck_assert_int_eq(read_folder(false), 0);
    ck_assert_uint_eq(config_number(&config, CONFIG_limits_streams), 3);
}
END_TEST

START_TEST(a_file_in_place_of_the_folder_is_a_mistake)
{
    make_folder();
    write_file("attnd.conf", "");
    write_file("attnd.conf.d", "");
    ck_assert_int_eq(read_folder(true), -1);
    ck_assert_ptr_nonnull(strstr(complaints, "attnd.conf.d: the folder cannot be read"));
}
END_TEST

START_TEST(what_is_printed_is_read_again_with_the_same_values)
{
    char why[ATTNP_ERROR_TEXT + 1], origin[600];
    static char text[1 << 16];
    static struct config first;
    memset(origin, 'o', sizeof(origin) - 1);
    origin[sizeof(origin) - 1] = '\0';
    origin[300] = '\n';
    config_init(&config);
    ck_assert_int_eq(config_set(&config, CONFIG_limits_streams, "77", origin, why), 0);
    ck_assert_int_eq(config_set(&config, CONFIG_listen_mode, "0600", "test", why), 0);
    ck_assert_int_eq(config_set(&config, CONFIG_daemon_log_level, "debug", "test", why), 0);
    FILE *out = fmemopen(text, sizeof(text), "w");
    config_print(&config, out);
    fclose(out);
    memcpy(&first, &config, sizeof(first));
    ck_assert_int_eq(read_text(text), 0);
    for (int key = 0; key < CONFIG_N_KEYS; key++) {
        ck_assert_uint_eq(config_number(&config, key), config_number(&first, key));
        ck_assert_str_eq(config_text(&config, key), config_text(&first, key));
    }
}
END_TEST

static char changes[4096];

static void note_change(const struct config_change *change)
{
    size_t n = strlen(changes);
    snprintf(changes + n, sizeof(changes) - n, "%s.%s: %s -> %s (%s)%s|", change->section, change->name, change->was,
             change->is, change->origin, change->is_applied ? "" : " later");
}

START_TEST(a_reload_applies_what_it_can_and_tells_the_rest)
{
    static struct config fresh;
    char why[ATTNP_ERROR_TEXT + 1];
    config_init(&config);
    config_init(&fresh);
    changes[0] = '\0';
    config_apply(&config, &fresh, note_change);
    ck_assert_str_eq(changes, "");
    ck_assert_int_eq(config_set(&fresh, CONFIG_daemon_shards, "3", "a:1", why), 0);
    ck_assert_int_eq(config_set(&fresh, CONFIG_daemon_log_level, "debug", "a:2", why), 0);
    ck_assert_int_eq(config_set(&fresh, CONFIG_models_files, "/m", "a:3", why), 0);
    ck_assert_int_eq(config_set(&fresh, CONFIG_limits_streams, "20000", "a:4", why), 0);
    for (int times = 0; times < 2; times++) { /* what a reload does not apply is told again by the next */
        changes[0] = '\0';
        config_apply(&config, &fresh, note_change);
        ck_assert_str_eq(changes, times == 0 ? "models.files:  -> /m (a:3)|daemon.shards: 0 -> 3 (a:1) later|"
                                               "daemon.log_level: info -> debug (a:2)|"
                                             : "daemon.shards: 0 -> 3 (a:1) later|");
        ck_assert_str_eq(config_text(&config, CONFIG_models_files), "/m");
        ck_assert_uint_eq(config_number(&config, CONFIG_daemon_shards), 0);
        ck_assert_str_eq(config.values[CONFIG_daemon_shards].origin, "default");
        ck_assert_str_eq(config.values[CONFIG_limits_streams].origin, "a:4");
    }
}
END_TEST

static Suite *config_suite(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_add_test(tests, defaults_are_within_their_own_ranges);
    tcase_add_test(tests, sizes_take_suffixes_and_refuse_what_does_not_fit);
    tcase_add_test(tests, lists_grow_only_where_asked);
    tcase_add_test(tests, a_list_is_split_at_colons_but_not_within_an_item);
    tcase_add_test(tests, a_longest_text_fits_and_a_longer_one_does_not);
    tcase_add_test(tests, comments_and_empty_lines_mean_nothing);
    tcase_add_test(tests, a_comment_behind_a_value_is_a_mistake_of_its_line);
    tcase_add_test(tests, a_path_may_have_what_begins_comments);
    tcase_add_test(tests, what_is_no_text_is_told_by_line);
    tcase_add_test(tests, what_is_no_file_is_told);
    tcase_add_test(tests, every_line_with_a_mistake_is_named);
    tcase_add_test(tests, a_file_without_a_last_newline_is_read_whole);
    tcase_add_test(tests, a_missing_file_is_a_mistake_only_where_it_was_asked_for);
    tcase_add_test(tests, later_files_win_in_the_order_of_their_names);
    tcase_add_test(tests, mistakes_of_all_files_are_named);
    tcase_add_test(tests, a_fifo_is_not_waited_for);
    tcase_add_test(tests, the_folder_counts_where_the_file_is_missing);
    tcase_add_test(tests, a_file_in_place_of_the_folder_is_a_mistake);
    tcase_add_test(tests, what_is_printed_is_read_again_with_the_same_values);
    tcase_add_test(tests, a_reload_applies_what_it_can_and_tells_the_rest);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(config_suite());
