/* SPDX-License-Identifier: MIT */
/* Which models are served, where memory, room or a sound name is missing. */
#include "daemon/catalogue.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/users.h"
#include "tests/unit/failing.h"
#include "tests/unit/run.h"

#define ANNA 1001

static char folder[] = "/tmp/attnd-models-XXXXXX";
static struct config config;
static struct users *users;
static struct catalogue before, now;
static int log_fd;

static void put_model(const char *name)
{
    char command[PATH_MAX + 128], path[128];
    const char *source = getenv("ATTN_SRCDIR") != NULL ? getenv("ATTN_SRCDIR") : ".";
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(command, sizeof(command), "cp %s/etc/models/sounds.safetensors %s/new", source, folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof(command), "%s/new", folder);
    ck_assert_int_eq(rename(command, path), 0);
}

static void set_up(void)
{
    char why[ATTNP_ERROR_TEXT + 1], name[] = "/tmp/attnd-log-XXXXXX";
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    config_init(&config);
    ck_assert_int_eq(config_set_item(&config, CONFIG_models_directories, folder, "test", false, why), 0);
    users = users_new(&config, 0, (uint64_t)1 << 30);
    ck_assert_ptr_nonnull(users);
    log_fd = mkstemp(name);
    unlink(name);
    ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
    ck_assert_int_eq(fcntl(log_fd, F_SETFL, O_APPEND), 0);
    log_start(LOG_LEVEL_INFO);
}

static void tear_down(void)
{
    char command[64];
    catalogue_done(&before);
    catalogue_done(&now);
    users_free(users);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* What was logged since the last look. */
static const char *logged(void)
{
    static char text[1 << 16];
    ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);
    ck_assert_int_ge((int)n, 0);
    text[n] = '\0';
    ck_assert_int_eq(ftruncate(log_fd, 0), 0);
    return text;
}

static struct model *served(const struct catalogue *catalogue, const char *name)
{
    return catalogue_find(catalogue, name, strlen(name));
}

/* Whichever allocation fails, what is served stays served, and its file is not called a bad one. */
START_TEST(no_memory_takes_no_model_away)
{
    put_model("m.safetensors");
    ck_assert_int_eq(catalogue_read(&before, &config, NULL, users, NULL), 0);
    long n = 0;
    for (bool is_done = false; !is_done; n++) {
        put_model("m.safetensors"); /* another file: it has to be read again */
        logged();
        failing_after = n;
        int status = catalogue_read(&now, &config, &before, users, NULL);
        is_done = failing_after != LONG_MAX;
        failing_after = LONG_MAX;
        const char *words = logged();
        if (status == 0)
            ck_assert_ptr_eq(served(&now, "m"), served(&before, "m"));
        ck_assert_msg(is_done || strstr(words, "memory") != NULL, "allocation %ld: %s", n, words);
        ck_assert_msg(strstr(words, "is not valid") == NULL, "allocation %ld: %s", n, words);
        catalogue_done(&now);
    }
    ck_assert_int_gt(n, 20);
}
END_TEST

/* A client that takes UTF-8 alone would understand no hello with such a name in it. */
START_TEST(a_name_that_is_no_text_is_refused)
{
    static const char *const names[] = {"\xff.safetensors", "a\x1b[31m.safetensors", "\xc3.safetensors",
                                        "\xc2\x9b.safetensors"};
    put_model("gr\xc3\xbc\xc3\x9f"
              "e.safetensors");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put_model(names[i]);
    ck_assert_int_eq(catalogue_read(&now, &config, NULL, users, NULL), 0);
    ck_assert_uint_eq(now.n, 1);
    ck_assert_ptr_nonnull(served(&now, "gr\xc3\xbc\xc3\x9f"
                                       "e"));
    const char *words = logged();
    ck_assert_ptr_nonnull(strstr(words, "/?.safetensors is not served: its name has to be"));
    ck_assert_ptr_nonnull(strstr(words, "/a?[31m.safetensors is not served: its name has to be"));
}
END_TEST

START_TEST(models_and_states_share_their_memory)
{
    char why[ATTNP_ERROR_TEXT + 1];
    struct attnp_error error;
    put_model("a.safetensors");
    ck_assert_int_eq(config_set(&config, CONFIG_limits_state_bytes, "1000000", "test", why), 0);
    ck_assert_int_eq(catalogue_read(&before, &config, NULL, users, NULL), 0);
    ck_assert_uint_eq(before.n, 1);
    logged();
    put_model("b.safetensors");
    ck_assert_int_eq(catalogue_read(&now, &config, &before, users, NULL), 0);
    ck_assert_uint_eq(now.n, 1); /* both would take 1.4 MB */
    ck_assert_ptr_eq(served(&now, "a"), served(&before, "a"));
    ck_assert_ptr_nonnull(
        strstr(logged(), "/b.safetensors is not served: it takes 703792 bytes, and 296208 of 1000000"));
    put_model("a.safetensors");
    catalogue_done(&now);
    ck_assert_int_eq(catalogue_read(&now, &config, &before, users, NULL), 0);
    ck_assert_ptr_eq(served(&now, "a"), served(&before, "a"));
    ck_assert_ptr_nonnull(strstr(logged(), "cannot be taken over now, and the one that was read before stays"));
    ck_assert_int_eq(users_charge(users, ANNA, USERS_STATE_BYTES, 300000, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "296208 of 1000000 are left beside models, which take 703792"));
    ck_assert_int_eq(users_charge(users, ANNA, USERS_STATE_BYTES, 290000, &error), 0);
    catalogue_done(&before);
    catalogue_done(&now);
    ck_assert_int_eq(users_charge(users, ANNA, USERS_STATE_BYTES, 300000, &error), 0);
    ck_assert_int_eq(catalogue_read(&now, &config, NULL, users, NULL), 0);
    ck_assert_uint_eq(now.n, 0);
    users_discharge(users, ANNA, USERS_STATE_BYTES, 590000);
}
END_TEST

/* What is checked is held against the limits as a start would. */
START_TEST(a_check_tells_what_has_no_room)
{
    char why[ATTNP_ERROR_TEXT + 1];
    put_model("a.safetensors");
    put_model("b.safetensors");
    ck_assert_int_eq(config_set(&config, CONFIG_limits_state_bytes, "1000000", "test", why), 0);
    ck_assert_int_eq(catalogue_check(&config), 0);
    const char *words = logged();
    ck_assert_ptr_nonnull(strstr(words, "model 'a' from "));
    ck_assert_ptr_nonnull(strstr(words, "/b.safetensors is not served: it takes 703792 bytes"));
}
END_TEST

static Suite *catalogue_suite(void)
{
    Suite *suite = suite_create("catalogue");
    TCase *tests = tcase_create("catalogue");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, no_memory_takes_no_model_away);
    tcase_add_test(tests, a_name_that_is_no_text_is_refused);
    tcase_add_test(tests, models_and_states_share_their_memory);
    tcase_add_test(tests, a_check_tells_what_has_no_room);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(catalogue_suite());
