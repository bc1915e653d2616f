"""Exports of cases: whole, true to the case, safe to open, only for whose case it is, and checked for any change."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from app.export.archive import export_case
from app.export.pdf import _text, write_pdf
from app.export.report import report_of
from app.export.table import _plain
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import ChatSession
from app.uploads import Uploads
from gallery_store.__main__ import main
from gallery_store.encoder import ClipEncoder
from gallery_store.errors import GalleryError
from gallery_store.importer import import_crops
from gallery_store.sealed_zip import SealedZip, check_zip
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture

KEY = b"k" * 32
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a gallery in Tokyo's time, and ann's case in it: four sightings of four days, and a photo."""
    folder = tmp_path_factory.mktemp("export")
    with (folder / "times.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "camera", "time"])
        for number, (camera, time) in enumerate(
            [
                ("1", "2026-05-12T14:05:20"),
                ("2", "2026-05-12T14:17:20"),
                (f"=1+1{EVIL}", "2026-05-13T09:15:00"),
                ("3", "2026-05-12T14:06:00"),
                ("1", ""),
            ]
        ):
            noise_picture(number).save(folder / f"{number}.png")
            rows.writerow([f"{number}.png", camera, time])
    encoder = ClipEncoder.load(make_clip_folder(folder / "clip"))
    with GalleryStore.open(folder / "g.db", zone="Asia/Tokyo") as store:
        import_crops(store, encoder, folder / "times.csv")
        uploads = Uploads(folder / "uploads", max_bytes=1 << 20, max_pixels=10**6)
        session = ChatService(Engine(store, encoder, None), uploads).get("ann", "tab")
        session.give_reason(f"a lost child {EVIL}")
        session.say(f"a woman in a red coat {EVIL} ${{7*7}} {{{{7*7}}}}")
        for image_id in (3, 1, 2):
            session.confirm(image_id)
        session.note(2, f"=HYPERLINK(1) {EVIL}")
        session.search_with(2)  # which takes the others out of the query, and not off the board
        session.reject(4)
        photo = uploads.folder / "=cmd() her <b>.png"
        Image.effect_noise((60, 150), 80).convert("RGB").save(photo)
        session.say("this is her", [photo])
        session.search_with(5)
        case = session.case
    return folder, case


@pytest.fixture
def store(shared: tuple[Path, str], tmp_path: Path) -> Iterator[GalleryStore]:
    """A copy of it."""
    shutil.copytree(shared[0], tmp_path / "copy")
    with GalleryStore.open(tmp_path / "copy" / "g.db") as store:
        yield store


@pytest.fixture
def case(shared: tuple[Path, str]) -> str:
    return shared[1]


def read(zipped: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(zipped) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_zip_holds_report_table_pictures_and_a_manifest(
    store: GalleryStore, case: str, tmp_path: Path
) -> None:
    done = export_case(store, case, "ann", tmp_path / "case.zip", by="ann", key=KEY)
    assert (done.sightings, done.rejected, done.missing, done.signed) == (3, 1, (), True)
    files = read(tmp_path / "case.zip")
    pictures = {name for name in files if name.startswith(("sightings/", "ruled-out/", "query/"))}
    assert pictures == {
        "sightings/001-crop-1.png",
        "sightings/002-crop-2.png",
        "sightings/003-crop-3.png",
        "ruled-out/001-crop-4.png",
        "query/001-photo.png",
        "query/002-crop-5.png",
    }
    assert files["sightings/001-crop-1.png"] == store.crops([1])[0].file.read_bytes()
    assert files["report.pdf"].startswith(b"%PDF-") and files["report.pdf"].rstrip().endswith(b"%%EOF")
    assert files["report.pdf"].count(b"/Subtype /Image") == len(pictures)
    manifest = json.loads(files["manifest.json"])
    assert {row["name"] for row in manifest["files"]} == set(files) - {"manifest.json", "manifest.sig"}
    assert (manifest["case"], manifest["zone"]) == (case, "Asia/Tokyo")
    rows = list(csv.DictReader(io.StringIO(files["sightings.csv"].decode("utf-8-sig"))))
    assert [(row["judgement"], row["crop"], row["time"]) for row in rows] == [
        ("confirmed", "1", "2026-05-12T14:05:20+09:00"),
        ("confirmed", "2", "2026-05-12T14:17:20+09:00"),
        ("confirmed", "3", "2026-05-13T09:15:00+09:00"),
        ("ruled out", "4", "2026-05-12T14:06:00+09:00"),
    ]
    assert (
        rows[2]["camera"].startswith("'=")
        and rows[1]["note"].startswith("'=HYPERLINK")
        and rows[0]["judged_by"] == "ann"
    )
    assert check_zip(tmp_path / "case.zip", KEY).ok


def test_the_page_says_what_was_found_and_nothing_in_it_acts(
    store: GalleryStore, case: str, tmp_path: Path
) -> None:
    export_case(store, case, "ann", tmp_path / "case.zip", by=EVIL)
    page = read(tmp_path / "case.zip")["report.html"].decode()
    assert "<img src=x" not in page and "&lt;img src=x onerror=alert(1)&gt;" in page and "{{7*7}}" in page
    assert "her &lt;b&gt;.png" in page and "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg;base64,") == 6
    assert page.index("14:05:20 (UTC+09:00)") < page.index("12 min later, from camera 1")
    assert "18 h 57 min later" in page and "Asia/Tokyo" in page
    assert "Ruled out" in page and "it is not evidence".casefold() in page.casefold()
    assert "none: candidates have a rank, and no confidence" in page
    assert f"{store.encoder()[0]}@" in page  # type: ignore[index]
    assert "uncalibrated" in page and "Crop 5: Camera 1" in page and "Judged" in page


def test_the_confidence_is_the_one_of_the_moment_and_the_rank_too(store: GalleryStore, case: str) -> None:
    report = report_of(store, case, "ann", "ann", datetime.now(UTC))
    first = store.cases.ranking_before(case, 2)
    assert first is not None
    ids = [candidate["image_id"] for candidate in json.loads(first)["candidates"]]
    judged = {one.stop.image_id: one for one in report.sightings}
    assert judged[3].rank == ids.index(3) + 1 and judged[3].confidence == "uncalibrated"
    assert all(one.said.utcoffset() == report.made.utcoffset() for one in report.sightings)
    assert report.used[0].searches == len(store.searches_of(case))


def test_an_export_is_audited_and_without_a_row_there_is_none(
    store: GalleryStore, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = export_case(store, case, "ann", tmp_path / "case.zip", by="ann")
    (row,) = store.searches(limit=1)
    assert (row.user, row.case, row.shown) == ("ann", case, (1, 2, 3, 4, 5))
    assert row.query["exported"] == {"manifest": done.manifest, "signed": False}
    assert row.reason.startswith("a lost child")

    def full(**_: object) -> None:
        raise GalleryError("the disk is full")

    monkeypatch.setattr(store, "record_search", full)
    with pytest.raises(GalleryError, match="full"):
        export_case(store, case, "ann", tmp_path / "other.zip", by="ann")
    assert [file.name for file in tmp_path.glob("*.*")] == ["case.zip"]


@pytest.mark.parametrize("user, wanted", [("bob", None), ("ann", "unknown"), ("", None), ("ann", "\0")])
def test_nobody_else_exports_a_case(
    store: GalleryStore, case: str, tmp_path: Path, user: str, wanted: str | None
) -> None:
    rows = len(store.searches())
    with pytest.raises(KeyError):
        export_case(store, wanted or case, user, tmp_path / "case.zip", by=user)
    assert not (tmp_path / "case.zip").exists() and len(store.searches()) == rows


def test_pictures_that_are_gone_or_changed_are_said(store: GalleryStore, case: str, tmp_path: Path) -> None:
    store.crops([1])[0].file.unlink()
    store.crops([2])[0].file.write_bytes(b"other")
    store.delete([3])
    done = export_case(store, case, "ann", tmp_path / "case.zip", by="ann")
    assert len(done.missing) == 3
    assert (
        "cannot be read" in done.missing[0] and "changed" in done.missing[1] and "deleted" in done.missing[2]
    )
    page = read(tmp_path / "case.zip")["report.html"].decode()
    assert all(sentence.split(": ", 1)[1] in page for sentence in done.missing)
    assert check_zip(tmp_path / "case.zip").ok


def test_a_linked_query_picture_that_was_changed_is_not_handed_out(
    shared: tuple[Path, str], tmp_path: Path
) -> None:
    encoder = ClipEncoder.load(shared[0] / "clip")
    pictures = tmp_path / "in"
    pictures.mkdir()
    for number in (1, 2):
        noise_picture(number).save(pictures / f"{number}.png")
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_crops(store, encoder, pictures, link=True)
        uploads = Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=10**6)
        session = ChatService(Engine(store, encoder, None), uploads).get("ann", "tab")
        session.confirm(2)
        session.search_with(1)
        whole = export_case(store, session.case, "ann", tmp_path / "whole.zip", by="ann")
        assert not whole.missing and "query/001-crop-1.png" in read(tmp_path / "whole.zip")
        for number in (1, 2):
            noise_picture(number + 2).save(pictures / f"{number}.png")
        done = export_case(store, session.case, "ann", tmp_path / "case.zip", by="ann")
        assert [told.rsplit(": ", 1)[1] for told in done.missing] == [
            "the picture cannot be read (it was changed since the import)",
            "it is not there any more, or was changed",
        ]
        assert not [name for name in read(tmp_path / "case.zip") if name.startswith(("query/", "sightings/"))]


def test_by_command(
    store: GalleryStore, case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, key = tmp_path / "case.zip", tmp_path / "key"
    command = ["export", "--gallery", store.location, "--case", case]
    key.write_text("short")
    assert main(command) == 2  # without --out
    assert main([*command, "--out", str(out), "--key", str(key)]) == 2
    assert "needs 32" in capsys.readouterr().err and not out.exists()
    key.write_bytes(KEY + b"\n")
    assert main([*command, "--out", str(out), "--key", str(key)]) == 0
    assert "3 sightings and 1 ruled out" in capsys.readouterr().out
    assert main([*command, "--out", str(out)]) == 2  # is there already
    assert main([*command[:-1], "nobody", "--out", str(tmp_path / "b.zip")]) == 2
    assert "cases` lists them" in capsys.readouterr().err
    assert main(["verify-export", str(out), "--key", str(key)]) == 0
    assert "0 problems; signed with the key" in capsys.readouterr().out
    assert main(["verify-export", str(out)]) == 0
    assert "not checked" in capsys.readouterr().out
    assert "by command" in store.searches(limit=1)[0].user


Change = Callable[[dict[str, bytes]], None]


def change_manifest(files: dict[str, bytes]) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b"Asia/Tokyo", b"Asia/Seoul")


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda files: files.update({"report.html": files["report.html"] + b" "}), "report.html was changed"),
        (lambda files: files.pop("sightings.csv"), "sightings.csv is missing"),
        (lambda files: files.update({"sightings/\x1b[2J.png": b""}), r"sightings/\x1b[2J.png is not in the"),
        (change_manifest, "its signature is wrong"),
        (lambda files: files.pop("manifest.sig"), "was not signed"),
        (lambda files: files.update({"manifest.sig": b"[]"}), "manifest.sig cannot be read"),
        (lambda files: files.update({"manifest.sig": b"{" * 99999}), "manifest.sig cannot be read"),
    ],
)
def test_every_change_is_named(
    store: GalleryStore,
    case: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Change,
    said: str,
) -> None:
    key = tmp_path / "key"
    key.write_bytes(KEY)
    export_case(store, case, "ann", tmp_path / "case.zip", by="ann", key=KEY)
    files = read(tmp_path / "case.zip")
    change(files)
    with zipfile.ZipFile(tmp_path / "changed.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    assert main(["verify-export", str(tmp_path / "changed.zip"), "--key", str(key), "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert said in problem


def test_another_key_a_second_file_of_a_name_and_damage_are_named(
    store: GalleryStore, case: str, tmp_path: Path
) -> None:
    out = tmp_path / "case.zip"
    export_case(store, case, "ann", out, by="ann", key=KEY)
    assert "another key" in check_zip(out, b"z" * 32).problems[0]
    whole = out.read_bytes()
    with zipfile.ZipFile(out) as archive:
        at = archive.getinfo("report.pdf").header_offset + 500
    out.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert check_zip(out, KEY).problems == ("report.pdf was changed",)
    out.write_bytes(whole)
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("sightings.csv", b"other")
    assert set(check_zip(out, KEY).problems) == {
        "sightings.csv is in the zip more than once",
        "sightings.csv was changed",
    }


_ENDLESS = (
    b'{"format": "chatreid-export", "version": 1, "files": [{"name": "a", "bytes": 1e400, "sha256": ""}]}'
)


@pytest.mark.parametrize("data", [b"", b"no zip", None, b'{"files": 3}', b"[]", b'{"format": "x"}', _ENDLESS])
def test_what_is_no_export_is_said(
    tmp_path: Path, data: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.zip"
    if data is not None and data[:1] in (b"{", b"["):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("manifest.json", data)
    elif data is not None:
        file.write_bytes(data)
    assert main(["verify-export", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_cell_is_a_formula() -> None:
    for cell in ("=1", "+1", "-1", "@A1", "\t=1", " =1", "＝1", "\r=1", "|x", "%0A=1"):
        assert str(_plain(cell)).startswith("'"), cell
    assert _plain("camera 3") == "camera 3" and _plain(-1) == -1


def test_the_pdf_takes_any_script_and_no_markup() -> None:
    assert _text("<b>&\0\n") == "&lt;b&gt;&amp;  "
    assert _text("你好 a 안녕") == (
        '<font name="STSong-Light">你好</font> a <font name="HYSMyeongJo-Medium">안녕</font>'
    )


def test_an_empty_case_is_a_report_too(shared: tuple[Path, str], store: GalleryStore, tmp_path: Path) -> None:
    encoder = ClipEncoder.load(shared[0] / "clip")
    session = ChatSession(ChatService(Engine(store, encoder, None)), "eve")
    session.say("hello")
    done = export_case(store, session.case, "eve", tmp_path / "case.zip", by="eve")
    assert (done.sightings, done.rejected) == (0, 0)
    assert "Nobody was confirmed" in read(tmp_path / "case.zip")["report.html"].decode()


def test_a_large_picture_goes_through_in_blocks(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(96 << 20)
    tracemalloc.start()
    sealed = SealedZip(tmp_path / "it.zip", datetime.now(UTC))
    sealed.add("large.png", large)
    sealed.seal({}, None)
    assert check_zip(tmp_path / "it.zip").ok
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_the_pdf_holds_words_of_any_length(store: GalleryStore, case: str, tmp_path: Path) -> None:
    report = report_of(store, case, "ann", "W" * 900, datetime.now(UTC))
    (first, *others), long = report.sightings, "W" * 900
    assert first.crop is not None
    crop = replace(first.crop, camera=long, path="/".join(["你好"] * 900))
    stop = replace(
        first.stop, crop=crop, sighting=replace(first.stop.sighting, note="אב😀" * 100), since=long
    )
    stressed = replace(
        report,
        case=replace(report.case, title="W" * 80, user=long),
        reason=long * 3,
        sightings=(replace(first, stop=stop, problem=long, confidence=long), *others),
        query=(long,) * 20,
        photos=tuple(replace(photo, name=long) for photo in report.photos),
        steps=tuple(replace(step, words="word " * 2000) for step in report.steps),
    )
    with (tmp_path / "it.pdf").open("wb") as file:
        write_pdf(stressed, file, lambda _: None)
    assert (tmp_path / "it.pdf").stat().st_size > 10_000
