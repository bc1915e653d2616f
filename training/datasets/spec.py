"""What is known of a benchmark before its files are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.datasets.by_path import Reader


@dataclass(frozen=True)
class Count:
    """How much a split holds. None: not published, or nothing to count.

    identities: people, without junk and distractors. images: pictures, with them. captions: texts.
    """

    identities: int | None = None
    images: int | None = None
    cameras: int | None = None
    captions: int | None = None


@dataclass(frozen=True)
class Spec:
    """One benchmark as data.

    folders: names it is found under, below a root. marks: what lies in the right folder. read: makes records.
    counts: published, by variant and split. variants: "" is the usual one. alike: other words for a variant.
    shared_val: the people of "val" are those of "train"; all other splits' people are in no training split.
    shown: the variants that a survey lists.
    """

    name: str
    title: str
    setting: str
    folders: tuple[str, ...]
    marks: tuple[str, ...]
    read: Reader
    counts: Mapping[str, Mapping[str, Count]]
    variants: tuple[str, ...] = ("",)
    alike: Mapping[str, str] = field(default_factory=dict)
    shared_val: bool = False
    shown: tuple[str, ...] = ("",)
