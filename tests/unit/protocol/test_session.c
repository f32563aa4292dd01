/* SPDX-License-Identifier: MIT */
/* What opens a connection, the order of its messages, and the table of errors. */
#include "protocol/session.h"

#include "protocol/preface.h"
#include "protocol/utf8.h"
#include "tests/unit/protocol/bytes.h"
#include "tests/unit/run.h"

static struct attnp_error error;

static int read_preface(struct attnp_preface *preface, const void *data, size_t n)
{
    uint8_t *copy = tight(data, n);
    int result = attnp_preface_read(preface, copy, n, &error);
    free(copy);
    return result;
}

START_TEST(test_preface_round_trip)
{
    uint8_t key[ATTNP_MAX_KEY], written[ATTNP_MAX_PREFACE];
    struct attnp_preface preface;
    memset(key, 'k', sizeof(key));
    for (unsigned n_key = 0; n_key <= ATTNP_MAX_KEY; n_key++) {
        size_t n = attnp_preface_write(written, n_key ? key : NULL, (uint8_t)n_key);
        ck_assert_uint_eq(n, 6 + n_key);
        for (size_t cut = 0; cut < n; cut++)
            ck_assert_int_eq(read_preface(&preface, written, cut), 0);
        ck_assert_int_eq(read_preface(&preface, written, n), (int)n);
        ck_assert_uint_eq(preface.version, 1);
        ck_assert_uint_eq(preface.n_key, n_key);
        ck_assert_mem_eq(preface.key, key, n_key);
    }
}
END_TEST

START_TEST(test_wrong_prefaces)
{
    static const struct {
        const char *text;
        size_t n, least; /* bytes in all, and the fewest at which it is refused */
        enum attnp_code code;
        const char *says;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 16, 1, ATTNP_BAD_PREFACE, "HTTP?"},
        {"POST / HTTP/1.1\r\n", 17, 1, ATTNP_BAD_PREFACE, "HTTP?"},
        {"RIFF\0\0\0\0WAVE", 12, 1, ATTNP_BAD_PREFACE, "WAV file?"},
        {"\x16\x03\x01", 3, 1, ATTNP_BAD_PREFACE, "TLS?"},
        {"\0\0\0\0", 4, 1, ATTNP_BAD_PREFACE, "byte 0 is 0x00,"},
        {"ATTX", 4, 4, ATTNP_BAD_PREFACE, "byte 3 is 0x58,"},
        {"ATGN", 4, 3, ATTNP_BAD_PREFACE, "byte 2 is 0x47,"},
        {"ATTN\0\0", 6, 5, ATTNP_BAD_VERSION, "version 0"},
        {"ATTN\2\0", 6, 5, ATTNP_BAD_VERSION, "version 2"},
        {"ATTN\1\x41", 6, 6, ATTNP_BAD_PREFACE, "65 bytes: the limit is 64"},
        {"ATTN\1\xff", 6, 6, ATTNP_BAD_PREFACE, "255 bytes"},
    };
    struct attnp_preface preface;
    for (size_t n = 0; n <= cases[_i].n; n++)
        ck_assert_int_eq(read_preface(&preface, cases[_i].text, n), n < cases[_i].least ? 0 : -1);
    ck_assert_int_eq(error.code, cases[_i].code);
    ck_assert_int_eq(attnp_error_ends(error.code), ATTNP_ENDS_CONNECTION);
    ck_assert_uint_eq(error.offset, cases[_i].least - 1);
    ck_assert_msg(strstr(error.text, cases[_i].says) != NULL, "%s", error.text);
}
END_TEST

static enum attnp_code accept_in(int state, enum attnp_kind kind, enum attnp_method method, int *after)
{
    struct attnp_session session = {.state = state};
    memset(&error, 0, sizeof(error));
    int result = attnp_session_accept(&session, kind, method, "strange", &error);
    ck_assert_int_eq(result, error.code == ATTNP_OK ? 0 : -1);
    *after = session.state;
    return error.code;
}

/* Every state, kind and method. */
START_TEST(test_order)
{
    for (int kind = ATTNP_REQUEST; kind <= ATTNP_NOTIFICATION; kind++)
        for (int method = 0; method <= ATTNP_M_UNKNOWN; method++) {
            bool hello = kind == ATTNP_REQUEST && method == ATTNP_M_HELLO;
            bool daemons = method == ATTNP_M_OUTPUT || method == ATTNP_M_EVENT || method == ATTNP_M_ERROR;
            enum attnp_code ready = ATTNP_OK;
            if (kind == ATTNP_RESPONSE || hello || daemons)
                ready = ATTNP_BAD_ORDER;
            else if (method == ATTNP_M_UNKNOWN)
                ready = ATTNP_UNKNOWN_METHOD;
            else if ((kind == ATTNP_NOTIFICATION) != (method == ATTNP_M_PUSH))
                ready = ATTNP_BAD_ORDER;
            int after;
            ck_assert_int_eq(accept_in(ATTNP_AWAIT_PREFACE, kind, method, &after), ATTNP_BAD_ORDER);
            ck_assert_int_eq(after, ATTNP_AWAIT_PREFACE);
            ck_assert_int_eq(accept_in(ATTNP_AWAIT_HELLO, kind, method, &after), hello ? ATTNP_OK : ATTNP_BAD_ORDER);
            ck_assert_int_eq(after, hello ? ATTNP_READY : ATTNP_AWAIT_HELLO);
            ck_assert_int_eq(accept_in(ATTNP_READY, kind, method, &after), ready);
            ck_assert_int_eq(after, ATTNP_READY);
            ck_assert_int_eq(accept_in(ATTNP_ENDED, kind, method, &after), ATTNP_BAD_ORDER);
            ck_assert_int_eq(after, ATTNP_ENDED);
        }
}
END_TEST

START_TEST(test_life_of_a_session)
{
    struct attnp_session session;
    attnp_session_init(&session);
    ck_assert_int_eq(attnp_session_accept(&session, ATTNP_REQUEST, ATTNP_M_HELLO, "hello", &error), -1);
    attnp_session_preface(&session);
    ck_assert_int_eq(attnp_session_accept(&session, ATTNP_REQUEST, ATTNP_M_PING, "ping", &error), -1);
    ck_assert_str_eq(error.text, "ping came first, but a connection begins with the request hello");
    ck_assert_int_eq(attnp_session_accept(&session, ATTNP_REQUEST, ATTNP_M_HELLO, "hello", &error), 0);
    ck_assert_int_eq(attnp_session_accept(&session, ATTNP_NOTIFICATION, ATTNP_M_PUSH, "push", &error), 0);
    ck_assert_int_eq(attnp_session_accept(&session, ATTNP_REQUEST, ATTNP_M_UNKNOWN, "dance", &error), -1);
    ck_assert_str_eq(error.text, "no method \"dance\"");
    attnp_session_preface(&session);
    ck_assert_int_eq(session.state, ATTNP_READY);
    attnp_session_end(&session);
    ck_assert_int_eq(attnp_session_accept(&session, ATTNP_REQUEST, ATTNP_M_PING, "ping", &error), -1);
}
END_TEST

START_TEST(test_table_of_errors)
{
    static const struct {
        int code;
        const char *name, *string;
    } table[] = {
#define X(code, name, string, ends, text) {code, #name, string},
        ATTNP_ERRORS(X)
#undef X
    };
    int n = sizeof(table) / sizeof(table[0]);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(table[i].code, i + 1);
        ck_assert_str_eq(attnp_error_name((enum attnp_code)table[i].code), table[i].string);
        ck_assert_uint_gt(strlen(attnp_error_general_text((enum attnp_code)table[i].code)), 0);
        ck_assert_int_le(attnp_error_ends((enum attnp_code)table[i].code), ATTNP_ENDS_CONNECTION);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(table[i].string, table[j].string);
        for (size_t k = 0; table[i].string[k]; k++) /* bad_frame is BAD_FRAME */
            ck_assert_int_eq(table[i].name[k], table[i].string[k] == '_' ? '_' : table[i].string[k] - 'a' + 'A');
    }
    ck_assert_str_eq(attnp_error_name(99), "unknown");
    ck_assert_str_eq(attnp_error_general_text(99), "unknown");
    ck_assert_int_eq(attnp_error_ends(99), ATTNP_ENDS_REQUEST);
}
END_TEST

START_TEST(test_texts_of_errors)
{
    char longer[ATTNP_ERROR_TEXT + 50];
    ck_assert_int_eq(attnp_fail(NULL, ATTNP_INTERNAL, "%d", 1), -1);
    ck_assert_int_eq(attnp_fail_at(NULL, ATTNP_INTERNAL, 3, "%d", 1), -1);
    memset(longer, 'x', sizeof(longer));
    memcpy(longer + ATTNP_ERROR_TEXT - 1, "é", 2); /* one byte within the limit, one behind it */
    longer[sizeof(longer) - 1] = '\0';
    attnp_fail(&error, ATTNP_INTERNAL, "%s", longer);
    ck_assert_uint_eq(strlen(error.text), ATTNP_ERROR_TEXT - 1);
    attnp_fail(&error, ATTNP_INTERNAL, "%s", "a\nb\x7f \xff é\xc2\x85");
    ck_assert_str_eq(error.text, "a?b? ? é??");
    ck_assert(!error.has_offset && !error.has_stream);
}
END_TEST

START_TEST(test_utf8)
{
    static const struct {
        const char *text;
        size_t step;
    } cases[] = {
        {"a", 1},
        {" ", 1},
        {"\x1f", 0},
        {"\x7f", 0},
        {"\x80", 0},
        {"\xbf", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xc2\x80", 0},
        {"\xc2\xa0", 2},
        {"\xdf\xbf", 2},
        {"\xe0\x9f\xbf", 0},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xed\xbf\xbf", 0},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\xf8\x88\x80\x80", 0},
        {"\xff", 0},
        {"\xc3", 0},
        {"\xc3(", 0},
        {"\xe2\x82", 0},
        {"\xe2\x82(", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].text);
        ck_assert_msg(attnp_utf8_step(cases[i].text, n) == cases[i].step, "case %zu", i);
        ck_assert_int_eq(attnp_utf8_clean(cases[i].text, n), cases[i].step == n);
    }
    ck_assert_uint_eq(attnp_utf8_step("", 0), 0);
    ck_assert(attnp_utf8_clean("", 0));
    ck_assert(attnp_utf8_clean("Küche €😀", strlen("Küche €😀")));
}
END_TEST

static Suite *session_suite(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_add_test(tests, test_preface_round_trip);
    tcase_add_loop_test(tests, test_wrong_prefaces, 0, 11);
    tcase_add_test(tests, test_order);
    tcase_add_test(tests, test_life_of_a_session);
    tcase_add_test(tests, test_table_of_errors);
    tcase_add_test(tests, test_texts_of_errors);
    tcase_add_test(tests, test_utf8);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(session_suite());
