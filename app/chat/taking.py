"""The tokens of a message as the filters read them: each reader takes the tokens that it understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache

from app.chat.tables import listed
from app.chat.tokens import STOP, Token
from app.chat.words import NUMBER_WORDS

# May follow a bare number that is an hour or a camera: "after 9 on camera 3", not "after 9 people".
_FOLLOW = frozenset(
    listed(
        """
    and or but with in on at to till until from by for am pm hours hrs oclock only please then the a
    wearing near after before between he she they who that it is was not no except through than also too
    """
    )
)
_NEGATING = frozenset(
    {"not", "no", "except", "exclude", "excluding", "without", "never", "but", "outside", "nor"}
)
_SKIPPED = frozenset(listed("in on from at the of by to with only just was seen during any for"))


@dataclass
class Taking:
    """Tokens, and which of them a filter has taken. `notes` are sentences for the reply."""

    tokens: list[Token]
    taken: list[bool] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = [False] * len(self.tokens)

    def text(self, place: int) -> str:
        """The token's text, or "" where there is none or it is taken."""
        if 0 <= place < len(self.tokens) and not self.taken[place]:
            return self.tokens[place].text
        return ""

    def words(self, place: int, phrase: str) -> bool:
        """True when the phrase's words stand at `place`, none of them taken."""
        return all(self.text(place + offset) == word for offset, word in enumerate(_split(phrase)))

    def first(self, place: int, phrases: tuple[str, ...]) -> str | None:
        """The first of `phrases` that stands at `place`."""
        here = _by_first_word(phrases).get(self.text(place), ())
        return next((phrase for phrase in here if self.words(place, phrase)), None)

    def take(self, start: int, end: int) -> None:
        for place in range(start, end):
            self.taken[place] = True

    def may_follow(self, place: int) -> bool:
        """True when what stands at `place` does not make the number before it count something."""
        if place >= len(self.tokens) or self.taken[place]:
            return True
        token = self.tokens[place]
        return token.is_stop or token.kind == "dash" or token.text in _FOLLOW

    def negated(self, place: int) -> tuple[bool, int]:
        """Whether "not", "except" ... governs what starts at `place`, and where the governing words start."""
        start = place
        while self.text(start - 1) in _SKIPPED:
            start -= 1
        if self.text(start - 1) in _NEGATING:
            return True, start - 1
        return False, start

    def rest(self) -> tuple[Token, ...]:
        """The tokens that no filter took; what was taken leaves a stop in its place."""
        rest: list[Token] = []
        for place, (token, taken) in enumerate(zip(self.tokens, self.taken, strict=True)):
            if not taken:
                rest.append(token)
            elif place == 0 or not self.taken[place - 1]:
                rest.append(STOP)
        return tuple(rest)


@lru_cache(maxsize=2048)
def _split(phrase: str) -> tuple[str, ...]:
    return tuple(phrase.split())


@cache
def _by_first_word(phrases: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    index: dict[str, list[str]] = {}
    for phrase in phrases:
        index.setdefault(phrase.split()[0], []).append(phrase)
    return {word: tuple(listed) for word, listed in index.items()}


def whole_number(token_text: str) -> int | None:
    """ "3", "03", "three" -> 3; anything else -> None."""
    if token_text.isascii() and token_text.isdigit() and len(token_text) <= 4:
        return int(token_text)
    return NUMBER_WORDS.get(token_text)
