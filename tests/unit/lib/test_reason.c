/* SPDX-License-Identifier: MIT */
#include "lib/reason.h"
#include "tests/unit/run.h"

#include <string.h>

START_TEST(keeps_what_can_be_printed)
{
    struct attn_reason why;
    ck_assert_int_eq(attn_refuse(&why, ATTN_E_MODEL, "tensor %s: %d", "größe \u20ac \U0001f3b5", 7), ATTN_E_MODEL);
    ck_assert_str_eq(why.text, "tensor größe \u20ac \U0001f3b5: 7");
    ck_assert_int_eq(attn_refuse(NULL, ATTN_E_MEMORY, "nobody asks"), ATTN_E_MEMORY);
}
END_TEST

START_TEST(replaces_what_cannot)
{
    static const char *const texts[][2] = {
        {"a\nb\x1b[31m\x7f", "a?b?[31m?"},
        {"\xc2\x9b"
         "31m",
         "??31m"}, /* the control sequence introducer in one character */
        {"cut \xe2\x82", "cut ??"},
        {"\xe2\x82"
         "A",
         "??A"},
        {"\xff\xc0\xf5 \x80", "??? ?"},
        {"\xe0\x9f\xbf \xe0\xa0\x80", "??? \u0800"}, /* too long a form, and the first that is not */
        {"\xf0\x8f\xbf\xbf \xf0\x90\x80\x80", "???? \U00010000"},
        {"\xed\xa0\x80 \xed\x9f\xbf", "??? \ud7ff"},              /* a surrogate, and the last that is none */
        {"\xf4\x90\x80\x80 \xf4\x8f\xbf\xbf", "???? \U0010ffff"}, /* beyond the last character */
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct attn_reason why;
        attn_refuse(&why, ATTN_E_MODEL, "%s", texts[i][0]);
        ck_assert_str_eq(why.text, texts[i][1]);
    }
}
END_TEST

START_TEST(a_cut_leaves_whole_characters)
{
    char name[sizeof(((struct attn_reason *)NULL)->text) + 8];
    for (size_t shift = 0; shift < 3; shift++) {
        struct attn_reason why;
        size_t n = 0;
        memset(name, 'x', shift);
        for (n = shift; n + 3 < sizeof(name); n += 3)
            memcpy(name + n, "\u20ac", 3);
        name[n] = '\0';
        attn_refuse(&why, ATTN_E_MODEL, "%s", name);
        size_t whole = (sizeof(why.text) - 1 - shift) / 3 * 3 + shift;
        ck_assert_int_eq(memcmp(why.text, name, whole), 0);
        ck_assert_uint_eq(strspn(why.text + whole, "?"), sizeof(why.text) - 1 - whole);
    }
}
END_TEST

static Suite *reason(void)
{
    Suite *suite = suite_create("reason");
    TCase *tcase = tcase_create("sentences");
    tcase_add_test(tcase, keeps_what_can_be_printed);
    tcase_add_test(tcase, replaces_what_cannot);
    tcase_add_test(tcase, a_cut_leaves_whole_characters);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(reason());
