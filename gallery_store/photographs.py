"""Whether a picture looks like a photograph or like a drawing, for models that were taught on drawn people alone.

Pictures that we draw say so in their file (DRAWN_MARK). Of others the look decides: drawings are made of surfaces of
one colour under soft light, whatever noise, blur, cast and compression lie over them; in a photograph surfaces have a
grain of their own, coarse and fine. How much neighbouring places differ, in light and in colour, from small steps to
large ones and from fine scales to coarse, is weighed by logistic regression (photograph_weights). One picture is a
hint, and a quarter of many is proof enough. How often it errs: `python -m tests.benchmarks.photographs`.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from gallery_store.photograph_weights import BIAS, WEIGHTS

DRAWN_MARK = b"drawn by ChatReID"  # a comment in the head of a file
MARKED_WITHIN = 1024  # bytes
PROOF = 1 / 4  # of many pictures: from this share on, all count as photographs
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)  # of all differences: how large those are that exceed so many
_SIZE = (64, 128)  # px, width and height at which a picture is looked at; halved for each coarser scale
_SCALES = 3
_LIGHT_FLOOR, _COLOUR_FLOOR, _TINT_FLOOR = (
    0.5,
    0.5,
    0.004,
)  # what is less does not count: levels, levels, logarithms
_DARK = 8  # levels, added before a logarithm is taken
_EVEN = 1.0  # levels: with a mean difference below, a picture shows nothing
_WEIGHTS = np.concatenate(WEIGHTS)


def is_photograph(data: bytes, image: Image.Image) -> bool:
    """data: a picture's file. image: what is in it, RGB, any size. A guess, unless the file says that we drew it."""
    return not is_marked_drawn(data) and looks_photographic(image)


def is_marked_drawn(data: bytes) -> bool:
    """Whether a picture's file, or the first MARKED_WITHIN bytes of it, says that we drew it."""
    return DRAWN_MARK in data[:MARKED_WITHIN]


def looks_photographic(image: Image.Image) -> bool:
    """image: RGB, any size. A guess; see the module."""
    values = _seen(image)
    if np.abs(np.diff(values.mean(2), axis=0)).mean() < _EVEN:
        return False
    return float(_differences(values) @ _WEIGHTS) + BIAS > 0


def differences(image: Image.Image) -> np.ndarray:
    """image: RGB, any size. float32 (126,): at each of three scales, from fine to coarse, six kinds of differences of
    neighbouring places (first ones of light, of tint and of colour; second ones of light and of tint; mixed ones of
    light), each as the logarithms of their SHARES against their mean, and of the mean.
    """
    return _differences(_seen(image))


def _seen(image: Image.Image) -> np.ndarray:
    larger = image.width >= _SIZE[0] and image.height >= _SIZE[1]
    how = Image.Resampling.BOX if larger else Image.Resampling.BICUBIC
    return np.asarray(image.resize(_SIZE, how), np.float32)


def _differences(values: np.ndarray) -> np.ndarray:
    """values: float32 (height, width, 3), 0..255."""
    found: list[np.ndarray] = []
    for scale in range(_SCALES):
        if scale:
            values = (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4
        light = values.mean(2)[..., None]
        logarithms = np.log(values + _DARK)
        tint = logarithms[..., (0, 2)] - logarithms[..., 1:2]
        colour = values[..., (0, 2)] - values[..., 1:2]
        mixed = light[1:, 1:] - light[:-1, 1:] - light[1:, :-1] + light[:-1, :-1]
        found += [
            _spread(_first(light), _LIGHT_FLOOR),
            _spread(_first(tint), _TINT_FLOOR),
            _spread(_first(colour), _COLOUR_FLOOR),
            _spread(_second(light), _LIGHT_FLOOR),
            _spread(_second(tint), _TINT_FLOOR),
            _spread(np.abs(mixed).ravel(), _LIGHT_FLOOR),
        ]
    return np.concatenate(found)


def _first(values: np.ndarray) -> np.ndarray:
    """values: (height, width, channels). How each place differs from the one below and from the one to the right."""
    return np.concatenate([np.abs(np.diff(values, axis=axis)).sum(2).ravel() for axis in (0, 1)])


def _second(values: np.ndarray) -> np.ndarray:
    """How each place differs from the mean of its four neighbours, four times."""
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return np.abs(4 * values[1:-1, 1:-1] - around).sum(2).ravel()


def _spread(sizes: np.ndarray, floor: float) -> np.ndarray:
    """float32 (7,): how sizes are spread around their mean, and the mean."""
    mean = float(sizes.mean()) + floor
    sizes = np.sort(sizes)
    at = [sizes[int(share * len(sizes))] for share in SHARES]
    return np.log(np.array([*((size + floor) / mean for size in at), mean], np.float32))
