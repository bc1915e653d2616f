"""An operator's message as tokens: lower-case words, numbers and stops, each with its place in the
message.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_CHARACTERS = 1_000  # of one message; a description of a person is rarely a tenth of that
MAX_TOKENS = 250


@dataclass(frozen=True)
class Token:
    """`text` is lower case and without apostrophes; `raw` is as typed; `kind` is word, number, dash or
    stop.
    """

    text: str
    raw: str
    kind: str

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
        (r"\bo'\s?clock\b", "oclock"),
        (r"\bw/o\b", "without"),
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
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        raw, kind = match.group(), match.lastgroup or "word"
        if kind == "dash":
            before, after = text[: match.start()], text[match.end() :]
            between_letters = before[-1:].isalpha() and after[:1].isalpha()
            if between_letters:  # "t-shirt", "grey-haired": two words, nothing between them
                continue
            if raw == "-" and before[-1:].isspace() and after[:1].isspace() and not _digit_ahead(after):
                kind = "stop"
        found.append(Token(raw.casefold(), raw, "number" if kind == "date" else kind))
    return tuple(found[:MAX_TOKENS])


def _digit_ahead(text: str) -> bool:
    return text.lstrip()[:1].isdigit()
