/* SPDX-License-Identifier: MIT */
/*
 * The log-mel front-end, one hop at a time.
 *
 * Samples are collected in a window of 400; when it is full it becomes one hop of 64 bands, and its last 240 samples
 * stay as the beginning of the next window. Hops go round a ring that is as long as a frame, and a frame is read out of
 * it once the hop that completes it is there. As push stops at that hop until the frame was taken, the ring never needs
 * more room than one frame, whatever the stride. Every hop is computed from the same 400 floats in the same order
 * however they came, which is what makes the result independent of chunk sizes.
 */
#include "attnc/frontend.h"

#include <assert.h>
#include <kiss_fftr.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW     ATTNC_FRONTEND_WINDOW
#define HOP        ATTNC_FRONTEND_HOP
#define BANDS      ATTNC_FRONTEND_BANDS
#define FFT        512
#define BINS       (FFT / 2 + 1)
#define LOWEST_HZ  125.0
#define HIGHEST_HZ 7500.0
#define LOG_OFFSET 0.01

/* One mel band is a triangle over n_bins bins from first_bin on; its weights begin at weights[first_weight]. */
struct band {
    uint16_t first_bin, n_bins, first_weight;
};

struct attnc_frontend {
    uint32_t hops, stride;
    uint64_t samples; /* taken since the start */
    uint64_t n_hops;  /* computed since the start */
    int frame_waits;
    uint32_t n_filled;    /* samples in `filled` */
    float filled[WINDOW]; /* the samples of the next hop */
    float hann[WINDOW];
    struct band bands[BANDS];
    float weights[2 * BINS]; /* at most two triangles lie over a bin */
    float windowed[FFT];     /* beyond WINDOW always zero */
    kiss_fft_cpx spectrum[BINS];
    float magnitude[BINS];
    kiss_fftr_cfg fft;
    float ring[]; /* [hops][BANDS], hop j at j % hops */
};

static double mel_of_hz(double hz)
{
    return 1127.0 * log(1.0 + hz / 700.0);
}

/* The weight of band b at a bin: linear in mel up to the middle edge of three, and down from it; nothing at DC. */
static double mel_weight(int b, int bin)
{
    const double lowest = mel_of_hz(LOWEST_HZ), step = (mel_of_hz(HIGHEST_HZ) - lowest) / (BANDS + 1);
    double at = (mel_of_hz(bin * (ATTNC_FRONTEND_RATE / (double)FFT)) - lowest) / step; /* 0 is the lowest edge */

    return bin == 0 ? 0.0 : fmax(0.0, fmin(at - b, b + 2 - at));
}

static void make_bands(struct attnc_frontend *frontend)
{
    uint16_t n_weights = 0;

    for (int b = 0; b < BANDS; b++) {
        struct band *band = &frontend->bands[b];

        band->first_weight = n_weights;
        for (int bin = 0; bin < BINS; bin++) {
            double weight = mel_weight(b, bin);

            if (weight == 0.0)
                continue;
            if (band->n_bins++ == 0)
                band->first_bin = (uint16_t)bin;
            assert(n_weights < 2 * BINS);
            frontend->weights[n_weights++] = (float)weight;
        }
    }
}

int attnc_frontend_new(struct attnc_frontend **result, const struct attnc_frontend_options *options)
{
    struct attnc_frontend *frontend;

    *result = NULL;
    if (options->size != sizeof(*options) || options->hops - 1 >= ATTNC_FRONTEND_MOST_HOPS ||
        options->stride - 1 >= ATTNC_FRONTEND_MOST_HOPS)
        return ATTNC_FRONTEND_E_OPTIONS;
    frontend = calloc(1, sizeof(*frontend) + sizeof(float) * options->hops * BANDS);
    if (frontend == NULL)
        return ATTNC_FRONTEND_E_MEMORY;
    frontend->fft = kiss_fftr_alloc(FFT, 0, NULL, NULL);
    if (frontend->fft == NULL) {
        free(frontend);
        return ATTNC_FRONTEND_E_MEMORY;
    }
    frontend->hops = options->hops;
    frontend->stride = options->stride;
    for (int i = 0; i < WINDOW; i++)
        frontend->hann[i] = (float)(0.5 - 0.5 * cos(2.0 * M_PI * i / WINDOW));
    make_bands(frontend);
    *result = frontend;
    return 0;
}

void attnc_frontend_free(struct attnc_frontend *frontend)
{
    if (frontend == NULL)
        return;
    kiss_fftr_free(frontend->fft);
    free(frontend);
}

void attnc_frontend_reset(struct attnc_frontend *frontend)
{
    frontend->samples = 0;
    frontend->n_hops = 0;
    frontend->n_filled = 0;
    frontend->frame_waits = 0;
}

uint32_t attnc_frontend_frame_dim(const struct attnc_frontend *frontend)
{
    return frontend->hops * BANDS;
}

uint64_t attnc_frontend_samples(const struct attnc_frontend *frontend)
{
    return frontend->samples;
}

/* bands[64] = ln(0.01 + weights · |FFT(hann ⊙ filled)|) */
static void compute_hop(struct attnc_frontend *frontend, float *bands)
{
    for (int i = 0; i < WINDOW; i++)
        frontend->windowed[i] = frontend->hann[i] * frontend->filled[i];
    kiss_fftr(frontend->fft, frontend->windowed, frontend->spectrum);
    for (int bin = 0; bin < BINS; bin++) {
        double re = frontend->spectrum[bin].r, im = frontend->spectrum[bin].i;

        frontend->magnitude[bin] = (float)sqrt(re * re + im * im);
    }
    for (int b = 0; b < BANDS; b++) {
        const struct band *band = &frontend->bands[b];
        double sum = 0.0;

        for (int i = 0; i < band->n_bins; i++)
            sum += (double)frontend->weights[band->first_weight + i] * frontend->magnitude[band->first_bin + i];
        bands[b] = (float)log(sum + LOG_OFFSET);
    }
}

static void end_hop(struct attnc_frontend *frontend)
{
    compute_hop(frontend, frontend->ring + frontend->n_hops % frontend->hops * BANDS);
    frontend->n_hops++;
    memmove(frontend->filled, frontend->filled + HOP, sizeof(float) * (WINDOW - HOP));
    frontend->n_filled = WINDOW - HOP;
    frontend->frame_waits =
        frontend->n_hops >= frontend->hops && (frontend->n_hops - frontend->hops) % frontend->stride == 0;
}

int attnc_frontend_push(struct attnc_frontend *frontend, const float *samples, size_t n)
{
    size_t taken = 0;

    if (n > INT_MAX)
        n = INT_MAX;
    while (taken < n && !frontend->frame_waits) {
        if (!(fabsf(samples[taken]) <= ATTNC_FRONTEND_LARGEST))
            return taken > 0 ? (int)taken : ATTNC_FRONTEND_E_SAMPLE;
        frontend->filled[frontend->n_filled++] = samples[taken++];
        frontend->samples++;
        if (frontend->n_filled == WINDOW)
            end_hop(frontend);
    }
    return (int)taken;
}

int attnc_frontend_next(struct attnc_frontend *frontend, float *frame, double *time_s)
{
    size_t oldest;

    if (!frontend->frame_waits)
        return 0;
    oldest = frontend->n_hops % frontend->hops;
    memcpy(frame, frontend->ring + oldest * BANDS, sizeof(float) * (frontend->hops - oldest) * BANDS);
    memcpy(frame + (frontend->hops - oldest) * BANDS, frontend->ring, sizeof(float) * oldest * BANDS);
    if (time_s != NULL)
        *time_s = (double)((frontend->n_hops - 1) * HOP + WINDOW) / ATTNC_FRONTEND_RATE;
    frontend->frame_waits = 0;
    return 1;
}
