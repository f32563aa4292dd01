/* SPDX-License-Identifier: MIT */
/* The program in attnd-model(7), as it stands there, writes a model that loads and runs. */
#include "attn/attn.h"
#include "tests/unit/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* Copies the literal display that begins with "#!" to the file; the number of lines, or 0 where there is none. */
static size_t extract(FILE *manual, FILE *program)
{
    char line[1024];
    size_t n_lines = 0;
    int inside = 0;
    while (fgets(line, sizeof(line), manual) != NULL) {
        if (!inside && strncmp(line, "#!", 2) == 0)
            inside = 1;
        else if (inside && strncmp(line, ".Ed", 3) == 0)
            return n_lines;
        if (inside) {
            fputs(line, program);
            n_lines++;
        }
    }
    return 0;
}

static void run_one_frame(const struct attn_plan *plan)
{
    struct attn_info info = {.size = sizeof(info)};
    attn_plan_info(plan, &info);
    ck_assert_uint_eq(info.input_dim, 128);
    ck_assert_uint_eq(info.layers, 2);
    ck_assert_uint_eq(info.warming_frames, 2 * 119);
    ck_assert_uint_eq(attn_output_dim(plan, ATTN_SCORES), 3);
    ck_assert_str_eq(info.labels[1], "music");
    ck_assert_str_eq(info.frontend, "{\"type\":\"vggish\",\"hops\":2,\"stride\":2}");
    void *memory = aligned_alloc(ATTN_ALIGN, info.state_bytes),
         *scratch = aligned_alloc(ATTN_ALIGN, info.scratch_bytes);
    struct attn_state *state = attn_init(plan, memory);
    float frame[128], scores[3];
    for (size_t i = 0; i < 128; i++)
        frame[i] = (float)i / 128;
    ck_assert_int_eq(attn_push(plan, state, frame, ATTN_SCORES, scores, scratch), 0);
    ck_assert_float_eq_tol(scores[0] + scores[1] + scores[2], 1, 1e-6f);
    free(scratch);
    free(memory);
}

START_TEST(the_example_of_the_manual_makes_a_model)
{
    const char *source = environment("ATTN_SRCDIR", ".");
    char folder[] = "/tmp/attnd-manual-XXXXXX", manual_path[512], program_path[64], model_path[64], command[1024];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(manual_path, sizeof(manual_path), "%s/man/attnd-model.7", source);
    snprintf(program_path, sizeof(program_path), "%s/example.py", folder);
    snprintf(model_path, sizeof(model_path), "%s/model.safetensors", folder);
    FILE *manual = fopen(manual_path, "r"), *program = fopen(program_path, "w");
    ck_assert_msg(manual != NULL && program != NULL, "%s or %s cannot be opened", manual_path, program_path);
    ck_assert_uint_gt(extract(manual, program), 0);
    fclose(manual);
    fclose(program);
    snprintf(command, sizeof(command), "'%s/etc/python' %s %s", source, program_path, model_path);
    ck_assert_msg(system(command) == 0, "this failed: %s", command);
    struct attn_plan *plan;
    struct attn_reason why = {""};
    int error = attn_plan_load(&plan, model_path, NULL, &why);
    unlink(program_path);
    unlink(model_path);
    rmdir(folder);
    ck_assert_msg(error == 0, "the model was refused: %s", why.text);
    run_one_frame(plan);
    attn_plan_free(plan);
}
END_TEST

static Suite *manual_example(void)
{
    Suite *suite = suite_create("golden manual");
    TCase *tcase = tcase_create("manual");
    tcase_add_test(tcase, the_example_of_the_manual_makes_a_model);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(manual_example());
