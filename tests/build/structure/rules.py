# SPDX-License-Identifier: MIT
"""What is asked of the tree: the daemon's order, and the exceptions with their reasons."""
import fnmatch

# The daemon's files, from top to bottom: each may call and include its own row and those below. Files are named by their
# stems, so that the folder in which one stands is free. The groups of the last row (models, limits, configuration, log,
# files) stand side by side.
ORDER = (
    "main",
    "server accept listener reload status systemd",
    "loop",
    "requests open attach stream_requests pending reset end expiry inspect*",
    "stream stream_parts registry pushes batch answers deadline idle due ready lend release",
    "connection connection_* outbox reply client_log",
    "shard shard_parts share away workers mailbox counters traffic admission ledger asker",
    "plan model models catalogue cost costs costs_file measure  users memory cgroup  config config_* options  log journal  file",
)

# The row of ORDER that a batch never enters, and how many files of the daemon it may enter.
REQUESTS = ORDER[3]
MOST_ENTERED = 20

# Structs that outlive a call but are filled in by whoever has something to say: no module owns their fields.
VALUES = {
    "struct mail": "a mail is filled in by its sender before it is posted, and belongs to its taker afterwards",
    "struct attnp_error": "an error is filled in where it happens, and copied as a whole by those who keep it",
}


def matches(stem, row):
    return any(fnmatch.fnmatchcase(stem, pattern) for pattern in row.split())


def rank(stem):
    """The number of a file's row, from the top; None where no row names it."""
    return next((i for i, row in enumerate(ORDER) if matches(stem, row)), None)
