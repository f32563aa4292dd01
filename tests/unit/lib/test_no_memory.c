/* SPDX-License-Identifier: MIT */
/* Where memory runs out, wherever that is, a good file is not called a bad one: a caller gives up what is damaged, and
 * keeps what it only cannot read now. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attn/attn.h"
#include "draft.h"
#include "lib/json.h"
#include "tests/unit/failing.h"
#include "tests/unit/run.h"

/* jansson's buffer grows by doubling, and jansson overlooks where it cannot: lib/json.c asks for that memory before. */
static void *json_malloc(size_t n)
{
    bool may_be_the_buffer = n >= 32 && (n & (n - 1)) == 0;
    return !may_be_the_buffer && failing_now() ? NULL : __real_malloc(n);
}

static void set_up(void)
{
    json_set_alloc_funcs(json_malloc, free);
}

/* Loads again and again, with one more allocation that succeeds each time, until it has all that it needs. */
static void load_with_ever_more(int (*load)(struct attn_plan **plan, void *argument, struct attn_reason *why),
                                void *argument)
{
    long n = 0;
    for (int error = ATTN_E_MEMORY; error != 0; n++) {
        struct attn_plan *plan = NULL;
        struct attn_reason why = {""};
        failing_after = n;
        error = load(&plan, argument, &why);
        failing_after = LONG_MAX;
        attn_plan_free(plan);
        ck_assert_msg(error == 0 || error == ATTN_E_MEMORY, "allocation %ld: %d, %s", n, error, why.text);
        ck_assert_msg(error == 0 || strstr(why.text, "no memory") != NULL, "allocation %ld: %s", n, why.text);
    }
    ck_assert_int_gt(n, 100);
}

static int parse(struct attn_plan **plan, void *argument, struct attn_reason *why)
{
    const struct draft_file *file = argument;
    return attn_plan_parse(plan, file->bytes, file->n_bytes, NULL, why);
}

static int load(struct attn_plan **plan, void *argument, struct attn_reason *why)
{
    return attn_plan_load(plan, argument, NULL, why);
}

START_TEST(a_good_file_is_never_called_a_bad_one)
{
    struct draft draft;
    draft_init(&draft);
    draft_add_block(&draft, "{\"method\":\"nystrom\",\"landmarks\":2}");
    draft_replace(&draft, "{", "{\"training\":{\"a long name of something\":[1.5e-3,true,null,\"\\u00e9\\n\"]},");
    struct draft_file file = draft_write(&draft);
    draft_done(&draft);
    char path[] = "/tmp/attn-load-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, file.bytes, file.n_bytes), (ssize_t)file.n_bytes);
    close(fd);
    failing_for_good = _i != 0;
    load_with_ever_more(parse, &file);
    load_with_ever_more(load, path);
    unlink(path);
    free(file.bytes);
}
END_TEST

/* And a bad one is never called a good one, or one for which memory was missing. */
START_TEST(a_bad_text_is_called_one)
{
    static const char *const texts[] = {
        "",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\u0000\",\"b\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{} {}",
        "{\"a\":1}}",
        "[1]",
        "{\"a\":1,\"a\":2}",
        "{\"a\":99999999999999999999}",
        "{\"a\":1e999}",
        "{\"a\":NaN}",
        "{'a':1}",
        "{\"\\u0000\":1}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct attn_reason why = {""};
        int error = 0;
        json_t *json = attn_json_read(texts[i], strlen(texts[i]), "the text", &error, &why);
        ck_assert_ptr_null(json);
        ck_assert_msg(error == ATTN_E_MODEL, "%s: %d, %s", texts[i], error, why.text);
    }
}
END_TEST

static Suite *no_memory_suite(void)
{
    Suite *suite = suite_create("no memory");
    TCase *tests = tcase_create("no memory");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_loop_test(tests, a_good_file_is_never_called_a_bad_one, 0, 2);
    tcase_add_test(tests, a_bad_text_is_called_one);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(no_memory_suite());
