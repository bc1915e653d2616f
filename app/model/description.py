"""The one description of the person sought, in words, that reaches both CLIP and the model."""

from __future__ import annotations

from collections.abc import Sequence

from app.model.vocabulary import COLOUR_OF, Attribute, describe, is_absent, thing_of


def query_description(
    wanted: Sequence[Attribute] = (), unwanted: Sequence[Attribute] = (), text: str = ""
) -> str:
    """One line of plain words; "" where nothing is said.

    Args:
        wanted: at most one per kind, as `describe` takes them.
        unwanted: where every value of a thing that can be absent is unwanted, the thing itself is ("no
            hat"); others are appended (", not a red jacket").
        text: further words, appended as they are.

    >>> query_description([Attribute("gender", "woman")], [Attribute("upper", "jacket")], "limping")
    'a woman, not a jacket, limping'
    """
    has = {attribute.kind: attribute for attribute in wanted}
    refused = [attribute for attribute in dict.fromkeys(unwanted) if attribute.value != "none"]
    for kind in dict.fromkeys(attribute.kind for attribute in refused):
        if not is_absent(kind, unwanted):
            continue
        # Colours of a thing that must not be there say nothing more.
        refused = [a for a in refused if a.kind not in (kind, COLOUR_OF.get(kind))]
        has.setdefault(kind, Attribute(kind, "none"))
    parts = [describe(tuple(has.values()))] if has else []
    if refused and not has:
        parts = ["a person"]
    parts += [f"not {words}" for words in _phrases(refused)]
    text = " ".join(text.split())
    return ", ".join([*parts, text] if text else parts)


def _phrases(refused: Sequence[Attribute]) -> list[str]:
    """Each refused thing in words, with its colour and pattern where both are refused."""
    things: dict[str, list[Attribute]] = {}
    for attribute in refused:
        things.setdefault(thing_of(attribute.kind), []).append(attribute)
    phrases = []
    for group in things.values():
        while group:
            one = {attribute.kind: attribute for attribute in reversed(group)}
            phrases.append(
                describe(tuple(one.values())).removeprefix("a person in ").removeprefix("a person with ")
            )
            group = [attribute for attribute in group if attribute not in one.values()]
    return phrases
