"""A gallery that is locked, full, read-only, replaced or emptied: one sentence each time, and the app goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import startup
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import ChatSession
from app.settings import Settings
from app.startup import AUDIT, MARK, import_demo
from app.ui.gallery_tab import cameras_html, stats_html
from app.ui.handlers import Handlers
from app.ui.html import header_html
from app.ui.pictures import picture_routes
from app.ui.view import View
from app.uploads import Uploads
from gallery_store.__main__ import main
from gallery_store.cases import KeptStep
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.migrations import m0004_conversations
from gallery_store.store import GalleryError, GalleryStore
from gallery_store.verify import verify
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import write_pictures
from tests.old_gallery import drop_what_came_since, turn_old
from tests.test_session import NAMES

WORDS = "somebody in a yellow dress"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ClipEncoder:
    return ClipEncoder.load(make_clip_folder(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encoder: ClipEncoder) -> Path:
    """A folder with a gallery of eight crops on two cameras."""
    folder = tmp_path_factory.mktemp("made")
    pictures = write_pictures(folder / "in", [f"{n:04d}_c{n % 2 + 1}s1_000001_00.png" for n in range(1, 9)])
    with GalleryStore.open(folder / "g.db") as store:
        import_crops(store, encoder, pictures)
    return folder


@pytest.fixture
def where(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def engine(where: Path, encoder: ClipEncoder) -> Iterator[Engine]:
    with GalleryStore.open(where / "g.db", busy_seconds=0.1) as store:
        yield Engine(store, encoder, None)


@pytest.fixture
def session(engine: Engine) -> ChatSession:
    session = ChatService(engine).get("ann", "tab")
    session.say("a man")
    session.say("with a hat")
    return session


@pytest.fixture
def not_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder "own" is as on a read-only mount; its rights alone would not keep root from writing."""
    access = os.access

    def may(path: Path, mode: int) -> bool:
        return access(path, mode) and not (mode == os.W_OK and "own" in Path(path).parts)

    monkeypatch.setattr(os, "access", may)


def picture_of(store: GalleryStore, crop_id: int) -> int:
    """The status by which the app serves a crop's thumbnail."""
    app = Starlette(routes=picture_routes(store))
    app.auth = None  # type: ignore[attr-defined]  # as Gradio's app has it
    return TestClient(app).get(f"/crops/{crop_id}.jpg").status_code


def emptied(where: Path) -> None:
    os.truncate(where / "g.db", 0)


def removed(where: Path) -> None:
    (where / "g.db").rename(where / "away")


def replaced(where: Path) -> None:
    with GalleryStore.open(where / "new.db"):
        pass
    (where / "new.db").replace(where / "g.db")


@pytest.mark.parametrize("how", [emptied, removed, replaced])
def test_what_happens_to_the_file_is_said_at_every_step(
    session: ChatSession, engine: Engine, where: Path, how: Callable[[Path], None]
) -> None:
    before = session.conversation, session.cards
    how(where)
    for step in (
        lambda: session.say(WORDS),
        lambda: session.search_with(3),
        lambda: session.select(3),
        lambda: session.confirm(3),
        session.undo,
    ):
        with pytest.raises(
            Refused, match=rf"^The gallery .*g\.db was {how.__name__} while it was open: .*\.$"
        ):
            step()
    assert (session.conversation, session.cards) == before
    assert f"was {how.__name__} while" in stats_html(engine.store) and cameras_html(engine.store) == ""
    assert f"was {how.__name__} while" in header_html(engine)
    assert picture_of(engine.store, 3) == 404


@pytest.mark.parametrize("how", [emptied, replaced])
def test_the_page_says_it_and_keeps_what_it_shows(
    engine: Engine, where: Path, tmp_path: Path, how: Callable[[Path], None]
) -> None:
    class Request:
        username, session_hash, query_params = "ann", "tab", {}

    class Choice:
        _data: ClassVar = {"image_id": 4}

    service = ChatService(engine)
    handlers = Handlers(service, View(NAMES, Uploads(tmp_path / "up", max_bytes=1 << 20, max_pixels=1 << 20)))
    request: Any = Request()
    session = service.get("ann", "tab")
    session.say("a man")
    session.search_with(3)
    choice: Any = Choice()
    assert "crops/4.jpg" in handlers.choose(choice, request)["selected"]
    how(where)
    handlers.announce({"text": WORDS, "files": []}, request)
    *_, last = handlers.answer("", request)
    assert f"g.db was {how.__name__} while it was open" in last["chatbot"][-1]["content"]
    assert "crops/4.jpg" in last["selected"] and "crops/4.jpg" in last["candidates"]
    assert last["undo"].interactive and last["confirm"].interactive


def test_a_locked_gallery_is_said_and_then_answers(session: ChatSession, engine: Engine, where: Path) -> None:
    with closing(sqlite3.connect(where / "g.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refused, match=r"g\.db is locked by another program: close that one, or wait"):
            session.say(WORDS)
        assert "8" in stats_html(engine.store) and picture_of(engine.store, 3) == 200  # looking goes on
        other.execute("ROLLBACK")
    assert len(session.say(WORDS).cards) == 8


def test_a_full_disk_is_said(session: ChatSession, engine: Engine) -> None:
    with engine.store.database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    reader = engine.store.database._reader

    from sqlalchemy import event

    @event.listens_for(reader, "begin")
    def no_room(connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(
        Refused, match=r"^The disk of the gallery .*g\.db is full: make room, and try again\.$"
    ):
        for _ in range(200):
            session.say(WORDS)
            session.undo()


def test_a_read_only_gallery_opens_for_looking(
    where: Path, tmp_path: Path, encoder: ClipEncoder, not_writable: None, capsys: pytest.CaptureFixture
) -> None:
    before = {file: file.stat().st_mtime_ns for file in where.rglob("*")}
    with GalleryStore.open(where / "g.db") as store:
        assert store.read_only and store.count() == 8 and verify(store).ok
        startup._look_at_gallery(store, tmp_path / "data")
        assert f"searches are recorded in {tmp_path / 'data' / AUDIT}" in capsys.readouterr().err
        answer = ChatService(Engine(store, encoder, None)).get("ann", "tab").say(WORDS)
        assert len(answer.cards) == 8 and picture_of(store, 3) == 200
        (row,) = store.searches()
        assert row.user == "ann" and row.query["gallery"] == str(where / "g.db")
        assert "read-only" in stats_html(store)
        for change in (
            lambda: store.delete([1]),
            lambda: import_crops(store, encoder, where / "in"),
        ):
            with pytest.raises(GalleryError, match=r"g\.db lies where nothing can be written.*give yourself"):
                change()
    assert {file: file.stat().st_mtime_ns for file in where.rglob("*")} == before
    with GalleryStore.open(tmp_path / "data" / AUDIT) as audit:
        assert len(audit.searches()) == 1


def test_a_read_only_gallery_of_the_version_before_opens_for_looking(
    where: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    turn_old(where / "g.db")
    request.getfixturevalue("not_writable")
    before = {file: file.stat().st_mtime_ns for file in where.rglob("*")}
    with GalleryStore.open(where / "g.db") as store:
        assert store.read_only and store.media == where / "g.media"
        assert verify(store).ok and picture_of(store, 3) == 200
        startup.open_uploads(Settings(data=str(tmp_path / "data")), store)  # it has no table of photos
    assert {file: file.stat().st_mtime_ns for file in where.rglob("*")} == before


def test_cases_of_a_read_only_gallery_of_schema_4_are_listed(
    where: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    file = where / "g.db"
    with GalleryStore.open(file) as store:
        store.cases.add_step("c", "ann", 1, KeptStep("{}"), title="One", turns=1, confirmed=0)
    with closing(sqlite3.connect(file)) as raw:
        drop_what_came_since(raw, m0004_conversations.metadata)
        raw.execute("DELETE FROM schema_migrations WHERE number > 4")
        raw.commit()
    request.getfixturevalue("not_writable")
    for command, said in (("cases", "ann  1 steps  One"), ("imports", "no import is listed")):
        assert main([command, "--gallery", str(file)]) == 0
        assert said in capsys.readouterr().out
    with GalleryStore.open(file) as store:
        assert store.read_only and len(store.crops([1, 2])) == 2


def test_the_app_starts_where_the_photos_of_cases_cannot_be_asked_for(where: Path, tmp_path: Path) -> None:
    with GalleryStore.open(where / "g.db") as store:
        (where / "g.db").rename(where / "gone.db")
        uploads = startup.open_uploads(Settings(data=str(tmp_path / "data")), store)
    assert uploads.folder.is_dir()


def test_a_lost_picture_is_not_found(engine: Engine) -> None:
    assert picture_of(engine.store, 3) == 200
    for crop_id in (4, 5):
        engine.store.crops([crop_id])[0].file.unlink()
    engine.store.crops([5])[0].file.write_bytes(b"torn")
    assert [picture_of(engine.store, crop_id) for crop_id in (3, 4, 5, 99)] == [200, 404, 404, 404]


def test_pictures_that_are_not_there_are_said_at_the_start(
    where: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with GalleryStore.open(where / "g.db") as store:
        startup._look_at_gallery(store, tmp_path)
        assert capsys.readouterr().err == ""
        for crop_id in (4, 5):
            store.crops([crop_id])[0].file.unlink()
        startup._look_at_gallery(store, tmp_path)
        assert "2 of 8 pictures that were looked for are not there" in capsys.readouterr().err


def test_a_new_gallery_gets_the_demo_crops(made: Path, tmp_path: Path, encoder: ClipEncoder) -> None:
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_demo(store, encoder, tmp_path, made / "in")
        assert store.count() == 8 and not (tmp_path / MARK).exists()


def test_a_replaced_gallery_gets_no_demo_crops(
    made: Path, where: Path, encoder: ClipEncoder, capsys: pytest.CaptureFixture
) -> None:
    replaced(where)
    with GalleryStore.open(where / "g.db") as store:
        import_demo(store, encoder, where, made / "in")
        assert store.count() == 0
    assert "no demo crops are put in; bring the earlier file back" in capsys.readouterr().err


def test_an_emptied_gallery_gets_no_demo_crops(where: Path) -> None:
    emptied(where)
    with pytest.raises(GalleryError, match=r"is empty, but its pictures are still in"):
        GalleryStore.open(where / "g.db")
