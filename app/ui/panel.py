"""The selected candidate beside the query, and the chips of what was understood: HTML, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.chat.reply import labels_of
from app.retrieval.comparison import Comparison
from app.ui.cards import Card, percent


@dataclass(frozen=True)
class Sought:
    """The query as it is shown beside a candidate: its pictures (URLs or data URIs) and its words."""

    pictures: tuple[str, ...] = ()
    words: str = ""


def selected_html(card: Card | None, sought: Sought, compared: Comparison, kin: Sequence[Card] = ()) -> str:
    """The selected panel. `card` None: a hint what the panel is for. kin: what it was judged together with."""
    if card is None:
        return (
            '<div class="cr-empty"><p><b>Nothing selected</b></p>'
            "<p>Choose a candidate to see it beside your query.</p></div>"
        )
    weak = ' <span class="cr-weak">weak</span>' if card.weak else ""
    candidate = (
        f'<figure><img src="{escape(card.thumbnail)}" alt="Selected candidate, {escape(card.place)}">'
        f"<figcaption><b>Candidate</b> {percent(card.probability)}{weak}<br>{escape(card.place)}</figcaption>"
        "</figure>"
    )
    pair = f'<div class="cr-pair">{candidate}{_sought_html(sought)}</div>'
    return pair + _compared_html(compared) + _kin_html(kin)


def _sought_html(sought: Sought) -> str:
    caption = "<figcaption><b>Your query</b>{}</figcaption>"
    if sought.pictures:
        more = f" and {len(sought.pictures) - 1} more" if len(sought.pictures) > 1 else ""
        words = f"<br>{escape(sought.words)}" if sought.words else ""
        picture = f'<img src="{escape(sought.pictures[0])}" alt="The picture that is searched for">'
        return f"<figure>{picture}{caption.format(more + words)}</figure>"
    words = escape(sought.words or "everyone who passes the filters")
    return f'<figure><blockquote class="cr-words">{words}</blockquote>{caption.format("")}</figure>'


def _compared_html(compared: Comparison) -> str:
    rows = (
        ("In common", compared.common, "is-common"),
        ("Only the query", compared.only_first, "is-query"),
        ("Only this candidate", compared.only_second, "is-candidate"),
    )
    shown = "".join(
        f"<dt>{title}</dt><dd>{_tags(labels_of(found), kind)}</dd>" for title, found, kind in rows if found
    )
    if not shown:
        return '<p class="cr-note">The model read no attributes to compare.</p>'
    note = '<p class="cr-note">As the model reads them; it can be wrong.</p>'
    return f'<dl class="cr-compared">{shown}</dl>{note}'


def _kin_html(kin: Sequence[Card]) -> str:
    if not kin:
        return ""
    shown = "".join(
        f'<li><img src="{escape(one.thumbnail)}" alt="Crop {one.image_id}" loading="lazy">'
        f"<span>{escape(one.place)}</span></li>"
        for one in kin
    )
    return (
        '<section class="cr-kin" aria-labelledby="cr-kin-title"><h3 id="cr-kin-title">Judged together with</h3>'
        f"<ul>{shown}</ul>"
        '<p class="cr-note">Probably the same person in the same clothes: what one crop hides, another may show.</p>'
        "</section>"
    )


def _tags(words: Sequence[str], kind: str) -> str:
    return "".join(f'<span class="cr-tag {kind}">{escape(word)}</span>' for word in words)


def chips_html(chips: Sequence[tuple[str, str, str]]) -> str:
    """Chips as (key, label, kind), each with a button that removes it."""
    if not chips:
        return '<p class="cr-note cr-chips-empty">What is understood will stand here.</p>'
    items = "".join(
        f'<li class="cr-chip is-{escape(kind)}">{escape(label)}'
        f'<button type="button" data-key="{escape(key)}" aria-label="Remove {escape(label)}">×</button></li>'
        for key, label, kind in chips
    )
    return f'<ul class="cr-chips" aria-label="What is searched for">{items}</ul>'
