/* SPDX-License-Identifier: MIT */
/* Arrays as numpy writes them, and what else people give. */
#include "attnctl/npy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/clients/wave.h"
#include "tests/unit/run.h"

static struct problem problem;
static struct npy npy;
static struct wave file;

/* A file of this version and header text, and n_floats numbers 0, 1, 2 … */
static void make(int version, const char *text, size_t n_floats)
{
    size_t n = strlen(text), n_length = version == 1 ? 2 : 4;

    memset(&file, 0, sizeof(file));
    memcpy(file.bytes, "\x93NUMPY", 6);
    file.bytes[6] = (uint8_t)version;
    memcpy(file.bytes + 8, &n, n_length);
    memcpy(file.bytes + 8 + n_length, text, n);
    file.header_bytes = 8 + n_length + n;
    for (size_t i = 0; i < n_floats; i++)
        memcpy(file.bytes + file.header_bytes + i * sizeof(float), &(float){(float)i}, sizeof(float));
    file.n_bytes = file.header_bytes + n_floats * sizeof(float);
}

#define GOOD "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 2, 3), }          \n"

static void expect_rows(size_t chunk)
{
    float rows[5 * 6];
    size_t n = 0;
    ssize_t got;

    ck_assert_int_eq(npy.n_dims, 3);
    ck_assert_uint_eq(npy.shape[0], 5);
    ck_assert_uint_eq(npy.shape[1], 2);
    ck_assert_uint_eq(npy.shape[2], 3);
    ck_assert_uint_eq(npy.row_floats, 6);
    while ((got = npy_read_rows(&npy, rows + n * 6, n + chunk <= 5 ? chunk : 5 - n, &problem)) > 0)
        n += (size_t)got;
    ck_assert_int_eq(got, 0);
    ck_assert_uint_eq(n, 5);
    for (int i = 0; i < 30; i++)
        ck_assert_float_eq(rows[i], (float)i);
}

START_TEST(every_version_is_read_from_files_and_pipes)
{
    const char *path;

    make(1 + _i % 3, GOOD, 30);
    path = wave_save(&file);
    ck_assert_msg(npy_open(&npy, path, &problem) == 0, "%s", problem.text);
    expect_rows(1 + (size_t)_i);
    npy_close(&npy);
    unlink(path);
    wave_pipe(file.bytes, file.n_bytes);
    ck_assert_msg(npy_open(&npy, "-", &problem) == 0, "%s", problem.text);
    expect_rows(1 + (size_t)_i);
    npy_close(&npy);
}
END_TEST

START_TEST(other_orders_of_keys_and_shapes_are_read)
{
    static const struct {
        const char *text;
        int n_dims;
        uint64_t n_rows;
        size_t row_floats;
    } good[] = {
        {"{'shape': (3,), 'fortran_order': False, 'descr': '<f4'}", 1, 3, 1},
        {"{'descr':'<f4','fortran_order':False,'shape':(1,3)}", 2, 1, 3},
        {"{'descr': \"<f4\", 'fortran_order': False, 'shape': (0, 7), }", 2, 0, 7},
    };

    make(1, good[_i].text, 3);
    wave_pipe(file.bytes, file.n_bytes);
    ck_assert_msg(npy_open(&npy, "-", &problem) == 0, "%s", problem.text);
    ck_assert_int_eq(npy.n_dims, good[_i].n_dims);
    ck_assert_uint_eq(npy.shape[0], good[_i].n_rows);
    ck_assert_uint_eq(npy.row_floats, good[_i].row_floats);
    npy_close(&npy);
}
END_TEST

static const struct {
    const char *text, *words;
} bad[] = {
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (5, 6), }", "float64 ('<f8'), and has to be float32"},
    {"{'descr': '<i2', 'fortran_order': False, 'shape': (5, 6), }", ".astype('float32')"},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (5, 6), }", ">f4"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (5, 6), }", "records"},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (5, 6), }", "numpy.ascontiguousarray"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (5, 6), }", "Fortran order"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "single number"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 0), }", "rows of no numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 4294967296, 4294967296), }", "too many numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 6), }", "claims"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "more than 8 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-5, 6), }", "not a list of numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (5 6), }", "not a list of numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 6", "not a list of numbers"},
    {"{'descr': '<f4', 'fortran_order': False, }", "does not give type, order and shape"},
    {"{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", "not what numpy writes"},
    {"{'descr': '<f", "ends inside the type"},
    {"{'descr': ", "no type"},
    {"hello", "not a dictionary"},
    {"", "not a dictionary"},
};

START_TEST(other_arrays_are_refused_by_name)
{
    make(1 + _i % 3, bad[_i].text, 30);
    wave_pipe(file.bytes, file.n_bytes);
    ck_assert_int_lt(npy_open(&npy, "-", &problem), 0);
    ck_assert_msg(strstr(problem.text, bad[_i].words) != NULL, "'%s' does not say '%s'", problem.text, bad[_i].words);
}
END_TEST

START_TEST(every_cut_is_noticed)
{
    float rows[30];
    ssize_t got;

    make(1, GOOD, 30);
    for (size_t n = 0; n < file.n_bytes; n++) {
        struct wave cut = file;
        const char *path;

        cut.n_bytes = n;
        path = wave_save(&cut);
        ck_assert_int_lt(npy_open(&npy, path, &problem), 0);
        unlink(path);
        wave_pipe(file.bytes, n);
        if (npy_open(&npy, "-", &problem) == 0) {
            ck_assert_uint_ge(n, file.header_bytes);
            while ((got = npy_read_rows(&npy, rows, 2, &problem)) > 0)
                continue;
            ck_assert_int_lt(got, 0);
            ck_assert_uint_eq(npy.n_rows, (n - file.header_bytes) / 24);
            npy_close(&npy);
        }
        ck_assert(strstr(problem.text, "cut off") != NULL || strstr(problem.text, "not a .npy file") != NULL);
    }
}
END_TEST

START_TEST(large_claims_cost_nothing)
{
    make(2, "", 0);
    memcpy(file.bytes + 8, "\xFF\xFF\xFF\xFF", 4);
    wave_pipe(file.bytes, 64);
    ck_assert_int_lt(npy_open(&npy, "-", &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "its header claims 4294967295 bytes"));
    make(4, GOOD, 30);
    wave_pipe(file.bytes, file.n_bytes);
    ck_assert_int_lt(npy_open(&npy, "-", &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "version 4.0"));
}
END_TEST

/* With the number of rows known before (_i = 0) or not. */
START_TEST(what_is_written_can_be_read)
{
    uint64_t shape[] = {_i == 0 ? 5 : NPY_UNKNOWN, 2, 3};
    char path[] = "/tmp/attnctl-test-XXXXXX";
    uint8_t head[256];
    float rows[30];
    int fd = mkstemp(path);

    close(fd);
    for (int i = 0; i < 30; i++)
        rows[i] = (float)i;
    ck_assert_int_eq(npy_create(&npy, path, 3, shape, &problem), 0);
    ck_assert_int_eq(npy_write_rows(&npy, rows, 2, &problem), 0);
    ck_assert_int_eq(npy_write_rows(&npy, rows + 12, 3, &problem), 0);
    ck_assert_int_eq(npy_finish(&npy, &problem), 0);
    ck_assert_msg(npy_open(&npy, path, &problem) == 0, "%s", problem.text);
    expect_rows(2);
    npy_close(&npy);
    /* What numpy insists on: the header ends with a newline, and the data are aligned to 64. */
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(read(fd, head, sizeof(head)), sizeof(head));
    ck_assert_uint_eq((10u + head[8] + 256u * head[9]) % 64, 0);
    ck_assert_int_eq(head[9 + head[8]], '\n');
    close(fd);
    unlink(path);
}
END_TEST

/* What is opened in vain is closed again, and what its writer has written by then is lost. */
START_TEST(a_fifo_is_not_opened_to_look_into_it)
{
    char path[] = "/tmp/attnctl-test-XXXXXX", event[sizeof(struct inotify_event) + 256];
    int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    close(mkstemp(path));
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_ge(inotify_add_watch(events, path, IN_OPEN), 0);
    ck_assert_int_eq(npy_is_file(path), -1);
    ck_assert_int_eq(read(events, event, sizeof(event)), -1);
    close(open(path, O_RDONLY | O_NONBLOCK));
    ck_assert_int_gt(read(events, event, sizeof(event)), 0);
    close(events);
    unlink(path);
}
END_TEST

START_TEST(what_cannot_be_written_is_said)
{
    uint64_t unknown[] = {NPY_UNKNOWN, 3}, shape[] = {2, 3};
    float row[3] = {0};

    ck_assert_int_lt(npy_create(&npy, "/nowhere/at.npy", 2, shape, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "No such file"));
    ck_assert_int_lt(npy_create(&npy, "/proc/self/fd/1", 2, unknown, &problem), 0);
    ck_assert_int_eq(npy_create(&npy, "/dev/full", 2, shape, &problem), 0);
    ck_assert_int_eq(npy_write_rows(&npy, row, 1, &problem), 0);
    ck_assert_int_eq(npy_write_rows(&npy, row, 1, &problem), 0);
    ck_assert_int_lt(npy_finish(&npy, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "No space left"));
    ck_assert_int_eq(npy_create(&npy, "/dev/null", 2, shape, &problem), 0);
    ck_assert_int_eq(npy_write_rows(&npy, row, 1, &problem), 0);
    ck_assert_int_lt(npy_finish(&npy, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "1 rows of 2"));
}
END_TEST

static Suite *npy_suite(void)
{
    Suite *suite = suite_create("npy");
    TCase *tcase = tcase_create("npy");

    tcase_add_loop_test(tcase, every_version_is_read_from_files_and_pipes, 0, 6);
    tcase_add_loop_test(tcase, other_orders_of_keys_and_shapes_are_read, 0, 3);
    tcase_add_loop_test(tcase, other_arrays_are_refused_by_name, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, every_cut_is_noticed);
    tcase_add_test(tcase, large_claims_cost_nothing);
    tcase_add_loop_test(tcase, what_is_written_can_be_read, 0, 2);
    tcase_add_test(tcase, a_fifo_is_not_opened_to_look_into_it);
    tcase_add_test(tcase, what_cannot_be_written_is_said);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(npy_suite());
