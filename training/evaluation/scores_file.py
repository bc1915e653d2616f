"""Scores from anywhere, by the cross-camera protocol: an .npz file in, figures out, in blocks of bounded memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from training.evaluation.metrics import Ranks, Relevance, rank_blocks
from training.evaluation.work_folder import NothingToMeasure

LABELS = ("query_ids", "gallery_ids", "query_cameras", "gallery_cameras")
ARRAYS = ("scores", *LABELS)
BLOCK = 128  # queries whose scores stand in memory at a time


class ScoresError(ValueError):
    """A score file that cannot be evaluated; the message names the array and the mend."""


def evaluate_file(path: Path | str) -> Ranks:
    """Evaluate an .npz of `scores` (Q, G; higher is better) and LABELS (Q,), (G,), (Q,), (G,).

    Crops of the query's person by the query's own camera are junk, and so are false detections, of id -1
    (Market-1501's protocol); ties go by gallery order. The scores are read block by block and never stand whole in
    memory.

    Raises:
        NothingToMeasure: no query has a true match; the message says why.
        ScoresError: no such file, not an .npz, an array missing, of a wrong shape, empty, pickled, or NaN.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [name for name in ARRAYS if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise ScoresError(f"{path} lacks {', '.join(missing)}; it needs {', '.join(ARRAYS)}")
            labels = {name: _labels(archive, name) for name in LABELS}
            with archive.open("scores.npy") as stream:
                return _rank(stream, labels)
    except NothingToMeasure as error:
        raise NothingToMeasure(f"{path}: {error}") from None
    except ScoresError as error:
        raise ScoresError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except FileNotFoundError:
        raise ScoresError(f"there is no file {path}") from None
    except zipfile.BadZipFile:
        raise ScoresError(f"{path} is not an .npz file, or is damaged; write it with numpy.savez") from None
    except (OSError, EOFError, zlib.error, NotImplementedError) as error:
        raise ScoresError(f"{path} cannot be read: {error}") from None
    except ValueError as error:
        raise ScoresError(f"{path}: {error}") from None


def _rank(stream: IO[bytes], labels: dict[str, np.ndarray]) -> Ranks:
    shape, fortran, dtype = _header(stream, "scores")
    queries, gallery = len(labels["query_ids"]), len(labels["gallery_ids"])
    if len(shape) != 2:
        raise ScoresError(f"scores have shape {shape}; they must be (queries, gallery crops)")
    if 0 in shape:
        raise ScoresError(f"scores have shape {shape}: there is nothing to evaluate")
    for name, length in zip(LABELS, (*shape, *shape), strict=True):
        if len(labels[name]) != length:
            raise ScoresError(
                f"scores have shape {shape}, so {name} needs {length} entries, not {len(labels[name])}"
            )
    if dtype.kind not in "iufb":
        raise ScoresError(f"scores are {dtype}; they must be numbers")
    kept = ~_is_false_detection(labels["gallery_ids"])
    labels |= {name: labels[name][kept] for name in ("gallery_ids", "gallery_cameras")}
    relevance = Relevance.by_identity(*(labels[name] for name in LABELS))
    if not relevance.can_measure:
        raise NothingToMeasure(_why_not(labels, relevance))
    blocks = _columns(stream, shape, dtype) if fortran else _rows(stream, queries, gallery, dtype)
    return rank_blocks(blocks if kept.all() else (block[:, kept] for block in blocks), relevance)


def _is_false_detection(ids: np.ndarray) -> np.ndarray:
    """bool (G,): crops of nobody, as Market-1501 labels them."""
    if ids.dtype.kind in "iuf":
        return ids == -1
    return np.char.strip(ids) == ("-1" if ids.dtype.kind == "U" else b"-1")


def _why_not(labels: dict[str, np.ndarray], relevance: Relevance) -> str:
    """Why no query has a true match: the ids never meet, or only by the query's own camera."""
    queries, gallery = labels["query_ids"], labels["gallery_ids"]
    told = f"none of the {len(queries)} queries could be measured: "
    if not len(gallery):
        return told + "every gallery crop is a false detection (id -1)"
    if len(relevance.columns):
        return told + (
            "every gallery crop of a query's person is by the query's own camera, which the protocol leaves out; check "
            "query_cameras and gallery_cameras, or give each side cameras of its own where cameras do not matter"
        )
    meet = {_bare_label(label) for label in queries.tolist()} & {
        _bare_label(label) for label in gallery.tolist()
    }
    if meet:
        pairs = [
            next(label for label in side.tolist() if _bare_label(label) in meet)
            for side in (queries, gallery)
        ]
        return told + (
            f"query_ids and gallery_ids write one person in two ways, such as {pairs[0]!r} and {pairs[1]!r}; write "
            "them alike"
        )
    return told + "no id stands in both query_ids and gallery_ids"


def _bare_label(label: object) -> str:
    """A label without what is only in its writing: blanks, leading zeros, bytes, ".0", case."""
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
    text = text.strip().strip("\0").casefold()
    return (text.removesuffix(".0").lstrip("0") or "0") if text.removesuffix(".0").isdecimal() else text


def _rows(stream: IO[bytes], queries: int, gallery: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    for start in range(0, queries, BLOCK):
        count = min(BLOCK, queries - start)
        yield _read(stream, count * gallery, dtype).reshape(count, gallery)


def _columns(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> Iterator[np.ndarray]:
    # Stored column by column: no row is whole before the last byte.
    whole = _read(stream, shape[0] * shape[1], dtype).reshape(shape, order="F")
    for start in range(0, shape[0], BLOCK):
        yield whole[start : start + BLOCK]


def _read(stream: IO[bytes], count: int, dtype: np.dtype) -> np.ndarray:
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise ScoresError("an array ends before its last entry; the file was cut off, write it again")
    values = np.frombuffer(data, dtype)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _labels(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as stream:
        shape, _, dtype = _header(stream, name)
        if len(shape) != 1:
            raise ScoresError(f"{name} has shape {shape}; it must be one list of labels")
        if not shape[0]:
            raise ScoresError(f"{name} is empty: there is nothing to evaluate")
        if dtype.kind not in "iufbUS":
            raise ScoresError(f"{name} is {dtype}; labels are whole numbers or text")
        values = _read(stream, shape[0], dtype)
    if dtype.kind == "f" and not np.isfinite(values).all():
        raise ScoresError(f"{name} holds NaN or infinity")
    return values


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, column order, dtype) of a .npy stream, read to the array's first byte."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(stream)
    except (ValueError, KeyError):
        raise ScoresError(f"{name} is not a plain NumPy array; write the file with numpy.savez") from None
    if dtype.hasobject:
        raise ScoresError(
            f"{name} is an array of Python objects, which would run code when read; save numbers or text"
        )
    return shape, fortran, dtype
