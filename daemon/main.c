/* SPDX-License-Identifier: MIT */
/* attnd: a list of steps, and one ladder back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/server.h"

/* The machine's memory, or a container's where that has less: what cgroups, version 2 or 1, show of it inside. */
static uint64_t memory_bytes(void)
{
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        FILE *file = fopen(limits[i], "re");
        uintmax_t limit;
        if (file != NULL && fscanf(file, "%ju", &limit) == 1 && limit < bytes)
            bytes = limit;
        if (file != NULL)
            fclose(file);
    }
    return bytes;
}

/* The budget of all streams' states; 0 in the configuration means half of the memory. */
static uint64_t state_budget(const struct config *config)
{
    uint64_t bytes = config_number(config, CONFIG_limits_state_bytes);
    return bytes != 0 ? bytes : memory_bytes() / 2;
}

int main(int argc, char **argv)
{
    static struct server server = {.listener = {.fd = -1, .lock_fd = -1}, .reserve_fd = -1};
    int status = options_read(&server.options, &server.config, argc, argv);
    if (status != 0)
        return status - 1;
    if (server.options.check) {
        config_print(&server.config, stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    status = EXIT_FAILURE;
    log_start(config_number(&server.config, CONFIG_daemon_log_level));
    server.shared.registry =
        registry_new(config_number(&server.config, CONFIG_limits_streams), state_budget(&server.config));
    if (server.shared.registry == NULL) {
        log_error("no memory for the table of streams; lower streams in [limits]");
        goto end;
    }
    if (server_start_loop(&server) != 0)
        goto free_registry;
    if (listener_open(&server.listener, &server.config) != 0)
        goto stop_loop;
    if (models_load(&server.models, &server.config) != 0)
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
end:
    return status;
}
