"""What the harness found: blocks of queries on disk, read one at a time, and the rankers' scores off them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.model.checkpoint import Calibration
from app.retrieval.query import KINDS_OF_QUERY
from training.evaluation.rankers import Found
from training.evaluation.relevance import Relevance
from training.evaluation.results import write_bytes

PARTS = ("encode", "prefilter", "words", "best-choice")


@dataclass(frozen=True)
class Searched:
    """Q queries over G gallery records.

    ids: int64 (G,), each record's crop, -1 where its picture could not be read. unique: int64 (U,), the
    crops, ascending. files: the blocks. calibrations: by kind of query; None without a manifest.
    """

    queries: int
    ids: np.ndarray
    unique: np.ndarray
    files: tuple[Path, ...]
    calibrations: Mapping[str, Calibration | None]

    def found(self) -> Iterator[Found]:
        """Every query's findings, in the order of the queries, a block in memory at a time."""
        for file in self.files:
            yield from read_block(file, self.unique)

    def blocks(self, ranker: str) -> Iterator[np.ndarray]:
        """Scores float32 (q, G) by blocks of consecutive queries, higher is better; all finite.

        A score is minus the place in the ranking, so the order is exactly the engine's: the candidates that
        the model read, then the rest in CLIP's order, last the query's own picture and unreadable crops.
        For best choice, queries that were not asked are left out (see `chosen`).

        Raises:
            ValueError: no such ranker.
        """
        for file in self.files:
            rows = [
                self._spread(found.scores(ranker, self.calibrations[found.kind]))
                for found in read_block(file, self.unique)
                if ranker != "best-choice" or found.chosen is not None
            ]
            if rows:
                yield np.stack(rows)

    def scores(self, ranker: str) -> np.ndarray:
        """float32 (Q, G), all blocks together; for galleries that fit in memory."""
        blocks = list(self.blocks(ranker))
        return np.concatenate(blocks) if blocks else np.zeros((0, len(self.ids)), np.float32)

    def chosen(self) -> np.ndarray:
        """int64: the queries for which best choice was asked."""
        asked = [number for number, found in enumerate(self.found()) if found.chosen is not None]
        return np.array(asked, np.int64)

    def recall(self, relevance: Relevance, start: int = 0) -> float:
        """Prefilter recall of the relevance's queries, the first of which is number `start` here.

        The share of a query's true matches that the model read, mean over the queries that have any; no
        re-ranker can do more for them.
        """
        shares = []
        for number, found in enumerate(self.found(), -start):
            if not 0 <= number < relevance.queries:
                continue
            columns, junk = relevance.of(number)
            matches = columns[~junk]
            if len(matches):
                _, nearest = found.prefiltered()
                read = self.unique[nearest[: found.asked]]
                shares.append(float(np.isin(self.ids[matches], read).mean()))
        return float(np.mean(shares)) if shares else 0.0

    def seconds(self) -> dict[str, float]:
        """Mean seconds a query, by part; best choice over the queries that were asked it."""
        spent = np.array([found.seconds for found in self.found()])
        means = dict(zip(PARTS, spent.mean(0).tolist(), strict=True))
        chosen = self.chosen()
        means["best-choice"] = float(spent[chosen, 3].mean()) if len(chosen) else 0.0
        return means

    @property
    def unreadable(self) -> int:
        """Records whose picture could not be read."""
        return int((self.ids < 0).sum())

    def _spread(self, scores: np.ndarray) -> np.ndarray:
        """(U,) -> (G,): records that are one crop share its score."""
        spread = np.full(len(self.ids), -len(self.ids) - 1, np.float32)
        readable = self.ids >= 0
        spread[readable] = scores[np.searchsorted(self.unique, self.ids[readable])]
        return spread


def write_block(file: Path, found: Sequence[Found]) -> None:
    """Whole or not at all."""
    widest = max(one.asked for one in found)
    words = np.full((len(found), widest), np.nan)
    near = np.full((len(found), widest), np.nan, np.float32)
    chosen = np.full((len(found), widest), -1, np.int64)
    for row, one in enumerate(found):
        words[row, : one.asked] = one.words
        near[row, : one.asked] = one.near
        if one.chosen is not None:
            chosen[row, : one.asked] = one.chosen
    held = io.BytesIO()
    np.savez(
        held,
        similarities=np.stack([one.similarities for one in found]),
        asked=np.array([one.asked for one in found]),
        words=words,
        near=near,
        rarity=np.array([one.rarity for one in found]),
        passed=np.array([one.passed for one in found]),
        chosen=chosen,
        has_chosen=np.array([one.chosen is not None for one in found]),
        kind=np.array([KINDS_OF_QUERY.index(one.kind) for one in found]),
        seconds=np.stack([one.seconds for one in found]),
    )
    write_bytes(file, held.getvalue())


def read_block(file: Path, unique: np.ndarray) -> list[Found]:
    """The findings of a block over the crops `unique`, int64 (U,)."""
    with np.load(file, allow_pickle=False) as held:
        block = {name: held[name] for name in held.files}
    return [
        Found(
            unique,
            block["similarities"][row],
            asked := int(block["asked"][row]),
            block["words"][row, :asked],
            block["near"][row, :asked],
            float(block["rarity"][row]),
            bool(block["passed"][row]),
            block["chosen"][row, :asked] if block["has_chosen"][row] else None,
            KINDS_OF_QUERY[int(block["kind"][row])],
            block["seconds"][row],
        )
        for row in range(len(block["asked"]))
    ]
