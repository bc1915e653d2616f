"""One evaluation on disk: what was evaluated, the figures, and enough of the rankings to draw them.

    DIR/result.json                     Result: read by people, programs and `python -m training report`
    DIR/rankings/SETTING.RANKER.npz     Rankings: the first places of each query, and the CMC curve
    DIR/pictures/SETTING/*.jpg          thumbnails of what the report shows of a setting

The benchmarks, the synthetic world, the dialogue and the open set all write this form.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from training.evaluation.metrics import Metrics

SCHEMA = 1
RESULT_FILE = "result.json"
KINDS = ("benchmark", "synthetic", "dialogue", "open-set")


class ResultError(ValueError):
    """A run that cannot be read; the message names the file and the mend."""


@dataclass(frozen=True)
class Model:
    """Which models answered. stages: names as in the checkpoint's manifest, such as "stage2"; () without one.

    name: as given to --model; "" where CLIP answered alone. parameters: of the language-vision model, 0
    where unknown. encoder: "name@version" of CLIP. tau: None where the manifest's own was taken.
    """

    name: str = ""
    base_model: str = ""
    stages: tuple[str, ...] = ()
    parameters: int = 0
    encoder: str = ""
    tau: float | None = None
    k: int = 0


Figures = Mapping[str, float]  # mAP, rank1, rank5, rank10, mINP as fractions; queries, prefilter_recall, ...
Settings = Mapping[str, Mapping[str, Figures]]  # setting -> ranker -> figures


@dataclass(frozen=True)
class Result:
    """A finished evaluation.

    kind: of KINDS. benchmark: a data set's name, or "synthetic"; variant: of the data set, or "".
    world: {"version", "seed", "identities", ...} of drawn people, {} for photographs.
    settings: the figures. seconds: the parts of the time spent ("total", "index", "rerank", ...).
    notes: sentences that a reader of the table needs. extra: what only one kind of evaluation has (rounds
    of a dialogue, a reliability curve, bootstrap intervals), as JSON.
    """

    kind: str
    benchmark: str
    settings: Settings
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
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        return write_bytes(Path(folder) / RESULT_FILE, (text + "\n").encode())

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
            found = raw.get("schema") if isinstance(raw, dict) else None
            raise ResultError(f"{path} is of schema {found}, and this ChatReID reads {SCHEMA}; run it again")
        try:
            if unknown := sorted(set(raw) - {entry.name for entry in fields(cls)}):
                raise ValueError(f"unknown keys {', '.join(unknown)}")
            model = Model(**{**raw["model"], "stages": tuple(raw["model"]["stages"])})
            result = cls(**{**raw, "model": model, "notes": tuple(raw["notes"])})
            for rankers in result.settings.values():
                for figures in rankers.values():
                    {name: float(value) for name, value in figures.items()}
            return result
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ResultError(f"{path} is not an evaluation ({error}); run it again") from None


def figures_of(metrics: Metrics, **more: float) -> dict[str, float]:
    """One ranker's figures in a setting, as the table and --json name them."""
    return {**asdict(metrics), **more}


def file_stem(*parts: str) -> str:
    """The name of a setting's (and ranker's) files: no path can be made of it."""
    return ".".join("".join(c if c.isalnum() or c in "-_" else "_" for c in part) for part in parts)


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file so that a kill leaves the old one or the new one; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
