/* SPDX-License-Identifier: MIT */
/* attnctl features: the front-end alone, for who trains or looks at a model. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attnctl/arguments.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/interrupt.h"
#include "attnctl/session.h"
#include "attnctl/settings.h"
#include "attnctl/source.h"

struct features {
    struct settings *settings;
    struct source_options source;
    const char *model, *folder;
    char **files; /* [n_files] inputs; without a folder the second is the output */
    int n_files;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct features *features = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = features->settings;
        state->child_inputs[1] = &features->source;
        return 0;
    case 'm':
        features->model = argument;
        return 0;
    case 'd':
        features->folder = argument;
        return 0;
    case ARGP_KEY_ARGS:
        features->files = state->argv + state->next;
        features->n_files = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (!features->folder && features->n_files != 2)
            argp_error(state,
                       "features needs an input and an output, IN OUT.npy; or -d FOLDER and any number of inputs");
        if (features->folder && features->n_files == 0)
            argp_error(state, "features needs an input");
        source_check_options(&features->source, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int copy_frames(struct source *source, struct npy *out, struct problem *problem)
{
    double time_s;
    int result;
    float *frame = calloc(source->model.input_dim, sizeof(float));
    if (!frame)
        return problem_set(problem, "no memory");
    do {
        result = source_next(source, frame, &time_s, problem);
        if (result == 1)
            result = npy_write_rows(out, frame, 1, problem);
    } while (result >= 0 && !interrupted());
    free(frame);
    if (result >= 0)
        return problem_set(problem, "interrupted");
    return result == SOURCE_END ? 0 : -1;
}

static int convert(const struct features *features, const struct source_model *model, const char *in,
                   const char *out_path, struct problem *problem)
{
    struct source source;
    struct npy out;
    uint64_t shape[2] = {NPY_UNKNOWN, model->input_dim};
    if (source_open(&source, in, &features->source, model, problem) < 0)
        return -1;
    int result = input_check_output(in, out_path, problem);
    if (result == 0)
        result = npy_create(&out, out_path, 2, shape, problem);
    if (result == 0) {
        result = copy_frames(&source, &out, problem);
        if (result == 0)
            result = npy_finish(&out, problem);
        else
            npy_abandon(&out);
    }
    source_close(&source);
    return result;
}

/* FOLDER/NAME.npy, of the input's name without its ending. */
static void name_output(char path[4096], const char *folder, const char *in)
{
    const char *slash = strrchr(in, '/'), *base = slash ? slash + 1 : in, *dot = strrchr(base, '.');
    int n = dot && dot > base ? (int)(dot - base) : (int)strlen(base);
    snprintf(path, 4096, "%s/%.*s.npy", folder, n, base);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Inputs of one name from several folders would end in one output. EXIT_USAGE after having complained. */
static enum exit_code check_outputs(const struct features *features)
{
    char path[4096];
    size_t n = features->folder ? features->n_files : 0;
    char **outputs = calloc(n + 1, sizeof(*outputs));
    enum exit_code code = outputs ? EXIT_DONE : complain(EXIT_DATA, "no memory");
    for (size_t i = 0; i < n && code == EXIT_DONE; i++) {
        name_output(path, features->folder, features->files[i]);
        outputs[i] = strdup(path);
        if (!outputs[i])
            code = complain(EXIT_DATA, "no memory");
    }
    if (code == EXIT_DONE)
        qsort(outputs, n, sizeof(*outputs), compare_paths);
    for (size_t i = 1; i < n && code == EXIT_DONE; i++)
        if (strcmp(outputs[i - 1], outputs[i]) == 0)
            code = complain(EXIT_USAGE, "%s would be written for two inputs; give each call inputs of different names",
                            outputs[i]);
    for (size_t i = 0; i < n && outputs; i++)
        free(outputs[i]);
    free(outputs);
    return code;
}

/* Every input is converted, also where another one failed. */
static enum exit_code convert_all(const struct features *features, const struct source_model *model)
{
    struct problem problem;
    char path[4096];
    enum exit_code code = EXIT_DONE;
    interrupt_start();
    for (int i = 0; i < (features->folder ? features->n_files : 1); i++) {
        const char *out = features->files[1];
        if (features->folder) {
            name_output(path, features->folder, features->files[i]);
            out = path;
        }
        if (convert(features, model, features->files[i], out, &problem) == 0)
            continue;
        if (interrupted())
            return EXIT_INTERRUPTED;
        code = complain(EXIT_DATA, "%s", problem.text);
    }
    return code;
}

/* How the model wants its frames: all that the daemon is asked for. */
static enum exit_code ask_model(const struct features *features, struct source_model *model)
{
    struct session session;
    enum exit_code code = session_open(&session, features->settings, features->model, SESSION_OR_PRIVATE);
    if (code != EXIT_DONE)
        return code;
    code = session_choose_model(&session);
    if (code == EXIT_DONE)
        code = session_frontend(&session, &model->hops, &model->stride, &model->input_dim);
    session_close(&session);
    return code;
}

int features_run(struct settings *settings, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"model", 'm', "MODEL", 0,
         "The model's name, or its file where there is a slash in it (default: as for stream)", 0},
        {"folder", 'd', "FOLDER", 0, "Many inputs: the output of each goes to FOLDER/NAME.npy", 0},
        {0},
    };
    static const struct argp_child children[] = {{&settings_argp, 0, NULL, 0}, {&source_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "IN OUT.npy\n-d FOLDER IN...",
        .doc = "Turns audio into the features that a model takes: float32 [T, input_dim]. IN - is standard input.",
        .children = children,
    };
    struct features features = {.settings = settings};
    struct source_model model;
    arguments_parse(&argp, argc, argv, 0, &features);
    enum exit_code code = check_outputs(&features);
    if (code == EXIT_DONE)
        code = ask_model(&features, &model);
    return code == EXIT_DONE ? convert_all(&features, &model) : code;
}
