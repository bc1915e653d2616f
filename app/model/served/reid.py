"""The Re-ID model where it runs on Ray Serve: the app asks this as it asks a ReidModel of its own."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.pictures import RUN_TIME, BoundedCache, ImageRule, Picture, apply_rule
from app.model.reid_model import GREY, PROBS_KEPT, READINGS_KEPT, Stop, never
from app.model.served.connection import Connection, StoppedWaiting
from app.model.served.messages import (
    Answer,
    Kind,
    Question,
    pack,
    pack_question,
    pictures_to_arrays,
    unpack_answer,
)
from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION, Attribute, Kinds
from gallery_store.console import Progress
from gallery_store.pace import Pace

if TYPE_CHECKING:
    from app.model.answers import AttributeReading
    from app.model.generation import WrittenAnswer
    from app.model.prompts import Message

ROUTE = "/reid"
_MOST, _FIRST = 64, 4  # pictures that are asked about between two looks at Stop
_SOON = 0.5  # seconds that they may take
_SENT_KEPT = 1_000_000  # pictures that are known to be at a replica


class ServedModel:
    """A checkpoint on replicas. Thread-safe; many calls compute at a time.

    A crop is always asked about at the same replica, which has its vision tokens. A picture is sent there once, at the
    model's own size, and again where the replica does not have it any more. A replica that is lost costs time alone.

    name, manifest, kinds: as ReidModel has them. lost: how often a question had to be asked again, or went to
    another replica than before.
    """

    def __init__(self, connection: Connection, about: Mapping[str, Any]) -> None:
        """about: as the replicas say it. Raises ModelError for a manifest that is not understood."""
        self._connection = connection
        self._version = str(about["version"])
        self._buckets = int(about["buckets"])
        self._token_bytes = int(about["tokens"])
        raw = about["manifest"]
        where = f"the manifest of the model at {connection.shown}"
        self.manifest = CheckpointManifest.parse(json.dumps(raw), where) if raw is not None else None
        self.name = self.manifest.name if self.manifest else str(about["spec"])
        self.rule: ImageRule = self.manifest.image_rule if self.manifest else RUN_TIME
        version = self.manifest.vocabulary_version if self.manifest else VOCABULARY_VERSION
        self.kinds: Kinds = KINDS_OF_VERSION[version]
        self.workers = connection.workers
        self._sent: BoundedCache[bool] = BoundedCache(_SENT_KEPT)
        self._paces: dict[Kind, Pace] = {}  # that the replicas were found to keep
        self._homes: dict[str, str] = {}  # session -> the process that answered last
        self._readings: BoundedCache[tuple[AttributeReading, ...]] = BoundedCache(READINGS_KEPT)
        self._probs: BoundedCache[np.ndarray] = BoundedCache(PROBS_KEPT)

    @classmethod
    def connect(cls, address: str) -> ServedModel:
        """The model that a Ray Serve has. address: ray://HOST:PORT. Raises ModelError."""
        connection = Connection(address, ROUTE)
        return cls(connection, connection.about())

    @property
    def lost(self) -> int:
        return self._connection.lost

    @property
    def talks_freely(self) -> bool:
        return self.manifest is None or self.manifest.talks_freely

    def warm_up(self) -> int:
        """Ask one question; returns the bytes that the vision tokens of one replica may take. Raises ModelError."""
        if not np.isfinite(self.yes_logits("", [GREY], [GREY])).all():
            raise ModelError(f"{self.name} answers with numbers that are not finite; look at its replicas")
        return self._token_bytes

    def yes_logits(
        self,
        description: str,
        references: Sequence[Picture],
        candidates: Sequence[Picture],
        *,
        other_clothes: bool = False,
        stop: Stop | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """As ReidModel.yes_logits."""
        scores = np.full(len(candidates), np.nan, np.float32)
        ask = _Asking(self, "yes", references, description=description, other_clothes=other_clothes)
        for place, answer, row in ask.about(candidates, stop or never, progress):
            scores[place] = answer.values[row]
        return scores

    def choice_logits(
        self,
        description: str,
        references: Sequence[Picture],
        lists: Sequence[Sequence[Picture]],
        *,
        other_clothes: bool = False,
    ) -> np.ndarray:
        """As ReidModel.choice_logits; all lists of one query are asked about at one replica."""
        pictures = {str(p.key): p for p in (*references, *(p for shown in lists for p in shown))}
        question = Question(
            "choice",
            description=description,
            references=tuple(str(p.key) for p in references),
            lists=tuple(tuple(str(p.key) for p in shown) for shown in lists),
            other_clothes=other_clothes,
        )
        session = self.session(f"{description}\n{question.references}")
        return self.ask(session, question, pictures, None)[1].values

    def can_open(self, pictures: Sequence[Picture], *, stop: Stop | None = None) -> np.ndarray:
        """As ReidModel.can_open; what was sent before could be opened then."""
        can = np.zeros(len(pictures), bool)
        for place, picture in enumerate(pictures):
            if stop is not None and stop():
                break
            can[place] = self._opens(picture)
        return can

    def attribute_probs(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """As ReidModel.attribute_probs."""
        known = {picture.key: self._probs.get(picture.key) for picture in pictures}
        missing = list({p.key: p for p in pictures if known[p.key] is None}.values())
        for place, answer, number in _Asking(self, "attributes").about(missing, stop or never, progress):
            known[missing[place].key] = read = answer.values[number].copy()
            self._probs.put(missing[place].key, read, 1)
        nothing = np.full(sum(map(len, self.kinds.values())), np.nan, np.float32)
        rows = [row if (row := known[picture.key]) is not None else nothing for picture in pictures]
        return np.stack(rows) if rows else np.empty((0, len(nothing)), np.float32)

    def annotate(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None
    ) -> list[tuple[AttributeReading, ...]]:
        """As ReidModel.annotate."""
        from app.model.answers import AttributeReading

        known = {picture.key: self._readings.get(picture.key) for picture in pictures}
        missing = list({p.key: p for p in pictures if known[p.key] is None}.values())
        for picture in missing:
            if not self._opens(picture):
                picture.load()  # says why
        for place, answer, row in _Asking(self, "annotations").about(missing, stop or never):
            stated = answer.readings[row]
            known[missing[place].key] = read = tuple(
                AttributeReading(Attribute(kind, value), sure) for kind, value, sure in stated
            )
            self._readings.put(missing[place].key, read, 1)
        return [known[picture.key] or () for picture in pictures]

    def write(
        self,
        messages: list[Message],
        pictures: Sequence[Picture],
        *,
        limit: int,
        said: Callable[[str], None] = lambda _: None,
        stop: Stop | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> WrittenAnswer:
        """As ReidModel.write. Where the replica is lost in mid-answer, another begins it anew."""
        from app.model.generation import WrittenAnswer

        keys = [str(picture.key) for picture in pictures]
        header = {"messages": messages, "pictures": keys, "limit": limit, "schema": schema and dict(schema)}
        arrays = {str(picture.key): np.asarray(apply_rule(self.rule, picture.load())) for picture in pictures}
        body = pack(header, pictures_to_arrays(arrays))
        stopped, tries, text = stop or never, self._connection.tries(stop), ""
        try:
            while True:
                try:
                    session = self.session("".join(keys))
                    with self._connection.lines("write", body, session=session, tries=tries) as lines:
                        for line in lines:
                            if "wrong" in line:
                                raise ModelError(line["wrong"])
                            if "ended" in line:
                                return WrittenAnswer(line["text"], line["ended"])
                            text = line["text"]
                            said(text)
                            if stopped():
                                return WrittenAnswer(text, False)
                    tries.lost("its answer broke off", answered=True)
                except httpx.TransportError as error:
                    tries.lost(str(error) or type(error).__name__)
        except StoppedWaiting:
            return WrittenAnswer(text, False)

    def pace(self, kind: Kind) -> Pace:
        """Of questions of this kind, from one call to the next: the first of all is small."""
        return self._paces.setdefault(kind, Pace(_MOST, first=_FIRST, seconds=_SOON))

    def session(self, key: str) -> str:
        """What leads to the replica of a picture or a query. Ray Serve spreads these over its replicas by
        consistent hashing, so that when one comes or goes the others keep what they have.
        """
        return str(zlib.crc32(key.encode()) % self._buckets)

    def ask(
        self,
        session: str,
        question: Question,
        pictures: Mapping[str, Picture],
        stop: Stop | None,
        *,
        skip_unreadable: bool = False,
    ) -> tuple[Question, Answer]:
        """One question to one replica, and what was asked: without the candidates that cannot be opened, if these are
        skipped. pictures: all that it is about.

        Raises:
            ModelError, StoppedWaiting. OSError, ValueError: a picture that has to be sent cannot be opened.
        """
        to_send = [key for key in question.keys if not self._sent.get((session, key))]
        for _ in range(
            2
        ):  # a replica that was restarted, or had to forget, has not seen what it was sent before
            arrays: dict[str, np.ndarray] = {}
            for key in to_send:
                try:
                    arrays[key] = np.asarray(apply_rule(self.rule, pictures[key].load()))
                except (OSError, ValueError):
                    if not skip_unreadable or key in question.references:
                        raise
            gone = set(to_send) - set(arrays)
            left = tuple(key for key in question.candidates if key not in gone)
            question = replace(question, candidates=left, pictures=arrays)
            if not (left or question.lists):
                return question, Answer(self._version)
            answer = self._put(session, question, stop)
            if not answer.missing:
                for key in question.keys:
                    self._sent.put((session, key), True, 1)
                return question, answer
            to_send = list(question.keys)
        raise ModelError(f"{self.name} does not take the pictures that it is sent; look at its replicas")

    def _put(self, session: str, question: Question, stop: Stop | None) -> Answer:
        try:
            answer = unpack_answer(
                self._connection.ask("ask", pack_question(question), session=session, stop=stop)
            )
        except ModelError:
            raise
        except ValueError as error:
            raise ModelError(
                f"{self._connection.shown} does not answer as ChatReID's replicas do: {error}"
            ) from None
        if answer.version != self._version:
            raise ModelError(
                f"the model at {self._connection.shown} has other weights than at the start; start the app again"
            )
        if self._homes.setdefault(session, answer.process) != answer.process:
            self._homes[session] = answer.process  # it has not seen what the other had
            self._connection.count_lost()
        return answer

    def _opens(self, picture: Picture) -> bool:
        if self._sent.get(str(picture.key)):
            return True
        try:
            picture.load()
        except (OSError, ValueError):
            return False
        self._sent.put(str(picture.key), True, 1)
        return True


class _Asking:
    """One call's questions about many pictures: some at a time, those of one replica together."""

    def __init__(
        self, model: ServedModel, kind: Kind, references: Sequence[Picture] = (), **query: Any
    ) -> None:
        self._model = model
        self._references = {str(picture.key): picture for picture in references}
        order = tuple(str(picture.key) for picture in references)
        self._question = Question(kind, references=order, **query)

    def about(
        self, pictures: Sequence[Picture], stop: Stop, progress: Progress | None = None
    ) -> Iterator[tuple[int, Answer, int]]:
        """The place of a picture, an answer, and the row there that is about it; nothing for one that cannot be opened,
        or that `stop` came before. Raises as ServedModel.ask, of references.
        """
        pace, start = self._model.pace(self._question.kind), 0
        while start < len(pictures) and not stop():
            began, size = time.perf_counter(), pace.size
            end = min(start + size, len(pictures))
            groups: dict[str, dict[str, list[int]]] = {}
            for place in range(start, end):
                key = str(pictures[place].key)
                groups.setdefault(self._model.session(key), {}).setdefault(key, []).append(place)
            ask = partial(self._one, pictures, stop)
            try:
                answers = list(self._model.workers.map(ask, groups, groups.values()))
            except StoppedWaiting:
                return
            for places, (question, answer) in zip(groups.values(), answers, strict=True):
                for row, key in enumerate(question.candidates):
                    yield from ((place, answer, row) for place in places[key])
            seconds = time.perf_counter() - began
            if end - start == size or seconds > _SOON:  # of a few the way there and back is most
                pace.took(end - start, seconds)
            start = end
            if progress is not None:
                progress(start, len(pictures))

    def _one(
        self, pictures: Sequence[Picture], stop: Stop, session: str, places: Mapping[str, Sequence[int]]
    ) -> tuple[Question, Answer]:
        known = self._references | {key: pictures[own[0]] for key, own in places.items()}
        question = replace(self._question, candidates=tuple(places))
        return self._model.ask(session, question, known, stop, skip_unreadable=True)
