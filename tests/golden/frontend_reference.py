# SPDX-License-Identifier: MIT
"""The log-mel front-end, slowly and in float64: the definition of VGGish written down as it is read in the paper's code.

Nothing here streams, and the Fourier transform is the sum that defines it.
"""
import numpy as np

RATE, WINDOW, HOP, FFT, BANDS = 16000, 400, 160, 512, 64
LOWEST_HZ, HIGHEST_HZ, LOG_OFFSET = 125.0, 7500.0, 0.01


def mel_of_hz(hz):
    return 1127.0 * np.log(1.0 + hz / 700.0)


def mel_matrix():
    """[bins, bands]: triangles that are linear in mel, between 66 edges equally far apart in mel."""
    bins = mel_of_hz(np.linspace(0.0, RATE / 2, FFT // 2 + 1))
    edges = np.linspace(mel_of_hz(LOWEST_HZ), mel_of_hz(HIGHEST_HZ), BANDS + 2)
    matrix = np.zeros((len(bins), BANDS))
    for band in range(BANDS):
        lower, centre, upper = edges[band:band + 3]
        lower_slope = (bins - lower) / (centre - lower)
        upper_slope = (upper - bins) / (upper - centre)
        matrix[:, band] = np.maximum(0.0, np.minimum(lower_slope, upper_slope))
    matrix[0, :] = 0.0
    return matrix


def dft_matrix():
    """[bins, WINDOW]: exp(−2πi·k·n/512); the samples from 400 to 511 are zeros and left out."""
    k, n = np.meshgrid(np.arange(FFT // 2 + 1), np.arange(WINDOW), indexing="ij")
    return np.exp(-2j * np.pi * k * n / FFT)


def magnitudes(samples):
    """[hops, bins] of all whole windows in the samples, none centred or padded."""
    samples = np.asarray(samples, np.float64)
    n_hops = 0 if len(samples) < WINDOW else 1 + (len(samples) - WINDOW) // HOP
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    dft = dft_matrix()
    result = np.empty((n_hops, FFT // 2 + 1))
    for j in range(n_hops):
        result[j] = np.abs(dft @ (hann * samples[HOP * j:HOP * j + WINDOW]))
    return result


def log_mel(samples):
    """[hops, 64]"""
    return np.log(magnitudes(samples) @ mel_matrix() + LOG_OFFSET)


def frames(samples, hops, stride):
    """(frames [n, 64·hops], times [n]): frame i is the hops i·stride … i·stride + hops − 1, oldest first."""
    bands = log_mel(samples)
    starts = range(0, len(bands) - hops + 1, stride)
    return (np.array([bands[s:s + hops].ravel() for s in starts]).reshape(-1, BANDS * hops),
            np.array([(HOP * (s + hops - 1) + WINDOW) / RATE for s in starts]))
