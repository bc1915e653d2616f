"""Which words of a message state, which exclude ("without a hat"), and which take back ("forget the hat")."""

from __future__ import annotations

from app.chat.lexicon import ALL_BUT, Entry, Span
from app.chat.words import PRONOUNS, WHOLLY, listed, phrases

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


_EXCEPTING = frozenset({"but", *ALL_BUT.split("|"), "except", "bar"})
_OF_PEOPLE = ("anyone", "anybody", "everyone", "everybody")
_WAS = frozenset(listed("is was are were has had wore wears a an"))  # "it's a skirt" is read "it a skirt"
_WORN = frozenset(listed("dressed wearing wears wore clad in all everything"))
_SWAPPED = frozenset(
    listed("swapped swaps swapping switched exchanged exchanges replaced replaces traded changed")
)
_SWAPS = frozenset(listed("replace swap switch exchange")) | _SWAPPED
_FOR = frozenset(listed("for to into with by"))
_LEAVING_OUT = frozenset(phrases("leave out|remove|skip|drop|ignore|discard|take out|get rid of"))
_PLURALS = frozenset({"men", "women", "children"})
_UNSURE = frozenset(phrases("not sure|not certain|unsure|uncertain"))
_DOUBTS = frozenset(
    f"{verb}{joint}"
    for verb in (
        "do not think",
        "did not think",
        "do not believe",
        "did not believe",
        "do not suppose",
        "doubt",
        "do not recall",
        "can not recall",
        "do not remember",
        "can not remember",
        "no idea",
        "no clue",
    )
    for joint in ("", " if", " whether", " that")
)
_HIDING = frozenset(
    (
        "hide",
        "hide all",
        "exclude",
        "excludes",
        "excluding",
        "filter out",
        "weed out",
        "rule out",
        "screen out",
        "do not show",
        "do not want",
        "do not include",
        *ALL_BUT.split("|"),
    )
)
_LABELS = frozenset({":", "-", "?"})
_ABSENT = frozenset({"no", "none", "nothing", "nil", "not", "absent", "never"})
_OFF = frozenset({"off", "away", "behind"})
_PARTING = frozenset(
    listed("took take takes taking taken left leave leaving leaves threw throw thrown put had")
)


def assign_modes(spans: list[Span]) -> None:
    """Set `mode` of each span: "+" stated, "-" excluded, "x" taken back. In place.

    "without" and its like reach to the end of their clause: over "or", over "and" where no new article
    begins, and over commas only in a list that ends in "or" ("no hat, glasses or beard").
    """
    _settle(spans)
    absent = _of_forms(spans)
    mode, trigger, since = "+", "", 0
    for position, span in enumerate(spans):
        if span.text in _OFF and _parted(spans, position):
            continue
        if mode == "x" and trigger == "any" and span.text in _EXCEPTING:
            for other in spans[:position]:  # "any jacket but a red one"
                other.mode = "+" if other.mode == "x" and other.thing is not None else other.mode
            mode, trigger, since = "-", span.text, 0
            continue
        if span.text in _EXCEPTING and span.role == "not":
            of_nobody = mode == "-" and not since and _before(spans, position, "not")
            kept = True if of_nobody or _is_kept(spans, position) else _is_exception(spans, position)
            if kept is not None:
                mode, trigger, since = "+" if kept else "x", span.text, 0
                continue
        if span.text == "clear" and position > 0 and spans[position - 1].text in _ARTICLES:
            span.entry = Entry("word")  # "a clear plastic bag"
        if span.text == "unknown" and position > 0 and spans[position - 1].text in _ARTICLES:
            span.entry = Entry("function")  # "an unknown man"
        if span.text == "hide" and position > 0 and spans[position - 1].text == "to":
            span.entry = Entry("function")
        if mode == "-" and since and span.text in ("on", "across") and _is_place(spans, position):
            mode = "+"  # "no logo on the shirt": there is a shirt
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
        if mode != "+" and span.role in _CONTENT and span.text not in PRONOUNS:
            if trigger in _DOUBTS | _UNSURE and _is_subject(spans, position):
                span.mode = "+"  # "I don't think the man had a beard"
            else:
                since += 1
        if span.role == "drop-after":
            _take_back(spans, position)
    for span in absent:
        span.mode = "-"


def _settle(spans: list[Span]) -> None:
    """Give words that deny or take back in some company alone the part that they have here. In place."""
    for position, span in enumerate(spans):
        following = _next(spans, position)
        shows = following is not None and following.role != "stop"
        looks = spans[position + 1 : position + 3]
        looks = looks[1:] if shows and looks[0].text == "in" else looks[:1]
        if span.text == "nothing" and any(map(_is_look, looks)):
            span.entry = Entry("not")  # "she wore nothing pink", "nothing in red"
        elif span.text == "bar" and shows and _before(spans, position, "colour"):
            span.entry = Entry("not")  # "all black bar a red cap"
        elif span.text in _SWAPPED and _is_exchange(spans, position):
            span.entry = Entry("drop")
        elif span.text in _LEAVING_OUT and _are_people(spans, position):
            span.entry = Entry("not")
        elif span.text in _UNSURE:
            span.entry = _doubt(spans, position)


def _doubt(spans: list[Span], position: int) -> Entry:
    """ "Not sure" takes back what follows, or else the one thing that it is said of: "glasses not sure"."""
    if any(other.role in _CONTENT for other in _clause(spans, position + 1)):
        return Entry("drop")
    of_more = position > 1 and spans[position - 2].role in _CONTENT and spans[position - 1].role != "stop"
    return Entry("function") if of_more else Entry("drop-after")  # "a black coat or a blue one, not sure"


def _clause(spans: list[Span], start: int) -> list[Span]:
    """What stands from `start` to the next stop or "but"."""
    end = start
    while end < len(spans) and spans[end].role != "stop" and spans[end].text != "but":
        end += 1
    return spans[start:end]


def _is_look(span: Span) -> bool:
    """Whether it is a colour, a shade or a pattern."""
    attribute = span.entry.attribute
    return span.role in ("colour", "shade") or (attribute is not None and attribute.kind == "upper_pattern")


def _is_exchange(spans: list[Span], position: int) -> bool:
    """ "He swapped his blue jacket for a grey one": one thing for another."""
    clause = _clause(spans, position + 1)
    joints = [at for at, span in enumerate(clause) if span.text in _FOR]
    return any(
        any(span.thing is not None or span.text == "it" for span in clause[:at])
        and any(span.thing is not None or span.role == "one" for span in clause[at:])
        for at in joints
    )


def _are_people(spans: list[Span], position: int) -> bool:
    """ "Leave out the women", who are people to hide; "leave out the hat" takes a word back."""
    at = position + 1
    while at < len(spans) and spans[at].text in _ARTICLES | {"any", "all"}:
        at += 1
    attribute = spans[at].entry.attribute if at < len(spans) else None
    plural = at < len(spans) and (spans[at].text in _PLURALS or spans[at].text.endswith("s"))
    return plural and attribute is not None and attribute.kind in ("gender", "age")


def _of_forms(spans: list[Span]) -> list[Span]:
    """The things that a form leaves out: "hat: none", "glasses - no"; a label before what it asks for says nothing by
    itself: "hat: red cap". In place.
    """
    absent = []
    for position, span in enumerate(spans[:-2]):
        if (
            span.thing is None
            or spans[position + 1].role != "stop"
            or spans[position + 1].text not in _LABELS
        ):
            continue
        end = position + 2
        while end < len(spans) and spans[end].role != "stop":
            end += 1
        value = spans[position + 2 : end]
        if len(value) == 1 and value[0].text in _ABSENT:
            absent.append(span)
            value[0].entry = Entry("function")
        elif any(other.thing == span.thing for other in value):
            span.entry = Entry("function")
    return absent


def _ends(spans: list[Span], position: int, mode: str, trigger: str, since: int) -> bool:
    """True where a new statement begins at `position`. trigger: the word that set `mode`; since: how many spans of
    content it has reached.
    """
    span = spans[position]
    if span.role == "stop":
        return span.text != "," or not _listed(spans, position)
    if span.role == "corrective" and since:
        return True
    if span.text in _ENDS or (trigger == "non" and since):
        return True
    if since and _is_told_anew(spans, position, mode):
        return True
    if mode == "-" and since and spans[position - 1].thing is not None and span.role in _CONTENT:
        return True  # "no backpack white shoes": nothing joins the second to the first
    if trigger in _SWAPS and (since or spans[position - 1].text == "it") and span.text in _FOR:
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
    hides = trigger in _HIDING or (trigger in _LEAVING_OUT and mode == "-")
    if hides and since and span.text.split()[0] in _STATES and _hides_some(spans, position):
        return False
    # "no hat with glasses", "not a jacket in red": a new statement only once something was excluded
    return bool(since) and span.text.split()[0] in _STATES


def _is_told_anew(spans: list[Span], position: int, mode: str) -> bool:
    """ "It wasn't a dress it was a skirt", with nothing between them but a breath."""
    following = _next(spans, position)
    if spans[position].text not in (("it", "they", "he", "she") if mode == "-" else ("it",)):
        return False
    return following is not None and (following.text in _WAS or following.role in ("colour", "shade"))


def _hides_some(spans: list[Span], position: int) -> bool:
    """ "Hide women with hats": hats are what is left out, not women. In place."""
    excluded = position
    while excluded > 0 and (spans[excluded - 1].mode == "-" or spans[excluded - 1].role == "function"):
        excluded -= 1
    content = [span for span in spans[excluded:position] if span.role in _CONTENT]
    if all(span.entry.attribute is not None and span.entry.attribute.kind == "gender" for span in content):
        for person in content:
            person.entry = Entry("person")
        return True
    following = spans[position + 1 : position + 3]  # "exclude the jacket with stripes"
    return any(span.entry.attribute is not None and span.thing is None for span in following)


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


def _parted(spans: list[Span], position: int) -> bool:
    """ "Took his hat off", "left the bag behind", "with her jacket off": takes the thing before it back. In place."""
    if position == 0 or spans[position - 1].thing is None:
        return False
    clause = position
    while clause > 0 and spans[clause - 1].role != "stop":
        clause -= 1
    following = _next(spans, position)
    ends = following is None or following.role == "stop" or following.text == "and"
    if not (
        any(span.text in _PARTING for span in spans[clause:position])
        or (ends and spans[position].text == "off")
    ):
        return False
    spans[position].entry = Entry("function")
    at = position - 1
    while at >= clause and spans[at].role in _CONTENT:
        spans[at].mode = "x"
        at -= 1
    return True


def _is_subject(spans: list[Span], position: int) -> bool:
    """Whether a person of whom something is said stands at `position`: "the man had", "the woman was wearing"."""
    attribute = spans[position].entry.attribute
    if spans[position].role != "person" and (attribute is None or attribute.kind != "gender"):
        return False
    for span in spans[position + 1 :]:
        if span.role != "function":
            return False
        if span.text in _STATES:
            return True
    return False


def _is_exception(spans: list[Span], position: int) -> bool | None:
    """ "All in black, except for brown boots": True for what has a colour of its own, and is there in it; False for
    "except the shoes", which says nothing of them. None where nothing was said of the whole."""
    if spans[position].text.startswith(_OF_PEOPLE):
        return None
    whole = any(span.text in WHOLLY for span in spans[:position])
    colours = [at for at, span in enumerate(spans[:position]) if span.role == "colour" and span.mode == "+"]
    if not any(whole or _is_of_all(spans, at) for at in colours):
        return None
    own = False
    for span in _clause(spans, position + 1):
        own |= _is_look(span) or span.text in ("a", "an")
        if span.thing is not None or span.role == "word":
            return own
    return None


def _is_of_all(spans: list[Span], colour: int) -> bool:
    """ "Dressed in black": a colour that no noun follows, of all that is worn."""
    start, end = colour, colour + 1
    while start > 0 and spans[start - 1].role in ("colour", "shade"):
        start -= 1
    while end < len(spans) and spans[end].role == "colour":
        end += 1
    alone = end == len(spans) or spans[end].role in ("stop", "not", "function")
    return alone and start > 0 and spans[start - 1].text in _WORN


def _is_kept(spans: list[Span], position: int) -> bool:
    """ "No bag except a handbag", "no jacket but the red one": what is left of a kind that was excluded. The kind as a
    whole then says nothing more. In place.
    """
    head = next(
        (span for span in _clause(spans, position + 1) if span.thing is not None or span.role == "one"), None
    )
    excluded = [span for span in spans[:position] if span.mode == "-" and span.thing is not None]
    if head is None or not excluded:
        return False
    if head.role == "one":
        excluded[-1].mode = "+"
        return True
    alike = [span for span in excluded if span.thing == head.thing]
    for span in alike:
        span.entry = Entry("function")
    return bool(alike)


def _is_place(spans: list[Span], position: int) -> bool:
    """Whether a garment or a person follows: "on the shirt", "on the man"."""
    for span in spans[position + 1 :]:
        if span.thing is not None or (
            span.entry.attribute is not None and span.entry.attribute.kind == "gender"
        ):
            return span.text not in PRONOUNS
        if span.text not in _ARTICLES and span.role not in ("colour", "shade"):
            return False
    return False


def _take_back(spans: list[Span], position: int) -> None:
    """ "The backpack doesn't matter", "shoes: unknown": what stands before it in its clause is taken back."""
    if position > 1 and spans[position - 1].text in _LABELS and spans[position - 2].role in _CONTENT:
        position -= 1
    for span in reversed(spans[:position]):
        if span.role == "stop" or span.text == "but":
            return
        span.mode = "x"


def _before(spans: list[Span], position: int, role: str) -> bool:
    return position > 0 and spans[position - 1].role == role


def _next(spans: list[Span], position: int) -> Span | None:
    return spans[position + 1] if position + 1 < len(spans) else None
