"""The steps of a case: a conversation as it is kept in the gallery's database, step by step, and brought back whole.

Each step holds what changed: how many of the turns stay, those that follow, and what stands on the screen after it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from app.chat.board import board_of
from app.chat.conversation import NO_REASON, Conversation, Turn
from app.chat.two_readings import OtherReading
from app.refused import Refused
from app.retrieval.comparison import Comparison
from app.retrieval.ranking import Ranking
from gallery_store.cases import CaseWentOn, KeptCase, KeptStep
from gallery_store.errors import GalleryError

if TYPE_CHECKING:
    from app.service import ChatService
    from gallery_store.case_messages import MessageId

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NO_CASE = "There is no such case of yours; this is a new one."
NOT_YOURS = "the case is not shared with you any more, or was erased"
NOT_KEPT = "This gallery cannot be written: the case is not kept."


@dataclass(frozen=True)
class Screen:
    """What stands on the screen besides the conversation.

    shown: how many candidates. selected: image id. The rest as ChatSession has it.
    """

    shown: int = 0
    selected: int | None = None
    compared: Comparison = field(default_factory=Comparison)
    other: OtherReading | None = None
    by_time: bool = False
    latest_first: bool = False
    by_person: bool = False


@dataclass(frozen=True)
class CaseState:
    """All that a case is at one moment."""

    conversation: Conversation = field(default_factory=Conversation)
    ranking: Ranking | None = None
    screen: Screen = field(default_factory=Screen)


@dataclass(frozen=True)
class _Step:
    """stay, undone_stay: how many of the turns, and of those taken back, stay as they were; the new ones follow."""

    stay: int
    turns: tuple[Turn, ...] = ()
    undone_stay: int = 0
    undone: tuple[Turn, ...] = ()
    reason: str = NO_REASON
    screen: Screen = field(default_factory=Screen)


@dataclass(frozen=True)
class LoadedCase:
    """A case as it was left. number: of its last step, 0 for none. makers: who did each of its turns."""

    state: CaseState
    number: int
    makers: tuple[str, ...]


_STEP: TypeAdapter[_Step] = TypeAdapter(_Step)
_RANKING: TypeAdapter[Ranking | None] = TypeAdapter(Ranking | None)


def new_id() -> str:
    """The id of a new case; nobody can guess it. Commands would take one that begins with "-" for an option."""
    while (made := secrets.token_urlsafe(12)).startswith("-"):
        pass
    return made


class CaseKeeper:
    """Keeps the case of one session. Not thread-safe: the session's lock is held.

    number: of its last step that is kept; 0 where none is yet. case: its id as the gallery has it, perhaps without
    a step; "" for nothing of it. makers: who did each of the turns that are kept.
    """

    def __init__(self, service: ChatService, user: str) -> None:
        self._service, self._user = service, user
        self._kept = CaseState()
        self._photos: set[Path] = set()  # that are kept
        self.number = 0
        self.case = ""
        self.makers: tuple[str, ...] = ()

    def save(self, state: CaseState, answers: Sequence[MessageId] = ()) -> str:
        """Write what is new since the last time; -> a sentence where it could not be, and the next tries again.

        answers: messages that became steps, settled in the same transaction. Raises CaseWentOn.
        """
        case = state.conversation.case
        if case is None or not self._service.keeps_cases:
            return ""
        if state == self._kept:
            return self._settled(answers)
        if not (any(map(_says_something, state.conversation.turns)) or self.number):
            return self._settled(answers)
        talk = state.conversation
        stay = _same(self._kept.conversation.turns, talk.turns)
        undone_stay = _same(self._kept.conversation.undone, talk.undone)
        new, new_undone = talk.turns[stay:], talk.undone[undone_stay:]
        named, named_undone = (
            tuple(_with_files(turn, self._service.name_of_photo) for turn in some)
            for some in (new, new_undone)
        )
        step = _Step(stay, named, undone_stay, named_undone, talk.reason, state.screen)
        board = board_of(talk.turns)
        new_ranking = state.ranking is not self._kept.ranking
        photos = {path for turn in (*new, *new_undone) for path in _files(turn)} - self._photos
        try:
            self._service.store.cases.add_step(
                case,
                self._user,
                self.number + 1,
                KeptStep(_json(_STEP, step), _json(_RANKING, state.ranking) if new_ranking else None),
                title=title_of(talk.turns),
                turns=len(talk.turns),
                confirmed=len(board.confirmed),
                board=[one.image_id for one in (*board.confirmed, *board.rejected)],
                photos={self._service.name_of_photo(path).as_posix(): path.read_bytes() for path in photos},
                answers=answers,
            )
        except CaseWentOn:
            raise
        except KeyError:
            raise CaseWentOn(NOT_YOURS) from None
        except (GalleryError, OSError) as problem:
            return f"This step is not kept yet ({problem}); the next one tries again."
        self.makers = (*self.makers[:stay], *(self._user for _ in new))
        self.case = case
        self._kept, self.number, self._photos = state, self.number + 1, self._photos | photos
        return ""

    def _settled(self, answers: Sequence[MessageId]) -> str:
        """Settle messages that came to nothing which is kept."""
        try:
            if answers:
                self._service.store.cases.messages.settle(answers)
        except GalleryError:
            return "This message is answered, and may be shown as unanswered after a new start."
        return ""

    def showing(self, state: CaseState, loaded: LoadedCase) -> None:
        """The case that is on the screen from now on, as it came out there; nothing of it counts as new."""
        self._kept, self.number, self._photos = state, loaded.number, set()
        self.makers, self.case = loaded.makers, state.conversation.case or ""

    def went_on(self) -> bool:
        """Whether the case has steps that this session has not seen, as another tab does them."""
        try:
            return bool(self.case) and self._last_step() != self.number
        except (GalleryError, KeyError):
            return False

    def is_lost(self) -> bool:
        """Whether the case is not the user's any more, or was erased."""
        try:
            return bool(self.case) and self._last_step() < self.number
        except KeyError:
            return True
        except GalleryError:
            return False

    def _last_step(self) -> int:
        return self._service.store.cases.last_step(self.case, self._user)

    def load(self, case: str) -> LoadedCase:
        """The case as it was left; `showing` takes it over.

        Refused, in one sentence, where the user has no such case or it cannot be read.
        """
        if not self._service.keeps_cases or not _ID.fullmatch(case):
            raise Refused(NO_CASE)
        try:
            kept = self._service.store.cases.read(case, self._user)
        except KeyError:
            raise Refused(NO_CASE) from None
        except GalleryError as problem:
            raise Refused(f"The case cannot be read now ({problem}); this is a new one.") from problem
        try:
            return self._replayed(case, kept)
        except ValueError as problem:  # of pydantic too
            raise Refused(
                "This case was kept by another version of ChatReID and cannot be read; this is a new one."
            ) from problem

    def _replayed(self, case: str, kept: KeptCase) -> LoadedCase:
        turns: tuple[Turn, ...] = ()
        undone: tuple[Turn, ...] = ()
        makers: tuple[str, ...] = ()
        step = _Step(0)
        for step, user in zip(map(_read_step, kept.steps), kept.users, strict=True):
            turns = (*turns[: step.stay], *step.turns)
            makers = (*makers[: step.stay], *(user for _ in step.turns))
            undone = (*undone[: step.undone_stay], *step.undone)
        files = {path for turn in (*turns, *undone) for path in _files(turn)}
        here = {path: self._service.kept_photo(case, path) for path in files}
        turns, undone = (
            tuple(_with_files(turn, here.__getitem__) for turn in some) for some in (turns, undone)
        )
        ranking = read_ranking(kept.ranking)
        state = CaseState(Conversation(turns, undone, step.reason, case), ranking, step.screen)
        return LoadedCase(state, len(kept.steps), makers)


def told_in(kept: KeptCase) -> tuple[list[Turn], list[int], str]:
    """The turns of a case as they stand, the number of the step that brought each, and the case's reason.

    Photos bear the names by which the gallery keeps them. ValueError for a case of another version.
    """
    turns: list[Turn] = []
    steps: list[int] = []
    reason = NO_REASON
    for number, text in enumerate(kept.steps, start=1):
        step = _read_step(text)
        turns[step.stay :] = step.turns
        steps[step.stay :] = [number] * len(step.turns)
        reason = step.reason
    return turns, steps, reason


def read_ranking(text: str | None) -> Ranking | None:
    """A ranking as a step keeps it; None where nothing stands on the screen."""
    return _RANKING.validate_python(json.loads(text)) if text else None


def _read_step(text: str) -> _Step:
    return _STEP.validate_python(json.loads(text))


def title_of(turns: Sequence[Turn]) -> str:
    """What a case is called: by its first words, or by the picture that it begins with; "" without turns."""
    if words := next((turn.text for turn in turns if turn.text.strip()), ""):
        return words
    if photos := next((turn.photos for turn in turns if turn.photos), ()):
        return photos_title(photos)
    references = (one for turn in turns for one in turn.after.references)
    if place := next((one.place for one in references if one.place), ""):
        return f"Person on {place}"
    return "Person of the gallery" if turns else ""


def photos_title(photos: Sequence[Path]) -> str:
    """What a case is called that begins with photos alone."""
    return f"Person of the photo {photos[0].stem}" if photos else ""


def _says_something(turn: Turn) -> bool:
    """False of an empty message, which makes no case."""
    return bool(turn.action != "say" or turn.text.strip() or turn.photos)


def _same(before: Sequence[Turn], after: Sequence[Turn]) -> int:
    """How many turns at the beginning are the very same."""
    same = 0
    for old, new in zip(before, after, strict=False):
        if old is not new:
            break
        same += 1
    return same


def _files(turn: Turn) -> list[Path]:
    """The photos that a turn refers to, each once."""
    of_state = [reference.file for reference in turn.after.references if reference.file is not None]
    return list(dict.fromkeys((*turn.photos, *of_state)))


def _with_files(turn: Turn, change: Callable[[Path], Path]) -> Turn:
    references = tuple(
        replace(reference, file=change(reference.file)) if reference.file is not None else reference
        for reference in turn.after.references
    )
    after = replace(turn.after, references=references)
    return replace(turn, photos=tuple(map(change, turn.photos)), after=after)


def _json(adapter: TypeAdapter, value: object) -> str:
    plain = adapter.dump_python(value, mode="json", exclude_defaults=True)  # type: ignore[arg-type]
    # A half of a pair of surrogates, which a program may send, is no character of any database.
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace").decode()
