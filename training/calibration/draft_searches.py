"""The searches of a calibration, asked of the checkpoint with drafts of what is fitted, and the fit of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from app.model.asked import AskedModel
from app.model.checkpoint import (
    KINDS_OF_QUERY,
    Calibration,
    CheckpointManifest,
    KindOfQuery,
    ModelError,
    encoder_key,
)
from app.model.loading import find_checkpoint
from app.model.pictures import Picture
from app.retrieval.reid import prefilter_encoder
from gallery_store.console import StepProgress
from gallery_store.store import GalleryStore
from training.calibration.audit import JudgedInApp
from training.calibration.by_kind import SHOWN, JudgedPairs, fit_kind
from training.calibration.fit import OneSided
from training.calibration.found import RANKERS, Found, found, pairs_of
from training.calibration.searches import CalibrationError, Searches
from training.calibration.shares import Likeness, fit_shares
from training.datasets.record import Record
from training.evaluation.harness import search_all
from training.evaluation.workers import Workers

WITH_WORDS: tuple[KindOfQuery, ...] = ("text", "image-plus-text")
# Asks everything of every candidate: what is worth nothing is only known afterwards. A similarity is -1 or more.
_ASK_ALL = Calibration(
    yes_logit=1.0, similarity=1.0, bias=0.0, clip_similarity=1.0, clip_bias=0.0, tau=-2.0, threshold=0.0
)


class DraftSearches:
    """The checkpoint with drafts of its calibrations: searches by the engine that operators get.

    keys: of each kind of query, the encoder that prefilters it; clip: of words. before: the checkpoint's own manifest,
    or a new one. draft: calibrations that ask everything of every candidate. sharpness: as attribute_sharpness, with
    what was fitted.
    """

    def __init__(
        self,
        folder: Path,
        records: Sequence[Record],
        workers: Workers,
        running: Path,
        kinds: Sequence[KindOfQuery],
        progress: StepProgress,
    ) -> None:
        self.workers, self.running, self.kinds, self.progress = workers, running, kinds, progress
        opened = workers.opened
        assert opened.model is not None
        self.model = opened.model
        self.model.warm_up()
        by = {kind: prefilter_encoder(kind, opened.encoder, opened.reid) for kind in KINDS_OF_QUERY}
        self.keys = {kind: encoder_key(encoder.name, encoder.version) for kind, encoder in by.items()}
        self.clip = self.keys["text"]
        checkpoint = find_checkpoint(folder)
        self.before = self.model.manifest or CheckpointManifest(
            folder.name, Path(checkpoint.base).name if checkpoint.folder else checkpoint.base
        )
        self.sharpness = dict(self.before.attribute_sharpness)
        reads = _reads(self.model, records)
        self.draft: dict[KindOfQuery, Calibration] = {}
        for kind, encoder in by.items():
            known = self.before.calibration(encoder.name, encoder.version, kind) or _ASK_ALL
            self.draft[kind] = replace(
                _ASK_ALL,
                attribute_score=float(reads),
                text_weight=known.text_weight,
                attribute_share=known.attribute_share,
                stated_share=known.stated_share,
            )

    def with_calibrations(self, by: Mapping[KindOfQuery, Calibration]) -> CheckpointManifest:
        """The manifest with these, each for the encoder that prefilters its kind of query, and with the sharpness that
        was fitted; others stay."""
        all_of: dict[str, Mapping[KindOfQuery, Calibration]] = dict(self.before.calibrations)
        for kind, calibration in by.items():
            all_of[self.keys[kind]] = {**all_of.get(self.keys[kind], {}), kind: calibration}
        return replace(self.before, calibrations=all_of, attribute_sharpness=self.sharpness)

    def asking(self, fitted: Mapping[KindOfQuery, Calibration]) -> dict[KindOfQuery, Calibration]:
        """As fitted, but that P(yes) is asked for where it has no weight too, and the attributes come unweighed."""
        return self.draft | {
            kind: replace(
                calibration,
                yes_logit=1.0,
                similarity=1.0,
                attribute_score=float(calibration.attribute_score > 0),
            )
            for kind, calibration in fitted.items()
        }

    def ask_to_fit(self, what: Searches) -> dict[KindOfQuery, list[Found]]:
        """Every search, by kind, after the shares of a similarity were fitted: nothing is asked for those."""

        def fit_shares(database: Path, ids: np.ndarray) -> None:
            with GalleryStore.open(database) as store:
                self._fit_shares(what, store, ids)
            self.model.manifest = self.with_calibrations(self.draft)

        return self.ask("fit", what, self.draft, fit_shares)

    def ask(
        self,
        name: str,
        what: Searches,
        by: Mapping[KindOfQuery, Calibration],
        indexed: Callable[[Path, np.ndarray], None] | None = None,
    ) -> dict[KindOfQuery, list[Found]]:
        """Every search, by kind, with these calibrations. indexed: as search_all has it."""
        self.model.manifest = self.with_calibrations(by)
        hits = search_all(
            what.queries,
            what.gallery,
            self.workers,
            work=self.running / name,
            rankers=tuple(RANKERS.values()),
            progress=lambda step, done, total: self.progress(f"{name}: {step}", done, total),
            indexed=indexed,
        )
        every = list(found(what, hits))
        return {kind: [every[row] for row in what.rows_of(kind).tolist()] for kind in self.kinds}

    def ask_judged(self, kind: KindOfQuery, judged: JudgedInApp | None) -> JudgedPairs | None:
        """What operators judged of one kind, asked as the searches to fit on."""
        if judged is None:
            return None
        return judged.pairs(kind, self.workers.opened, self.running / "audit", self.progress)

    def fitted(self, kind: KindOfQuery, searches: list[Found], judged: JudgedPairs | None) -> Calibration:
        """The calibration of one kind. Raises CalibrationError."""
        draft = self.draft[kind]
        there, gone = pairs_of(searches)
        try:
            calibration, _ = fit_kind(there, gone, (draft.text_weight, draft.attribute_share), judged)
            return replace(calibration, stated_share=draft.stated_share, crops=len(searches[0].hits.ids))
        except OneSided:
            raise CalibrationError(
                f"{kind}: among the first {SHOWN} candidates of all searches there are not both right and wrong ones, "
                "so that there is nothing to fit; ask for more searches by --queries, or take another encoder"
            ) from None
        except ValueError as error:
            raise CalibrationError(
                f"{kind}: {error}; what the checkpoint or the encoder answers is no number, so try another one"
            ) from None

    def _fit_shares(self, what: Searches, store: GalleryStore, ids: np.ndarray) -> None:
        """The drafts' shares by CLIP alone, and its sharpness where it has none; what two readers' attributes were
        fitted with stays."""
        opened = self.workers.opened
        for kind in [one for one in WITH_WORDS if one in self.kinds]:
            if self.keys[kind] in self.before.fusion_weights or self.draft[kind].attribute_share:
                continue
            confusion = self.before.confusion.get(self.clip)
            kinds = self.before.kinds
            likeness = Likeness(what, kind, ids, store, opened.encoder, opened.reid, confusion, kinds)
            shares = fit_shares(
                likeness,
                self.sharpness.get(self.clip),
                partial(self.progress, f"shares: {kind}"),
            )
            self.draft[kind] = replace(
                self.draft[kind], text_weight=shares.text_weight, stated_share=shares.stated_share
            )
            if shares.sharpness is not None:
                self.sharpness[self.clip] = shares.sharpness


def _reads(model: AskedModel, records: Sequence[Record]) -> bool:
    """Whether the model can be asked for attributes: its tokenizer tells their values apart."""
    for number, record in enumerate(records):
        picture = Picture(f"probe-{number}", record.picture)
        if not model.can_open([picture])[0]:
            continue
        try:
            return bool(np.isfinite(model.attribute_probs([picture])).all())
        except ModelError:
            return False
    return False
