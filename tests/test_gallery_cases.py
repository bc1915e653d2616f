"""The tables of cases: each step once, each case its user's, all of it copied; in both kinds of databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from gallery_store.cases import CaseWentOn, KeptStep
from gallery_store.copying import copy_gallery
from gallery_store.store import GalleryStore

STEP = KeptStep('{"stay": 0, "reason": "a\\u0000b"}', "null")
PHOTO = {"a/b.png": b"\0\xff"}


def test_each_step_is_taken_once_and_from_its_user(gallery: Path | str) -> None:
    with GalleryStore.open(gallery) as store:
        cases = store.cases
        cases.add_step("c", "ann", 1, STEP, title="One\0", turns=1, confirmed=0, photos=PHOTO)
        for number in (1, 3):
            with pytest.raises(CaseWentOn):
                cases.add_step("c", "ann", number, STEP, title="", turns=1, confirmed=0)
        for stranger in (
            lambda: cases.add_step("c", "bob", 2, STEP, title="", turns=1, confirmed=0),
            lambda: cases.read("c", "bob"),
            lambda: cases.last_step("c", "bob"),
            lambda: cases.rename("c", "bob", "x"),
            lambda: cases.close("c", "bob"),
        ):
            with pytest.raises(KeyError):
                stranger()
        cases.add_step("c", "ann", 2, KeptStep("{}"), title="Two", turns=2, confirmed=1, photos=PHOTO)
        kept = cases.read("c", "ann")
        assert kept.steps == (STEP.data, "{}") and kept.ranking == "null"
        assert cases.last_step("c", "ann") == 2
        assert cases.photo("c", "a/b.png") == PHOTO["a/b.png"] and cases.photo("d", "a/b.png") is None
        (record,) = cases.listed("ann")
        assert (record.title, record.turns, record.confirmed, record.is_closed) == ("One", 2, 1, False)
        assert cases.listed("bob") == []
        cases.close("c", "ann")
        assert cases.listed("ann")[0].is_closed
        cases.add_step("c", "ann", 3, STEP, title="", turns=2, confirmed=1)
        assert not cases.listed("ann")[0].is_closed


def test_a_copy_of_the_gallery_has_the_cases(gallery: Path | str, tmp_path: Path) -> None:
    with GalleryStore.open(tmp_path / "from.db") as source:
        source.cases.add_step("c", "ann", 1, STEP, title="One", turns=1, confirmed=0, photos=PHOTO)
        with GalleryStore.open(gallery, as_copy=True) as target:
            copy_gallery(source, target, lambda *_: None)
            assert target.cases.read("c", "ann") == source.cases.read("c", "ann")
            assert target.cases.listed("ann") == source.cases.listed("ann")
            assert target.cases.photo("c", "a/b.png") == PHOTO["a/b.png"]
