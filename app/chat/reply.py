"""How an answer reads: what was searched, why the first candidates fit, what could not be used, what to ask next.
Short Markdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.chat.conversation import Conversation, Turn
from app.chat.labels import (
    excluded_label,
    filters_in_words,
    kind_label,
    read_label,
    thing_label,
    things_in,
    with_article,
)
from app.chat.questions import Question
from app.chat.search_state import SearchState, ShownCandidate
from app.model.known import known_attributes
from app.model.vocabulary import Attribute, absence_words, and_list, describe, is_absent
from app.retrieval.ranking import Ranking

PHOTOGRAPHS = (
    "These pictures look like photographs, and the model knows drawn people only: there are no percentages, "
    "and the order may be far off. Compare with your own eyes."
)
DELAYED = "A replica of the model was lost or exchanged: others did its part, so this took longer."
REASONS = 3  # candidates whose fit is explained
_NUMBERS = (
    "No",
    "One",
    "Two",
    "Three",
    "Four",
    "Five",
    "Six",
    "Seven",
    "Eight",
    "Nine",
    "Ten",
    "Eleven",
    "Twelve",
)


class ComparedPictures(Protocol):
    """What two pictures have in common, and what each shows alone."""

    @property
    def common(self) -> tuple[Attribute, ...]: ...

    @property
    def only_first(self) -> tuple[Attribute, ...]: ...

    @property
    def only_second(self) -> tuple[Attribute, ...]: ...


@dataclass(frozen=True)
class Fit:
    """Labels of wanted things ("red jacket") that the model reads, that it reads otherwise, and that it does
    not read at all; `against`: excluded things that it reads. text: all but `unread` as a clause; "" where
    nothing was read.
    """

    shows: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    text: str = ""


def reply(
    conversation: Conversation,
    ranking: Ranking,
    top: Sequence[ShownCandidate],
    *,
    hidden: Mapping[str, int] | None = None,
    question: Question | None = None,
) -> str:
    """The answer to the last turn, as Markdown.

    top: the first candidates, best first; the fit of REASONS is explained. question: what is asked next.
    hidden: label of a filter (see `chips.hidden_by`) -> how many more crops would pass without it.
    """
    state = conversation.known
    parts = [_step(conversation.last, ranking), _searched(state, ranking), _very_picture(ranking)]
    if ranking.photographs and ranking.candidates:
        parts.append(PHOTOGRAPHS)
    if not ranking.candidates:
        parts.append(_no_candidate(state, ranking, hidden or {}))
    elif _is_listing(state):
        parts.append("Nothing says yet what the person looks like, so they come by time.")
    elif not ranking.judged:
        parts.append(
            "None of this could be checked, so there are no percentages and the crops come by likeness alone: the "
            f"model reads English words for looks, clothes and bags, and {_free_words(ranking)} "
            "is something else."
        )
    elif ranking.no_match:
        parts.append(_no_match(state, ranking, top, hidden or {}))
    else:
        parts.append(_fits(state, top))
    parts.append(_unchecked(ranking))
    parts.append(_damaged(ranking))
    parts.append(DELAYED if ranking.delayed else "")
    parts.append(_how_it_was_read(conversation.last))
    if may_ask(conversation, ranking):
        parts.append(own_question(conversation) or (question.text if question else ""))
    return "\n\n".join(part for part in parts if part)


def compare_text(comparison: ComparedPictures, first_name: str, second_name: str) -> str:
    """What two pictures share and where they differ, as Markdown."""
    rows = [
        ("Both", comparison.common),
        (f"Only {first_name}", comparison.only_first),
        (f"Only {second_name}", comparison.only_second),
    ]
    lines = [f"**{name}:** {', '.join(labels_of(attributes))}" for name, attributes in rows if attributes]
    if not lines:
        return f"The model reads nothing that tells {first_name} and {second_name} apart or together."
    if not comparison.only_first and not comparison.only_second:
        lines.append("The model reads no difference; that is no proof that it is the same person.")
    return "  \n".join(lines)


def labels_of(attributes: Sequence[Attribute]) -> list[str]:
    """Attributes in words, things joined with their colours: "woman", "red jacket", "no hat"."""
    return [read_label(thing, parts) for thing, parts in things_in(attributes)]


def fit_of(state: SearchState, shown: ShownCandidate) -> Fit:
    """Compare one candidate with what is wanted and what is not."""
    if not shown.sure:
        return Fit()
    shows, differs, unread, instead = [], [], [], []
    known = known_attributes(state.wanted, state.unwanted, shown.kinds)
    for thing, wanted in things_in(known.wanted):
        label = thing_label(thing, wanted)
        read = [shown.read(attribute.kind) for attribute in wanted]
        if all(value is None for value in read):
            unread.append(label)
        elif all(value is None or value == attribute for value, attribute in zip(read, wanted, strict=True)):
            shows.append(label)
        else:
            differs.append(label)
            instead.append(f"{with_article(_seen(thing, wanted, shown))} instead of {with_article(label)}")
    against = tuple(
        thing_label(attribute.kind, [attribute])
        for attribute in known.unwanted
        if shown.read(attribute.kind) == attribute
    )
    shows += [
        absence_words(kind)
        for kind in dict.fromkeys(attribute.kind for attribute in known.unwanted)
        if is_absent(kind, known.unwanted) and (seen := shown.read(kind)) is not None and seen.value == "none"
    ]
    clauses = []
    if shows:
        clauses.append(and_list(shows))
    against_it = [*instead, *(f"{with_article(label)} that you excluded" for label in against)]
    if against_it:
        clauses.append(("but " if clauses else "") + and_list(against_it))
    if not clauses and not unread:  # a picture alone: what is seen in the candidate
        labels = [thing_label(thing, parts) for thing, parts in _read_things(shown)][:4]
        clauses = [and_list(labels)] if labels else []
    return Fit(tuple(shows), tuple(differs), tuple(unread), against, ", ".join(clauses))


def _read_things(shown: ShownCandidate) -> list[tuple[str, list[Attribute]]]:
    return things_in([attribute for attribute in shown.sure if attribute.value != "none"])


def _seen(thing: str, wanted: Sequence[Attribute], shown: ShownCandidate) -> str:
    """What is read of a thing, in as much detail as was wanted."""
    kinds = {thing, *(attribute.kind for attribute in wanted)}
    return read_label(thing, [attribute for attribute in shown.sure if attribute.kind in kinds])


def sought(state: SearchState) -> str:
    """Who is looked for, in words: "a woman in a red jacket, no hat, on camera 3"."""
    words = describe(state.wanted) if state.wanted else ""
    if state.references:
        crops = [reference for reference in state.references if reference.image_id is not None]
        if len(state.references) > 1:
            picture = f"the person in {len(state.references)} pictures"
        elif crops:
            picture = f"the person on {crops[0].place}" if crops[0].place else "the person that you chose"
        else:
            picture = "the person in your photo"
        if state.other_clothes and not words:
            picture += ", perhaps in other clothes"
        words = f"{picture}, now {_change(words)}" if words else picture
    elif not words:
        words = "a person" if state.unwanted or state.free_words else ""
    without = [_excluded(state, kind) for kind in dict.fromkeys(a.kind for a in state.unwanted)]
    free = [f"“{phrase}”" for phrase in state.free_words]
    return ", ".join(part for part in (words, *without, *free) if part)


def _change(words: str) -> str:
    """ "A person in a green coat" -> "in a green coat"; "a young man" -> "as a young man"."""
    return words.removeprefix("a person ") if words.startswith("a person ") else f"as {words}"


def _excluded(state: SearchState, kind: str) -> str:
    values = [attribute for attribute in state.unwanted if attribute.kind == kind]
    if is_absent(kind, values):
        return absence_words(kind)
    return ", ".join(f"not {excluded_label(attribute)}" for attribute in values)


def _step(turn: Turn | None, ranking: Ranking) -> str:
    if turn is None:
        return ""
    if turn.action == "reject":
        like = ", and pictures that look like the same person count less" if ranking.penalized else ""
        return f"That one is left out from now on{like}."
    if turn.action == "confirm":
        return "That one now counts as a picture of the person."
    if turn.action == "search-with":
        where = filters_in_words(turn.after.filters)
        stay = (
            f" The filters stay ({where}): drop them if they belonged to your last question." if where else ""
        )
        return f"That one now stands for the person, instead of the words before it.{stay}"
    if turn.action in ("before", "after"):
        return "That one now stands for the person. These filters take the place of those before; each can be removed."
    return ""


def _searched(state: SearchState, ranking: Ranking) -> str:
    where = filters_in_words(state.filters)
    if _is_listing(state):
        return f"I listed the pictures {where}: {ranking.searched:,} of {ranking.total:,}."
    sentence = f"I looked for **{sought(state)}**{f' {where}' if where else ''}."
    if ranking.searched < ranking.total:
        sentence += f" I searched {ranking.searched:,} of {_pictures(ranking.total)}"
    else:
        sentence += f" I searched all {_pictures(ranking.total)}"
    most = (
        "it" if ranking.scored == 1 == ranking.searched else f"the {ranking.scored:,} that look most like it"
    )
    sentence += f", and looked closely at {most}." if ranking.scored else "."
    if ranking.stopped:
        sentence += " You stopped the search: the rest follows by likeness alone."
    return sentence


def _very_picture(ranking: Ranking) -> str:
    if not any(candidate.very_picture for candidate in ranking.candidates):
        return ""
    return "Your photo is itself in the gallery and is shown first. It is this very picture, and no further sighting."


def _crops(count: int) -> str:
    return f"{count:,} crop" if count == 1 else f"{count:,} crops"


def _is_listing(state: SearchState) -> bool:
    """Only filters: crops are listed, nobody is looked for."""
    return not (state.wanted or state.unwanted or state.free_words or state.references)


def _unchecked(ranking: Ranking) -> str:
    """What the model could not read beside what it could."""
    if not (ranking.unchecked and ranking.judged and ranking.candidates):
        return ""
    rest = "; the percentages speak of the rest" if ranking.calibrated else ""
    return (
        f"{_free_words(ranking)} could not be checked, for the model knows certain English words alone{rest}."
    )


def _damaged(ranking: Ranking) -> str:
    """Pictures that could not be read, and crops that could not be compared."""
    sentences = []
    if ranking.unreadable:
        unjudged = " and have no percentage" if ranking.calibrated else ""
        sentences.append(
            f"**{_pictures(len(ranking.unreadable))} could not be read**, for the files are gone or damaged: "
            f"such crops come by likeness alone{unjudged}. `python -m gallery_store verify` lists them."
        )
    if ranking.set_aside:
        sentences.append(
            f"**{_crops(ranking.set_aside)} could not be compared**, for their vectors are damaged; "
            "`python -m gallery_store reindex` makes them anew."
        )
    return " ".join(sentences)


def _pictures(count: int) -> str:
    return f"{count:,} picture" if count == 1 else f"{count:,} pictures"


def _free_words(ranking: Ranking) -> str:
    return and_list([f"“{phrase}”" for phrase in ranking.unchecked.split(", ")])


def _fits(state: SearchState, top: Sequence[ShownCandidate]) -> str:
    fits = [fit_of(state, shown) for shown in top[:REASONS]]
    everywhere = (
        [label for label in fits[0].unread if all(label in fit.unread for fit in fits)] if fits else []
    )
    reasons = []
    for rank, (shown, fit) in enumerate(zip(top, fits, strict=False), start=1):
        if shown.candidate.very_picture:
            continue
        unread = [label for label in fit.unread if label not in everywhere]
        clauses = [fit.text, f"{and_list(unread)} not made out" if unread else ""]
        text = "; ".join(clause for clause in clauses if clause)
        if text:
            chance = shown.candidate.probability
            reasons.append(
                f"candidate {rank}{'' if chance is None else f' ({min(99, max(1, round(100 * chance)))}%)'}: {text}."
            )
    if not reasons:
        return "They are ordered by how much they look like what you search; compare them with your own eyes."
    reasons = [reasons[0], *(text[0].upper() + text[1:] for text in reasons[1:])]
    sentence = f"As the model reads them, {' '.join(reasons)}"
    if everywhere:
        sentence += f" It cannot make out {and_list(everywhere)} in any of them."
    if fits[0].differs and (near := near_misses(state, top)):
        sentence += f" {near}"
    return sentence


def near_misses(state: SearchState, top: Sequence[ShownCandidate]) -> str:
    """How many of the first candidates show all that is wanted but one attribute, the commonest one: "Five crops fit
    all but the kind of top."; "" for none, or where a single attribute is wanted.
    """
    missed: Counter[str] = Counter()
    for shown in top:
        known = known_attributes(state.wanted, state.unwanted, shown.kinds)
        if len(known.wanted) < 2:
            return ""
        read = [(attribute, shown.read(attribute.kind)) for attribute in known.wanted]
        wrong = [wanted.kind for wanted, seen in read if seen is not None and seen != wanted]
        excluded = any(shown.read(attribute.kind) == attribute for attribute in known.unwanted)
        if len(wrong) == 1 and not excluded and all(seen is not None for _, seen in read):
            missed[wrong[0]] += 1
    if not missed:
        return ""
    kind, count = missed.most_common(1)[0]
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{number} {'crop fits' if count == 1 else 'crops fit'} all but {kind_label(kind)}."


def _no_match(
    state: SearchState, ranking: Ranking, top: Sequence[ShownCandidate], hidden: Mapping[str, int]
) -> str:
    sentences = ["**Nobody here really fits**; the candidates below are weak."]
    fits = [fit_of(state, shown) for shown in top]
    wanted = known_attributes(state.wanted, (), top[0].kinds).wanted if top else ()
    sought_labels = [thing_label(thing, attributes) for thing, attributes in things_in(wanted)]
    missing = [label for label in sought_labels if fits and all(label in fit.differs for fit in fits)]
    if near := near_misses(state, top):
        sentences.append(near)
    elif missing:
        sentences.append(
            f"None of the first shows {and_list([with_article(label) for label in missing])}: leave "
            "that out, if you are not sure of it."
        )
    sentences.append(_hidden(ranking, hidden))
    if not state.references:
        sentences.append("A photo of the person would help most.")
    elif not state.wanted:
        sentences.append("Say what they may wear now, or add another picture.")
    return " ".join(part for part in sentences if part)


def _no_candidate(state: SearchState, ranking: Ranking, hidden: Mapping[str, int]) -> str:
    if ranking.total == 0:
        return "The gallery is empty: import crops first, in the Gallery tab."
    if ranking.searched == 0 and not state.filters.is_empty:
        return " ".join(
            part for part in ("**No crop passes these filters.**", _hidden(ranking, hidden)) if part
        )
    return "**There is no candidate left**: take back a rejection or say “start over”."


def _hidden(ranking: Ranking, hidden: Mapping[str, int]) -> str:
    worst = sorted(
        ((count, label) for label, count in hidden.items() if count > 0), key=lambda row: (-row[0], row[1])
    )
    if worst:
        clauses = [f"“{label}” hides {_crops(count)}" for count, label in worst[:2]]
        return f"{and_list(clauses)}; remove a filter to see more."
    return ""


def _how_it_was_read(turn: Turn | None) -> str:
    if turn is None or turn.understood is None:
        return ""
    sentences = []
    if turn.understood.corrections:
        sentences.append(
            "I read "
            + and_list([f"“{typed}” as “{read}”" for typed, read in turn.understood.corrections])
            + "."
        )
    sentences += turn.understood.notes
    return " ".join(sentences)


def may_ask(conversation: Conversation, ranking: Ranking) -> bool:
    """Whether the reply may end in a question: there are candidates that fit, and somebody is looked for."""
    return bool(ranking.candidates) and not ranking.no_match and not _is_listing(conversation.known)


def own_question(conversation: Conversation) -> str:
    """What is asked back of the message itself; "" where nothing is."""
    turn = conversation.last
    return (turn.understood.question if turn is not None and turn.understood else None) or ""
