/* SPDX-License-Identifier: MIT */
/*
 * The audio front-end: samples in, log-mel frames out, as they arrive. It knows nothing of files, sockets and rates
 * other than 16 kHz, and gives the same frames, to the bit, however the samples are cut into pushes.
 *
 *     #include <attnc/frontend.h>
 *     #include <stdio.h>
 *     #include <string.h>
 *
 *     int main(void)
 *     {
 *         struct attnc_frontend_options options;
 *         struct attnc_frontend *frontend;
 *         float samples[160] = {0}, frame[4 * ATTNC_FRONTEND_BANDS];
 *         double time_s;
 *
 *         memset(&options, 0, sizeof(options));
 *         options.size = sizeof(options);
 *         options.hops = 4;
 *         options.stride = 2;
 *         if (attnc_frontend_new(&frontend, &options) < 0)
 *             return 1;
 *         for (int chunk = 0; chunk < 100; chunk++) {
 *             for (int used = 0; used < 160;) {
 *                 int n = attnc_frontend_push(frontend, samples + used, 160 - used);
 *                 if (n < 0)
 *                     return 1;
 *                 used += n;
 *                 if (attnc_frontend_next(frontend, frame, &time_s))
 *                     printf("%.4f s: first band %f\n", time_s, frame[0]);
 *             }
 *         }
 *         attnc_frontend_free(frontend);
 *         return 0;
 *     }
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attnc/api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ATTNC_FRONTEND_RATE      16000 /**< samples a second */
#define ATTNC_FRONTEND_WINDOW    400   /**< samples under one analysis window: 25 ms */
#define ATTNC_FRONTEND_HOP       160   /**< samples from one window to the next: 10 ms */
#define ATTNC_FRONTEND_BANDS     64    /**< floats of one hop */
#define ATTNC_FRONTEND_MOST_HOPS 1024  /**< largest `hops` and `stride` */
#define ATTNC_FRONTEND_LARGEST   256   /**< samples beyond this magnitude are no audio scaled to [-1, 1) */

#define ATTNC_FRONTEND_E_OPTIONS -1 /**< hops or stride is 0 or too large, or `size` is not that of the struct */
#define ATTNC_FRONTEND_E_SAMPLE  -2 /**< the next sample is NaN, infinite, or larger than ATTNC_FRONTEND_LARGEST */
#define ATTNC_FRONTEND_E_MEMORY  -3 /**< no memory */

/** How frames are made of hops: frame i is the hops i·stride … i·stride + hops − 1, oldest first. */
struct attnc_frontend_options {
    size_t size;     /**< sizeof(struct attnc_frontend_options), so that the struct can grow */
    uint32_t hops;   /**< hops in a frame, 1 … ATTNC_FRONTEND_MOST_HOPS */
    uint32_t stride; /**< hops from one frame to the next, 1 … ATTNC_FRONTEND_MOST_HOPS */
};

/** One stream's front-end; used by one thread at a time. Several are independent of each other. */
struct attnc_frontend;

/** Makes a front-end, the caller's, to be freed with attnc_frontend_free. All memory it ever needs is allocated here.
 *  Errors: ATTNC_FRONTEND_E_OPTIONS, ATTNC_FRONTEND_E_MEMORY; *frontend is then NULL. */
ATTNC_API int attnc_frontend_new(struct attnc_frontend **frontend, const struct attnc_frontend_options *options);

/** Frees a front-end; NULL is allowed. */
ATTNC_API void attnc_frontend_free(struct attnc_frontend *frontend);

/** Forgets all samples and any waiting frame: the next sample is sample 0 again. */
ATTNC_API void attnc_frontend_reset(struct attnc_frontend *frontend);

/** Floats in a frame: ATTNC_FRONTEND_BANDS · hops. */
ATTNC_API uint32_t attnc_frontend_frame_dim(const struct attnc_frontend *frontend);

/** Takes in mono samples at 16 kHz, scaled to [-1, 1), and returns how many of the n it took: all of them, or those up
 *  to and with the last sample of a frame, which then waits for attnc_frontend_next; 0 while it waits. No allocation.
 *  Errors: ATTNC_FRONTEND_E_SAMPLE where samples[0] is the bad one (those before a bad one are taken first): nothing
 *  was taken, the front-end may be used on, and attnc_frontend_samples() is the bad sample's index in the stream. */
ATTNC_API int attnc_frontend_push(struct attnc_frontend *frontend, const float *samples, size_t n);

/** Writes the waiting frame [frame_dim] and its time, and returns 1; returns 0, and writes nothing, where none waits.
 *  *time_s (NULL is allowed) is the end of the frame's last analysis window in seconds of samples since the start,
 *  (160·(i·stride + hops − 1) + 400) / 16000 for frame i. Allocates nothing.
 *
 *  Hop j covers the samples 160·j … 160·j + 399 (no centring): periodic Hann window, FFT of 512, magnitude, 64
 *  triangles of HTK mel bands from 125 to 7500 Hz, ln(mel + 0.01). Source: the definition of VGGish (Hershey et al.,
 *  "CNN architectures for large-scale audio classification", 2017, and its published mel_features code).
 *  Computed in float32: a value is within 1e-5 + 2e-7·L / (mel + 0.01) of the definition, L being the magnitude of the
 *  loudest of the window's FFT bins, so that what is 134 dB below that is lost. */
ATTNC_API int attnc_frontend_next(struct attnc_frontend *frontend, float *frame, double *time_s);

/** Samples taken since the start or the last reset. */
ATTNC_API uint64_t attnc_frontend_samples(const struct attnc_frontend *frontend);

#ifdef __cplusplus
}
#endif
