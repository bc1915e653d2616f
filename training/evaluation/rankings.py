"""The first places of every query, on disk: what rank galleries, CMC curves and the cameras' table are drawn from."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from training.evaluation.metrics import Ranks
from training.evaluation.relevance import Relevance
from training.evaluation.results import ResultError, file_stem, write_bytes

PLACES = 20  # kept of each ranking
CMC_RANKS = 50
THUMBNAIL = (128, 64)  # height, width
SHOWN = 3  # best and worst queries of a setting, that a report has pictures of
FOLDER = "rankings"
PICTURES = "pictures"


@dataclass(frozen=True)
class Side:
    """Queries or gallery, as a report names them: all str (n,). texts: what was asked in words, "" for none."""

    names: np.ndarray
    persons: np.ndarray
    cameras: np.ndarray
    texts: np.ndarray

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        persons: Sequence[str],
        cameras: Sequence[str],
        texts: Sequence[str] | None = None,
    ) -> Side:
        """Raises ValueError where the lists differ in length."""
        texts = texts if texts is not None else [""] * len(names)
        if not len(names) == len(persons) == len(cameras) == len(texts):
            raise ValueError("names, persons, cameras and texts are not equally many")
        return cls(*(np.array(list(column), dtype=str) for column in (names, persons, cameras, texts)))


@dataclass(frozen=True)
class Rankings:
    """One setting by one ranker.

    top: int32 (Q, PLACES), gallery rows best first, junk taken out, -1 where the gallery is smaller.
    hits: bool (Q, PLACES). scores: float32 (Q, PLACES). ap: float64 (Q,), NaN without a match.
    first: int64 (Q,), rank of the first match, 0 without one. cmc: float64 (CMC_RANKS,).
    """

    queries: Side
    gallery: Side
    top: np.ndarray
    hits: np.ndarray
    scores: np.ndarray
    ap: np.ndarray
    first: np.ndarray
    cmc: np.ndarray

    def write(self, folder: Path | str, setting: str, ranker: str) -> Path:
        """Write DIR/rankings/SETTING.RANKER.npz, whole or not at all."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for side in ("queries", "gallery"):
            arrays |= {f"{side}_{f.name}": getattr(getattr(self, side), f.name) for f in fields(Side)}
        held = io.BytesIO()
        np.savez_compressed(held, **arrays)
        return write_bytes(ranking_file(folder, setting, ranker), held.getvalue())

    @classmethod
    def read(cls, folder: Path | str, setting: str, ranker: str) -> Rankings | None:
        """None where none was written. Raises ResultError for a damaged file."""
        path = ranking_file(folder, setting, ranker)
        try:
            with np.load(path, allow_pickle=False) as held:
                sides = {
                    side: Side(**{f.name: held[f"{side}_{f.name}"] for f in fields(Side)})
                    for side in ("queries", "gallery")
                }
                arrays = [held[name] for name in _ARRAYS]
                return cls(sides["queries"], sides["gallery"], *arrays)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ResultError(f"{path} is damaged ({error}); run the evaluation again") from None

    def best(self, count: int) -> np.ndarray:
        """Rows of the queries that fared best, by AP, equal ones in their order."""
        return np.argsort(-np.nan_to_num(self.ap, nan=-1.0), kind="stable")[: self._shown(count)]

    def worst(self, count: int) -> np.ndarray:
        """Rows of the queries that fared worst, among those with a match."""
        return np.argsort(np.nan_to_num(self.ap, nan=2.0), kind="stable")[: self._shown(count)]

    def _shown(self, count: int) -> int:
        return min(count, int(np.isfinite(self.ap).sum()))


_ARRAYS = ("top", "hits", "scores", "ap", "first", "cmc")


def rankings(
    scores: np.ndarray | Iterable[np.ndarray],
    relevance: Relevance,
    ranks: Ranks,
    queries: Side,
    gallery: Side,
) -> Rankings:
    """Cut the first places out of scores (Q, G), whole or in blocks of consecutive queries.

    Higher is better, ties go by gallery order, junk is left out.
    """
    count = relevance.queries
    top = np.full((count, PLACES), -1, np.int32)
    hits = np.zeros((count, PLACES), bool)
    kept = np.full((count, PLACES), np.nan, np.float32)
    for query, row in enumerate(row for block in scores for row in np.atleast_2d(block)):
        columns, junk = relevance.of(query)
        wanted = min(len(row), PLACES + int(junk.sum()))
        # The wanted-th best score: all above it, and the earliest of those level with it.
        floor = np.partition(row, len(row) - wanted)[len(row) - wanted]
        places = np.flatnonzero(row >= floor)
        places = places[np.argsort(-row[places], kind="stable")]
        places = places[~np.isin(places, columns[junk])][:PLACES]
        top[query, : len(places)] = places
        hits[query, : len(places)] = np.isin(places, columns[~junk])
        kept[query, : len(places)] = row[places]
    return Rankings(queries, gallery, top, hits, kept, ranks.ap, ranks.first, ranks.cmc(CMC_RANKS))


def ranking_file(folder: Path | str, setting: str, ranker: str) -> Path:
    return Path(folder) / FOLDER / f"{file_stem(setting, ranker)}.npz"


def picture_file(folder: Path | str, setting: str, side: str, row: int) -> Path:
    """Where the thumbnail of a query ("q") or gallery ("g") row lies."""
    return Path(folder) / PICTURES / file_stem(setting) / f"{side}{row}.jpg"


def write_shown(
    folder: Path | str,
    setting: str,
    kept: Rankings,
    query: Callable[[int], Image.Image | None],
    crop: Callable[[int], Image.Image],
) -> None:
    """Thumbnails of the best and worst queries and of their first places.

    query, crop: the picture of a query row, None where it has none, and of a gallery row.
    """
    shown = np.unique(np.concatenate([kept.best(SHOWN), kept.worst(SHOWN)])).tolist()
    asked = ((row, query(row)) for row in shown)
    write_thumbnails(folder, setting, "q", ((row, picture) for row, picture in asked if picture is not None))
    places = sorted({int(row) for row in kept.top[shown].ravel() if row >= 0})
    write_thumbnails(folder, setting, "g", ((row, crop(row)) for row in places))


def write_thumbnails(
    folder: Path | str, setting: str, side: str, pictures: Iterable[tuple[int, Image.Image]]
) -> None:
    """Keep (row, picture) pairs as small JPEGs; those already there stay."""
    for row, picture in pictures:
        path = picture_file(folder, setting, side, row)
        if path.exists():
            continue
        height, width = THUMBNAIL
        held = io.BytesIO()
        picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(
            held, "JPEG", quality=82
        )
        write_bytes(path, held.getvalue())
