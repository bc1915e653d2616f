"""Whether the person may wear other clothes than in the pictures: "he may have changed his clothes"."""

from __future__ import annotations

import re

from app.chat.taking import Taking

_CLOTHES = r"(?:clothes|clothing|outfits?|garments)"
_BEFORE = (
    r"(?:\b(?:but|and|now|he|she|they|it|who|the|this|that|do|does|did|may|might|could|can|must|will|would|"
    r"should|probably|perhaps|maybe|possibly|likely|well|has|have|had|is|are|was|be|been|also|since|not|never|"
    r"wearing|wears|wear|dressed|in|with|a|an|some|quite|completely|totally)\s+)*"
)
_OTHER = re.compile(
    rf"{_BEFORE}\b(?:change|changed|changes|changing|swapped)\s+(?:(?:his|her|their|the|its|into|to|other|different|"
    rf"new|all)\s+)*{_CLOTHES}\b"
    rf"|{_BEFORE}\b(?:other|different|another|new|any)\s+(?:set\s+of\s+|kind\s+of\s+)?{_CLOTHES}\b"
    rf"|\b(?:ignore|forget|never\s+mind|regardless\s+of|whatever)\s+(?:(?:the|his|her|their)\s+)?{_CLOTHES}\b"
    rf"|\b(?:the|his|her|their)\s+{_CLOTHES}\s+(?:do|does|may|might|can|could|will)\s+(?:not\s+matter|differ|change|"
    r"be\s+(?:different|others?)|have\s+(?:changed|differed))\b"
)
_SAME = re.compile(
    rf"{_BEFORE}\b(?:the\s+)?same\s+{_CLOTHES}\b"
    rf"|\b(?:the|his|her|their)\s+{_CLOTHES}\s+(?:are|is|stay|have\s+stayed)\s+the\s+same\b"
)
_MATTERS_NOT = re.compile(r"\bnot\s+matter\b")
_NEGATED = re.compile(r"\b(?:not|never)\b")


def read_outfits(taking: Taking) -> bool | None:
    """True where the message says that clothes may have changed, False where it says that they have not, and None
    where it says neither; takes those tokens. What is said last holds.
    """
    text = " ".join(taking.text(place) or "." for place in range(len(taking.tokens)))
    found = [(match.start(), match, True) for match in _OTHER.finditer(text)]
    found += [(match.start(), match, False) for match in _SAME.finditer(text)]
    other: bool | None = None
    for _, match, says_other in sorted(found, key=lambda each: each[0]):
        first = text.count(" ", 0, match.start())
        taking.take(first, first + match.group().count(" ") + 1)
        negated = _NEGATED.search(match.group()) and not _MATTERS_NOT.search(match.group())
        other = says_other != bool(negated)
    return other
