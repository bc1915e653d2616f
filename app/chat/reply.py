"""How an answer reads: what was searched, why the first candidates fit, what could not be used. Short
Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.chat.chips import excluded_label, thing_label, things_in, with_article
from app.chat.conversation import Conversation, Turn
from app.chat.fit import Fit, and_list, fit_of
from app.chat.places import filters_in_words
from app.chat.questions import next_question
from app.chat.values import Comparison, Known, Shown
from app.model.vocabulary import Attribute, describe
from app.retrieval.ranking import Ranking

REASONS = 3  # candidates whose fit is told


def reply(
    conversation: Conversation,
    ranking: Ranking,
    top: Sequence[Shown],
    *,
    hidden: Mapping[str, int] | None = None,
) -> str:
    """The answer to the last turn, as Markdown.

    top: the first candidates, best first; the fit of three is told, all of them choose the next question.
    hidden: label of a filter (see `chips.hidden_by`) -> how many more crops would pass without it.
    """
    known = conversation.known
    parts = [_step(conversation.last, ranking), _searched(known, ranking)]
    if not ranking.candidates:
        parts.append(_nothing(known, ranking, hidden or {}))
    elif _is_listing(known):
        parts.append("Nothing says yet what the person looks like, so they come by time.")
    elif ranking.no_match:
        parts.append(_nobody(known, ranking, top, hidden or {}))
    else:
        parts.append(_fits(known, top))
    parts.append(_heard(conversation.last))
    if ranking.candidates and not ranking.no_match and not _is_listing(known):
        parts.append(_question(conversation, top))
    return "\n\n".join(part for part in parts if part)


def compare_text(comparison: Comparison, first_name: str, second_name: str) -> str:
    """What two pictures share and where they differ, as Markdown."""
    rows = [
        ("Both", comparison.common),
        (f"Only {first_name}", comparison.only_first),
        (f"Only {second_name}", comparison.only_second),
    ]
    said = [f"**{name}:** {', '.join(labels_of(attributes))}" for name, attributes in rows if attributes]
    if not said:
        return f"The model reads nothing that tells {first_name} and {second_name} apart or together."
    if not comparison.only_first and not comparison.only_second:
        said.append("The model reads no difference; that is no proof that it is the same person.")
    return "  \n".join(said)


def labels_of(attributes: Sequence[Attribute]) -> list[str]:
    """Attributes in words, things joined with their colours: "woman", "red jacket", "no hat"."""
    labels = []
    for thing, parts in things_in(attributes):
        absent = any(attribute.value == "none" for attribute in parts)
        labels.append(f"no {thing}" if absent else thing_label(thing, parts))
    return labels


def sought(known: Known) -> str:
    """Who is looked for, in words: "a woman in a red jacket, no hat, on camera 3"."""
    words = describe(known.wanted) if known.wanted else ""
    if known.references:
        crops = [reference for reference in known.references if reference.image_id is not None]
        if len(known.references) > 1:
            picture = f"the person in {len(known.references)} pictures"
        elif crops:
            picture = f"the person in crop {crops[0].image_id}"
        else:
            picture = "the person in your photo"
        if known.other_clothes and not words:
            picture += ", perhaps in other clothes"
        words = f"{picture}, now {_change(words)}" if words else picture
    elif not words:
        words = "a person" if known.unwanted or known.text else ""
    without = [_excluded(known, kind) for kind in dict.fromkeys(a.kind for a in known.unwanted)]
    free = [f"“{phrase}”" for phrase in known.text]
    return ", ".join(part for part in (words, *without, *free) if part)


def _change(words: str) -> str:
    """ "A person in a green coat" -> "in a green coat"; "a young man" -> "as a young man"."""
    return words.removeprefix("a person ") if words.startswith("a person ") else f"as {words}"


def _excluded(known: Known, kind: str) -> str:
    values = [attribute for attribute in known.unwanted if attribute.kind == kind]
    if Fit.absent(kind, values):
        return f"no {kind}"
    return ", ".join(f"not {excluded_label(attribute)}" for attribute in values)


def _step(turn: Turn | None, ranking: Ranking) -> str:
    if turn is None:
        return ""
    if turn.action == "reject":
        like = ", and crops that look like the same person count less" if ranking.penalized else ""
        return f"Crop {turn.image_id} is left out from now on{like}."
    if turn.action == "confirm":
        return f"Crop {turn.image_id} now counts as a picture of the person."
    if turn.action == "search-with":
        return f"Crop {turn.image_id} now stands for the person, instead of the words before it."
    return ""


def _searched(known: Known, ranking: Ranking) -> str:
    where = filters_in_words(known.filters)
    if _is_listing(known):
        return f"I listed the crops {where}: {ranking.searched:,} of {ranking.total:,}."
    said = f"I looked for **{sought(known)}**{f' {where}' if where else ''}."
    if ranking.searched < ranking.total:
        said += f" {ranking.searched:,} of {_crops(ranking.total)} came into question"
    else:
        said += f" I considered all {_crops(ranking.total)}"
    said += f", and the model read the nearest {ranking.scored:,}." if ranking.scored else "."
    if ranking.stopped:
        said += " You stopped the search: the rest follows by likeness alone."
    return said


def _crops(count: int) -> str:
    return f"{count:,} crop" if count == 1 else f"{count:,} crops"


def _is_listing(known: Known) -> bool:
    """Only filters: crops are listed, nobody is looked for."""
    return not (known.wanted or known.unwanted or known.text or known.references)


def _fits(known: Known, top: Sequence[Shown]) -> str:
    fits = [fit_of(known, shown) for shown in top[:REASONS]]
    everywhere = (
        [label for label in fits[0].unread if all(label in fit.unread for fit in fits)] if fits else []
    )
    told = []
    for place, (shown, fit) in enumerate(zip(top, fits, strict=False), start=1):
        unread = [label for label in fit.unread if label not in everywhere]
        clauses = [fit.text, f"{and_list(unread)} not made out" if unread else ""]
        text = "; ".join(clause for clause in clauses if clause)
        if text:
            told.append(f"candidate {place} ({shown.candidate.probability:.0%}): {text}.")
    if not told:
        return "They are ordered by how much they look like what you search; compare them with your own eyes."
    told = [told[0], *(text[0].upper() + text[1:] for text in told[1:])]
    said = f"As the model reads them, {' '.join(told)}"
    if everywhere:
        said += f" It cannot make out {and_list(everywhere)} in any of them."
    return said


def _nobody(known: Known, ranking: Ranking, top: Sequence[Shown], hidden: Mapping[str, int]) -> str:
    said = ["**Nobody here really fits**; the candidates below are weak."]
    fits = [fit_of(known, shown) for shown in top]
    missing = [
        label for label in Fit.wanted_labels(known) if fits and all(label in fit.differs for fit in fits)
    ]
    if missing:
        said.append(
            f"None of the first shows {and_list([with_article(label) for label in missing])}: leave "
            "that out, if you are not sure of it."
        )
    said.append(_hidden(ranking, hidden))
    if not known.references:
        said.append("A photo of the person would help most.")
    elif not known.wanted:
        said.append("Say what they may wear now, or add another picture.")
    return " ".join(part for part in said if part)


def _nothing(known: Known, ranking: Ranking, hidden: Mapping[str, int]) -> str:
    if ranking.total == 0:
        return "The gallery is empty: import crops first, in the Gallery tab."
    if ranking.searched == 0 and not known.filters.is_empty:
        return " ".join(
            part for part in ("**No crop passes these filters.**", _hidden(ranking, hidden)) if part
        )
    return "**There is no candidate left**: take back a rejection or say “start over”."


def _hidden(ranking: Ranking, hidden: Mapping[str, int]) -> str:
    worst = sorted(
        ((count, label) for label, count in hidden.items() if count > 0), key=lambda row: (-row[0], row[1])
    )
    if worst:
        told = [f"“{label}” hides {_crops(count)}" for count, label in worst[:2]]
        return f"{and_list(told)}; remove a filter to see more."
    return ""


def _heard(turn: Turn | None) -> str:
    if turn is None or turn.understood is None:
        return ""
    said = []
    if turn.understood.corrections:
        said.append(
            "I read "
            + and_list([f"“{typed}” as “{read}”" for typed, read in turn.understood.corrections])
            + "."
        )
    said += turn.understood.notes
    return " ".join(said)


def _question(conversation: Conversation, top: Sequence[Shown]) -> str:
    turn = conversation.last
    if turn is not None and turn.understood is not None and turn.understood.question:
        return turn.understood.question
    already = {earlier.asked for earlier in conversation.turns[:-1] if earlier.asked}
    question = next_question(conversation.known, top, already)
    return question.text if question else ""
