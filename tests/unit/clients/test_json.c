/* SPDX-License-Identifier: MIT */
/* The daemon's answers as JSON: every type of MessagePack. */
#include "attnctl/json.h"

#include <stdlib.h>

#include "tests/unit/run.h"

static const struct {
    const char *bytes;
    size_t n_bytes;
    const char *json; /* NULL: cannot be read */
} values[] = {
#define VALUE(bytes, json)                                                                                             \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1, json                                                                                 \
    }
    VALUE("\xc0", "null"),
    VALUE("\xc3", "true"),
    VALUE("\x07", "7"),
    VALUE("\xff", "-1"),
    VALUE("\xca\x3f\xc0\x00\x00", "1.5"),
    VALUE("\xca\x7f\xc0\x00\x00", "null"), /* NaN */
    VALUE("\xa2hi", "\"hi\""),
    VALUE("\xa0", "\"\""),
    VALUE("\xd9\x00", "\"\""),
    VALUE("\xc4\x02\x0f\xa0", "\"0fa0\""),
    VALUE("\xc4\x00", "\"\""),
    VALUE("\x90", "[]"),
    VALUE("\x80", "{}"),
    VALUE("\x93\x01\xa0\x02", "[1,\"\",2]"),
    VALUE("\x82\xa1k\xa0\xa0\x91\xa0", "{\"k\":\"\",\"\":[\"\"]}"),
    VALUE("\x92\x01", NULL),
#undef VALUE
};

START_TEST(every_type_has_its_json)
{
    json_t *json = json_of_msgpack(values[_i].bytes, values[_i].n_bytes);
    if (values[_i].json == NULL) {
        ck_assert_ptr_null(json);
        return;
    }
    ck_assert_ptr_nonnull(json);
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    ck_assert_str_eq(text, values[_i].json);
    free(text);
    json_decref(json);
}
END_TEST

static Suite *json_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_add_loop_test(tests, every_type_has_its_json, 0, sizeof(values) / sizeof(values[0]));
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(json_suite());
