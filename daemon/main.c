/* SPDX-License-Identifier: MIT */
/* attnd: a list of steps, and one ladder back. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/costs.h"
#include "daemon/file.h"
#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/registry.h"
#include "daemon/server.h"
#include "daemon/users.h"
#include "protocol/utf8.h"

/* The name of a process, or NULL and why. */
static const char *name_of(pid_t pid, char name[32], char why[FILE_WHY_BYTES])
{
    char path[64], *text;
    size_t n;
    snprintf(path, sizeof(path), "/proc/%jd/comm", (intmax_t)pid);
    int status = file_read(path, 64, &text, &n, why);
    if (status == FILE_ABSENT)
        snprintf(why, FILE_WHY_BYTES, "%s", strerror(ESRCH));
    if (status != 0)
        return NULL;
    snprintf(name, 32, "%.*s", (int)strcspn(text, "\n"), text);
    free(text);
    return name;
}

/* SIGHUP ends a program that does not expect it: only one that is called as this one is told. 0, or -1 (logged). */
static int tell(pid_t pid)
{
    char buffer[32], why[FILE_WHY_BYTES];
    const char *name = name_of(pid, buffer, why);
    if (name != NULL && strcmp(name, "attnd") != 0) {
        log_error("process %jd is '%s' and not attnd", (intmax_t)pid, name);
        return -1;
    }
    if (name != NULL && kill(pid, SIGHUP) == 0)
        return 0;
    log_error("process %jd cannot be told to read its configuration again: %s", (intmax_t)pid,
              name != NULL ? strerror(errno) : why);
    return -1;
}

/* --check and --reload: whether a daemon could start so, and for the latter that the running one is told. */
static int check(const struct options *options, const struct config *config)
{
    log_start(options->check ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
    if (options->check) {
        config_print(config, stdout);
        if (fflush(stdout) != 0)
            return EXIT_FAILURE;
    }
    if (catalogue_check(config) != 0)
        return EX_CONFIG;
    return options->reload == 0 || tell(options->reload) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Each mistake is a line on standard error. What is in the files may be anything, and a terminal may be what reads it.
 */
static int configure(const struct options *options, struct config *config)
{
    char *text = NULL, line[4096];
    size_t n_text;
    FILE *complaints = open_memstream(&text, &n_text);
    if (complaints == NULL) {
        log_error("no memory to read the configuration");
        return EXIT_FAILURE + 1;
    }
    int status = options_configure(options, config, complaints);
    fclose(complaints);
    for (char *rest = text, *one; text != NULL && (one = strtok_r(rest, "\n", &rest)) != NULL;) {
        attnp_utf8_copy(line, sizeof(line) - 1, one, strlen(one));
        fprintf(stderr, "%s\n", line);
    }
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    static struct server server = {.listener = {.fd = -1, .lock_fd = -1}, .accept = {.reserve_fd = -1}};
    file_keep_standard();
    signal(SIGPIPE, SIG_IGN); /* from the first line on that may be logged */
    int status = options_read(&server.options, argc, argv);
    if (status == 0)
        status = configure(&server.options, &server.config);
    if (status != 0)
        return status - 1;
    if (server.options.check || server.options.reload != 0)
        return check(&server.options, &server.config);
    status = EXIT_FAILURE;
    memory_give_back();
    log_start(config_number(&server.config, CONFIG_daemon_log_level));
    server.shared.users = users_new(&server.config, geteuid(), memory_bytes());
    if (server.shared.users == NULL) {
        log_error("no memory for the table of users");
        goto end;
    }
    server.shared.registry = registry_new(server.shared.users);
    if (server.shared.registry == NULL) {
        log_error("no memory for the table of streams; lower streams in [limits]");
        goto free_users;
    }
    if (server_start_loop(&server) != 0)
        goto free_registry;
    if (listener_open(&server.listener, &server.config) != 0)
        goto stop_loop;
    if (models_load(&server.models, &server.config, server.shared.users) != 0)
        goto close_listener;
    if (server_learn_costs(&server) != 0)
        goto free_models;
    if (server_start_shards(&server) != 0)
        goto free_costs;
    if (server_start_serving(&server) != 0)
        goto stop_shards;
    server_run(&server);
    status = EXIT_SUCCESS;
stop_shards:
    server_stop_shards(&server);
free_costs:
    costs_free(server.shared.costs);
free_models:
    models_free(&server.models);
close_listener:
    listener_close(&server.listener);
stop_loop:
    server_stop_loop(&server);
free_registry:
    registry_free(server.shared.registry);
free_users:
    users_free(server.shared.users);
end:
    log_lost();
    return status;
}
