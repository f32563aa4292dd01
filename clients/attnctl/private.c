/* SPDX-License-Identifier: MIT */
/*
 * Nothing of a private daemon may outlive attnctl, also where that is killed. The daemon watches a pipe whose other end
 * only attnctl holds, and exits at its end of file. Its folder is removed as soon as attnctl is connected: a
 * socket works on without its name, and whoever holds it open can connect to it once more. It has a process group of
 * its own, so that Ctrl-C, which a terminal sends to a group, lets attnctl have the answers to what it has sent.
 */
#include "config.h"

#include "attnctl/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attnctl/ending.h"

#define START_TRIES 3000 /* of up to 20 ms each: a model of gigabytes takes seconds to load */
#define STOP_TRIES  100  /* the same: two seconds */
#define PATH_BYTES  4096

/* The folder of attnctl itself; "" where it cannot be told. */
static void own_folder(char folder[PATH_BYTES])
{
    ssize_t n = readlink("/proc/self/exe", folder, PATH_BYTES - 1);
    folder[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
}

/* The first of the places that has it. Returns its path, or `name`, to be looked for in $PATH. */
static const char *find_daemon(char path[PATH_BYTES])
{
    char folder[PATH_BYTES - 64];
    const char *told = getenv("ATTND");
    if (told && *told)
        return told;
    own_folder(path);
    snprintf(folder, sizeof(folder), "%.*s", (int)sizeof(folder) - 1, path);
    snprintf(path, PATH_BYTES, "%s/attnd", folder);
    if (access(path, X_OK) == 0)
        return path;
    snprintf(path, PATH_BYTES, "%s/attnd", ATTND_SBINDIR);
    if (access(path, X_OK) == 0)
        return path;
    return "attnd";
}

/* The folder of the models that come with attnd; NULL where there is none. A build tree has them in etc/models. */
static const char *find_models(char path[PATH_BYTES])
{
    static const char *const beside[] = {"etc/models", "../share/attnd/models"};
    char folder[PATH_BYTES - 64];
    const char *told = getenv("ATTND_MODELS");
    if (told && *told)
        return told;
    own_folder(path);
    snprintf(folder, sizeof(folder), "%.*s", (int)sizeof(folder) - 1, path);
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        snprintf(path, PATH_BYTES, "%s/%s", folder, beside[i]);
        if (access(path, R_OK | X_OK) == 0)
            return path;
    }
    return access(ATTND_MODELDIR, R_OK | X_OK) == 0 ? ATTND_MODELDIR : NULL;
}

/* For a signal while the daemon starts. Without the daemon nothing comes into the folder any more. A handler cannot
 * read a folder, so all files that there can be are listed. */
static void undo(void *ctx)
{
    static const char *const files[] = {"/attnd.conf", "/attnd.sock", "/attnd.sock.lock", "/log"};
    const struct private_daemon *daemon = ctx;
    char path[sizeof(daemon->folder) + 32];
    if (daemon->pid > 0) {
        kill(daemon->pid, SIGKILL);
        waitpid(daemon->pid, NULL, 0);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        strcpy(path, daemon->folder);
        strcat(path, files[i]);
        unlink(path);
    }
    rmdir(daemon->folder);
}

static int make_folder(struct private_daemon *daemon, struct problem *problem)
{
    const char *places[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(daemon->folder, sizeof(daemon->folder), "%s/attnctl-XXXXXX", places[i] ? places[i] : "");
        bool fits = places[i] && *places[i] && n < (int)sizeof(daemon->folder) - 16; /* a socket's path has 107 bytes */
        ending_hold();
        bool is_made = fits && mkdtemp(daemon->folder);
        if (is_made)
            ending_add(undo, daemon);
        ending_release();
        if (is_made)
            return 0;
    }
    daemon->folder[0] = '\0';
    return problem_set(problem, "no folder for a private daemon can be made in $XDG_RUNTIME_DIR, $TMPDIR or /tmp: %s",
                       strerror(errno));
}

/* Removes the folder with the files in it. */
static void remove_folder(struct private_daemon *daemon)
{
    DIR *folder = daemon->folder[0] ? opendir(daemon->folder) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    if (daemon->folder[0])
        rmdir(daemon->folder);
    ending_remove(undo, daemon);
    daemon->folder[0] = '\0';
}

/* A private daemon has one client, and nobody else whom that could hold up. It waits for its client for as long as that
 * waits for the reader of its output, a pipe into a pager, say; and frames may be as dear as the client likes. */
static int write_config(const struct private_daemon *daemon)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/attnd.conf", daemon->folder);
    FILE *file = fopen(path, "wxe");
    if (!file)
        return -1;
    fprintf(file, "[timeouts]\nsend_ms = 86400000\n[limits]\nframe_ms = 60000\n");
    return fclose(file);
}

/* What the child does: becomes the daemon, or says on its log why it cannot. */
static void become(struct private_daemon *daemon, int lifeline, const char *model_file)
{
    char config[PATH_BYTES], socket[PATH_BYTES], number[16], program[PATH_BYTES], models[PATH_BYTES];
    const char *path = find_daemon(program), *folder = model_file ? NULL : find_models(models);
    snprintf(config, sizeof(config), "%s/attnd.conf", daemon->folder);
    snprintf(socket, sizeof(socket), "%s/attnd.sock", daemon->folder);
    snprintf(number, sizeof(number), "%d", lifeline);
    /* The folder of its socket holds no models: with it, none but the file is served. */
    const char *arguments[] = {
        path,
        "--config",
        config,
        "--socket",
        socket,
        "--until-eof",
        number,
        "--shards",
        "1",
        "--models",
        folder ? folder : daemon->folder,
        model_file ? "--model" : NULL,
        model_file,
        NULL,
    };
    ending_forget();
    setpgid(0, 0);
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(daemon->log, STDERR_FILENO);
    execvp(path, (char *const *)arguments);
    dprintf(STDERR_FILENO, "%s: %s", path, strerror(errno));
    _exit(127);
}

/* What the daemon has said, as one problem. */
static int tell_log(const struct private_daemon *daemon, struct problem *problem)
{
    char text[400];
    ssize_t n = pread(daemon->log, text, sizeof(text) - 1, 0);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n > 0 ? n : 0] = '\0';
    return problem_set(problem, "a private daemon did not start%s%s", text[0] ? ": " : "", text);
}

/* Waits a little, and longer after more tries: a small model is loaded within a few milliseconds. */
static void wait_a_little(int tries)
{
    poll(NULL, 0, tries < 5 ? 1 << tries : 20);
}

/* Whether the daemon has ended. Its number may be another process's from then on, which no signal's handler is to end.
 */
static bool reap(struct private_daemon *daemon)
{
    ending_hold();
    if (daemon->pid > 0 && waitpid(daemon->pid, NULL, WNOHANG) != 0)
        daemon->pid = 0;
    ending_release();
    return daemon->pid == 0;
}

/* The daemon listens before its models are loaded, so that one which then ends is noticed by its socket first. */
static bool has_ended(struct private_daemon *daemon, bool is_ending)
{
    for (int tries = 0; tries == 0 || (is_ending && tries < STOP_TRIES); tries++) {
        if (reap(daemon))
            return true;
        if (is_ending)
            wait_a_little(tries);
    }
    return false;
}

/* Connects as soon as the daemon listens. */
static int connect_to(struct private_daemon *daemon, struct attnc_client **client,
                      const struct attnc_connect_options *options, struct problem *problem)
{
    char socket[PATH_BYTES];
    struct attnc_connect_options own = *options;
    struct attnc_error error = {0};
    snprintf(socket, sizeof(socket), "%s/attnd.sock", daemon->folder);
    own.socket = socket;
    for (int tries = 0; tries < START_TRIES; tries++) {
        int result = attnc_connect(client, &own, &error);
        if (result == 0) {
            daemon->door = open(socket, O_PATH | O_CLOEXEC);
            return 0;
        }
        if (has_ended(daemon, result == ATTNC_E_CLOSED))
            return tell_log(daemon, problem);
        if (result != ATTNC_E_CONNECT)
            return problem_set(problem, "%s", error.text);
        wait_a_little(tries);
    }
    return problem_set(problem, "a private daemon was started, but does not listen");
}

static int start(struct private_daemon *daemon, const char *model_file, struct problem *problem)
{
    char path[PATH_BYTES];
    int ends[2];
    if (make_folder(daemon, problem) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/log", daemon->folder);
    daemon->log = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (daemon->log < 0 || write_config(daemon) != 0 || pipe(ends) < 0)
        return problem_set(problem, "a private daemon cannot be started: %s", strerror(errno));
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    daemon->lifeline = ends[1];
    ending_hold();
    daemon->pid = fork();
    if (daemon->pid == 0)
        become(daemon, ends[0], model_file);
    int saved = errno;
    ending_release();
    close(ends[0]);
    if (daemon->pid > 0)
        return 0;
    daemon->pid = 0;
    return problem_set(problem, "a private daemon cannot be started: %s", strerror(saved));
}

int private_start(struct private_daemon *daemon, const char *model_file, struct attnc_client **client,
                  const struct attnc_connect_options *options, struct problem *problem)
{
    *daemon = (struct private_daemon){.lifeline = -1, .log = -1, .door = -1};
    *client = NULL;
    if (start(daemon, model_file, problem) < 0 || connect_to(daemon, client, options, problem) < 0) {
        private_stop(daemon);
        return -1;
    }
    remove_folder(daemon);
    return 0;
}

void private_stop(struct private_daemon *daemon)
{
    if (daemon->lifeline >= 0)
        close(daemon->lifeline);
    for (int tries = 0; !reap(daemon); tries++) {
        if (tries >= STOP_TRIES)
            kill(daemon->pid, SIGKILL);
        wait_a_little(tries);
    }
    if (daemon->log >= 0)
        close(daemon->log);
    if (daemon->door >= 0)
        close(daemon->door);
    remove_folder(daemon);
    *daemon = (struct private_daemon){.lifeline = -1, .log = -1, .door = -1};
}
