"""The tables of cases: each step once, each case its user's, all of it copied; in both kinds of databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from gallery_store.__main__ import main
from gallery_store.cases import CaseWentOn, KeptStep
from gallery_store.copying import copy_gallery
from gallery_store.errors import GalleryError
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


def test_what_stood_on_the_screen_before_a_step_and_when_it_was_done(gallery: Path | str) -> None:
    with GalleryStore.open(gallery) as store:
        for number, ranking in enumerate((None, "1", None, "3"), start=1):
            step = KeptStep("{}", ranking)
            store.cases.add_step("c", "ann", number, step, title="", turns=number, confirmed=number)
        rankings = [store.cases.ranking_before("c", number) for number in range(1, 6)]
        assert rankings == [None, None, "1", "1", "3"]
        times = store.cases.read("c", "ann").times
        assert list(times) == sorted(times) and len(times) == 4 and times[0].utcoffset() is not None
        record = store.cases.record("c")
        assert (record.user, record.turns, record.confirmed) == ("ann", 4, 4)
        with pytest.raises(KeyError):
            store.cases.record("d")
        for case in ("c", None, "c"):
            store.record_search(user="ann", reason="", query={"n": case}, shown=[], seconds=0.0, case=case)
        assert [search.case for search in store.searches_of("c")] == ["c", "c"]
        assert [search.id for search in store.searches_of("c")] == sorted(
            s.id for s in store.searches_of("c")
        )


def test_a_copy_of_the_gallery_has_the_cases(gallery: Path | str, tmp_path: Path) -> None:
    with GalleryStore.open(tmp_path / "from.db") as source:
        source.cases.add_step("c", "ann", 1, STEP, title="One", turns=1, confirmed=0, photos=PHOTO)
        source.cases.shares.add("c", "ann", "bob")
        source.cases.messages.add("c", "ann", "a hat", PHOTO, title="")
        with GalleryStore.open(gallery, as_copy=True) as target:
            copy_gallery(source, target, lambda *_: None)
            assert target.cases.read("c", "ann") == source.cases.read("c", "ann")
            assert target.cases.listed("ann") == source.cases.listed("ann")
            assert target.cases.photo("c", "a/b.png") == PHOTO["a/b.png"]
            assert target.cases.shares.of("c") == ("bob",)
            assert target.cases.messages.unsettled("c", "ann") == source.cases.messages.unsettled("c", "ann")


def test_a_case_is_erased_with_its_photos_and_no_other(gallery: Path | str) -> None:
    with GalleryStore.open(gallery) as store:
        for case, user in (("c", "ann"), ("d", "bob")):
            store.cases.add_step(case, user, 1, STEP, title=case, turns=1, confirmed=0, photos=PHOTO)
        store.cases.add_step("c", "ann", 2, STEP, title="", turns=1, confirmed=0, photos={"e/f.png": b"x"})
        assert {record.user for record in store.cases.listed(None, most=None)} == {"ann", "bob"}
        assert store.cases.photo_names() == {"a/b.png", "e/f.png"}
        assert store.cases.erase("c") and not store.cases.erase("c")
        assert store.cases.photo_names() == {"a/b.png"} and store.cases.photo("c", "a/b.png") is None
        with pytest.raises(KeyError):
            store.cases.read("c", "ann")
        assert store.cases.listed("ann") == [] and store.cases.read("d", "bob").steps == (STEP.data,)


def test_messages_are_kept_until_they_are_settled(gallery: Path | str) -> None:
    with GalleryStore.open(gallery) as store:
        cases, messages = store.cases, store.cases.messages
        first = messages.add("c", "ann", "a man", PHOTO, title="a\tman")
        second = messages.add("c", "ann", "a hat", {}, title="never")
        assert (first, second) == (("c", 1), ("c", 2)) and cases.read("c", "ann").steps == ()
        assert [one.title for one in cases.listed("ann")] == ["a man"] and cases.last_step("c", "ann") == 0
        found = messages.unsettled("c", "ann")
        assert [(one.id, one.text, one.photos) for one in found] == [
            (first, "a man", ("a/b.png",)),
            (second, "a hat", ()),
        ]
        assert cases.photo("c", "a/b.png") == PHOTO["a/b.png"]
        for stranger in (
            lambda: messages.add("c", "bob", "x", {}, title=""),
            lambda: messages.unsettled("c", "bob"),
        ):
            with pytest.raises(KeyError):
                stranger()
        cases.add_step("c", "ann", 1, STEP, title="", turns=1, confirmed=0, answers=[first])
        with pytest.raises(CaseWentOn):  # nothing of a step that is refused is written
            cases.add_step("c", "ann", 1, STEP, title="", turns=1, confirmed=0, answers=[second])
        assert [one.id for one in messages.unsettled("c", "ann")] == [second]
        messages.add("c", "ann", "a cap", {}, title="", instead_of=[second])
        assert [one.text for one in messages.unsettled("c", "ann")] == ["a cap"]
        given_up = messages.add("d", "ann", "a dog", {}, title="a dog")
        assert len(cases.listed("ann")) == 2
        messages.settle([given_up])
        assert [one.id for one in cases.listed("ann")] == ["c"]  # nothing ever came of the other
        assert cases.erase("c")
        with pytest.raises(KeyError):
            cases.read("c", "ann")


def test_a_case_is_shared_by_its_owner_alone(gallery: Path | str) -> None:
    with GalleryStore.open(gallery) as store:
        cases, shares = store.cases, store.cases.shares
        cases.add_step("c", "ann", 1, STEP, title="One", turns=1, confirmed=0)
        assert shares.add("c", "ann", "bob") and not shares.add("c", "ann", "bob")
        assert not shares.add("c", "ann", "ann") and shares.add("c", "ann", "aaron")
        assert shares.of("c") == ("aaron", "bob") == cases.listed("bob")[0].shared == cases.record("c").shared
        cases.add_step("c", "bob", 2, STEP, title="", turns=2, confirmed=0)
        assert cases.read("c", "bob").users == ("ann", "bob") and cases.last_step("c", "bob") == 2
        cases.messages.add("c", "bob", "a man", {}, title="")
        assert cases.messages.unsettled("c", "ann") == () and len(cases.messages.unsettled("c", "bob")) == 1
        for of_the_owner in (
            lambda: cases.rename("c", "bob", "x"),
            lambda: cases.close("c", "bob"),
            lambda: shares.add("c", "bob", "eve"),
            lambda: shares.remove("c", "bob", "aaron"),
        ):
            with pytest.raises(KeyError):
                of_the_owner()
        assert shares.remove("c", "ann", "bob") and not shares.remove("c", "ann", "bob")
        assert cases.listed("bob") == [] and cases.read("c", "aaron").users == ("ann", "bob")
        with pytest.raises(KeyError):
            cases.add_step("c", "bob", 3, STEP, title="", turns=3, confirmed=0)
        cases.erase("c")
        assert shares.of("c") == () and cases.listed("aaron") == []


def test_no_share_without_its_row_of_the_audit(gallery: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise GalleryError("the disk is full")

    with GalleryStore.open(gallery) as store:
        shares = store.cases.shares
        store.cases.add_step("c", "ann", 1, STEP, title="One", turns=1, confirmed=0)
        shares.add("c", "ann", "bob", "report 7")
        assert [(row.user, row.reason, row.query) for row in store.searches_of("c")] == [
            ("ann", "report 7", {"shared": {"with": "bob"}})
        ]
        monkeypatch.setattr("gallery_store.audit.record", fails)
        for change in (lambda: shares.add("c", "ann", "eve"), lambda: shares.remove("c", "ann", "bob")):
            with pytest.raises(GalleryError):
                change()
        assert shares.of("c") == ("bob",)


def test_the_command_lists_and_erases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "g.db"
    with GalleryStore.open(file) as store:
        for case in ("one", "two", "three"):
            store.cases.add_step(case, "ann", 1, STEP, title=f"Case {case}", turns=1, confirmed=0)
    command = ["cases", "--gallery", str(file)]
    assert main(command) == 0
    listed = capsys.readouterr().out
    assert all(f"Case {case}" in listed for case in ("one", "two", "three")) and "ann" in listed
    assert main([*command, "--erase", "one"]) == 2  # not confirmed
    assert main([*command, "--erase", "one", "--erase", "none", "--yes"]) == 0
    said = capsys.readouterr()
    assert "1 cases erased" in said.out and "no case none" in said.err
    assert main([*command, "--erase-older", "1", "--yes"]) == 3  # nothing is that old
    assert main([*command, "--erase-older", "0", "--yes", "--json"]) == 0
    assert '"erased": 2' in capsys.readouterr().out
    with GalleryStore.open(file) as store:
        assert store.cases.listed(None) == []
