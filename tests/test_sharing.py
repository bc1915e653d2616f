"""A case that is shared: who may do what in it, who did what, and what ends with the sharing."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.case_steps import NO_CASE
from app.export.archive import export_case
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import ChatSession
from app.sharing import NO_USERS, share, unshare
from app.ui.handlers import ONLY_OWNER, Handlers
from app.ui.html import cases_html
from app.ui.view import Components, View
from app.uploads import Uploads
from gallery_store.__main__ import main
from gallery_store.cases import WENT_ON
from tests.toy_engine import toy_engine

NAMES = Components(**{field.name: field.name for field in fields(Components)})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("sharing"), 14) as engine:
        yield engine


@pytest.fixture
def service(engine: Engine, tmp_path: Path) -> ChatService:
    uploads = Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=10**6)
    return ChatService(engine, uploads, users=("ann", "bob", "cat <i>"))


def test_a_shared_case_is_opened_and_gone_on_with_and_shows_who_did_what(service: ChatService) -> None:
    ann = service.get("ann", "a")
    ann.give_reason("a lost child")
    ann.say("a man in a red coat")
    case = ann.case
    assert service.get("bob", "early", case).notice == NO_CASE
    assert share(ann, " bob ") == ("bob",) == share(ann, "bob")
    bob = service.get("bob", "b", case)
    assert bob.cards == ann.cards and bob.conversation.reason == "a lost child"
    bob.confirm(bob.cards[0].image_id)
    ann = service.get("ann", "a")  # both show the same
    assert ann.board == bob.board and ann.keeper.makers == ("ann", "bob")
    ann.say("with a hat")
    assert service.get("bob", "b").conversation == ann.conversation
    audit = service.store.searches_of(case)
    assert [row.user for row in audit] == ["ann", "ann", "bob", "ann"]
    assert audit[1].query == {"shared": {"with": "bob"}}


def test_the_page_names_who_said_it_once_there_are_two(service: ChatService, tmp_path: Path) -> None:
    view = View(NAMES, Uploads(tmp_path / "up", max_bytes=1 << 20, max_pixels=10**6))
    ann = service.get("ann", "a")
    ann.say("a man")
    assert view.history(ann)[0]["content"] == "a man"
    share(ann, "cat <i>")
    cat = service.get("cat <i>", "c", ann.case)
    cat.undo()
    cat.redo()
    cat.say("with a hat")
    said = [one["content"] for one in view.history(service.get("ann", "a")) if one["role"] == "user"]
    assert said == ["*cat \\<i\\>*\n\na man", "*cat \\<i\\>*\n\nwith a hat"]  # whoever did it last


def test_nobody_judges_or_undoes_what_another_brought_onto_the_screen_unseen(
    service: ChatService, tmp_path: Path
) -> None:
    view = View(NAMES, Uploads(tmp_path / "up", max_bytes=1 << 20, max_pixels=10**6))
    handlers, request = (
        Handlers(service, view),
        SimpleNamespace(username="ann", session_hash="a", query_params={}),
    )
    ann = service.get("ann", "a")
    ann.say("a man")
    ann.select(ann.cards[2].image_id)
    share(ann, "bob")
    bob = service.get("bob", "b", ann.case)

    def step_of_bob(what: Callable[[ChatSession], object]) -> tuple[object, ...]:
        what(service.get("bob", "b"))
        return service.get("bob", "b").conversation.turns

    turns = step_of_bob(lambda bob: bob.select(bob.cards[5].image_id))
    *_, shown = handlers.confirm("", request)  # type: ignore[arg-type]
    assert shown["chatbot"][-1]["content"] == f"{WENT_ON.capitalize()}." and ann.conversation.turns == turns
    *_, shown = handlers.confirm("", request)  # type: ignore[arg-type]
    assert ann.board.confirmed[0].image_id == bob.cards[5].image_id  # it is on her screen now

    turns = step_of_bob(lambda bob: bob.reject(bob.cards[0].image_id))
    for step in (lambda ann: ann.say("not 1 and 2"), ChatSession.undo, ChatSession.use_model_reading):
        with pytest.raises(Refused, match=WENT_ON[1:]):
            step(service.get("ann", "a"))
        assert service.get("ann", "a").conversation.turns == turns
        turns = step_of_bob(lambda bob: bob.reject(bob.cards[0].image_id))
    service.get("ann", "a").say("with a hat")  # means nothing on the screen
    service.get("ann", "a").undo()
    assert service.get("ann", "a").conversation.turns == turns


def test_only_the_owner_shares_renames_and_closes(service: ChatService) -> None:
    ann = service.get("ann", "a")
    ann.say("a man in a red coat")
    share(ann, "bob")
    bob = service.get("bob", "b", ann.case)
    for change in (lambda: share(bob, "cat <i>"), lambda: unshare(bob, "bob")):
        with pytest.raises(Refused, match="Only its owner may share"):
            change()
    handlers = Handlers(service, View(NAMES, service._uploads))  # type: ignore[arg-type]
    asked: Any = SimpleNamespace(username="bob", session_hash="b", query_params={})
    for handler, data in ((handlers.rename_case, {"title": "mine"}), (handlers.close_case, {"closed": True})):
        shown = handler(SimpleNamespace(_data=data), asked)  # type: ignore[arg-type]
        assert shown["chatbot"][-1]["content"] == ONLY_OWNER
    (record,) = [one for one in service.cases_of("bob") if one.id == ann.case]
    assert (record.user, record.title, record.is_closed) == ("ann", "a man in a red coat", False)
    menu = cases_html(bob)
    assert "ann shares this case with you" in menu and "data-rename" not in menu and "data-share" not in menu
    assert "data-export" in menu and "ann’s" in menu
    mine = cases_html(ann)
    assert 'data-unshare="bob"' in mine and "shared with bob" in mine


@pytest.mark.parametrize("name", ["ann", "nobody", "", "x" * 999])
def test_a_case_is_shared_with_another_user_alone(service: ChatService, name: str) -> None:
    ann = service.get("ann", "a")
    with pytest.raises(Refused, match="No step of this case is kept"):
        share(ann, "bob")
    ann.say("a man")
    with pytest.raises(Refused):
        share(ann, name)
    assert service.store.cases.shares.of(ann.case) == ()


def test_without_logins_there_is_nobody_to_share_with_and_no_control(engine: Engine) -> None:
    for users in ((), ("local",)):
        session = ChatService(engine, users=users).get("local", "a")
        session.say("a man")
        with pytest.raises(Refused, match=NO_USERS[:30]):
            share(session, "bob")
        assert "data-share" not in cases_html(session)


def test_what_is_shared_no_longer_ends_at_the_next_step_and_is_not_searched(service: ChatService) -> None:
    ann = service.get("ann", "a")
    ann.say("a man in a red coat")
    case = ann.case
    share(ann, "bob")
    bob = service.get("bob", "b", case)
    bob.give_reason("bob's own")
    bob.say("with a hat")
    assert unshare(ann, "bob") == () == unshare(ann, "bob")
    rows = len(service.store.searches(limit=1000))
    for step in (
        lambda one: one.say("only camera 2"),
        lambda one: one.select(one.cards[0].image_id),
        lambda one: one.note(one.cards[0].image_id, "x") if one.board.confirmed else one.order(by_time=True),
        lambda one: one.show_more(),
    ):
        share(ann, "bob")
        session = service.get("bob", str(step), case)
        unshare(ann, "bob")
        rows = len(service.store.searches(limit=1000))
        with pytest.raises(Refused, match="no such case"):
            step(session)
        assert session.case == "" and not session.conversation.turns and not session.has_reason
        assert not session.cards and len(service.store.searches(limit=1000)) == rows
    ann = service.get("ann", "a")
    assert [turn.text for turn in ann.conversation.turns] == ["a man in a red coat", "with a hat"]
    assert ann.keeper.makers == ("ann", "bob")  # what bob did stays
    assert case not in [one.id for one in service.cases_of("bob")]
    with pytest.raises(KeyError):
        service.store.cases.read(case, "bob")


def test_the_export_of_a_shared_case_says_whose_each_step_is(service: ChatService, tmp_path: Path) -> None:
    ann = service.get("ann", "a")
    ann.say("a man in a red coat")
    share(ann, "bob")
    bob = service.get("bob", "b", ann.case)
    confirmed, rejected = (card.image_id for card in bob.cards[:2])
    bob.confirm(confirmed)
    ann = service.get("ann", "a")
    ann.reject(rejected)
    export_case(service.store, ann.case, "bob", tmp_path / "case.zip", by="bob")
    files = zipfile.ZipFile(tmp_path / "case.zip")
    page = files.read("report.html").decode()
    rows = list(csv.DictReader(io.StringIO(files.read("sightings.csv").decode("utf-8-sig"))))
    assert [(row["crop"], row["judged_by"]) for row in rows] == [
        (str(confirmed), "bob"),
        (str(rejected), "ann"),
    ]
    assert re.findall(r"<dt>Judged</dt><dd>.* by (\w+)</dd>", page) == ["bob", "ann"]
    assert "<td>ann</td><td>a man in a red coat</td>" in page and "<td>bob</td><td>Confirmed" in page
    assert "The case is ann’s" in page


def test_the_command_shows_shares(service: ChatService, capsys: pytest.CaptureFixture[str]) -> None:
    ann = service.get("ann", "a")
    ann.say("a man in a red coat")
    share(ann, "bob")
    command = ["cases", "--gallery", service.store.location]
    assert main(command) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if ann.case in line]
    assert "ann (shared with bob)" in line
    assert main([*command, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["cases"]
    assert next(one for one in listed if one["id"] == ann.case)["shared"] == ["bob"]
