"""The list of imports on the page: who may undo which, what is told of where they came from, and how names tell."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.ui.gallery_tab import NAMINGS, import_html, report_html
from app.ui.guard import Owner
from app.ui.imports import Imports
from gallery_store.cases import KeptStep
from gallery_store.importer import import_crops
from gallery_store.imports import imports_of
from gallery_store.name_facts import NamePattern
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder, write_pictures


def asked_by(user: str | None, **cookies: str) -> Any:
    return SimpleNamespace(username=user, cookies=cookies)


def clicked(**data: Any) -> Any:
    return SimpleNamespace(_data=data)


@pytest.mark.parametrize("user", ["ann", None])
def test_an_import_is_undone_by_whoever_made_it_after_what_goes_was_said(
    tmp_path: Path, user: str | None
) -> None:
    owner = Owner(7860)
    own, stranger = asked_by(user), asked_by("bob")
    starter = asked_by("bob", **{owner.cookie: owner.key})
    with GalleryStore.open(tmp_path / "g.db") as store:
        for name, who in (("mine", user or "local"), ("command", "")):
            folder = write_pictures(tmp_path / name, ["1.png", "2.png"], first_seed=len(name) * 7)
            import_crops(store, PixelEncoder(), folder, user=who)
        store.cases.add_step("c", "ann", 1, KeptStep("{}"), title="", turns=1, confirmed=1, board=[1])
        imports = Imports(SimpleNamespace(store=store), owner)  # type: ignore[arg-type]
        assert str(tmp_path) not in imports.html(own) and "mine" in imports.html(own)
        assert str(tmp_path) in imports.html(starter)
        for request, offered in ((own, {1}), (stranger, set()), (starter, {1, 2})):
            page = imports.html(request)
            assert {number for number in (1, 2) if f'data-ask="{number}"' in page} == offered
        for number in (1, 2, 9, "1", None, True):
            assert "data-undo" not in imports.ask(clicked(number=number), stranger)
            assert "crops removed" not in imports.undo(clicked(number=number), stranger)
        assert store.count() == 4
        question = imports.ask(clicked(number=1), own)
        assert 'data-undo="1"' in question and "board of 1 case" in question and store.count() == 4
        assert "Import 1 is undone: 2 crops removed." in imports.undo(clicked(number=1), own)
        assert store.count() == 2 and imports_of(store)[1].undone_by == (user or "local")
        assert 'data-ask="1"' not in imports.html(starter)
        assert "Import 2 is undone" in imports.undo(clicked(number=2), starter) and store.count() == 0


def test_a_gallery_without_imports_has_no_list(tmp_path: Path) -> None:
    with GalleryStore.open(tmp_path / "g.db") as store:
        imports = Imports(SimpleNamespace(store=store), Owner(7860))  # type: ignore[arg-type]
        assert imports.html(asked_by("ann")).strip() == ""


LONG = 300_000
TIME = datetime(2026, 5, 12, 14, 5, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "naming, path, camera, time",
    [
        ("by folder:", "crops/entrance/1.jpg", "entrance", None),
        ("by camera and time", "crops/entrance_20260512-140520.jpg", "entrance", TIME),
        ("by camera and time", "back yard 2026-05-12 14.05.20_3.jpg", "back yard", TIME),
        ("by time and camera", "x/20260512140520_entrance.jpg", "entrance", TIME),
        ("by time and camera", "2026-05-12T14:05:20-gate 2.png", "gate 2", TIME),
        ("by time and camera", "20260512-140520 _-_gate_.x.png", "gate_", TIME),
        ("by folder, and by time", "crops/entrance/20260512_140520.jpg", "entrance", TIME),
        ("by folder, and by time", "20260511-140520/gate/of 20260512_140520_3.jpg", "gate", TIME),
    ],
)
def test_other_ways_of_naming_can_be_chosen(
    naming: str, path: str, camera: str, time: datetime | None
) -> None:
    pattern = next(pattern for name, pattern in NAMINGS.items() if name.startswith(naming))
    assert pattern is not None
    facts = NamePattern(pattern).facts_of(path, ZoneInfo("UTC"))
    assert facts is not None and (facts.camera, facts.time) == (camera, time)


@pytest.mark.parametrize("naming", [naming for naming in NAMINGS if NAMINGS[naming]])
@pytest.mark.parametrize(
    "name",
    [
        "20260512-140520" + "_" * LONG + "/x.jpg",
        "20260512-140520_" * LONG + "/x.jpg",
        "a" + "_" * LONG + "20260512-140520/x.jpg",
        "a" + "_" * LONG,
        "_" * LONG + "a/x.jpg/",
        "a" * LONG,
        "a/" * LONG,
        "20260512-140520" * LONG,
    ],
)
def test_each_way_of_naming_reads_a_name_in_as_long_as_it_is(naming: str, name: str) -> None:
    """One that is gone over once more for each of its characters would never be read."""
    facts = NamePattern(str(NAMINGS[naming])).facts_of(name, ZoneInfo("UTC"))
    assert facts is None or facts.person is None


def test_an_import_that_lacks_cameras_offers_them_and_choosing_completes_the_rows(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "crops", ["entrance/1.png", "yard/2.png"])
    engine: Any = SimpleNamespace(model=None)
    with GalleryStore.open(tmp_path / "g.db") as store:
        report = import_crops(store, PixelEncoder(), folder)
        said = import_html(report, engine)
        assert "2 without a camera" in said and "2 without a time" in said and "choose that above" in said
        again = import_crops(
            store, PixelEncoder(), folder, pattern=NAMINGS["by folder: entrance/picture.jpg"]
        )
        assert (again.added, again.completed) == (0, 2) and store.count() == 2
        assert sorted(store.cameras()) == ["entrance", "yard"]
    assert "choose that above" not in report_html("3 added.")
