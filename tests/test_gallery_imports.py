"""Imports as batches: counted, listed, and taken back as a whole; in both kinds of databases."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gallery_store.__main__ import main
from gallery_store.cases import KeptStep
from gallery_store.crops import Filters
from gallery_store.errors import GalleryError
from gallery_store.importer import import_crops
from gallery_store.imports import import_numbered, imports_of, undo_import, what_undoing_takes
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, write_manifest, write_pictures


def brought(store: GalleryStore, folder: Path, user: str = "", **more: object) -> int:
    import_crops(store, PixelEncoder(), folder, user=user, **more)  # type: ignore[arg-type]
    return imports_of(store)[0].id


def ids_of(store: GalleryStore) -> list[int]:
    store.refresh()
    return store.matching(Filters()).tolist()


def test_imports_are_numbered_counted_and_undone_without_what_was_there_before(
    gallery: Path | str, tmp_path: Path
) -> None:
    one = write_pictures(tmp_path / "one", [f"{n}.png" for n in range(5)])
    two = write_pictures(tmp_path / "two", [f"{n}.png" for n in range(8, 11)], first_seed=50)
    (one / "torn.png").write_bytes(b"no picture")
    with GalleryStore.open(gallery) as store:
        assert imports_of(store) == []
        first = brought(store, one)
        second = brought(store, two, "ann")
        third = brought(store, one, "bob", camera="door")  # completes the five
        listed = imports_of(store)
        assert [batch.id for batch in listed] == [third, second, first]
        assert [batch.user for batch in listed] == ["bob", "ann", ""]
        assert [dict(batch.counts) for batch in listed] == [
            {"completed": 5, "rejected": 1},
            {"added": 3},
            {"added": 5, "rejected": 1},
        ]
        assert [batch.here for batch in listed] == [0, 3, 5]
        assert listed[0].source == str(one.absolute()) and listed[0].name == "one"
        takes = what_undoing_takes(store, listed[0])
        assert (takes.crops, takes.changed) == (0, 5) and "stay as they are" in takes.in_words()[0]
        own, rest = ids_of(store)[:5], ids_of(store)[5:]
        takes = what_undoing_takes(store, listed[2])
        assert (takes.crops, dict(takes.met)) == (5, {third: 5})
        assert f"Import {third} brought 5 of them again" in takes.in_words()[0]
        assert undo_import(store, first, "eve").crops == 5
        assert ids_of(store) == rest and own[0] not in rest
        undone = import_numbered(store, first)
        assert undone.undone is not None and (undone.undone_by, undone.here) == ("eve", 0)
        assert undo_import(store, first, "bob").crops == 0  # twice is once
        assert import_numbered(store, first).undone_by == "eve"
        assert verify(store).ok and len(list(store.pictures.names())) == 3
        again = brought(store, one)
        assert again == third + 1 and len(ids_of(store)) == 8
        with pytest.raises(GalleryError, match="there is no import 99"):
            undo_import(store, 99, "")


def test_it_is_said_which_crops_stand_on_boards(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "one", [f"{n}.png" for n in range(5)])
    with GalleryStore.open(tmp_path / "g.db") as store:
        number = brought(store, folder)
        first, second, *_ = ids_of(store)
        for case, board in (("c", [first, second]), ("d", [second, 999]), ("e", [])):
            step = KeptStep("{}")
            store.cases.add_step(case, "ann", 1, step, title="", turns=1, confirmed=1, board=board)
        takes = what_undoing_takes(store, import_numbered(store, number))
        assert takes.boards == (2, 2) and "2 of them stand on the board of 2 cases" in takes.in_words()[0]
        assert takes == undo_import(store, number, "")


def test_a_kill_before_the_files_go_leaves_no_row_without_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "one", [f"{n}.png" for n in range(5)])
    with GalleryStore.open(tmp_path / "g.db") as store:
        number = brought(store, folder)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(store, "collect", killed)
        with pytest.raises(KeyboardInterrupt):
            undo_import(store, number, "")
    with GalleryStore.open(tmp_path / "g.db") as store:
        assert ids_of(store) == [] and import_numbered(store, number).undone
        assert verify(store).ok and not list(store.pictures.names())


def test_an_import_that_stops_half_way_is_counted_and_undone(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "one", [f"{n}.png" for n in range(30)])
    with GalleryStore.open(tmp_path / "g.db") as store:
        begun: list[int] = []
        report = import_crops(
            store,
            PixelEncoder(),
            folder,
            progress=lambda done, _: begun.append(done),
            stop=lambda: bool(begun and begun[-1]),
        )
        (batch,) = imports_of(store)
        assert report.stopped and batch.here == batch.counts["added"] == report.added < 30
        assert undo_import(store, batch.id, "").crops == report.added and ids_of(store) == []


def test_an_import_that_is_undone_while_it_runs_adds_no_more(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "one", [f"{n}.png" for n in range(80)])
    with GalleryStore.open(tmp_path / "g.db") as store:

        def undone(done: int, total: int) -> None:
            if ids_of(store):
                undo_import(store, 1, "ann")

        with pytest.raises(GalleryError, match="import 1 was undone while it ran"):
            import_crops(store, PixelEncoder(), folder, progress=undone)
        assert ids_of(store) == []
        batch = import_numbered(store, 1)
        assert batch.undone_by == "ann" and batch.here == 0 < batch.counts["added"] < 80
        verify(store)
        assert not list(store.pictures.names())
        assert import_crops(store, PixelEncoder(), folder).added == 80


def test_a_zip_is_named_without_the_servers_folders(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "one", ["a.png"])
    with zipfile.ZipFile(tmp_path / "crops.zip", "w") as archive:
        archive.write(folder / "a.png", "cam7/a.png")
    with GalleryStore.open(tmp_path / "g.db") as store:
        brought(store, tmp_path / "crops.zip")
        (batch,) = imports_of(store)
        assert batch.name == "crops.zip" and batch.in_words() == "1 added"
        assert replace(batch, counts={}).in_words() == "nothing"


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pictures(tmp_path / "one", [f"{n}.png" for n in range(3)])
    write_manifest(folder / "list.csv", "path,camera", *(f"{n}.png,1" for n in range(3)))
    with GalleryStore.open(tmp_path / "g.db") as store:
        brought(store, folder / "list.csv", "ann")
        brought(store, folder / "list.csv")
    at = ["--gallery", str(tmp_path / "g.db")]
    assert main(["imports", *at]) == 0
    last, first = capsys.readouterr().out.splitlines()
    assert last.startswith("2 ") and "3 unchanged" in last and "by command" in last
    assert "ann  3 added  3 crops here" in first and first.endswith("list.csv")
    assert main(["undo-import", "1", *at]) == 2
    said = capsys.readouterr().err
    assert "confirm with --yes" in said and "Import 2 brought 3 of them again" in said
    assert main(["undo-import", "1", "--yes", *at]) == 0
    assert "3 crops of import 1 removed" in capsys.readouterr().out
    assert main(["undo-import", "1", "--yes", *at]) == 3
    assert main(["undo-import", "7", "--yes", *at]) == 2
    capsys.readouterr()
    assert main(["imports", "--json", *at]) == 0
    listed = json.loads(capsys.readouterr().out)["imports"]
    assert [batch["undone_by"] for batch in listed] == ["", "by command"]
