"""The many ways to ask the same, brought to one before questions are told from descriptions."""

from __future__ import annotations

import re

_SUBJECT = (
    r"(?:he|she|they|it|there|any(?:one|body)|some(?:one|body)|any|"
    r"(?:the|his|her|hers|their|this|that|these|those) [\w-]+|"
    r"(?:(?:the )?(?:candidate|number|result|match|picture|photo|no\.?|nr\.?) )?#? ?\d{1,3})"
)
_NOT_BEFORE = re.compile(
    r"^(is|are|was|were|does|do|did|has|have|had|could|would|can|might)n'?t(?= (?:he|she|they|it|there|his|her|"
    r"their|the|that|this|these|those|any\w*|some(?:one|body)|number|candidate|#? ?\d)\b)"
)
_REPORTED = re.compile(
    r"^(?:i (?:wonder|am wondering|was wondering|would like to know|want to know|need to know)|i'm wondering|"
    r"i'd like to know|(?:do|would) you (?:know|say)|(?:can|could) you (?:tell(?: me)?|see|say)|tell me|let me know)"
    r" (?:if|whether) (?P<subject>" + _SUBJECT + r") (?P<verb>is|are|was|were|has|have|had|\w+) (?P<rest>.+)$"
)
_BE_OR_HAVE = frozenset({"is", "are", "was", "were", "has", "have", "had"})
_UNANSWERABLE = re.compile(
    r"(?!.*\bchanged?\b)(?:should\b|(?:is|are|was|were|does|do|did|has|have|had|could|can|might|would|will)\b"
    r"(?! (?:you|we|i|u|there|it possible|be|an?|in|on|with|not|wearing|carrying|holding|dressed)\b)|"
    r"(?:what|why|when|how|whose|where|which)\b(?! (?:about|if|not)\b)(?!(?: is| was| are)? an? )).+"
)
_SENTENCES = re.compile(r"[.!?;:\n]\s*\w")
_CONTRACTIONS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\b(what|that|who|where|when|there|here|how)'?s\b", r"\1 is"),
        (r"\bit's\b", "it is"),
        (r"\b(he|she)'?s\b", r"\1 is"),
        (r"\b(they|you)'?re\b", r"\1 are"),
        (r"\bi'?m\b", "i am"),
        (r"\bi'd\b", "i would"),
        (r"\blet'?s\b", "let us"),
        (r"\b(do|does|did|is|are|was|were|has|have|had|would|could|should)n'?t\b", r"\1 not"),
        (r"\bcan'?t\b|\bcannot\b", "can not"),
    )
)


def in_one_form(said: str) -> str:
    """A question, in lower case, as it would be asked plainly.

    >>> in_one_form("isn't he wearing a hat"), in_one_form("i wonder whether he has a beard")
    ('is he wearing a hat', 'has he a beard')
    """
    said = _NOT_BEFORE.sub(r"\1", said)
    if (match := _REPORTED.fullmatch(said)) is None:
        return said
    verb, rest = match["verb"], match["rest"]
    if verb in _BE_OR_HAVE:
        return f"{verb} {match['subject']} {rest}"
    return f"does {match['subject']} {verb} {rest}"


def spelt_out(said: str) -> str:
    """Contractions in full, with or without an apostrophe; "its" stays what is its.

    >>> spelt_out("whats she wearing, it's not a coat and i dont care")
    'what is she wearing, it is not a coat and i do not care'
    """
    for pattern, words in _CONTRACTIONS:
        said = pattern.sub(words, said)
    return said


def is_asked(text: str) -> bool:
    """Whether a message ends as a question does."""
    return text.rstrip().endswith("?")


def only_asks(text: str) -> bool:
    """Whether a message is one sentence that begins and ends as a question, and asks for no search.

    >>> only_asks("was the coat torn?"), only_asks("can you find a coat?"), only_asks("how about a red one?")
    (True, False, False)
    """
    said = " ".join(text.casefold().replace("’", "'").split())
    return is_asked(said) and not _SENTENCES.search(said) and _UNANSWERABLE.fullmatch(said) is not None
