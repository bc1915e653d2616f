"""What a checkpoint knows about itself: `chatreid.json` beside its weights.

Written by the trainer, read by the app; the two meet nowhere else. A checkpoint without one (a plain
Qwen2-VL) is served uncalibrated. One that cannot be understood is refused, never half-used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from app.model.pictures import RUN_TIME, ImageRule
from app.model.prompts import PROMPT_VERSION, READ_PROMPT_VERSIONS, reads_aloud, words_behind
from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION, Kinds
from app.settings import FUSED, RankerName
from gallery_store.files import write_json

SCHEMA = 4
FILE_NAME = "chatreid.json"
KindOfQuery = Literal["text", "image", "image-plus-text", "image-other-clothes"]
KINDS_OF_QUERY: tuple[KindOfQuery, ...] = get_args(KindOfQuery)
Reader = Literal[
    "both", "model"
]  # whose attributes are compared: CLIP's and the model's, or the model's alone

_NO_OTHER_KEYS = ConfigDict(extra="forbid")


class ModelError(ValueError):
    """A checkpoint that cannot be used; the message names it, says why, and what to do."""


DRAWN_ONLY = "drawn people only"  # as CheckpointManifest.knows


@dataclass(frozen=True)
class Calibration:
    """How the scores of one kind of query become a probability, with one encoder.

    P(same person) = sigmoid(yes_logit * y + similarity * s + rarity * r + bias) for candidates that the model was
    asked about: y = logit("Yes") - logit("No"), plus attribute_score times the score of the attributes that the model
    reads (app.retrieval.fusion); s, the fused similarity; r, how rare in the gallery is what the query's words say,
    in nats: the more is said, the less similar is even the right crop, and the rarer is one that fits by chance.
    P(same person) = sigmoid(clip_similarity * s + clip_bias) for the others: s is CLIP's.

    yes_logit, similarity, rarity, attribute_score, clip_similarity: weights, 0 or more.
    tau: crops of a similarity up to this are not asked about, -1..1 (section 4.1).
    threshold: when no candidate's P reaches it, there is no match; candidates under it are weak, 0..1.
    text_weight: share of the text's cosine in an image-plus-text similarity, 0..1.
    attribute_share: share of the attributes in a picture's similarity, beside the cosine, 0..1.
    stated_share: of the log-probabilities of the attributes that words name, beside the words' cosine, 0 or more.
    crops: of the gallery that it was fitted over; 0: it does not say.
    """

    __pydantic_config__ = _NO_OTHER_KEYS

    yes_logit: float
    similarity: float
    bias: float
    clip_similarity: float
    clip_bias: float
    tau: float
    threshold: float
    text_weight: float = 0.5
    attribute_share: float = 0.0
    attribute_score: float = 0.0
    rarity: float = 0.0
    stated_share: float = 0.0
    crops: int = 0

    def __post_init__(self) -> None:
        weights = (self.yes_logit, self.similarity, self.clip_similarity, self.attribute_score, self.rarity)
        if min(*weights, self.stated_share, self.crops) < 0:
            raise ValueError("a calibration's weights and crops are never negative")
        if not all(0 <= share <= 1 for share in (self.threshold, self.text_weight, self.attribute_share)):
            raise ValueError("a calibration's threshold, text_weight and attribute_share lie in 0..1")


@dataclass(frozen=True)
class AffinityWeights:
    """From two crops' likeness to the probability that they show one person in the same clothes.

    P = sigmoid(cosine * c + attributes * a + bias) of their vectors' cosine c and of how far they show the same
    attributes, a in -1..1 (app.retrieval.affinity). Weights are 0 or more.
    """

    __pydantic_config__ = _NO_OTHER_KEYS

    cosine: float
    attributes: float
    bias: float

    def __post_init__(self) -> None:
        if not (0 <= self.cosine < float("inf") and 0 <= self.attributes < float("inf")):
            raise ValueError("the weights of an affinity are 0 or more")


@dataclass(frozen=True)
class WeightFile:
    """A file of weights as it was written. bytes: its size. sha256: 64 hex digits."""

    __pydantic_config__ = _NO_OTHER_KEYS

    bytes: int
    sha256: str


@dataclass(frozen=True)
class CheckpointManifest:
    """All that `chatreid.json` says.

    stages: one dict per stage done, with its name and recipe.
    calibrations: encoder ("name@version") -> kind of query -> Calibration; of queries with a picture that a re-ID
    encoder prefilters, its own.
    fusion_weights: encoder -> kind of attribute -> weights of CLIP's cosine and of the logarithm of the model's
    probability, where both read an attribute (app.retrieval.attribute_probs).
    affinity: encoder -> whose attributes are compared, "both" readers' or the "model"'s alone -> AffinityWeights;
    none leaves every crop to itself.
    data: what it was trained on. figures: what was measured, by name.
    attribute_sharpness: encoder -> how sharply its cosines tell the values of an attribute apart: the inverse
    temperature of their softmax, fitted for it. An encoder without one takes its own (ClipEncoder.logit_scale).
    confusion: encoder -> kind of attribute -> value said -> another value -> how far it counts as the one said, 0..1
    (app.retrieval.attribute_probs); what is not there counts 0.
    ranker: that ranks where the operator names none (app.retrieval.rankers).
    knows: what follows "Knows" on the screen, e.g. "drawn people only"; "" where nothing is to be said.
    reads_free_words: whether the model can judge words outside the vocabulary, as a pre-trained language model can;
    False where it was taught the vocabulary's words and no others.
    talks_freely: whether it answers questions about a picture in its own words, as a pre-trained Qwen2-VL does; a
    manifest that does not say so is of a checkpoint that does not.
    """

    __pydantic_config__ = _NO_OTHER_KEYS

    name: str
    base_model: str
    stages: tuple[Mapping[str, Any], ...] = ()
    prompt_version: int = PROMPT_VERSION
    vocabulary_version: int = VOCABULARY_VERSION
    image_rule: ImageRule = RUN_TIME
    calibrations: Mapping[str, Mapping[KindOfQuery, Calibration]] = field(default_factory=dict)
    fusion_weights: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    affinity: Mapping[str, Mapping[Reader, AffinityWeights]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    attribute_sharpness: Mapping[str, float] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]] = field(default_factory=dict)
    ranker: RankerName = FUSED
    knows: str = ""
    reads_free_words: bool = True
    talks_freely: bool = False
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.vocabulary_version not in KINDS_OF_VERSION:
            raise ValueError(f"there is no version {self.vocabulary_version} of the attribute vocabulary")
        for weights in self.fusion_weights.values():
            if set(weights) != set(self.kinds):
                raise ValueError("fusion weights name every kind of attribute, and no other")
            for kind, pair in weights.items():
                if not all(0 <= weight < float("inf") for weight in pair):
                    raise ValueError(f"fusion weights are 0 or more, not {pair[0]} and {pair[1]} ({kind})")
        for sharpness in self.attribute_sharpness.values():
            if not 0 < sharpness < float("inf"):
                raise ValueError(f"an attribute_sharpness is above 0, not {sharpness}")
        for kinds in self.confusion.values():
            for kind, said in kinds.items():
                for value, near in said.items():
                    if not {value, *near} <= set(self.kinds.get(kind, ())):
                        raise ValueError(f"the vocabulary has no {kind} {value} or {', '.join(near)}")
                    if not all(0 <= share <= 1 for share in near.values()):
                        raise ValueError(f"a confusion lies in 0..1 ({kind} {value})")

    @property
    def kinds(self) -> Kinds:
        """The kinds of attributes, and their values, that the checkpoint knows: those of its vocabulary's version."""
        return KINDS_OF_VERSION[self.vocabulary_version]

    def words_behind(self, references: int) -> bool:
        """Whether its pair question has the words behind the candidate's picture, see app.model.prompts.

        references: how many pictures of the person sought it has.
        """
        return words_behind(self.prompt_version, references)

    def reads_aloud(self, references: int) -> bool:
        """Whether its pair question has what the model reads off the candidate, see app.model.readings."""
        return reads_aloud(self.prompt_version, references)

    def calibration(self, encoder_name: str, encoder_version: str, kind: str) -> Calibration | None:
        """The calibration for this encoder and kind of query; None where none was fitted.

        Where none knows of other clothes, a picture's holds for them too.
        """
        key = encoder_key(encoder_name, encoder_version)
        kinds = cast("Mapping[str, Calibration]", self.calibrations.get(key, {}))
        return kinds.get("image") if kind not in kinds and kind == "image-other-clothes" else kinds.get(kind)

    def fusion_weights_for(
        self, encoder_name: str, encoder_version: str
    ) -> Mapping[str, tuple[float, float]] | None:
        """How CLIP's and the model's attributes are weighed; None where that was not fitted."""
        return self.fusion_weights.get(encoder_key(encoder_name, encoder_version))

    def sharpness_for(self, encoder_name: str, encoder_version: str) -> float | None:
        """As attribute_sharpness has it; None where that was not fitted."""
        return self.attribute_sharpness.get(encoder_key(encoder_name, encoder_version))

    def confusion_for(
        self, encoder_name: str, encoder_version: str
    ) -> Mapping[str, Mapping[str, Mapping[str, float]]] | None:
        """How far other values count as one that is said; None where that was not measured."""
        return self.confusion.get(encoder_key(encoder_name, encoder_version))

    def affinity_for(self, encoder_name: str, encoder_version: str, reader: Reader) -> AffinityWeights | None:
        """By the attributes of "both" readers or of the "model" alone; None where that was not fitted."""
        return self.affinity.get(encoder_key(encoder_name, encoder_version), {}).get(reader)

    @property
    def knows_drawn_only(self) -> bool:
        """Whether it was taught, and calibrated, on drawn people alone."""
        return self.knows.strip().rstrip(".").removeprefix("Knows ") == DRAWN_ONLY

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
        return cls.parse(text, path)

    @classmethod
    def parse(cls, text: str, path: Path | str) -> CheckpointManifest:
        """A manifest from its JSON. path: what errors call it. Raises ModelError as `read`."""
        try:
            raw = json.loads(text)
        except ValueError:
            raw = None
        if not isinstance(raw, dict):
            raise ModelError(f"{path} is damaged; copy the checkpoint again")
        for key, known, thing in (
            ("schema", (1, 2, 3, SCHEMA), "manifest schema"),
            ("prompt_version", READ_PROMPT_VERSIONS, "prompts"),
            ("vocabulary_version", tuple(KINDS_OF_VERSION), "attribute vocabulary"),
        ):
            found = raw.get(key)
            if found not in known:
                raise ModelError(
                    f"{path} is of {thing} version {found}, and this ChatReID knows version {known[-1]}; "
                    + (
                        "update ChatReID"
                        if isinstance(found, int) and found > known[-1]
                        else "train the checkpoint again with this ChatReID, or use the ChatReID that made it"
                    )
                )
        try:
            today = _from_schema_1(raw) if raw["schema"] == 1 else raw
            today = _from_schema_2(today) if today["schema"] == 2 else today
            today = (
                {**today, "schema": SCHEMA} if today["schema"] == 3 else today
            )  # 4 has weights, and may have none
            return TypeAdapter(cls).validate_json(json.dumps(today), strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            why = f"{place}: {first['msg']}".removeprefix(": ").replace("Value error, ", "")
        except (TypeError, ValueError, AttributeError) as error:
            why = str(error)
        raise ModelError(f"{path} is not a manifest ({why}); copy the checkpoint again")

    def write(self, folder: Path | str) -> Path:
        """Write `chatreid.json` into the folder; a reader sees the old one or the new one, never a half."""
        return write_json(Path(folder) / FILE_NAME, asdict(self))


def is_calibrated(manifest: CheckpointManifest | None, encoder_name: str, encoder_version: str) -> bool:
    """Whether anything was fitted with this encoder."""
    return manifest is not None and encoder_key(encoder_name, encoder_version) in manifest.calibrations


def encoder_key(name: str, version: str) -> str:
    """How calibrations name an encoder: "name@version"."""
    return f"{name}@{version}"


# What keys were called in schema 1.
_CALIBRATION_1 = {"word": "yes_logit", "reading": "attribute_score", "attributes": "attribute_share"}
_AFFINITY_1 = {"alike": "attributes"}


def _from_schema_1(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same manifest in schema 2."""

    def renamed(groups: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
        return {
            encoder: {group: today(values, names) for group, values in by_group.items()}
            for encoder, by_group in groups.items()
        }

    def today(values: Any, names: Mapping[str, str]) -> Any:
        if not isinstance(values, Mapping):
            return values  # refused where it stands
        if new := (set(names.values()) - set(names)) & set(values):
            raise ValueError(f"unknown keys {', '.join(sorted(new))}")
        return {names.get(key, key): value for key, value in values.items()}

    if new := {"fusion_weights", "affinity"} & set(raw):
        raise ValueError(f"unknown keys {', '.join(sorted(new))}")
    return {
        **{key: value for key, value in raw.items() if key not in ("readers", "kin")},
        "schema": 2,
        "calibrations": renamed(raw.get("calibrations", {}), _CALIBRATION_1),
        "fusion_weights": raw.get("readers", {}),
        "affinity": renamed(raw.get("kin", {}), _AFFINITY_1),
    }


# What held for every encoder before schema 3.
_STATED_SHARE_2 = 1 / 12
_SHARPNESS_2 = 30.0


def _from_schema_2(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same manifest in schema 3. What is no mapping is refused where it stands."""

    def of_each(groups: Any, change: Callable[[Any], Any]) -> Any:
        return {k: change(v) for k, v in groups.items()} if isinstance(groups, Mapping) else groups

    def stated(values: Any) -> Any:
        return {"stated_share": _STATED_SHARE_2, **values} if isinstance(values, Mapping) else values

    calibrations = raw.get("calibrations", {})
    return {
        "attribute_sharpness": of_each(calibrations, lambda _: _SHARPNESS_2),
        **raw,
        "schema": 3,
        "calibrations": of_each(calibrations, lambda kinds: of_each(kinds, stated)),
    }
