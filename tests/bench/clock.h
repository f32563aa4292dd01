/* SPDX-License-Identifier: MIT */
/* The time, and the processor that it is measured on. It knows nothing of what is timed. */
#pragma once

/* Seconds since some moment. */
double bench_now(void);

/* Seconds that this thread has run: what it waited while others ran is not in them. Takes longer to ask for. */
double bench_busy(void);

/* What one call of bench_now takes, µs: the least of many. */
double bench_clock_overhead_us(void);

/* Keeps this thread on the processor that it runs on. Returns its number, or −1 where the system refuses. */
int bench_pin(void);
