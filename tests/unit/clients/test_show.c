/* SPDX-License-Identifier: MIT */
/* What attnctl shows of outputs: the live line, the timeline, lines of JSON. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attnctl/ndjson.h"
#include "attnctl/timeline.h"
#include "attnctl/view.h"
#include "tests/unit/run.h"

static const char *const labels[] = {"silence", "speech", "dog bark"};

/* A timeline of 100 frames a second out of letters, one for each 50 ms: s(ilence), p (speech), d(og). */
static struct timeline *hear(const char *letters)
{
    struct timeline *timeline = timeline_new(3);
    int frame = 0;

    for (; *letters != '\0'; letters++) {
        for (int i = 0; i < 5; i++) {
            float scores[3] = {0.1f, 0.1f, 0.1f};

            scores[*letters == 's' ? 0 : *letters == 'p' ? 1 : 2] = 0.8f;
            ck_assert_int_eq(timeline_add(timeline, ++frame / 100.0, scores), 0);
        }
    }
    return timeline;
}

static const struct {
    const char *letters;
    size_t n;
    struct timeline_segment segments[4];
} heard[] = {
    {.letters = ""},
    {"pp", 1, {{0.0, 0.1, 1, 0.8}}},
    {"ssssssssssppppppppppssssssssss", 3, {{0.0, 0.5, 0, 0.8}, {0.5, 1.0, 1, 0.8}, {1.0, 1.5, 0, 0.8}}},
    /* 0.3 s is long enough, 0.25 s a blip, whose time is the segment's with the segment's own score. */
    {"ssssssppppppdddddd", 3, {{0.0, 0.3, 0, 0.8}, {0.3, 0.6, 1, 0.8}, {0.6, 0.9, 2, 0.8}}},
    {"sssssssssspppppsssss", 1, {{0.0, 1.0, 0, 0.625}}},
    {"sssssssssspppppddddd", 1, {{0.0, 1.0, 0, 0.45}}},
    {"ssssssssssppdddddd", 2, {{0.0, 0.6, 0, (10 * 0.8 + 2 * 0.1) / 12}, {0.6, 0.9, 2, 0.8}}},
    {"spssssssss", 1, {{0.0, 0.5, 0, 0.8}}},
    {"pspspspspspspsp", 1, {{0.0, 0.75, 1, 0.8}}},
};

START_TEST(blips_vanish_and_time_has_no_gaps)
{
    struct timeline *timeline = hear(heard[_i].letters);
    size_t n;
    const struct timeline_segment *segments;

    segments = timeline_segments(timeline, &n);
    ck_assert_uint_eq(n, heard[_i].n);
    for (size_t i = 0; i < n; i++) {
        const struct timeline_segment *expected = &heard[_i].segments[i];

        ck_assert_double_eq_tol(segments[i].start_s, expected->start_s, 1e-9);
        ck_assert_double_eq_tol(segments[i].end_s, expected->end_s, 1e-9);
        ck_assert_uint_eq(segments[i].class, expected->class);
        if (_i < 7)
            ck_assert_double_eq_tol(segments[i].score, expected->score, 1e-6);
    }
    timeline_free(timeline);
}
END_TEST

START_TEST(a_long_stream_has_all_its_segments)
{
    struct timeline *timeline = timeline_new(2);
    const struct timeline_segment *segments;
    size_t n;

    for (int i = 0; i < 20000; i++)
        ck_assert_int_eq(timeline_add(timeline, (i + 1) / 10.0, (float[]){(float)(i / 10 % 2), 0.5f}), 0);
    segments = timeline_segments(timeline, &n);
    ck_assert_uint_eq(n, 2000);
    for (size_t i = 0; i < n; i++) {
        ck_assert_double_eq_tol(segments[i].start_s, (double)i, 1e-9);
        ck_assert_uint_eq(segments[i].class, i % 2 == 0);
    }
    timeline_free(timeline);
}
END_TEST

START_TEST(the_timeline_is_printed_in_columns)
{
    static const struct {
        struct terminal terminal;
        const char *text;
    } prints[] = {
        {{.utf8 = true}, "  0.0 – 0.5 s  silence   ████████   0.80\n  0.5 – 1.0 s  dog bark  ████████   0.80\n"},
        {{.utf8 = false}, "  0.0 - 0.5 s  silence   ########   0.80\n  0.5 - 1.0 s  dog bark  ########   0.80\n"},
    };
    struct timeline *timeline = hear("ssssssssssdddddddddd");
    char *text;
    size_t n;
    FILE *file = open_memstream(&text, &n);

    timeline_print(timeline, file, &prints[_i].terminal, labels);
    fclose(file);
    ck_assert_str_eq(text, prints[_i].text);
    free(text);
    timeline_free(timeline);
}
END_TEST

/* The characters of a line, without escapes. */
static int columns_of(const char *text)
{
    int columns = 0;

    for (; *text != '\0'; text++) {
        if (*text == '\033')
            text += strcspn(text, "mK");
        else if (*text != '\r' && (*text & 0xC0) != 0x80)
            columns++;
    }
    return columns;
}

START_TEST(the_live_line_fits_the_terminal)
{
    static const char *const many[] = {"a", "b", "a rather long label of a class", "d", "e", "f", "g", "h", "i", "j"};
    static const float scores[] = {0.01f, 0.02f, 0.5f, 0.03f, 0.04f, 0.05f, 0.06f, 0.07f, 0.08f, 0.09f};
    char buffer[4096] = "";
    FILE *file = fmemopen(buffer, sizeof(buffer), "w");
    int columns = 10 + _i * 10;
    struct view view;

    view_init(&view, file, many, 10);
    view.terminal.columns = columns;
    view.terminal.utf8 = view.terminal.escapes = view.terminal.colour = _i % 2 == 0;
    view_live(&view, 12.3, scores, _i % 3 == 0);
    ck_assert_msg(columns_of(buffer) < columns || columns < 20, "%d of %d: %s", columns_of(buffer), columns, buffer);
    ck_assert_ptr_nonnull(strstr(buffer, "12.3 s"));
    if (columns >= 60)
        ck_assert_msg(strstr(buffer, "a rather long label ") != NULL && strstr(buffer, "0.50") != NULL, "%s", buffer);
    ck_assert(strchr(buffer, '\n') == NULL);
    ck_assert(columns < 60 || (strstr(buffer, "\033[32m") != NULL) == view.terminal.colour);
    fclose(file);
}
END_TEST

START_TEST(the_highest_classes_come_first_and_the_line_goes_away)
{
    char buffer[4096] = "";
    FILE *file = fmemopen(buffer, sizeof(buffer), "w");
    struct view view;

    view_init(&view, file, labels, 3);
    view.interval_us = 0;
    view.terminal.columns = 200;
    view.terminal.escapes = true;
    view_live(&view, 1.0, (float[]){0.2f, 0.7f, NAN}, false);
    ck_assert(strstr(buffer, "speech") < strstr(buffer, "silence"));
    ck_assert(strstr(buffer, "silence") < strstr(buffer, "dog bark"));
    fflush(file);
    rewind(file);
    view_live(&view, 1.0, (float[]){NAN, 0.7f, 0.2f}, false);
    ck_assert(strstr(buffer, "speech") < strstr(buffer, "dog bark"));
    ck_assert(strstr(buffer, "dog bark") < strstr(buffer, "silence"));
    view_clear(&view);
    ck_assert_str_eq(buffer + strlen(buffer) - 4, "\r\033[K");
    view_clear(&view);
    fclose(file);
}
END_TEST

START_TEST(labels_cannot_move_the_cursor)
{
    static const struct {
        const char *label, *with, *without;
    } shown[] = {
        {"speech", "speech", "speech"},
        {"dog", "dog   ", "dog   "},
        {"background", "backgr", "backgr"},
        {"\033[2Ja\n", "?[2Ja?", "?[2Ja?"},
        {"caf\xC3\xA9", "caf\xC3\xA9  ", "caf?  "},
        {"a\xFF\xC3z", "a??z  ", "a??z  "},
        {"\xC2\x9Bx", "??x   ", "??x   "},
        {"", "      ", "      "},
    };
    char text[TERMINAL_LABEL_BYTES];

    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        terminal_label(&(struct terminal){.utf8 = true}, text, shown[i].label, 6);
        ck_assert_str_eq(text, shown[i].with);
        terminal_label(&(struct terminal){.utf8 = false}, text, shown[i].label, 6);
        ck_assert_str_eq(text, shown[i].without);
    }
}
END_TEST

START_TEST(bars_are_cut_to_their_columns)
{
    static const struct {
        double share;
        const char *with, *without;
    } bars[] = {{0.0, "    ", "    "}, {1.0, "████", "####"},  {0.5, "██  ", "##  "}, {0.53125, "██▏ ", "##  "},
                {2.0, "████", "####"}, {-1.0, "    ", "    "}, {NAN, "    ", "    "}, {0.4, "█▋  ", "##  "}};
    char text[TERMINAL_BAR_BYTES];

    for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
        terminal_bar(&(struct terminal){.utf8 = true}, text, bars[i].share, 4);
        ck_assert_str_eq(text, bars[i].with);
        terminal_bar(&(struct terminal){.utf8 = false}, text, bars[i].share, 4);
        ck_assert_str_eq(text, bars[i].without);
    }
}
END_TEST

START_TEST(the_environment_says_what_a_terminal_can_show)
{
    struct terminal terminal;

    setenv("LC_ALL", "", 1);
    setenv("LC_CTYPE", "de_DE.utf8", 1);
    setenv("LANG", "C", 1);
    setenv("TERM", "xterm", 1);
    setenv("COLUMNS", "123", 1);
    terminal = terminal_of(fopen("/dev/null", "w"));
    ck_assert(terminal.utf8);
    ck_assert(!terminal.is_terminal && !terminal.escapes && !terminal.colour);
    ck_assert_int_eq(terminal.columns, 123);
    setenv("LC_ALL", "C", 1);
    terminal = terminal_of(stderr);
    ck_assert(!terminal.utf8);
}
END_TEST

/* Writes one output, and reads it back; *text, to be freed, is what was written. */
static json_t *write_and_read(const struct ndjson_output *output, char **text)
{
    size_t n;
    FILE *file = open_memstream(text, &n);
    json_t *value;

    ck_assert_int_eq(ndjson_write_output(file, output), 0);
    /* The line is there before the stream is closed. */
    ck_assert_uint_gt(n, 0);
    ck_assert_ptr_eq(strchr(*text, '\n'), *text + n - 1);
    value = json_loads(*text, 0, NULL);
    ck_assert_ptr_nonnull(value);
    fclose(file);
    return value;
}

START_TEST(an_output_is_one_line_of_json)
{
    static const float scores[] = {0.02f, 0.97f, 1e-7f};
    struct ndjson_output output = {
        .frame = 123, .time_s = 12345.6725, .scores = scores, .n_scores = 3, .labels = labels, .lag_us = 41};
    char *text;

    json_decref(write_and_read(&output, &text));
    ck_assert_str_eq(text, "{\"frame\": 123, \"time_s\": 12345.6725, \"scores\": {\"silence\": 0.02, \"speech\": 0.97, "
                           "\"dog bark\": 1e-7}, \"lag_us\": 41}\n");
    free(text);
    output.labels = NULL;
    output.lag_us = -1;
    output.time_s = -1.0;
    output.warming = true;
    output.file = "a \"b\".wav";
    json_decref(write_and_read(&output, &text));
    ck_assert_str_eq(text, "{\"file\": \"a \\\"b\\\".wav\", \"frame\": 123, \"scores\": [0.02, 0.97, 1e-7], "
                           "\"warming\": true}\n");
    free(text);
}
END_TEST

START_TEST(a_frame_without_answer_is_a_line_without_scores)
{
    struct ndjson_output output = {.frame = 7, .time_s = 0.25, .missing = "dropped", .reason = "late", .lag_us = -1};
    char *text;

    json_decref(write_and_read(&output, &text));
    ck_assert_str_eq(text, "{\"frame\": 7, \"time_s\": 0.25, \"dropped\": \"late\"}\n");
    free(text);
    output.missing = "error";
    output.reason = "not_finite";
    json_decref(write_and_read(&output, &text));
    ck_assert_str_eq(text, "{\"frame\": 7, \"time_s\": 0.25, \"error\": \"not_finite\"}\n");
    free(text);
}
END_TEST

START_TEST(json_survives_what_is_no_json)
{
    static const char *const odd[] = {"\xFF", "ok"};
    struct ndjson_output output = {
        .scores = (float[]){NAN, -INFINITY}, .n_scores = 2, .labels = odd, .lag_us = -1, .file = "caf\xE9.wav"};
    char *text;
    json_t *value = write_and_read(&output, &text);

    ck_assert_str_eq(json_string_value(json_object_get(value, "file")), "caf?.wav");
    ck_assert(json_is_null(json_object_get(json_object_get(value, "scores"), "#0")));
    ck_assert(json_is_null(json_object_get(json_object_get(value, "scores"), "ok")));
    json_decref(value);
    free(text);
}
END_TEST

START_TEST(a_line_that_cannot_be_written_is_an_error)
{
    struct ndjson_output output = {.scores = (float[]){0.5f}, .n_scores = 1};
    FILE *full = fopen("/dev/full", "w");

    ck_assert_int_lt(ndjson_write_output(full, &output), 0);
    fclose(full);
}
END_TEST

static Suite *show(void)
{
    Suite *suite = suite_create("show");
    TCase *tcase = tcase_create("show");

    tcase_add_loop_test(tcase, blips_vanish_and_time_has_no_gaps, 0, (int)(sizeof(heard) / sizeof(heard[0])));
    tcase_add_test(tcase, a_long_stream_has_all_its_segments);
    tcase_add_loop_test(tcase, the_timeline_is_printed_in_columns, 0, 2);
    tcase_add_loop_test(tcase, the_live_line_fits_the_terminal, 0, 20);
    tcase_add_test(tcase, the_highest_classes_come_first_and_the_line_goes_away);
    tcase_add_test(tcase, labels_cannot_move_the_cursor);
    tcase_add_test(tcase, bars_are_cut_to_their_columns);
    tcase_add_test(tcase, the_environment_says_what_a_terminal_can_show);
    tcase_add_test(tcase, an_output_is_one_line_of_json);
    tcase_add_test(tcase, a_frame_without_answer_is_a_line_without_scores);
    tcase_add_test(tcase, json_survives_what_is_no_json);
    tcase_add_test(tcase, a_line_that_cannot_be_written_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(show());
