"""From tissues to HU as a scanner shows them: blurred edges, coloured noise, faint streaks, a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from sammix.demo.phantoms.canvas import Canvas, Field
from sammix.demo.phantoms.hospital import Hospital
from sammix.demo.phantoms.tissues import Tissue, densities


def scan(canvas: Canvas, hospital: Hospital, rng: np.random.Generator) -> NDArray[np.int16]:
    """Put the table under the patient and return the HU: int16, the canvas's shape, never below -1024."""
    _paint_table(canvas, rng)
    hu, mottle = densities(hospital.phase, rng)
    image = hu[canvas.tissue]
    image += mottle[canvas.tissue] * _mottle(canvas, rng)
    width = 0.42 / hospital.sharpness  # mm: softer kernels blur more
    sigma = (0.4, width / hospital.spacing[1], width / hospital.spacing[0])
    image = ndimage.gaussian_filter(image, sigma, truncate=2.5)
    image += _noise(canvas, hospital, rng)
    return np.asarray(np.clip(np.rint(image), -1024, 3071), dtype=np.int16)


def _paint_table(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint a curved couch under the back."""
    _, y, x = canvas.axes
    body = (canvas.tissue != Tissue.AIR).any(axis=(0, 2))
    back = y[int(np.argmax(body))]
    gap, curve = rng.uniform(2, 6), rng.uniform(900, 1600)
    top = back - gap + (x[None, :] ** 2 - 60.0**2) / curve * (np.abs(x[None, :]) < 215)
    depth = top - y[:, None]
    inside = (depth > 0) & (depth < 26) & (np.abs(x[None, :]) < 200)
    shell = inside & ((depth < 3) | (depth > 23))
    canvas.paint(Tissue.TABLE_FOAM, np.broadcast_to(inside, canvas.tissue.shape), over=(Tissue.AIR,))
    canvas.paint(Tissue.TABLE_SHELL, np.broadcast_to(shell, canvas.tissue.shape), over=(Tissue.TABLE_FOAM,))


def _mottle(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Draw a smooth texture of unit standard deviation."""
    field = ndimage.uniform_filter(rng.standard_normal(canvas.tissue.shape, dtype=np.float32), (1, 3, 3))
    return np.asarray(field / np.float32(field.std()))


def _noise(canvas: Canvas, hospital: Hospital, rng: np.random.Generator) -> Field:
    """Draw filtered-back-projection noise: white under a ramp with a Gaussian cut-off, more in the middle.

    The ramp is what filtered back projection leaves of the detector's white noise (Kijewski and Judy 1987).
    A narrow ridge of the spectrum adds the horizontal streaks that come from the hips' and shoulders' side.
    """
    white = rng.standard_normal(canvas.tissue.shape, dtype=np.float32)
    fy = fft.fftfreq(white.shape[1], hospital.spacing[1])[:, None]
    fx = fft.rfftfreq(white.shape[2], hospital.spacing[0])[None, :]
    frequency = np.hypot(fx, fy)
    gain = (frequency + 0.01) * np.exp(-((frequency / hospital.sharpness) ** 2))
    gain += 0.5 * gain.max() * np.exp(-((fx / 0.006) ** 2)) * np.exp(-((fy / 0.12) ** 2))
    noise = fft.irfft2(fft.rfft2(white) * gain.astype(np.float32), s=white.shape[1:])
    _, y, x = canvas.axes
    centre = np.exp(-((x[None, :] / 190) ** 2) - (y[:, None] / 150) ** 2)
    strength = hospital.noise * (0.45 + 0.55 * centre) / noise.std()
    return np.asarray(noise * strength, dtype=np.float32)
