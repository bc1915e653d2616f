"""Tokens -> spans: the longest known phrase at each position, and what part it plays in the sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from app.chat import words
from app.chat.message_tokens import Token, tokenise
from app.chat.spelling import correct
from app.model import vocabulary
from app.model.vocabulary import Attribute, PhraseTable

NOT = (
    "without|no|not|never|lacks|lacking|minus|nor|neither|excluding|exclude|excludes|except|none of|"
    "free of|hates|non|nobody|no one|nobody with|none with|none in|none wearing|hide|hide all|hide the ones|filter out|"
    "weed out|rule out|screen out|do not show|do not want|do not include|do not think|did not think|do not believe|"
    "did not believe|do not suppose|doubt|doubt if|doubt whether|doubt that"
)
# What is named after these is left out as a whole, a red jacket by its colour and by being a jacket.
ALL_BUT = (
    "anything but|anyone but|anybody but|everyone but|everybody but|everything but|all but|any but|anything except|"
    "anyone except|anybody except|everyone except|everybody except|everything except|all except|anything other than|"
    "anyone other than|other than|different from|anything apart from|everyone apart from|everything apart from|"
    "apart from|aside from|except for|save for|but for|anything bar|everyone bar"
)
# Orders to leave people out of the list, whoever they are.
HIDING = tuple(
    f"{verb} {who}"
    for verb in (
        "hide",
        "remove",
        "skip",
        "drop",
        "leave out",
        "ignore",
        "exclude",
        "discard",
        "take out",
        "get rid of",
    )
    for who in (
        "anyone",
        "anybody",
        "people",
        "everyone",
        "everybody",
        "those",
        "persons",
        "the ones",
        "all those",
    )
)
DROP = (
    "forget|forget about|ignore|drop|remove|skip|no longer|never mind|never mind about|nevermind|"
    "not sure about|not sure if|not sure whether|not sure of|unsure about|unsure if|not certain about|"
    "not certain if|do not care|do not care about|does not need|do not need|does not have to be|"
    "do not know if|do not know whether|do not know about|do not know|can not remember|do not remember|"
    "leave out|leave off|scrap|delete|disregard|instead of|rather than|any|whatever|whichever|take away|"
    "cancel|clear|stop looking for|not necessarily|no matter|regardless of|does not matter if|undo the|"
    "strike|lose the|may or may not|might or might not|replace|swap|switch|exchange|"
    "took off|take off|takes off|taken off|taking off|removed|dumped|ditched|discarded|shed|threw away|thrown away|"
    "threw off|got rid of|put away|put down|gave away|handed over|lost his|lost her|lost their|lost the|dropped his|"
    "dropped her|dropped their|dropped the|do not recall|can not recall|did not notice|no idea|no idea about|"
    "no idea if|no idea what|no idea which|no idea whether|no clue|no clue about|no clue if|no clue what|no clue which|"
    "not a clue|no memory of|no recollection of|not sure what|not sure which|do not know what|do not know which|"
    "can not say what|can not say if|can not tell if|can not tell what|could not see if|could not see what|"
    "could not see|can not see|did not see|could not make out|can not make out|did not catch|could not tell|"
    "could not see whether|did not see if|did not see whether|no particular|no specific|not any particular|dunno|"
    "dunno about|dunno if|dunno what"
)
DROP_AFTER = (
    "does not matter|do not matter|did not matter|not matter|is not important|are not important|"
    "not important|unimportant|is irrelevant|irrelevant|is optional|optional|can be anything|"
    "could be anything|may be anything|might be anything|not relevant|can be any|could be any|can change|"
    "may have changed|might have changed|no longer matters|is wrong|"
    "was wrong|is not right|was not right|is not correct|is incorrect|unknown|is unknown|not needed|not necessary|"
    "not known|not sure|not certain|unsure|uncertain|not clear|unclear|unconfirmed|not confirmed"
)
# Denials in form that deny nothing.
AFFIRMING = (
    "not without|never without|nothing but|nothing except|carrying nothing but|carried nothing but|carries nothing but|"
    "holding nothing but|without doubt|without a doubt|without any doubt|no doubt|"
    "no doubt about|no doubt that|without question|no question|not only|not just|not merely|not simply|no older|"
    "no older than|not older than|no younger|no younger than|not younger than"
)
CORRECTIVE = "actually|sorry|i mean|i meant|correction|wait|rather|instead|no wait|oops|more like|not quite"
BACK = (
    "the same person|same person|the same one|same one|same man|same woman|same guy|same girl|same lady|"
    "the same|this person|that person|this one|that one|like this|like that|like her|like him"
)


@dataclass(frozen=True)
class Entry:
    """What a phrase does.

    role: attribute, group (names a kind of thing but not which), colour, shade, person, one, origin,
    unjudged, age (in numbers), function, not, drop, drop-after, corrective, back, stop, number or word (not known).
    also: what an attribute's phrase states besides.
    """

    role: str
    attribute: Attribute | None = None
    kind: str | None = None
    colour: str | None = None
    also: tuple[Attribute, ...] = ()


@dataclass
class Span:
    """A phrase of the message: tokens start..end. `mode` is "+" (stated), "-" (excluded) or "x" (taken back);
    `used` once an attribute, a note or the free words hold it. tied: a hyphen joins it to the span before it.
    """

    entry: Entry
    start: int
    end: int
    text: str  # as read, after correction, lower case
    raw: str  # as typed
    mode: str = "+"
    used: bool = False
    tied: bool = False

    @property
    def role(self) -> str:
        return self.entry.role

    @property
    def thing(self) -> str | None:
        """The kind of thing that it names ("upper", "bag", "glasses"), or None."""
        if self.role == "group":
            return self.entry.kind
        if self.entry.attribute is not None and self.entry.attribute.kind in THINGS:
            return self.entry.attribute.kind
        return None


THINGS = frozenset(
    {
        *("upper", "lower", "shoes", "hat", "bag", "hair", "glasses", "umbrella", "beard"),
        *("scarf", "tie", "mask", "phone", "pushing"),
    }
)


def split(phrase: str) -> tuple[str, ...]:
    """A phrase as the words of its tokens: "t-shirt" -> ("t", "shirt")."""
    return tuple(token.text for token in tokenise(phrase))


@cache
def _table() -> PhraseTable[Entry]:
    """Every phrase, and each with its last word in the plural where that is no phrase of its own."""
    entries = _entries()
    plurals = dict(entries)
    for ending in ("es", "s"):
        for phrase, entry in entries.items():
            last = phrase[-1] + ending
            if len(last) > 3:
                plurals.setdefault((*phrase[:-1], last), entry)
    return PhraseTable(plurals)


def _entries() -> dict[tuple[str, ...], Entry]:
    entries: dict[tuple[str, ...], Entry] = {}
    for word in words.FUNCTION:
        entries[split(word)] = Entry("function")
    for role, table in (
        ("person", words.PERSONS),
        ("shade", words.SHADES),
        (
            "shade",
            [length for length in words.LENGTHS if length not in ("long", "short")],
        ),  # adjectives like them
        ("origin", words.ORIGINS),
        ("unjudged", words.UNJUDGED),
    ):
        entries.update({split(word): Entry(role) for word in table})
    for word, kind in {**vocabulary.ALL_GROUPS, **words.GROUPS}.items():
        entries[split(word)] = Entry("group", kind=kind)
    for word, colour in {**words.COLOURS, **vocabulary.COLOUR_WORDS}.items():
        entries[split(word)] = Entry("colour", colour=colour)
    for word, attributes in vocabulary.ALL_PHRASES.items():
        entries[split(word)] = Entry("attribute", attributes[0], also=attributes[1:])
    for word, attribute in words.PHRASES.items():
        entries.setdefault(split(word), Entry("attribute", attribute))
        if entries[split(word)].role == "function":
            entries[split(word)] = Entry("attribute", attribute)
    for role, listed in (
        ("not", f"{NOT}|{ALL_BUT}|{'|'.join(HIDING)}"),
        ("drop", DROP),
        ("drop-after", DROP_AFTER),
        ("corrective", CORRECTIVE),
        ("back", BACK),
    ):
        entries.update({split(phrase): Entry(role) for phrase in listed.split("|")})
    for compound in words.COMPOUNDS:
        entries.setdefault(split(compound), Entry("word"))
    entries.update({(word,): Entry("number") for word in words.NUMBER_WORDS})
    entries[("how", "old")] = entries[("how", "heavy")] = Entry("function")
    for phrase in AFFIRMING.split("|"):
        entries[split(phrase)] = Entry("function")
    entries[("one",)] = entries[("ones",)] = Entry("one")
    return entries


def correct_tokens(
    tokens: Sequence[Token], protect: Iterable[str] = ()
) -> tuple[tuple[Token, ...], tuple[tuple[str, str], ...]]:
    """The tokens with typing errors mended, and the (typed, read) pairs. Words in `protect` stay as they
    are.
    """
    kept = set(protect)
    mended: list[Token] = []
    corrections: dict[tuple[str, str], None] = {}
    for token in tokens:
        better = correct(token.text) if token.kind == "word" and token.text not in kept else None
        if better is not None:
            corrections[(token.raw, better)] = None
            token = replace(token, text=better)
        mended.append(token)
    return tuple(mended), tuple(corrections)


def gender_of_noun(word: str) -> str:
    """ "man" or "woman" of a noun of a person in lower case; "" where it says neither."""
    entry = _table().at([word], 0)
    attribute = entry[0].attribute if entry else None
    return attribute.value if attribute is not None and attribute.kind == "gender" else ""


def spans_of(tokens: Sequence[Token]) -> list[Span]:
    """The message as spans, the longest phrase first at each position."""
    words, table = [token.text for token in tokens], _table()
    spans: list[Span] = []
    start = 0
    while start < len(tokens):
        found = None if tokens[start].kind == "age" else table.at(words, start)
        entry, length = found or (_unknown(tokens[start]), 1)
        end = start + length
        raw = " ".join(token.raw for token in tokens[start:end])
        text = " ".join(words[start:end])
        spans.append(Span(entry, start, end, text, raw, tied=tokens[start].tied))
        start = end
    return spans


def _unknown(token: Token) -> Entry:
    if token.kind == "age":
        return Entry("age", Attribute("age", token.text))
    role = {"stop": "stop", "number": "number", "dash": "function"}.get(token.kind, "word")
    return Entry(role)
