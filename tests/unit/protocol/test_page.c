/* SPDX-License-Identifier: MIT */
/*
 * The examples of attnd-protocol(7), taken from the page itself: `C:` and `S:` lines are bytes, and the line with `=`
 * says what they are. Every example has to be what it says, and has to be what the writers here write.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "protocol/message.h"
#include "protocol/preface.h"
#include "protocol/push.h"
#include "protocol/writer.h"
#include "tests/unit/protocol/bytes.h"
#include "tests/unit/run.h"

enum { MOST_EXAMPLES = 64, MOST_TEXT = 2048 };

static struct example {
    char side; /* 'C' or 'S' */
    struct bytes bytes;
    char says[MOST_TEXT];
} examples[MOST_EXAMPLES];
static int n_examples;

/* Adds a line to a text, its spaces at both ends taken off. */
static void add_words(char *text, const char *line)
{
    line += strspn(line, " =");
    size_t at = strlen(text), n = strcspn(line, "\n");
    ck_assert_uint_lt(at + n + 2, MOST_TEXT);
    snprintf(text + at, MOST_TEXT - at, "%s%.*s", at ? " " : "", (int)n, line);
}

static void read_page(void)
{
    char path[4096], line[1024];
    bool in_text = false;
    snprintf(path, sizeof(path), "%s/man/attnd-protocol.7", getenv("ATTN_SRCDIR") ? getenv("ATTN_SRCDIR") : ".");
    FILE *page = fopen(path, "r");
    ck_assert_msg(page != NULL, "%s", path);
    n_examples = 0;
    while (fgets(line, sizeof(line), page)) {
        bool is_bytes = (line[0] == 'C' || line[0] == 'S') && line[1] == ':';
        bool starts = is_bytes && (in_text || n_examples == 0 || examples[n_examples - 1].says[0]);
        if (starts) {
            ck_assert_int_lt(n_examples, MOST_EXAMPLES);
            examples[n_examples++] = (struct example){.side = line[0]};
        }
        in_text = strncmp(line, "   = ", 5) == 0 || (in_text && strncmp(line, "     ", 5) == 0);
        if (is_bytes)
            add(&examples[n_examples - 1].bytes, line + 2);
        else if (in_text)
            add_words(examples[n_examples - 1].says, line);
    }
    fclose(page);
}

static char shown[MOST_TEXT];

__attribute__((format(printf, 1, 2))) static void show(const char *format, ...)
{
    va_list arguments;
    size_t at = strlen(shown);
    va_start(arguments, format);
    vsnprintf(shown + at, sizeof(shown) - at, format, arguments);
    va_end(arguments);
}

static void show_floats(const msgpack_object_bin *bin)
{
    for (uint32_t i = 0; i < bin->size / 4; i++) {
        float value;
        memcpy(&value, bin->ptr + 4 * (size_t)i, 4);
        show(isnan(value) ? "%snan" : "%s%g", i ? " " : "<", value);
    }
    show(">");
}

static void show_bin(const msgpack_object_bin *bin)
{
    show("h'");
    for (uint32_t i = 0; i < bin->size; i++)
        show("%02x", (uint8_t)bin->ptr[i]);
    show("'");
}

static void show_object(const msgpack_object *object, bool in_array);

static void show_array(const msgpack_object_array *array)
{
    show("[");
    for (uint32_t i = 0; i < array->size; i++) {
        show("%s", i ? ", " : "");
        show_object(&array->ptr[i], true);
    }
    show("]");
}

static void show_map(const msgpack_object_map *map)
{
    show("{");
    for (uint32_t i = 0; i < map->size; i++) {
        show("%s", i ? ", " : "");
        show_object(&map->ptr[i].key, false);
        show(": ");
        show_object(&map->ptr[i].val, false);
    }
    show("}");
}

static void show_object(const msgpack_object *object, bool in_array)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        show("nil");
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        show(object->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        show("%llu", (unsigned long long)object->via.u64);
        break;
    case MSGPACK_OBJECT_STR:
        show("\"%.*s\"", (int)object->via.str.size, object->via.str.ptr);
        break;
    case MSGPACK_OBJECT_BIN:
        in_array ? show_floats(&object->via.bin) : show_bin(&object->via.bin);
        break;
    case MSGPACK_OBJECT_ARRAY:
        show_array(&object->via.array);
        break;
    case MSGPACK_OBJECT_MAP:
        show_map(&object->via.map);
        break;
    default:
        ck_abort_msg("a value of type %d in an example", object->type);
    }
}

static struct attnp_error error;

/* Reads the message of an example with its length header. */
static void read_example(const struct example *example, struct attnp_message *message)
{
    const uint8_t *body;
    size_t n_body;
    bool id_known;
    ck_assert_int_eq(attnp_message_find(example->bytes.at, example->bytes.n, ATTNP_MAX_MESSAGE, &body, &n_body, &error),
                     1);
    ck_assert_uint_eq(ATTNP_LENGTH_BYTES + n_body, example->bytes.n);
    ck_assert_msg(attnp_message_read(message, body, n_body, &id_known, &error) == 0, "%s", error.text);
}

START_TEST(test_examples_are_what_they_say)
{
    read_page();
    for (int i = 0; i < n_examples; i++) {
        struct attnp_message message;
        struct attnp_preface preface;
        if (i == 0) {
            ck_assert_str_eq(examples[i].says, "preface, version 1, no routing key");
            ck_assert_int_eq(attnp_preface_read(&preface, examples[i].bytes.at, examples[i].bytes.n, &error), 6);
            continue;
        }
        read_example(&examples[i], &message);
        shown[0] = '\0';
        show_object(&message.root, false);
        attnp_message_done(&message);
        ck_assert_str_eq(shown, examples[i].says);
    }
}
END_TEST

/* Every kind of message is among the examples, so that the page shows each. */
START_TEST(test_examples_are_complete)
{
    unsigned methods = 0, n_errors = 0, n_results = 0;
    read_page();
    for (int i = 1; i < n_examples; i++) {
        struct attnp_message message;
        read_example(&examples[i], &message);
        ck_assert_int_eq(examples[i].side, message.kind == ATTNP_RESPONSE || message.method == ATTNP_M_OUTPUT ||
                                                   message.method == ATTNP_M_ERROR
                                               ? 'S'
                                               : 'C');
        if (message.kind == ATTNP_RESPONSE)
            message.error->type == MSGPACK_OBJECT_NIL ? n_results++ : n_errors++;
        else
            methods |= 1u << message.method;
        attnp_message_done(&message);
    }
    static const enum attnp_method wanted[] = {ATTNP_M_HELLO, ATTNP_M_OPEN,   ATTNP_M_PUSH,   ATTNP_M_OUTPUT,
                                               ATTNP_M_ERROR, ATTNP_M_RESET,  ATTNP_M_FINISH, ATTNP_M_CLOSE,
                                               ATTNP_M_INFO,  ATTNP_M_UNKNOWN};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        ck_assert_msg(methods & 1u << wanted[i], "no example of %s", attnp_method_name(wanted[i]));
    ck_assert_uint_ge(n_results, 5);
    ck_assert_uint_ge(n_errors, 3);
}
END_TEST

static void same(const struct example *example, const uint8_t *written, size_t n)
{
    ck_assert_msg(n == example->bytes.n, "%s", example->says);
    ck_assert_mem_eq(written, example->bytes.at, n);
}

/* Writes an object as it is, but for method names and errors, which have functions of their own. */
static void write_again(struct attnp_writer *writer, const struct attnp_message *message)
{
    struct attnp_error read;
    if (message->kind == ATTNP_RESPONSE && attnp_error_read(message->error, &read) == 0) {
        attnp_write_error_response(writer, message->id, &read);
    } else if (message->kind == ATTNP_RESPONSE) {
        attnp_write_response(writer, message->id);
        msgpack_pack_object(&writer->packer, *message->result);
    } else if (message->method == ATTNP_M_ERROR) {
        ck_assert_int_eq(attnp_error_read(message->params, &read), 0);
        attnp_write_error_notification(writer, &read);
    } else {
        attnp_write_request(writer, message->id, message->method);
        msgpack_pack_object(&writer->packer, *message->params);
    }
}

START_TEST(test_examples_are_what_is_written)
{
    uint8_t written[4096];
    read_page();
    same(&examples[0], written, attnp_preface_write(written, NULL, 0));
    for (int i = 1; i < n_examples; i++) {
        const uint8_t *body = examples[i].bytes.at + ATTNP_LENGTH_BYTES, *bytes;
        size_t n_body = examples[i].bytes.n - ATTNP_LENGTH_BYTES, n;
        struct attnp_push push;
        struct attnp_output output;
        struct attnp_message message;
        struct attnp_writer writer;
        if (attnp_push_read(&push, body, n_body, &error) == 0) {
            same(&examples[i], written, attnp_push_write(written, &push));
            continue;
        }
        if (attnp_output_read(&output, body, n_body, &error) == 0) {
            same(&examples[i], written, attnp_output_write(written, &output, NULL));
            continue;
        }
        read_example(&examples[i], &message);
        if (message.kind == ATTNP_REQUEST && message.method == ATTNP_M_UNKNOWN) {
            attnp_message_done(&message);
            continue;
        }
        attnp_writer_init(&writer);
        write_again(&writer, &message);
        ck_assert_int_eq(attnp_write_end(&writer, ATTNP_MAX_MESSAGE, &bytes, &n), 0);
        same(&examples[i], bytes, n);
        attnp_writer_done(&writer);
        attnp_message_done(&message);
    }
}
END_TEST

/* The list in the page is the table in the code. */
START_TEST(test_errors_of_the_page)
{
    char path[4096], line[1024], wanted[1024];
    static const char *const ends[] = {"request", "stream", "connection"};
    int code = 0;
    snprintf(path, sizeof(path), "%s/man/attnd-protocol.7", getenv("ATTN_SRCDIR") ? getenv("ATTN_SRCDIR") : ".");
    FILE *page = fopen(path, "r");
    ck_assert_msg(page != NULL, "%s", path);
    while (fgets(line, sizeof(line), page)) {
        if (strncmp(line, ".It ", 4) != 0 || !isdigit((unsigned char)line[4]))
            continue;
        code++;
        snprintf(wanted, sizeof(wanted), ".It %d Cm %s\n", code, attnp_error_name((enum attnp_code)code));
        ck_assert_str_eq(line, wanted);
        snprintf(wanted, sizeof(wanted), "%s: %s\n", ends[attnp_error_ends((enum attnp_code)code)],
                 attnp_error_general_text((enum attnp_code)code));
        ck_assert_ptr_nonnull(fgets(line, sizeof(line), page));
        ck_assert_str_eq(line, wanted);
    }
    fclose(page);
    ck_assert_str_ne(attnp_error_name((enum attnp_code)code), "unknown");
    ck_assert_str_eq(attnp_error_name((enum attnp_code)(code + 1)), "unknown");
}
END_TEST

static Suite *page_suite(void)
{
    Suite *suite = suite_create("page");
    TCase *tests = tcase_create("page");
    tcase_add_test(tests, test_examples_are_what_they_say);
    tcase_add_test(tests, test_examples_are_complete);
    tcase_add_test(tests, test_examples_are_what_is_written);
    tcase_add_test(tests, test_errors_of_the_page);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(page_suite());
