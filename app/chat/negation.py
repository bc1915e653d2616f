"""Which words of a message state, which exclude ("without a hat"), and which take back ("forget the hat")."""

from __future__ import annotations

from app.chat.lexicon import Entry, Span
from app.chat.words import listed

_STATES = frozenset(
    listed(
        """
    with but wearing wears wore has had having carrying carries carried holding holds in dressed add
    make put
    """
    )
)
_ENDS = frozenset({"but", "just", "though", "although", "however", "who", "which"})
_ARTICLES = frozenset(
    {"a", "an", "the", "his", "her", "their", "with", "in", "wearing", "carrying", "has", "had"}
)
_OPENERS = frozenset(
    listed(
        """
    the it its he she his her hers they their that this these those i we wait sorry actually not no
    there was is in with you but maybe a an and make try change
    """
    )
)
_CONTENT = frozenset({"attribute", "group", "colour", "shade", "word", "origin", "unjudged"})


def assign_modes(spans: list[Span]) -> None:
    """Set `mode` of each span: "+" stated, "-" excluded, "x" taken back. In place.

    "without" and its like reach to the end of their clause: over "or", over "and" where no new article
    begins, and over commas only in a list that ends in "or" ("no hat, glasses or beard").
    """
    mode, trigger, since = "+", "", 0
    for position, span in enumerate(spans):
        if span.role in ("not", "drop"):
            if span.role == "not" and _is_discourse(spans, position):
                span.entry = Entry("corrective")
                mode = "+"
                continue
            if span.text == "any" and (mode == "-" or _before(spans, position, "not")):
                continue
            mode, trigger, since = ("-" if span.role == "not" else "x"), span.text, 0
            continue
        if mode != "+" and _ends(spans, position, mode, trigger, since):
            mode = "+"
        span.mode = mode
        if span.role == "colour" and position > 0 and spans[position - 1].text in ("from", "change"):
            span.mode = "x"  # "change it from red to blue", "change red to blue"
        if mode != "+" and span.role in _CONTENT:
            since += 1
        if span.role == "drop-after":
            _take_back(spans, position)


def _ends(spans: list[Span], position: int, mode: str, trigger: str, since: int) -> bool:
    """True where a new statement begins at `position`. trigger: the word that set `mode`; since: how many spans of
    content it has reached.
    """
    span = spans[position]
    if span.role == "stop":
        return span.text != "," or not _listed(spans, position)
    if span.role == "corrective" and since:
        return True
    if span.text in _ENDS:
        return True
    if mode == "-" and since and spans[position - 1].thing is not None and span.role in _CONTENT:
        return True  # "no backpack white shoes": nothing joins the second to the first
    if (
        trigger in ("replace", "swap", "switch", "exchange")
        and since
        and span.text in ("with", "for", "by", "to")
    ):
        return True
    if trigger in ("instead of", "rather than") and since and span.text in _ARTICLES:
        return True
    if span.text == "and" and since:
        following = _next(spans, position)
        if following is None:
            return False
        if following.role in ("colour", "shade"):
            return True
        return trigger != "without" and mode == "-" and following.text in _ARTICLES
    # "no hat with glasses", "not a jacket in red": a new statement only once something was excluded
    return bool(since) and span.text.split()[0] in _STATES


def _listed(spans: list[Span], comma: int) -> bool:
    """True for a comma of a list of bare things that ends in "or": "no hat, glasses or beard"."""
    saw_or = False
    for span in spans[comma + 1 :]:
        if span.text in ("or", "nor"):
            saw_or = True
        elif span.role in ("stop", "not", "drop") and span.text not in (",", "any", "no"):
            break
        elif span.text in _STATES or span.role == "colour":
            return False
    return saw_or


def _is_discourse(spans: list[Span], position: int) -> bool:
    """True for the "no" of "no, the jacket is orange", which denies what was said before."""
    span = spans[position]
    if span.text != "no":
        return False
    opens = position == 0 or spans[position - 1].role in ("stop", "corrective")
    if position > 0 and spans[position - 1].text in ("oh", "ah", "hm", "hmm"):
        opens = True
    following = spans[position + 1] if position + 1 < len(spans) else None
    if following is None or following.role in ("stop", "corrective", "back"):
        return True
    return opens and (following.text.split()[0] in _OPENERS or following.role == "not")


def _take_back(spans: list[Span], position: int) -> None:
    """ "The backpack doesn't matter": what stands before it in its clause is taken back."""
    for span in reversed(spans[:position]):
        if span.role == "stop" or span.text == "but":
            return
        span.mode = "x"


def _before(spans: list[Span], position: int, role: str) -> bool:
    return position > 0 and spans[position - 1].role == role


def _next(spans: list[Span], position: int) -> Span | None:
    return spans[position + 1] if position + 1 < len(spans) else None
