"""Cases: what was shown is kept, comes back as it was, to its user alone. Kills: test_case_kills.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app.case_steps import NO_CASE, new_id
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import NOTHING_TO_REDO, ChatSession
from app.ui.html import cases_html
from app.uploads import Uploads
from gallery_store.cases import KeptStep
from gallery_store.encoder import ClipEncoder
from gallery_store.errors import GalleryError
from gallery_store.importer import import_crops
from gallery_store.imports import imports_of, undo_import
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture

Start = Callable[[], ChatService]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip: a toy encoder. pictures: sixteen crops."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / "pictures").mkdir()
    for number in range(16):
        noise_picture(number).save(
            folder / "pictures" / f"{number:04d}_c{number % 3 + 1}s1_{number:06d}_00.png"
        )
    make_clip_folder(folder / "clip")
    return folder


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Start:
    """The app as it starts: another service over the same gallery, and with a folder of uploads of its own."""
    encoder = ClipEncoder.load(folder / "clip")
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_crops(store, encoder, folder / "pictures")
    starts = iter(range(100))

    def begin() -> ChatService:
        uploads = Uploads(tmp_path / f"start {next(starts)}" / "uploads", max_bytes=1 << 20, max_pixels=10**6)
        return ChatService(Engine(GalleryStore.open(tmp_path / "g.db"), encoder, None), uploads)

    return begin


def what_stands(session: ChatSession) -> tuple[object, ...]:
    """All that a page shows of it; photos by their content."""
    talk = session.conversation
    said = [
        (turn.action, turn.text, turn.reply, turn.shown, turn.question, turn.own_words, turn.image_id)
        for turn in (*talk.turns, *talk.undone)
    ]
    photos = [photo.read_bytes() for turn in talk.turns for photo in turn.photos]
    screen = (session.cards, session.selected, session.compared, session.by_time, session.remaining)
    return said, photos, talk.known.wanted, talk.known.filters, talk.known.rejected, talk.reason, screen


def photo_of(service: ChatService, name: str) -> Path:
    assert service._uploads is not None
    photo = service._uploads.folder / name
    Image.effect_noise((60, 150), 80).convert("RGB").save(photo)
    return photo


def test_a_case_comes_back_whole_in_another_process(start: Start) -> None:
    service = start()
    session = service.get("ann", "tab")
    assert session.case == ""
    session.give_reason("a lost child")
    session.say("a woman in a red coat after 10:00, not on camera 3 \ud800")
    session.say("show more")
    session.confirm(session.cards[1].image_id)
    session.undo()
    session.say("this is her", [photo_of(service, "her photo.png")])
    session.reject(session.cards[0].image_id)
    session.say("sort by time")
    session.select(session.cards[2].image_id)
    before = what_stands(session)
    again = start().get("ann", "another tab", session.case)
    after = what_stands(again)
    for one, other in zip(before[1:], after[1:], strict=True):
        assert one == other
    assert [step[1:4] for step in after[0][1:]] == [step[1:4] for step in before[0][1:]]  # type: ignore[index]
    assert again.case == session.case and not again.notice
    again.undo()  # the photo is searched with
    assert again.cards and again.redo().reply


def test_candidates_are_not_searched_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    session = start().get("ann", "tab")
    session.say("a woman in a red coat")
    fresh = start()
    monkeypatch.setattr(fresh.engine, "search", lambda *_, **__: pytest.fail("searched again"))
    rows = len(fresh.store.searches(limit=100))
    again = fresh.get("ann", "tab", session.case)
    assert again.cards == session.cards and again.ranking == session.ranking
    assert len(fresh.store.searches(limit=100)) == rows


def test_an_import_that_is_undone_while_its_crops_are_on_the_screen(start: Start) -> None:
    session = start().get("ann", "tab")
    session.say("a woman in a red coat")
    fourth = session.cards[3]
    last = session.ranking.candidates[-1].image_id if session.ranking else 0
    session.service.store.delete([fourth.image_id, last])  # as from the Gallery tab, and in the command
    assert "14 candidates" in session.say("how many candidates are there?").reply
    with pytest.raises(
        Refused, match=r"^A picture of this list is not in the gallery any more: search again.$"
    ):
        session.say("compare 3 and 4")
    assert session.say("show more").reply == "Here are candidates 13 to 15 of 15."
    assert session.remaining == 0 and last not in {card.image_id for card in session.cards}
    again = start().get("ann", "tab", session.case)
    assert [card.image_id for card in again.cards] == [
        card.image_id for card in session.cards if card.image_id != fourth.image_id
    ]
    undo_import(session.service.store, imports_of(session.service.store)[0].id, "ann")
    session.show_more()
    session.order(by_time=True)
    assert session.say("show more").reply == "There are no more candidates."
    assert start().get("ann", "tab", session.case).cards == ()


def test_a_crop_that_was_deleted_since_is_not_shown(start: Start) -> None:
    session = start().get("ann", "tab")
    session.say("a woman in a red coat")
    first, *rest = session.cards
    service = start()
    service.store.delete([first.image_id])
    shown = service.get("ann", "tab", session.case).cards
    assert [card.image_id for card in shown][: len(rest)] == [card.image_id for card in rest]


def test_undo_is_a_step_and_redo_takes_it_back(start: Start) -> None:
    session = start().get("ann", "tab")
    assert session.redo().reply == NOTHING_TO_REDO
    session.say("a man in a black coat")
    session.say("with a hat")
    both, cards = session.conversation.turns, session.cards
    session.undo()
    session.undo()
    kept = session.service.store.cases.read(session.case, "ann")
    assert len(kept.steps) == 4  # nothing is deleted
    again = start().get("ann", "tab", session.case)
    again.redo()
    again.redo()
    assert again.conversation.turns == both and again.cards == cards
    again.undo()
    again.say("with a backpack")
    assert again.redo().reply == NOTHING_TO_REDO and len(again.conversation.turns) == 2


def test_start_over_keeps_the_old_case_and_leaks_no_reason(start: Start) -> None:
    session = start().get("ann", "tab")
    session.give_reason("stolen bag")
    session.say("a man in a green coat")
    old = session.case
    session.start_over()
    assert session.case == "" and session.conversation.reason == "not stated"
    session.say("a woman in a red coat")
    assert session.case not in ("", old)
    newest, before = session.service.store.searches(limit=2)
    assert (newest.reason, newest.case) == ("not stated", session.case)
    assert (before.reason, before.case) == ("stolen bag", old)
    session.open_case(old)
    assert session.conversation.reason == "stolen bag" and session.case == old
    assert session.conversation.turns[-1].text == "a man in a green coat"


@pytest.mark.parametrize(
    "user, case", [("bob", None), ("ann", "unknown"), ("ann", "\0"), ("ann", "x" * 9999)]
)
def test_a_foreign_or_unknown_case_is_a_sentence_and_a_new_case(
    start: Start, user: str, case: str | None
) -> None:
    service = start()
    mine = service.get("ann", "tab")
    mine.say("a woman in a red coat")
    session = service.get(user, "other", mine.case if case is None else case)
    assert session.notice == NO_CASE and not session.conversation.turns and session.case == ""
    session.say("a man")
    assert session.case not in ("", mine.case)
    assert [record.title for record in service.store.cases.listed("bob")] == (
        ["a man"] if user == "bob" else []
    )
    for change in (lambda: service.store.cases.rename(mine.case, "bob", "x"), lambda: mine.keeper.load("no")):
        with pytest.raises((KeyError, Refused)):
            change()


def test_two_tabs_show_the_same_on_their_next_step(start: Start) -> None:
    """In one process, and in two."""
    service, other = start(), start()
    one = service.get("ann", "one")
    one.say("a woman in a red coat")
    two, three = service.get("ann", "two", one.case), other.get("ann", "three", one.case)
    two.say("with a backpack")
    service.get("ann", "one").say("only camera 1")
    for session in (service.get("ann", "two"), other.get("ann", "three")):
        assert [turn.text for turn in session.conversation.turns] == [
            "a woman in a red coat",
            "with a backpack",
            "only camera 1",
        ]
    assert three.cards == one.cards


def test_a_step_that_crosses_with_another_tabs_is_refused_and_shows_that(start: Start) -> None:
    service = start()
    one = service.get("ann", "one")
    one.say("a woman in a red coat")
    two = service.get("ann", "two", one.case)
    one.say("with a backpack")
    with pytest.raises(Refused, match="went on elsewhere"):
        two.say("only camera 1")  # its step had begun before
    assert two.conversation.turns == one.conversation.turns and two.cards == one.cards
    two.say("only camera 1")
    assert len(two.conversation.turns) == 3


def test_cases_are_listed_renamed_closed_and_reopened(start: Start) -> None:
    service = start()
    session, cases = service.get("ann", "tab"), service.store.cases
    session.say("somebody in\ta yellow   dress " + "x" * 100)
    session.confirm(session.cards[0].image_id)
    first = session.case
    session.start_over()
    session.say("a man")
    newest, before = cases.listed("ann")
    assert (newest.id, newest.title, newest.turns) == (session.case, "a man", 1)
    assert before.title.startswith("somebody in a yellow dress") and len(before.title) <= 80
    assert (before.turns, before.confirmed, before.is_closed) == (2, 1, False)
    cases.rename(first, "ann", "  The dress\n")
    cases.rename(first, "ann", "  ")
    cases.close(first, "ann")
    closed = cases.listed("ann")[1]
    assert (closed.title, closed.is_closed) == ("The dress", True)
    cases.close(first, "ann", closed=False)
    assert not cases.listed("ann")[1].is_closed
    cases.close(first, "ann")
    session.open_case(first)
    session.undo()  # goes on with it, so it is open again
    reopened = cases.listed("ann")[0]
    assert (reopened.id, reopened.title, reopened.turns, reopened.is_closed) == (first, "The dress", 1, False)


def test_a_step_that_could_not_be_written_is_said_and_written_with_the_next(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start().get("ann", "tab")
    session.say("a woman in a red coat")
    with monkeypatch.context() as patched:

        def full(*_: object, **__: object) -> None:
            raise GalleryError("the disk is full")

        patched.setattr(session.service.store.cases, "add_step", full)
        status = session.say("with a backpack").status
        assert "the disk is full" in status["not_kept"]
        session.undo()
        session.say("only camera 1")
    assert session.say("with a hat").status["not_kept"] == ""
    again = start().get("ann", "tab", session.case)
    assert again.conversation == session.conversation and len(again.conversation.turns) == 3


def test_what_another_version_wrote_is_a_sentence(start: Start) -> None:
    service = start()
    service.store.cases.add_step("c", "ann", 1, KeptStep('{"turns": 7}'), title="x", turns=1, confirmed=0)
    session = service.get("ann", "tab", "c")
    assert "another version" in session.notice and session.case == ""
    assert session.say("a man").cards


def test_a_gallery_that_cannot_be_written_serves_and_says_that_the_case_is_not_kept(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GalleryStore, "read_only", True)
    service = start()
    session = service.get("ann", "tab")
    assert session.say("a woman in a red coat").cards and session.case == ""
    assert "the case is not kept" in cases_html(session)
    assert service.cases_of("ann") == [] and service.get("ann", "other", "some case").notice == NO_CASE
    monkeypatch.undo()
    assert start().cases_of("ann") == []


def test_the_menu_escapes_names(start: Start) -> None:
    session = start().get("ann", "tab")
    assert 'data-case=""' in cases_html(session)
    session.say("a woman in a red coat")
    session.service.store.cases.rename(session.case, "ann", "<img onerror=x>")
    assert "<img" not in cases_html(session) and f'href="?case={session.case}"' in cases_html(session)


def test_a_case_that_is_erased_while_it_is_open_ends_and_a_new_one_begins(start: Start) -> None:
    service = start()
    session = service.get("ann", "one")
    session.say("a woman in red")
    erased = session.case
    assert service.store.cases.erase(erased)
    with pytest.raises(Refused, match="no such case"):
        session.say("with a hat")
    assert not session.conversation.turns and session.case == ""
    session.say("a man in blue")
    assert session.case not in ("", erased)
    assert [case.id for case in service.store.cases.listed("ann")] == [session.case]


def test_an_empty_message_makes_no_case_and_another_reason_is_kept_without_a_step(start: Start) -> None:
    service = start()
    session = service.get("ann", "tab")
    session.say("  ")
    assert not session.case and not service.cases_of("ann")
    session.say("a man in a green coat")
    assert [case.title for case in service.cases_of("ann")] == ["a man in a green coat"]
    session.keep_reason("a lost child")
    assert service.get("ann", "another", session.case).conversation.reason == "a lost child"


def test_no_case_is_named_as_an_option_of_a_command_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(["-abcdefghijklmno", "--bcdefghijklmno", "a-cdefghijklmnop"])
    monkeypatch.setattr("app.case_steps.secrets.token_urlsafe", lambda size: next(made))
    assert new_id() == "a-cdefghijklmnop"
