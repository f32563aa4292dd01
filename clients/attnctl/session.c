/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/session.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attnctl/field.h"
#include "attnctl/input.h"
#include "attnctl/json.h"

#define ENDING        ".safetensors"
#define BUNDLED_MODEL "sounds"

static const char *socket_path(const struct settings *settings)
{
    const char *environment = getenv("ATTND_SOCKET");
    if (settings->socket)
        return settings->socket;
    return environment && *environment ? environment : ATTNC_DEFAULT_SOCKET;
}

/* The group that may connect: that of the socket, as far as it can be seen. */
static enum exit_code complain_permission(const char *path)
{
    struct stat status;
    const struct group *group = stat(path, &status) == 0 ? getgrgid(status.st_gid) : NULL;
    const struct passwd *user = getpwuid(geteuid());
    const char *name = group && status.st_gid != 0 ? group->gr_name : "attnd";
    return complain(EXIT_REACH,
                    "%s: no permission to connect; it is for the group '%s': join it with 'sudo usermod -aG %s %s', "
                    "then log in again",
                    path, name, name, user ? user->pw_name : "$USER");
}

/* The name under which a daemon serves a file: its own, without the ending. */
static void name_model(struct session *session, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(session->model, sizeof(session->model), "%s", slash ? slash + 1 : path);
    size_t n = strlen(session->model), n_ending = strlen(ENDING);
    if (n > n_ending && strcmp(session->model + n - n_ending, ENDING) == 0)
        session->model[n - n_ending] = '\0';
}

static enum exit_code start_private(struct session *session, const char *file,
                                    const struct attnc_connect_options *options)
{
    struct problem problem;
    if (file && input_check_file(file, &problem) < 0)
        return complain(EXIT_DATA, "%s", problem.text);
    int result = private_start(&session->daemon, file, &session->client, options, &problem);
    if (result < 0)
        return complain(file ? EXIT_DATA : EXIT_REACH, "%s", problem.text);
    return EXIT_DONE;
}

enum exit_code session_open(struct session *session, const struct settings *settings, const char *model,
                            enum session_kind kind)
{
    const char *path = socket_path(settings);
    /* No on_notice: what the daemon says of the connection is its end, which the call that then fails tells. */
    struct attnc_connect_options options = {.size = sizeof(options), .socket = path, .name = "attnctl"};
    struct attnc_error error;
    *session = (struct session){.daemon = {.lifeline = -1, .log = -1, .door = -1}};
    if (model)
        name_model(session, model);
    if (model && strchr(model, '/'))
        return start_private(session, model, &options);
    int result = attnc_connect(&session->client, &options, &error);
    if (result == 0)
        return EXIT_DONE;
    bool nobody = result == ATTNC_E_CONNECT && (error.system == ENOENT || error.system == ECONNREFUSED);
    if (nobody && kind == SESSION_OR_PRIVATE) {
        complain(EXIT_DONE, "nobody listens at %s: this run has a private daemon", path);
        return start_private(session, NULL, &options);
    }
    if (nobody)
        return complain(EXIT_REACH,
                        "nobody listens at %s: start attnd, or name its socket with --socket or $ATTND_SOCKET", path);
    if (result == ATTNC_E_CONNECT && (error.system == EACCES || error.system == EPERM))
        return complain_permission(path);
    return complain(EXIT_REACH, "%s", error.text);
}

void session_close(struct session *session)
{
    attnc_close(session->client);
    private_stop(&session->daemon);
}

const char *session_socket(const struct session *session, const struct settings *settings,
                           char path[SESSION_SOCKET_BYTES])
{
    if (session->daemon.door < 0)
        return socket_path(settings);
    /* A private daemon's socket has no name any more. */
    snprintf(path, SESSION_SOCKET_BYTES, "/proc/self/fd/%d", session->daemon.door);
    return path;
}

enum exit_code session_complain(const struct session *session, const char *about)
{
    const struct attnc_error *error = attnc_last_error(session->client);
    const char *open = error->name[0] ? " (" : "", *close = error->name[0] ? ")" : "";
    char again[64] = "";
    if (error->retry_ms > 0)
        snprintf(again, sizeof(again), "; ask again in %" PRIu64 " s", (error->retry_ms + 999) / 1000);
    complain(EXIT_DATA, "%s: %s%s%s%s%s", about, error->text, open, error->name, close, again);
    return error->result == ATTNC_E_CONNECT ? EXIT_REACH : EXIT_DATA;
}

const char *session_notice_text(const struct attnc_notice *notice)
{
    if (notice->text[0])
        return notice->text;
    return strcmp(notice->name, "not_finite") == 0 ? "numbers in the window are too large, so the output is not finite"
                                                   : notice->what;
}

void session_complain_notice(const char *about, const struct attnc_notice *notice)
{
    const char *what = session_notice_text(notice);
    if (notice->count == 1)
        complain(EXIT_DATA, "%s: frame %" PRIu64 " has no answer: %s (%s)", about, notice->first, what, notice->name);
    else if (notice->count > 1)
        complain(EXIT_DATA, "%s: frames %" PRIu64 " to %" PRIu64 " have no answer: %s (%s)", about, notice->first,
                 notice->first + notice->count - 1, what, notice->name);
    else if (strcmp(notice->what, "idle") == 0)
        complain(EXIT_DONE, "%s: nothing came for long; the daemon ends the stream in %" PRIu64 " s unless more comes",
                 about, (notice->left_ms + 999) / 1000);
}

bool session_is_lost(const struct session *session)
{
    return attnc_wait(session->client, 0) < 0;
}

/* The daemon's list of its models: [{"name": …}, …], to be freed with json_decref; NULL after having complained. */
static json_t *get_models(struct session *session)
{
    json_t *answer = json_call(session->client, "models", NULL);
    json_t *models = json_is_object(answer) ? json_object_get(answer, "models") : answer;
    if (!answer)
        session_complain(session, "models");
    else if (!json_is_array(models))
        complain(EXIT_DATA, "the daemon's list of models cannot be read");
    models = json_is_array(models) ? json_incref(models) : NULL;
    json_decref(answer);
    return models;
}

static json_t *find_model(const json_t *models, const char *name)
{
    size_t i;
    json_t *model;
    json_array_foreach(models, i, model)
    {
        if (strcmp(field_text(model, "name", ""), name) == 0)
            return model;
    }
    return NULL;
}

/* "a, b, c", cut where it is too long. */
static const char *list_names(const json_t *models, char names[512])
{
    size_t i, used = 0;
    json_t *model;
    names[0] = '\0';
    json_array_foreach(models, i, model)
    {
        const char *name = field_text(model, "name", "");
        if (name[0] && used < 512)
            used += snprintf(names + used, 512 - used, "%s%s", used ? ", " : "", name);
    }
    return names;
}

enum exit_code session_choose_model(struct session *session)
{
    char names[512];
    enum exit_code code = EXIT_DONE;
    if (session->model[0])
        return EXIT_DONE;
    json_t *models = get_models(session);
    if (!models)
        return EXIT_DATA;
    const char *only = field_text(json_array_get(models, 0), "name", "");
    if (find_model(models, BUNDLED_MODEL))
        snprintf(session->model, sizeof(session->model), BUNDLED_MODEL);
    else if (json_array_size(models) == 1 && only[0])
        snprintf(session->model, sizeof(session->model), "%s", only);
    else if (json_array_size(models) == 0)
        code = complain(EXIT_DATA, "the daemon serves no model; name a file: -m ./MODEL.safetensors");
    else if (!list_names(models, names)[0])
        code = complain(EXIT_DATA, "the daemon's list of models has no name");
    else
        code = complain(EXIT_USAGE, "which model? Choose one with -m: %s", names);
    json_decref(models);
    return code;
}

/* `frontend` is an object, or its text. */
static enum exit_code read_frontend(const char *name, json_t *frontend, uint32_t *hops, uint32_t *stride)
{
    json_t *parsed =
        json_is_string(frontend) ? json_loads(json_string_value(frontend), 0, NULL) : json_incref(frontend);
    json_int_t its_hops = 0, its_stride = 0;
    bool known = strcmp(field_text(parsed, "type", ""), "vggish") == 0 &&
                 field_number_within(parsed, "hops", 1, UINT32_MAX, &its_hops) &&
                 field_number_within(parsed, "stride", 1, UINT32_MAX, &its_stride);
    json_decref(parsed);
    if (!known)
        return complain(EXIT_DATA,
                        "model '%s' wants a front-end that this attnctl does not have; feed it with .npy features",
                        name);
    *hops = its_hops;
    *stride = its_stride;
    return EXIT_DONE;
}

enum exit_code session_frontend(struct session *session, uint32_t *hops, uint32_t *stride, uint32_t *input_dim)
{
    char names[512];
    enum exit_code code = EXIT_DONE;
    json_int_t floats = 0;
    json_t *models = get_models(session);
    if (!models)
        return EXIT_DATA;
    json_t *model = find_model(models, session->model), *frontend = json_object_get(model, "frontend");
    *hops = *stride = 0;
    *input_dim = 0;
    if (!model)
        code = complain(EXIT_DATA, "there is no model '%s'; the daemon has: %s", session->model,
                        json_array_size(models) ? list_names(models, names) : "none");
    else if (!field_number_within(model, "input_dim", 1, UINT32_MAX, &floats))
        code = complain(EXIT_DATA, "the daemon's list of models has no input_dim of '%s', or one that cannot be",
                        session->model);
    else if (frontend && !json_is_null(frontend))
        code = read_frontend(session->model, frontend, hops, stride);
    *input_dim = (uint32_t)floats;
    json_decref(models);
    return code;
}
