"""An operator's message as tokens (lower-case words, numbers and stops), and the cursor by which the readers of
filters and ages take the tokens that they understood.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache, lru_cache

from app.chat.words import NUMBER_WORDS, listed
from app.model.vocabulary import PhraseTable

MAX_CHARACTERS = 1_000  # of one message; a description of a person is rarely a tenth of that
MAX_TOKENS = 250


@dataclass(frozen=True)
class Token:
    """`text` is lower case and without apostrophes; `raw` is as typed; `kind` is word, number, dash, stop, or age,
    whose `text` is the vocabulary's value. tied: a hyphen joins it to the word before it.
    """

    text: str
    raw: str
    kind: str
    tied: bool = False

    @property
    def is_stop(self) -> bool:
        return self.kind == "stop"


STOP = Token(".", ".", "stop")

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u00b4": "'", "`": "'"})
_DASHES = re.compile("[\u2010-\u2015\u2212]")
# What people write in many ways, brought to one before words are cut. Order matters.
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\b([ap])\.\s?m\b\.?", r"\1m"),
        (r"\b(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?\b", r"\1 \2"),  # as a manifest writes it
        (r"\b((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\b", r"\1-\2-\3"),
        (r"\b(\d{1,2})-(\d{1,2})-(\d{4})\b", r"\1/\2/\3"),
        (r"\bo'\s?clock\b", "oclock"),
        (r"\bw/o\b", "without"),
        (r"(?<!\w)'?til\b|\buntill\b", "until"),
        (r"\bthru\b", "through"),
        (r"(?<=\d\s)'?n'?(?=\s(?:\d|cam))", "and"),
        (r"\bn/a\b", "none"),
        (r"\bn/k\b", "unknown"),
        (r"^\s*(?-i:M)(?=\s*,|\s+\d)", "male"),  # "M, 30s"
        (r"^\s*(?-i:F)(?=\s*,|\s+\d)", "female"),
        (r"\b(sex|gender)(:?) (?-i:M)\b", r"\1\2 male"),
        (r"\b(sex|gender)(:?) (?-i:F)\b", r"\1\2 female"),
        (r"\b(s?he)s\b", r"\1"),
        (r"\bw/", "with "),
        (r"\bcan't\b|\bcannot\b|\bcant\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"\b(do|does|did|is|are|was|were|has|have|had|would|could|should|must|need)n'?t\b", r"\1 not"),
        (r"\b(?:wo)?men's\b|\b(?:ladies|boys|girls)'(?=\s)", " "),  # whose cut it is, not who wears it
        (r"'(?:s|m|re|ve|ll|d)\b", ""),
        (r"(?<=s)'(?=\s|$)", ""),
        (r"&", " and "),
        (r"(?<=\s)\+(?=\s)", " and "),
    )
)
_TOKEN = re.compile(
    r"(?P<date>\d{4}-\d{1,2}-\d{1,2})"
    r"|(?P<number>\d+(?:[:./]\d+)*[a-z]*\d*)"
    r"|(?P<word>[^\W\d_]+\d*)"
    r"|(?P<dash>-|~|#)"
    r"|(?P<stop>[,;.!?():\n/\"])",
    re.IGNORECASE,
)
# With a capital of its own and more after it; at the end it has nothing to name.
_FORM_LABEL = re.compile(
    r"\b(Hair|Top|Upper|Bottoms?|Lower|Legs|Trousers|Shoes|Footwear|Hat|Headwear|Bag|Glasses|Beard|Age|Height|Build|"
    r"Sex|Gender|Jacket|Coat|Shirt)\b(?=\s+\w)"
)
_MARKS = re.compile(r"[,.;:!?\n]")


def tokenise(message: str) -> tuple[Token, ...]:
    """The tokens of the first MAX_CHARACTERS of a message. A hyphen inside a word cuts it in two.

    >>> [token.text for token in tokenise("She's in a T-shirt, isn't she?")]
    ['she', 'in', 'a', 't', 'shirt', ',', 'is', 'not', 'she', '?']
    """
    text = unicodedata.normalize("NFKC", message[:MAX_CHARACTERS]).translate(_APOSTROPHES)
    text = _DASHES.sub("-", text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.replace("'", " ")
    text = _with_stops(text)
    tokens: list[Token] = []
    tied = False
    for match in _TOKEN.finditer(text):
        raw, kind = match.group(), match.lastgroup or "word"
        if kind == "dash":
            before, after = text[: match.start()], text[match.end() :]
            between_letters = before[-1:].isalpha() and after[:1].isalpha()
            if between_letters:  # "t-shirt", "grey-haired": two words, nothing between them
                tied = True
                continue
            if raw == "-" and before[-1:].isspace() and after[:1].isspace() and not _digit_ahead(after):
                kind = "stop"
        tokens.append(Token(raw.casefold(), raw, "number" if kind == "date" else kind, tied))
        tied = False
    return tuple(tokens[:MAX_TOKENS])


def _with_stops(text: str) -> str:
    """A form that was typed without its marks, "Hair brown Top white shirt", with them; any other text as it is."""
    labels = len(_FORM_LABEL.findall(text))
    is_form = labels > 1 and _FORM_LABEL.match(text) and not _MARKS.search(text)
    return _FORM_LABEL.sub(r", \1:", text).removeprefix(", ") if is_form else text


def _digit_ahead(text: str) -> bool:
    return text.lstrip()[:1].isdigit()


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
    {"not", "no", "except", "exclude", "excluding", "without", "never", "but", "outside", "nor", "neither"}
)
_SKIPPED = frozenset(listed("in on from at the of by to with only just was seen during any for"))
# A message that begins with one of these goes on with what was said before, and may say these beside it.
_JOINING = frozenset({"and", "or", "also", "plus"})
_BESIDE_JOINING = frozenset(
    listed(
        "in on at from near the of then maybe perhaps possibly please ok he she they it was were could might be"
    )
)

_CORRECTING = frozenset(listed("no sorry actually rather correction mean meant wait oops make change"))
_BESIDE_CORRECTING = frozenset(listed("i it that to was is should be at on oh just"))


@dataclass
class TokenCursor:
    """Tokens, and which of them a reader has taken. `notes` are sentences for the reply.

    words: the tokens' texts, "" for those that are taken. hours: of the day, 0..23, in which there are crops at all.
    """

    tokens: list[Token]
    hours: tuple[int, ...] = ()
    taken: list[bool] = field(init=False)
    words: list[str] = field(init=False)
    notes: list[str] = field(default_factory=list)
    ages: dict[int, Token] = field(default_factory=dict)  # where an age was taken -> what stands in its place

    def __post_init__(self) -> None:
        self.taken = [False] * len(self.tokens)
        self.words = [token.text for token in self.tokens]

    def text(self, position: int) -> str:
        """The token's text, or "" where there is none or it is taken."""
        return self.words[position] if 0 <= position < len(self.words) else ""

    def stands(self, position: int, phrase: str) -> bool:
        """True when the phrase's words stand at `position`, none of them taken."""
        expected = _split(phrase)
        return self.words[position : position + len(expected)] == expected

    def longest(self, position: int, phrases: tuple[str, ...]) -> str | None:
        """The longest of `phrases` that stands at `position`."""
        match = _phrase_table(phrases).at(self.words, position) if position < len(self.words) else None
        return match[0] if match else None

    def take(self, start: int, end: int) -> None:
        """Take the tokens start..end, so that no other reader sees them."""
        for position in range(start, end):
            self.taken[position] = True
            self.words[position] = ""

    def may_follow(self, position: int) -> bool:
        """True when what stands at `position` does not make the number before it count something."""
        if position >= len(self.tokens) or self.taken[position]:
            return True
        token = self.tokens[position]
        return token.is_stop or token.kind == "dash" or token.text in _FOLLOW

    def negated(self, position: int) -> tuple[bool, int]:
        """Whether "not", "except" ... governs what starts at `position`, and where the governing words start."""
        start = position
        while self.text(start - 1) in _SKIPPED:
            start -= 1
        if self.text(start - 1) in _NEGATING and not self.stands(start - 1, "not only"):
            return True, start - 1
        return False, start

    def adds(self, start: int, end: int) -> bool:
        """Whether what stands at start..end joins what earlier messages said: "or camera 3", "today as well"."""
        if self.text(end) in ("also", "too") or (self.stands(end, "as well") and self.text(end + 2) != "as"):
            return True
        before = {self.text(position) for position in range(start) if not self.tokens[position].is_stop} - {
            ""
        }
        return bool(before & _JOINING) and before <= _JOINING | _BESIDE_JOINING

    def corrects(self, position: int) -> bool:
        """Whether what stands at `position` takes the place of what was said: "no, 3pm", "make that 3"."""
        before = position - 1
        while before >= 0 and (self.tokens[before].is_stop or self.text(before) in _BESIDE_CORRECTING):
            before -= 1
        return self.text(before) in _CORRECTING

    def rest(self) -> tuple[Token, ...]:
        """The tokens that no filter took; an age stands where it was read, a stop in place of all else taken."""
        rest: list[Token] = []
        for position, (token, taken) in enumerate(zip(self.tokens, self.taken, strict=True)):
            if not taken:
                rest.append(token)
            elif position in self.ages:
                rest.append(self.ages[position])
            elif position == 0 or not self.taken[position - 1]:
                rest.append(STOP)
        return tuple(rest)


@lru_cache(maxsize=2048)
def _split(phrase: str) -> list[str]:
    return phrase.split()


@cache
def _phrase_table(phrases: tuple[str, ...]) -> PhraseTable[str]:
    return PhraseTable({tuple(phrase.split()): phrase for phrase in phrases})


def whole_number(token_text: str) -> int | None:
    """ "3", "03", "three" -> 3; anything else -> None."""
    if token_text.isascii() and token_text.isdigit() and len(token_text) <= 4:
        return int(token_text)
    return NUMBER_WORDS.get(token_text)
