"""What an operator's message says: deterministic, over the attribute vocabulary, with typing errors
mended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.chat import intents
from app.chat.binding import bind
from app.chat.camera_filter import camera_words, read_cameras
from app.chat.commands import after_start_over, command, holds_on, kept_filters
from app.chat.companions import divide, exchange
from app.chat.complaints import read_complaint
from app.chat.day_filter import read_days
from app.chat.languages import other_language
from app.chat.leftovers import MAX_PHRASES, Leftovers, leftovers
from app.chat.lexicon import Span, correct_tokens, gender_of_noun, spans_of
from app.chat.list_questions import asks_about_person, read_list_question
from app.chat.message_tokens import MAX_CHARACTERS, MAX_TOKENS, Token, TokenCursor, tokenise
from app.chat.negation import assign_modes
from app.chat.own_words import own_words, shades_besides
from app.chat.person_phrases import read_ages, read_outfits
from app.chat.question_forms import is_asked, only_asks
from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState
from app.chat.short_answers import answers, in_full, without_hedges
from app.chat.statements import Collected, collect
from app.chat.time_filter import read_times
from app.model.vocabulary import ALL_KINDS, COLOUR_OF, Attribute, absence, and_list
from gallery_store.crops import Filters

KEPT_ALL = (
    "I changed nothing: of what was said I can keep the filters when I start over (“start over but keep the camera”), "
    "and nothing else; “forget the hat” takes back one thing."
)
STARTED_OVER = "I started over; “undo” brings the earlier search back."
_GARMENTS = frozenset({"upper", "lower", "shoes"})  # any of which may have been meant by another


def understand(
    text: str,
    state: SearchState,
    gallery: GalleryFacts,
    *,
    asked: str | None = None,
    with_photo: bool = False,
) -> ParsedMessage:
    """Read one message in the light of what is known. Never raises, whatever the text.

    asked: the kind of attribute that the assistant asked about last, so that "no" or "black" can answer.
    with_photo: the message comes with a picture, and is a search whatever it says.
    """
    if (held := holds_on(text)) is not None:
        kept = kept_filters(held, state.filters)
        if kept is None:
            return ParsedMessage(intent="nothing", filters=state.filters, notes=(KEPT_ALL,))
        return _afresh(*kept, gallery, with_photo)
    if (described := after_start_over(text)) is not None:
        return _afresh(Filters(), described, gallery, with_photo)
    if not with_photo and (complaint := read_complaint(text, state)) is not None:
        if complaint.rest:
            return understand(complaint.rest, state, gallery, asked="age" if complaint.of_age else asked)
        if not state.is_empty:
            return ParsedMessage(intent="complaint", filters=state.filters, unused=(complaint.words,))
    notes: list[str] = []
    if len(text) > MAX_CHARACTERS:
        notes.append(f"Your message is long: I read its first {MAX_CHARACTERS:,} characters.")
    tokens = tokenise(text)
    if len(tokens) == MAX_TOKENS:
        notes.append(f"Your message is long: I read its first {MAX_TOKENS} words.")
    tokens, corrections = correct_tokens(tokens, protect=camera_words(gallery.cameras))
    plain_text = intents.plain(spans_of(tokens))
    if not with_photo:
        language = other_language([token.raw.casefold() for token in tokens])
        if language is not None:
            note = (
                f"That looks like {language}, and I read English alone: say it in English, or drop a photo."
            )
            return ParsedMessage(intent="other-language", filters=state.filters, notes=(note,))
        if not state.is_empty and (asks_about_person(text) or read_list_question(text) is not None):
            return ParsedMessage(intent="question", filters=state.filters)
        if not state.is_empty and intents.asks_who_that_is(plain_text) and is_asked(text):
            return ParsedMessage(intent="identity", filters=state.filters)
        quick = _without_search(plain_text, state, asked)
        if quick is not None:
            return quick
        if (other := exchange(plain_text, state)) is not None:
            found = understand(other.described, SearchState(filters=state.filters), gallery)
            return replace(
                found, starts_over=True, companions=other.companions, notes=(other.note, *found.notes)
            )
    understood = _read(tokens, text, plain_text, state, gallery, asked, with_photo, notes, corrections)
    if asked is None or with_photo or _says_something(understood, state):
        return understood
    for full in in_full(tokens, asked):
        answer = _read(full, text, plain_text, state, gallery, asked, with_photo, notes, corrections)
        if answers(answer, asked):
            return answer
    return understood


def _afresh(filters: Filters, described: str, gallery: GalleryFacts, with_photo: bool) -> ParsedMessage:
    """A message that orders to start over and goes on with a description, as if it were the first one.

    filters: that it keeps.
    """
    understood = understand(described, SearchState(filters=filters), gallery, with_photo=with_photo)
    if understood.intent != "search":
        if filters == Filters():
            return ParsedMessage(intent="reset", notes=understood.notes)  # "start over, thanks"
        understood = replace(understood, intent="search", filters=filters)
    return replace(understood, starts_over=True, notes=(STARTED_OVER, *understood.notes))


def _says_something(understood: ParsedMessage, state: SearchState) -> bool:
    """Whether a message says more than words that are not known, so that it is no bare answer."""
    lists = (understood.unwanted, understood.dropped, understood.dropped_values, understood.freed)
    firm = any(lists) or understood.filters != state.filters or understood.companions != state.companions
    return firm or any(attribute.kind != "gender" for attribute in understood.wanted)


def _read(
    tokens: Sequence[Token],
    text: str,
    plain_text: str,
    state: SearchState,
    gallery: GalleryFacts,
    asked: str | None,
    with_photo: bool,
    notes: Sequence[str],
    corrections: tuple[tuple[str, str], ...],
) -> ParsedMessage:
    """Read the tokens of a message that is a description, a filter or off the topic."""
    notes = list(notes)
    cursor = TokenCursor(list(tokens), gallery.hours)
    read_ages(cursor)
    filters = read_cameras(cursor, state.filters, gallery)
    filters = read_days(cursor, filters, gallery)
    filters = read_times(cursor, filters, gallery)
    other_clothes = read_outfits(cursor)
    spans = spans_of(cursor.rest())
    assign_modes(spans)
    division = divide(spans, state, text)
    spans = division.own
    bound = bind(spans, state, asked, beside_filters=any(cursor.taken))
    collected = collect(spans, bound, state)
    _correct_thing(plain_text, collected, state)
    left = leftovers(spans)
    words = own_words(spans, collected.wanted, text)
    said = [*(said for _, said in words), *collected.extra]
    collected.extra += shades_besides(spans, said, collected.wanted)
    left.text += division.excluded
    notes += [*cursor.notes, *division.notes, *bound.notes]
    about_identity = intents.asks_identity(plain_text) or bool(left.names)
    if about_identity:
        notes.append("I show candidates that look alike; who somebody is I never tell.")
        if collected.by_pronoun:
            collected.wanted.pop("gender", None)
    notes += [note for attribute, note in bound.only_colours if attribute in collected.unwanted]
    notes += _notes_on(left, collected, state)
    groups = [span for span in spans if span.role == "person" and span.mode == "-"]  # "hide women with hats"
    hidden = [span.raw for span in groups if gender_of_noun(span.text)]
    if hidden:
        notes.append(f"I leave out all such crops, not those of {and_list(hidden)} alone.")
    if other_clothes and not (state.references or with_photo):
        notes.append("Once there is a picture of the person, I compare in it only what outlasts clothes.")
    changed = filters != state.filters or (any(cursor.taken) and not cursor.notes)
    changed |= division.companions != state.companions
    intent = _intent(plain_text, collected, left, changed, spans, about_identity, with_photo)
    if intent == "search" and not state.is_empty and not with_photo and only_asks(text):
        return ParsedMessage(intent="unanswered", filters=state.filters)
    if intent == "off-topic":
        return ParsedMessage(intent=intent, filters=state.filters)
    if intent not in ("search", "nothing"):
        return ParsedMessage(
            intent=intent, filters=state.filters, corrections=corrections, notes=tuple(notes)
        )
    return ParsedMessage(
        intent=intent,
        wanted=tuple(collected.wanted.values()),
        unwanted=tuple(collected.unwanted),
        dropped=_once(collected.dropped),
        dropped_values=_once(collected.dropped_values),
        dropped_text=_once(left.dropped),
        freed=_once(collected.freed),
        text=_once([*collected.extra, *left.text]),
        words=words,
        companions=division.companions,
        filters=filters,
        refers_back=any(span.role == "back" for span in spans) or intents.speaks_of_change(plain_text),
        other_clothes=other_clothes,
        adds_photos=with_photo
        and bool({"also", "another", "too", "second", "more"} & set(plain_text.split())),
        unused=_once([*left.unjudged, *left.origins, *bound.unused, *left.names, *left.numbers, *left.text]),
        corrections=corrections,
        notes=_once(notes),
        question=collected.question,
    )


def _correct_thing(plain_text: str, collected: Collected, state: SearchState) -> None:
    """ "I meant trousers", after a blue jacket: the trousers are blue, and the jacket is taken back. In place."""
    if not re.match(r"(?:(?:no|sorry|oh|oops|wait|actually) )*i mean(?:t)?\b", plain_text):
        return
    things = [kind for kind in collected.wanted if kind in COLOUR_OF]
    if len(things) != 1 or set(collected.wanted) != set(things) or state.value(things[0]) is not None:
        return
    worn = things[0] in _GARMENTS
    alike = [a.kind for a in state.wanted if a.kind in COLOUR_OF and (a.kind in _GARMENTS) == worn]
    if not alike:
        return
    before, kind = alike[-1], COLOUR_OF[things[0]]
    colour = state.value(COLOUR_OF[before])
    if colour in ALL_KINDS[kind]:
        collected.wanted[kind] = Attribute(kind, colour)
    collected.dropped.extend((before, COLOUR_OF[before]))


def _without_search(plain_text: str, state: SearchState, asked: str | None) -> ParsedMessage | None:
    """Commands, greetings, and the "yes" or "no" that answers a question."""
    if (order := command(plain_text)) is not None:
        return ParsedMessage(intent=order, filters=Filters() if order == "reset" else state.filters)
    talk = intents.small_talk(plain_text)
    if talk is None and asked is not None and (core := without_hedges(plain_text)):
        talk = intents.small_talk(core)
        talk = talk if talk in ("yes", "no") else None
    if talk in ("yes", "no") and asked is not None and "none" in ALL_KINDS.get(asked, ()):
        values = [value for value in ALL_KINDS[asked] if value != "none"]
        if talk == "no":
            return ParsedMessage(unwanted=absence(asked), filters=state.filters)
        if len(values) == 1:
            return ParsedMessage(wanted=(Attribute(asked, values[0]),), filters=state.filters)
        question = f"Which one: {and_list(values, 'or')}?"
        return ParsedMessage(intent="yes", filters=state.filters, question=question)
    return None if talk is None else ParsedMessage(intent=talk, filters=state.filters)


def _intent(
    plain_text: str,
    collected: Collected,
    left: Leftovers,
    any_filter: bool,
    spans: list[Span],
    about_identity: bool,
    with_photo: bool,
) -> str:
    """The intent of a message that is none of the fixed ones; "nothing" where it gives nothing to search by."""
    lists = (
        collected.unwanted,
        collected.dropped,
        collected.dropped_values,
        collected.freed,
        collected.extra,
    )
    firm = any(lists) or bool(left.dropped)
    firm |= any(kind != "gender" or not collected.by_pronoun for kind in collected.wanted)
    if with_photo or firm:
        return "search"
    if intents.asks_help(plain_text) and not any_filter:
        return "help"
    if about_identity and not any_filter:
        return "identity"
    if any_filter:
        return "search"
    if intents.is_question(plain_text):
        return "nothing" if left.unjudged or left.origins else "off-topic"
    if intents.begins_with_thanks(plain_text) and not collected.wanted:
        return "thanks"
    if collected.wanted or left.text or any(span.role == "back" for span in spans):
        return "search"
    return "nothing"


def _notes_on(left: Leftovers, collected: Collected, state: SearchState) -> list[str]:
    notes = []
    if left.unjudged:
        notes.append(f"{_quoted(left.unjudged)} cannot be judged from a crop, so I left it out.")
    if left.origins:
        notes.append("I do not search by skin colour or origin.")
    if left.cut:
        notes.append(
            f"{_quoted(left.cut)} did not fit: I pass on {MAX_PHRASES} phrases of a message at most."
        )
    if left.numbers:
        notes.append(f"I could make nothing of {_quoted(left.numbers)}.")
    excluded = [phrase for phrase in left.text if phrase.startswith("no ")]
    passed = [phrase for phrase in left.text if not phrase.startswith("no ")]
    if passed:
        notes.append(
            f"{_quoted(passed)} {_is_not(passed)} in my vocabulary; I passed it on in your own words."
        )
    if excluded:
        notes.append(f"{_quoted(excluded)} went along in your own words, which can hardly exclude anything.")
    known = (*state.wanted, *state.unwanted)
    said = " ".join((*state.free_words, *(words for _, words in state.words)))
    missing = [a.value for a in collected.dropped_values if a not in known and a.kind not in collected.wanted]
    missing += [word for word in left.dropped if word not in said]
    if missing:
        notes.append(f"I was not looking for {and_list(list(dict.fromkeys(missing)), 'or')} anyway.")
    return notes


def _is_not(words: list[str]) -> str:
    return "is not" if len(words) == 1 else "are not"


def _quoted(words: Iterable[str]) -> str:
    return and_list([f"“{word}”" for word in words])


def _once(values: Iterable) -> tuple:  # type: ignore[type-arg]
    return tuple(dict.fromkeys(values))
