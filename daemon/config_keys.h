/* SPDX-License-Identifier: MIT */
/* What is known of each key of the configuration, for the files that read, check and print it; nobody else's business.
 */
#pragma once

#include "daemon/config.h"

/* Of what is no value: the key's name, and the character with which a comment begins. */
#define CONFIG_COMMENT_TEXT                                                                                            \
    "%s seems to have a comment behind it ('%c' after white space); a comment stands on a line of its own, and a "     \
    "backslash before the character makes it part of a path in a list"

enum config_type {
    CONFIG_TYPE_TEXT,
    CONFIG_TYPE_LIST,
    CONFIG_TYPE_NUMBER,
    CONFIG_TYPE_SIZE,
    CONFIG_TYPE_MODE,
    CONFIG_TYPE_LEVEL
};

/* What it takes for a new value to be in force. */
enum config_needs { CONFIG_RELOAD, CONFIG_RESTART };

extern const struct config_key_facts {
    const char *section, *name;
    enum config_type type;
    enum config_needs needs;
    const char *fallback;
    uint64_t min, max;
    const char *about;
} config_keys[CONFIG_N_KEYS];

static inline bool config_is_text(enum config_key key)
{
    return config_keys[key].type == CONFIG_TYPE_TEXT || config_keys[key].type == CONFIG_TYPE_LIST;
}
