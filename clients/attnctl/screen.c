/* SPDX-License-Identifier: MIT */
/*
 * The terminal is given back when the process ends or is stopped (Ctrl-Z); write and tcsetattr may do that in a signal
 * handler. A process that goes on takes the terminal anew.
 */
#include "config.h"

#include "attnctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "attnctl/ending.h"

#define ENTER "\033[?1049h\033[?25l\033[H\033[2J" /* the alternate screen, no cursor, cleared */
#define LEAVE "\033[?25h\033[?1049l"

static struct termios before;
static volatile sig_atomic_t is_open;

static void put(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, n);
        if (written < 0 && errno != EINTR)
            return;
        bytes += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
}

static void enter(void)
{
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    put(ENTER, sizeof(ENTER) - 1);
}

static void leave(void)
{
    put(LEAVE, sizeof(LEAVE) - 1);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void undo(void *ctx)
{
    (void)ctx;
    if (is_open)
        leave();
    is_open = 0;
}

static void on_stop(int number)
{
    int saved = errno;
    sigset_t these;
    leave();
    signal(number, SIG_DFL);
    sigemptyset(&these);
    sigaddset(&these, number);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &these, NULL); /* here it stops, until somebody has it go on */
    ending_handle(number, on_stop);
    if (is_open)
        enter();
    errno = saved;
}

static void on_resize(int number)
{
    (void)number; /* that the poll is interrupted is all that is needed */
}

int screen_open(void)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return -1;
    ending_handle(SIGTSTP, on_stop);
    ending_handle(SIGWINCH, on_resize);
    ending_add(undo, NULL);
    is_open = 1;
    enter();
    return 0;
}

void screen_close(void)
{
    undo(NULL);
    ending_remove(undo, NULL);
}

void screen_size(int *rows, int *columns)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *rows = is_known ? size.ws_row : 24;
    *columns = is_known ? size.ws_col : 80;
}

/* Each line clears what is right of it, and the last what is below: nothing is cleared before it is drawn again. No
 * line end follows the last line, which would scroll where it is the screen's last. */
void screen_draw(const char *text, size_t n_text)
{
    char *frame = NULL;
    size_t n_frame = 0;
    FILE *memory = open_memstream(&frame, &n_frame);
    if (!memory)
        return;
    fputs("\033[H", memory);
    for (size_t i = 0; i < n_text; i++) {
        if (text[i] != '\n')
            fputc(text[i], memory);
        else
            fputs(i + 1 < n_text ? "\033[K\r\n" : "\033[K", memory);
    }
    fputs("\033[J", memory);
    if (fclose(memory) == 0)
        put(frame, n_frame);
    free(frame);
}

int screen_key(int timeout_ms)
{
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned char key;
    if (poll(&keys, 1, timeout_ms) <= 0)
        return 0;
    ssize_t n = read(STDIN_FILENO, &key, 1);
    if (n < 0 && errno == EINTR)
        return 0;
    return n == 1 ? key : -1;
}
