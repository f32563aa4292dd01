/* SPDX-License-Identifier: MIT */
/* One valid body of every kind of message, in the notation of bytes.h. */
#pragma once

static const char *const samples[] = {
    "94 00 01 'hello' 82 'client' 'test' 'versions' 92 01 02",
    "94 00 02 'open' 85 'model' 'm' 'name' 'kitchen' 'late' 'drop-oldest' 'deadline_ms' cd 01 f4 'rate' cb 40 59 00 00 "
    "00 00 00 00",
    "94 00 03 'open' 84 'attention' 8b 'method' 'nystrom' 'window' 08 'landmarks' 02 'landmark_policy' 'fixed' "
    "'refresh'"
    " 'spread' 'inverse_scale' 'heads' 'heads' 01 'head_dim' 01 'retroactive' c3 'q_landmarks' c4 08 00 00 80 3f 00 00 "
    "80 3f"
    " 'k_landmarks' c4 08 00 00 80 3f 00 00 80 3f 'first_frame' 05 'position' 03 'answer_from' 09",
    "94 00 04 'reset' 81 'stream' 01",
    "94 00 05 'finish' 81 'stream' cd 01 2c",
    "94 00 06 'close' 81 'name' 'kitchen'",
    "94 00 07 'info' 81 'stream' 01",
    "94 00 08 'ping' 80",
    "93 00 09 'models'",
    "94 00 0a 'streams' c0",
    "94 00 0b 'stats' 80",
    "93 02 'push' 93 01 00 c4 04 00 00 80 3f",
    "93 02 'push' 94 cf 00 00 00 01 00 00 00 00 ce 00 01 00 00 c5 00 08 00 00 80 3f 00 00 00 40 81 'time' cb 3f f8 00 "
    "00 00 00"
    " 00 00",
    "93 02 'output' 94 01 00 c4 04 00 00 80 3f 84 'position' 00 'lag_us' 29 'warming' 01 'time' d1 ff 00",
    "93 02 'event' 84 'stream' 01 'event' 'dropped' 'first' 03 'count' 02",
    "93 02 'error' 85 'code' 0c 'name' 'bad_frame' 'message' 'not finite' 'stream' 01 'frame' 04",
    "94 01 01 c0 82 'server' 'attnd' 'version' '0.1.0'",
    "94 01 02 83 'code' 06 'name' 'bad_params' 'message' 'window is -3' c0",
};

enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]) };
