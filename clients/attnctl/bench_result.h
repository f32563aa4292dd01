/* SPDX-License-Identifier: MIT */
/* What a run has counted. Plain numbers: who fills them in and who shows them know nothing of each other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attnctl/problem.h"
#include "protocol/histogram.h"

struct bench_result {
    uint32_t streams; /* that ran: those asked for, less those refused */
    uint32_t refused; /* streams that the daemon did not open */
    uint64_t sent;    /* frames handed to a connection = answered + dropped + lost */
    uint64_t answered;
    uint64_t dropped; /* named by the daemon as dropped, skipped or refused */
    uint64_t lost;    /* neither answered nor named when all was over */
    uint64_t unsent;  /* whose time had come, but for which there was no credit until the end */
    uint64_t n_over;  /* frames later than the plan's limit */
    bool over;        /* so many that the run was ended: what was under way is not counted as lost */
    bool interrupted;
    bool broken;            /* a stream or connection was ended by the daemon; `problem` tells the first */
    struct problem problem; /* why the first stream or connection ended, or was refused; "" where none was */
    uint64_t latency[ATTNP_HISTOGRAM_BUCKETS]; /* of answered and of unsent frames, µs */
    uint64_t lag[ATTNP_HISTOGRAM_BUCKETS];     /* what the daemon says of its part, µs */
    uint64_t max_us;                           /* largest latency */
    double seconds;                            /* from the first frame's time to the last answer */
    double cpu_us;                             /* what the bench itself took of the processors */
    uint64_t checksum;                         /* over all outputs by stream and number */
};
