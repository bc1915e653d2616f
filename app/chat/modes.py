"""Which words of a message state, which exclude ("without a hat"), and which take back ("forget the hat")."""

from __future__ import annotations

from app.chat.lexicon import Entry, Item
from app.chat.tables import listed

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


def assign_modes(items: list[Item]) -> None:
    """Set `mode` of each item: "+" stated, "-" excluded, "x" taken back. In place.

    "without" and its like reach to the end of their clause: over "or", over "and" where no new article
    begins, and over commas only in a list that ends in "or" ("no hat, glasses or beard").
    """
    mode, trigger, since = "+", "", 0
    for place, item in enumerate(items):
        if item.role in ("not", "drop"):
            if item.role == "not" and _is_discourse(items, place):
                item.entry = Entry("corrective")
                mode = "+"
                continue
            if item.text == "any" and (mode == "-" or _before(items, place, "not")):
                continue
            mode, trigger, since = ("-" if item.role == "not" else "x"), item.text, 0
            continue
        if mode != "+" and _ends(items, place, mode, trigger, since):
            mode = "+"
        item.mode = mode
        if item.role == "colour" and place > 0 and items[place - 1].text in ("from", "change"):
            item.mode = "x"  # "change it from red to blue", "change red to blue"
        if mode != "+" and item.role in _CONTENT:
            since += 1
        if item.role == "drop-after":
            _take_back(items, place)


def _ends(items: list[Item], place: int, mode: str, trigger: str, since: int) -> bool:
    item = items[place]
    if item.role == "stop":
        return item.text != "," or not _listed(items, place)
    if item.role == "corrective" and since:
        return True
    if item.text in _ENDS:
        return True
    if mode == "-" and since and items[place - 1].thing is not None and item.role in _CONTENT:
        return True  # "no backpack white shoes": nothing joins the second to the first
    if (
        trigger in ("replace", "swap", "switch", "exchange")
        and since
        and item.text in ("with", "for", "by", "to")
    ):
        return True
    if trigger in ("instead of", "rather than") and since and item.text in _ARTICLES:
        return True
    if item.text == "and" and since:
        following = _next(items, place)
        if following is None:
            return False
        if following.role in ("colour", "shade"):
            return True
        return trigger != "without" and mode == "-" and following.text in _ARTICLES
    # "no hat with glasses", "not a jacket in red": a new statement only once something was excluded
    return bool(since) and item.text.split()[0] in _STATES


def _listed(items: list[Item], comma: int) -> bool:
    """True for a comma of a list of bare things that ends in "or": "no hat, glasses or beard"."""
    saw_or = False
    for item in items[comma + 1 :]:
        if item.text in ("or", "nor"):
            saw_or = True
        elif item.role in ("stop", "not", "drop") and item.text not in (",", "any", "no"):
            break
        elif item.text in _STATES or item.role == "colour":
            return False
    return saw_or


def _is_discourse(items: list[Item], place: int) -> bool:
    """True for the "no" of "no, the jacket is orange", which denies what was said before."""
    item = items[place]
    if item.text != "no":
        return False
    opens = place == 0 or items[place - 1].role in ("stop", "corrective")
    if place > 0 and items[place - 1].text in ("oh", "ah", "hm", "hmm"):
        opens = True
    following = items[place + 1] if place + 1 < len(items) else None
    if following is None or following.role in ("stop", "corrective", "back"):
        return True
    return opens and (following.text.split()[0] in _OPENERS or following.role == "not")


def _take_back(items: list[Item], place: int) -> None:
    """ "The backpack doesn't matter": what stands before it in its clause is taken back."""
    for item in reversed(items[:place]):
        if item.role == "stop" or item.text == "but":
            return
        item.mode = "x"


def _before(items: list[Item], place: int, role: str) -> bool:
    return place > 0 and items[place - 1].role == role


def _next(items: list[Item], place: int) -> Item | None:
    return items[place + 1] if place + 1 < len(items) else None
