"""One evaluation on disk: what was evaluated, the figures, and enough of the rankings to draw them.

    DIR/result.json                     Result: read by people, programs and `python -m training report`
    DIR/rankings/SETTING.RANKER.npz     Rankings: the first places of each query, and the CMC curve, for rank
                                        galleries and charts
    DIR/pictures/SETTING/*.jpg          thumbnails of what the report shows of a setting

The benchmarks, the synthetic world, the dialogue and the open set all write this form.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ConfigDict, TypeAdapter, ValidationError

from gallery_store.files import write_file, write_json
from training.evaluation.metrics import Metrics, Ranks, Relevance

SCHEMA = 1
RESULT_FILE = "result.json"
KINDS = ("benchmark", "synthetic", "dialogue", "open-set")
PLACES = 20  # kept of each ranking
CMC_RANKS = 50
THUMBNAIL = (128, 64)  # height, width
SHOWN = 3  # best and worst queries of a setting, that a report has pictures of
FOLDER = "rankings"
PICTURES = "pictures"


class ResultError(ValueError):
    """A run that cannot be read; the message names the file and the mend."""


@dataclass(frozen=True)
class Model:
    """Which models answered. stages: names as in the checkpoint's manifest, such as "stage2"; () without one.

    name: as given to --model; "" where CLIP answered alone. parameters: of the language-vision model, 0
    where unknown. encoder: "name@version" of CLIP, and of a re-ID encoder behind " + ". tau: None where the manifest's
    own was taken.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str = ""
    base_model: str = ""
    stages: tuple[str, ...] = ()
    parameters: int = 0
    encoder: str = ""
    tau: float | None = None
    k: int = 0


Figures = Mapping[str, float]  # mAP, rank1, rank5, rank10, mINP as fractions; queries, prefilter_recall, ...


@dataclass(frozen=True)
class Result:
    """A finished evaluation.

    kind: of KINDS. benchmark: a data set's name, or "synthetic"; variant: of the data set, or "".
    world: {"version", "seed", "identities", ...} of drawn people, {} for photographs.
    settings: setting -> ranker -> figures. seconds: the parts of the time spent ("total", "index", "rerank", ...).
    notes: sentences that a reader of the table needs. extra: what only one kind of evaluation has (rounds
    of a dialogue, a reliability curve, bootstrap intervals), as JSON.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    kind: str
    benchmark: str
    settings: Mapping[str, Mapping[str, Figures]]
    variant: str = ""
    model: Model = Model()
    world: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of evaluation {self.kind!r}; known are {', '.join(KINDS)}")

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it and result.json keeps it."""
        return asdict(self)

    def write(self, folder: Path | str) -> Path:
        """Write DIR/result.json; a reader sees the old one or the new one. Raises ValueError for NaN."""
        return write_json(Path(folder) / RESULT_FILE, self.to_json())

    @classmethod
    def read(cls, folder: Path | str) -> Result:
        """The result in a folder. Raises ResultError."""
        path = Path(folder) / RESULT_FILE
        try:
            raw = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise ResultError(
                f"{folder} has no {RESULT_FILE}: give a folder that `python -m training evaluate --out` wrote"
            ) from None
        except (OSError, ValueError) as error:
            raise ResultError(f"{path} cannot be read ({error}); run the evaluation again") from None
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            schema = raw.get("schema") if isinstance(raw, dict) else None
            raise ResultError(f"{path} is of schema {schema}, and this ChatReID reads {SCHEMA}; run it again")
        try:
            result = TypeAdapter(cls).validate_json(json.dumps(raw), strict=True)
            if missing := sorted({entry.name for entry in fields(cls)} - set(raw)):
                raise ValueError(f"it lacks {', '.join(missing)}")
            return result
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            why = f"{'.'.join(map(str, first['loc']))} {first['input']!r:.40}: {first['msg']}"
        except ValueError as error:
            why = str(error)
        raise ResultError(f"{path} is not an evaluation ({why}); run it again")


def figures_of(metrics: Metrics, **more: float) -> dict[str, float]:
    """One ranker's figures in a setting, as the table and --json name them."""
    return {**asdict(metrics), **more}


def file_stem(*parts: str) -> str:
    """The name of a setting's (and ranker's) files: no path can be made of it."""
    return ".".join("".join(c if c.isalnum() or c in "-_" else "_" for c in part) for part in parts)


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
    hits: bool (Q, PLACES), which of them are right. ap: float64 (Q,), NaN without a match.
    first: int64 (Q,), rank of the first match, 0 without one. cmc: float64 (CMC_RANKS,).
    """

    queries: Side
    gallery: Side
    top: np.ndarray
    hits: np.ndarray
    ap: np.ndarray
    first: np.ndarray
    cmc: np.ndarray

    def write(self, folder: Path | str, setting: str, ranker: str) -> Path:
        """Write DIR/rankings/SETTING.RANKER.npz, whole or not at all."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for side in ("queries", "gallery"):
            arrays |= {f"{side}_{f.name}": getattr(getattr(self, side), f.name) for f in fields(Side)}
        data = io.BytesIO()
        np.savez_compressed(data, **arrays)
        return write_file(ranking_file(folder, setting, ranker), data.getvalue())

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


_ARRAYS = ("top", "hits", "ap", "first", "cmc")


def rankings(
    orders: Iterable[np.ndarray], relevance: Relevance, ranks: Ranks, queries: Side, gallery: Side
) -> Rankings:
    """Cut the first places out of the orders, int (G,) for each query, gallery rows best first; junk is left out."""
    top = np.full((relevance.queries, PLACES), -1, np.int32)
    hits = np.zeros((relevance.queries, PLACES), bool)
    for query, order in enumerate(orders):
        columns, junk = relevance.of(query)
        first = order[: PLACES + int(junk.sum())]
        first = first[~np.isin(first, columns[junk])][:PLACES]
        top[query, : len(first)] = first
        hits[query, : len(first)] = np.isin(first, columns[~junk])
    return Rankings(queries, gallery, top, hits, ranks.ap, ranks.first, ranks.cmc(CMC_RANKS))


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
        data = io.BytesIO()
        picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(
            data, "JPEG", quality=82
        )
        write_file(path, data.getvalue())
