"""The route that hands out a case: to whose it is, by a form of its own page, and nothing stays behind."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.case_steps import CaseKeeper, CaseState
from app.chat import conversation as chat
from app.chat.search_state import GalleryFacts
from app.service import ChatService
from app.settings import Settings
from app.startup import StartError, export_key, prepare
from app.ui.export import export_route
from gallery_store.cases import KeptStep
from gallery_store.sealed_zip import check_zip
from gallery_store.store import GalleryStore

KEY = b"k" * 32


class _OneStore:
    """As much of a service as keeps a case."""

    keeps_cases = True

    def __init__(self, store: GalleryStore) -> None:
        self.store = store
        self.name_of_photo = Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GalleryStore]:
    """With a case of ann's, called "mine", and one of the user without a login."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with GalleryStore.open(tmp_path / "g.db") as store:
        for user, case in (("ann", "mine"), ("local", "ours")):
            talk = chat.say(chat.Conversation(case=case), "a woman in red", GalleryFacts())
            service: ChatService = _OneStore(store)  # type: ignore[assignment]
            assert CaseKeeper(service, user).save(CaseState(talk)) == ""
        yield store


def client_of(store: GalleryStore, user: str | None, *, login: bool = True) -> TestClient:
    app = Starlette(routes=[export_route(store, KEY)])
    app.auth, app.cookie_id = (lambda *_: True) if login else None, "1"  # type: ignore[attr-defined]
    app.tokens = {"token": user} if user else {}  # type: ignore[attr-defined]
    return TestClient(app, cookies={"access-token-1": "token"})


@pytest.mark.parametrize("user, login, case", [("ann", True, "mine"), (None, False, "ours")])
def test_its_user_gets_it_signed_and_nothing_is_left(
    store: GalleryStore, tmp_path: Path, user: str | None, login: bool, case: str
) -> None:
    answer = client_of(store, user, login=login).post(f"/cases/{case}/export")
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert f'filename="case-{case}.zip"' in answer.headers["content-disposition"]
    (tmp_path / "case.zip").write_bytes(answer.content)
    assert check_zip(tmp_path / "case.zip", KEY).ok
    assert b"a woman in red" in zipfile.ZipFile(BytesIO(answer.content)).read("report.html")
    assert not list((tmp_path / "temporary").iterdir())
    assert store.searches(limit=1)[0].user == (user or "local")


@pytest.mark.parametrize(
    "user, login, case, status",
    [("bob", True, "mine", 404), (None, True, "mine", 401), (None, False, "mine", 404), ("ann", True, "x" * 999, 404)],
)  # fmt: skip
def test_nobody_else_does(
    store: GalleryStore, tmp_path: Path, user: str | None, login: bool, case: str, status: int
) -> None:
    answer = client_of(store, user, login=login).post(f"/cases/{case}/export")
    assert answer.status_code == status and "a woman" not in answer.text and answer.text.endswith(".")
    assert not list((tmp_path / "temporary").iterdir()) and store.searches() == []
    assert (
        client_of(store, "ann").get("/cases/mine/export").status_code == 405
    )  # no link elsewhere starts one


def test_where_a_reason_is_required_no_case_goes_out_without(store: GalleryStore) -> None:
    app = Starlette(routes=[export_route(store, KEY, needs_reason=True)])
    app.auth, app.cookie_id, app.tokens = None, "1", {}  # type: ignore[attr-defined]
    answer = TestClient(app).post("/cases/ours/export")
    assert answer.status_code == 409 and "A reason is needed" in answer.text and store.searches() == []


def test_what_cannot_be_exported_is_a_sentence(store: GalleryStore) -> None:
    store.cases.add_step("old", "ann", 1, KeptStep('{"stay": "?"}'), title="", turns=1, confirmed=0)
    answer = client_of(store, "ann").post("/cases/old/export")
    assert answer.status_code == 503 and "another version" in answer.text


@pytest.mark.parametrize("content", [None, b"", b"too short"])
def test_a_key_that_does_not_do_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(StartError, match="key"):
        prepare(Settings(export_key_file=str(tmp_path / "key"), data=str(tmp_path / "data")))
    assert export_key(Settings()) is None
