"""What a checkpoint knows about itself: `chatreid.json` beside its weights.

Written by the trainer, read by the app; the two meet nowhere else. A checkpoint without one (a plain
Qwen2-VL) is served uncalibrated. One that cannot be understood is refused, never half-used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from app.model.errors import ModelError
from app.model.image_rules import RUN_TIME, ImageRule
from app.model.prompts import PROMPT_VERSION
from app.model.vocabulary import KINDS, VOCABULARY_VERSION

SCHEMA = 1
FILE_NAME = "chatreid.json"
KINDS_OF_QUERY = ("text", "image", "image-plus-text", "image-other-clothes")
READERS = ("both", "model")


@dataclass(frozen=True)
class Calibration:
    """How one kind of query's figures become a probability, with one encoder.

    P = sigmoid(word * w + similarity * s + rarity * r + bias) where the model was asked: w is its word, s the
    similarity, in which the attributes are those that CLIP and the model read together, where the manifest has
    readers; r says how rare in the gallery is what the query's words tell (app.retrieval.shares.rarity). The more
    is told, the less similar is even the right crop, and the less likely is another that fits by chance.
    P = sigmoid(clip_similarity * s + clip_bias) where it was not: s is CLIP's. Weights are never negative.
    tau: crops of a similarity up to this are not worth asking about, -1..1.
    threshold: when no candidate's P reaches it, nobody fits; candidates under it are weak, 0..1.
    text_weight: share of the text's cosine in an image-plus-text similarity, 0..1.
    attributes: share of the attributes in a picture's similarity, beside the cosine, 0..1.
    reading: weight of what the model reads off a picture kind by kind (app.model.form), beside the log-odds of its
    "Yes", in its word, 0 or more.
    """

    word: float
    similarity: float
    bias: float
    clip_similarity: float
    clip_bias: float
    tau: float
    threshold: float
    text_weight: float = 0.5
    attributes: float = 0.0
    reading: float = 0.0
    rarity: float = 0.0

    def __post_init__(self) -> None:
        if min(self.word, self.similarity, self.clip_similarity, self.reading, self.rarity) < 0:
            raise ValueError("a calibration's weights are never negative")
        if not all(0 <= share <= 1 for share in (self.threshold, self.text_weight, self.attributes)):
            raise ValueError("a calibration's threshold, text_weight and attributes lie in 0..1")


@dataclass(frozen=True)
class Kin:
    """How alike two crops of one person in the same clothes are (app.retrieval.kin).

    P = sigmoid(cosine * c + alike * a + bias) of their vectors' cosine c and of how far they show the same
    attributes, a in -1..1. Weights are never negative.
    """

    cosine: float
    alike: float
    bias: float

    def __post_init__(self) -> None:
        if not (0 <= self.cosine < float("inf") and 0 <= self.alike < float("inf")):
            raise ValueError("the weights by which crops are kin are 0 or more")


@dataclass(frozen=True)
class CheckpointManifest:
    """All that `chatreid.json` says.

    stages: one dict per stage done, with its name and recipe. calibrations: encoder ("name@version") ->
    kind of query -> Calibration. readers: encoder -> kind of attribute -> the weights of CLIP's cosine and of the
    logarithm of the model's share, where both read (app.retrieval.shares.joint). kin: encoder -> by whom crops are
    seen, "both" readers or the "model" alone -> when they are kin; none leaves every crop to itself. data: what it saw.
    figures: what was measured, by name. knows: a sentence for the screen, e.g. "Knows drawn people only."
    """

    name: str
    base_model: str
    stages: tuple[Mapping[str, Any], ...] = ()
    prompt_version: int = PROMPT_VERSION
    vocabulary_version: int = VOCABULARY_VERSION
    image_rule: ImageRule = RUN_TIME
    calibrations: Mapping[str, Mapping[str, Calibration]] = field(default_factory=dict)
    readers: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    kin: Mapping[str, Mapping[str, Kin]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    knows: str = ""
    schema: int = SCHEMA

    def calibration(self, encoder_name: str, encoder_version: str, kind: str) -> Calibration | None:
        """The calibration for this encoder and kind of query; None where none was fitted.

        Where none knows of other clothes, a picture's holds for them too.
        """
        kinds = self.calibrations.get(encoder_key(encoder_name, encoder_version), {})
        return kinds.get("image") if kind not in kinds and kind == "image-other-clothes" else kinds.get(kind)

    def readers_with(
        self, encoder_name: str, encoder_version: str
    ) -> Mapping[str, tuple[float, float]] | None:
        """How CLIP and the model are weighed where both read; None where that was not fitted."""
        return self.readers.get(encoder_key(encoder_name, encoder_version))

    def kin_with(self, encoder_name: str, encoder_version: str, who: str) -> Kin | None:
        """When crops are kin by "both" readers or by the "model" alone; None where that was not fitted."""
        return self.kin.get(encoder_key(encoder_name, encoder_version), {}).get(who)

    @classmethod
    def read(cls, folder: Path | str) -> CheckpointManifest | None:
        """The manifest of a checkpoint folder; None where there is none.

        Raises:
            ModelError: it is damaged, or of a schema, prompt or vocabulary version that this ChatReID does
            not know.
        """
        path = Path(folder) / FILE_NAME
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path} cannot be read ({error}); copy the checkpoint again") from None
        try:
            raw = json.loads(text)
        except ValueError:
            raw = None
        if not isinstance(raw, dict):
            raise ModelError(f"{path} is damaged; copy the checkpoint again")
        for key, known, thing in (
            ("schema", SCHEMA, "manifest schema"),
            ("prompt_version", PROMPT_VERSION, "prompts"),
            ("vocabulary_version", VOCABULARY_VERSION, "attribute vocabulary"),
        ):
            found = raw.get(key)
            if found != known:
                raise ModelError(
                    f"{path} is of {thing} version {found}, and this ChatReID knows version {known}; "
                    + (
                        "update ChatReID"
                        if isinstance(found, int) and found > known
                        else "train the checkpoint again with this ChatReID, or use the ChatReID that made it"
                    )
                )
        try:
            return cls._from_json(raw)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{path} is not a manifest ({error}); copy the checkpoint again") from None

    @classmethod
    def _from_json(cls, raw: dict[str, Any]) -> CheckpointManifest:
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(set(raw) - known):
            raise ValueError(f"unknown keys {', '.join(unknown)}")
        calibrations = {
            encoder: {_kind(kind): Calibration(**values) for kind, values in kinds.items()}
            for encoder, kinds in raw.get("calibrations", {}).items()
        }
        readers = {encoder: _weights(kinds) for encoder, kinds in raw.get("readers", {}).items()}
        kin = {
            encoder: {_reader(who): Kin(**values) for who, values in found.items()}
            for encoder, found in raw.get("kin", {}).items()
        }
        rule = ImageRule.from_json(raw["image_rule"]) if "image_rule" in raw else RUN_TIME
        rest = {
            **raw,
            "calibrations": calibrations,
            "readers": readers,
            "kin": kin,
            "image_rule": rule,
            "stages": tuple(raw.get("stages", ())),
        }
        return cls(**rest)

    def write(self, folder: Path | str) -> Path:
        """Write `chatreid.json` into the folder; a reader sees the old one or the new one, never a half."""
        path = Path(folder) / FILE_NAME
        partial = path.with_name(f".{FILE_NAME}.{os.getpid()}.part")
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path


def encoder_key(name: str, version: str) -> str:
    """How calibrations name an encoder: "name@version"."""
    return f"{name}@{version}"


def _kind(kind: str) -> str:
    if kind not in KINDS_OF_QUERY:
        raise ValueError(f"unknown kind of query {kind!r}")
    return kind


def _reader(who: str) -> str:
    if who not in READERS:
        raise ValueError(f"crops are seen by {' or '.join(READERS)}, not by {who!r}")
    return who


def _weights(kinds: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Of the two readers, for every kind of attribute."""
    if set(kinds) != set(KINDS):
        raise ValueError("readers are weighed in every kind of attribute, and in no other")
    found = {}
    for kind, (clip, model) in kinds.items():
        if not (0 <= clip < float("inf") and 0 <= model < float("inf")):
            raise ValueError(f"weights of readers are 0 or more, not {clip} and {model} ({kind})")
        found[kind] = (float(clip), float(model))
    return found
