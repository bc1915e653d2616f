"""No message loses a fact silently: each of its words is in a chip, in the filters, in the reply, or small talk."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat import understanding
from app.chat.chips import chips_of
from app.chat.companions import Division
from app.chat.conversation import Conversation, Turn, say
from app.chat.leftovers import Leftovers
from app.chat.lexicon import Span, correct_tokens, spans_of
from app.chat.message_tokens import tokenise
from app.chat.results import read_pointing
from app.chat.search_state import MAX_TEXT, ParsedMessage, SearchState
from app.chat.understanding import understand
from app.chat.words import FUNCTION, OUTFITS, PRONOUNS, SHADE_VALUES, listed
from app.model.vocabulary import COLOUR_OF, kinds_of
from tests.chat_notation import GALLERY, RED_JACKET, rows

SMALL_TALK = {
    "greeting",
    "thanks",
    "yes",
    "no",
    "help",
    "identity",
    "off-topic",
    "empty",
    "other-language",
    "question",
}
SMALL_TALK |= {"reset", "undo", "not-this-one"}
CHANGES = {"change", "changed", "make", "turn", "swapped", "switched", "exchanged", "bar"}
WITH = {"accompanied", "alongside", "company", "joined"}  # chips say "with"
OF_NUMBERS = set(listed("half quarter later late earlier third fourth thirty forty fifty sixty y yrs"))
# What steers a message, and states nothing of anybody.
STEERING = {"not", "drop", "drop-after", "corrective", "back", "function", "stop", "one", "person"}


def lost_words(message: str, known: SearchState) -> list[str]:
    """The words of a message that left no trace."""
    turn = say(Conversation((Turn("say", known),)), message, GALLERY).last
    assert turn is not None
    said = turn.understood
    if said is None or said.intent in ("undo", "reset"):
        return []
    spans = spans_of(correct_tokens(tokenise(message))[0])
    facts = [
        span for span in spans if span.role in ("attribute", "colour", "group") and span.text not in PRONOUNS
    ]
    if said.intent in SMALL_TALK:
        return (
            [] if said.intent in ("identity", "other-language", "question") else [span.text for span in facts]
        )
    chips = " ".join(f"{chip.label} {chip.words}" for chip in chips_of(turn.after))
    told = " ".join([chips, *said.unused, *said.notes, said.question or "", turn.direct or ""])
    told += " ".join(f"{typed} {read}" for typed, read in said.corrections)
    visible = {token.text for token in tokenise_all(told)}
    contrast = any(span.role in ("not", "corrective", "drop") or span.text in CHANGES for span in spans)
    contrast |= any(span.text == "nothing" for span in spans)  # "a red coat, nothing blue"
    contrast |= ": " in message  # a form's labels: "hat: red cap"
    return [span.raw for span in spans if not _is_there(span, said, known, turn.after, visible, contrast)]


def tokenise_all(text: str) -> list:
    return [token for start in range(0, len(text), 900) for token in tokenise(text[start : start + 1000])]


def _is_there(
    span: Span, said: ParsedMessage, known: SearchState, after: SearchState, visible: set[str], contrast: bool
) -> bool:
    if span.text in ("minutes", "hours", "ago") and "count" in visible:
        return True  # "I cannot count back from now"
    if (
        span.role in STEERING
        or span.text in FUNCTION | CHANGES
        or span.text in PRONOUNS
        or set(span.text.split()) <= visible
        or (len(span.text) > 2 and any(word.startswith(span.text) for word in visible))  # "Feb", of February
    ):
        return True
    cleared = not after.filters.cameras  # "only camera 3; all cameras"
    values = {(a.kind, a.value) for a in (*said.wanted, *said.unwanted, *said.dropped_values)}
    kinds = {kind for kind, _ in values} | set(said.dropped) | set(said.freed)
    attribute = span.entry.attribute
    if attribute is not None:
        absent = (
            any(a.kind == attribute.kind for a in said.unwanted) or {"both", "no", attribute.kind} <= visible
        )
        whole = attribute.value == "none" and absent
        colour = COLOUR_OF.get(attribute.kind)
        colour_taken_back = colour in said.dropped or (contrast and colour in kinds)
        stated = whole or (attribute.kind, attribute.value) in values or attribute.kind in said.dropped
        other_hair = attribute.kind == "hair" in kinds and bool(visible & {"long", "short", "curly"})
        stated |= set(attribute.value.split()) <= visible
        return stated or colour_taken_back or other_hair or (contrast and attribute.kind in kinds)
    if span.role == "colour":
        stated_colours = {value for kind, value in values if kind in COLOUR_OF.values()}
        taken_back = any(kind in said.dropped for kind in COLOUR_OF.values())
        return span.entry.colour in stated_colours or taken_back or (contrast and bool(stated_colours))
    if span.role == "group":
        of_clothes = span.text in OUTFITS and said.other_clothes is not None
        is_known = known.value(span.entry.kind or "") is not None  # "the bag was bigger", of a backpack
        return of_clothes or is_known or bool(kinds & {span.entry.kind, *kinds_of(span.entry.kind or "")})
    if span.text == "length" and "hair" in kinds:  # "shoulder-length brown hair"
        return True
    if span.role == "shade" and span.text in SHADE_VALUES:  # "darker"
        return any(kind.endswith("_shade") and value == SHADE_VALUES[span.text] for kind, value in values)
    if span.role == "number" or span.text in OF_NUMBERS or span.text[-1].isdigit():
        # of a camera, a day, a time, an age, or of persons
        other_filters = after.filters != known.filters or "count" in visible or contrast or cleared
        return other_filters or "age" in kinds or after.companions != known.companions
    return bool(after.companions) and span.text in WITH


WHO = "a man|the woman|a boy|someone|a tall young woman|an elderly man of slim build|a child|he|a suspect in his 30s"
ADJECTIVES = "|red|dark blue|striped|long black|big|leather|red or blue|black and white|short|shiny green|dark-coloured"
THINGS = "jacket|coat|dress|trousers|skirt|boots|cap|hat|backpack|bag|umbrella|glasses|scarf|gloves|skateboard|hair"
VERBS = "in a|with a|wearing a|carrying a|without a|has a|had no|may have a|took off the|with the"
JOINTS = ", | and |, also | but |; |. He was "
TIES = "next to|with|followed by|behind|accompanied by|holding"
OTHERS = "a woman|his mother|a child|two men|an old man"
WHERE = "| on camera 3| after 14:00| between 9 and half past ten| on 12 May| yesterday| not on camera 5"
BEFORE = "|I am looking for |have you seen |no, |sorry, I meant |maybe |please find "
LEFT_OUT = "hide anyone with a|anything but a|everyone except people with a|I don't think he had a|no|do not show any"


def choice(table: str) -> st.SearchStrategy[str]:
    return st.sampled_from(table.split("|"))


PARTS = st.builds(
    lambda verb, adjective, thing: f"{verb} {adjective} {thing}", *map(choice, (VERBS, ADJECTIVES, THINGS))
)
COMPANY = st.one_of(
    st.just(""),
    st.builds(lambda tie, who, part: f" {tie} {who} {part}", choice(TIES), choice(OTHERS), PARTS),
)
MESSAGES = st.builds(
    lambda before, who, first, joint, second, company, where: (
        f"{before}{who} {first}{joint}{second}{company}{where}"
    ),
    choice(BEFORE),
    choice(WHO),
    PARTS,
    choice(JOINTS),
    PARTS,
    COMPANY,
    choice(WHERE),
)


@settings(max_examples=200)
@given(MESSAGES, st.booleans())
def test_no_generated_message_loses_a_word(message: str, going_on: bool):
    assert lost_words(message, RED_JACKET if going_on else SearchState()) == []


@settings(max_examples=100)
@given(choice(LEFT_OUT), choice(ADJECTIVES), choice(THINGS), st.booleans())
def test_nothing_that_is_left_out_is_lost(order: str, adjective: str, thing: str, going_on: bool):
    assert lost_words(f"{order} {adjective} {thing}", RED_JACKET if going_on else SearchState()) == []


SENTENCES = [sentence for _, sentence, _ in rows() if read_pointing(sentence) is None]
DESCRIPTIONS = [sentence for _, sentence, expected in rows() if sentence in SENTENCES and "!" not in expected]


@pytest.mark.parametrize("known", [SearchState(), RED_JACKET], ids=["fresh", "going on"])
def test_no_sentence_loses_a_word(known: SearchState):
    lost = [(sentence, words) for sentence in SENTENCES if (words := lost_words(sentence, known))]
    assert not lost


@settings(max_examples=120)
@given(st.sampled_from(DESCRIPTIONS), st.sampled_from([". ", "; "]), st.sampled_from(DESCRIPTIONS))
def test_no_two_sentences_lose_a_word(first: str, joint: str, second: str):
    assert lost_words(f"{first}{joint}{second}", SearchState()) == []


def test_what_does_not_fit_is_said():
    things = [f"{thing}{number}" for number in range(12) for thing in ("zibble", "wobble")]
    assert lost_words("a man with " + "; ".join(f"a {thing}" for thing in things), SearchState()) == []
    assert lost_words("a man with " + " ".join(things), SearchState()) == []
    conversation, notes = Conversation(), ""
    messages = [[f"zib{first}{second}{second}" for second in "abcdefg"] for first in "abcdefghi"]
    for words in messages:
        conversation = say(conversation, " ".join(words), GALLERY)
        assert conversation.last is not None and conversation.last.understood is not None
        notes += " ".join(conversation.last.understood.notes)
    kept = " ".join(conversation.known.text)
    assert len(kept) <= MAX_TEXT and "zibaaa" not in kept
    gone = notes.count("made room")
    assert gone and all(word in kept for words in messages[gone:] for word in words)
    assert any(
        "250 words" in note for note in understand("red coat " + "so " * 300, SearchState(), GALLERY).notes
    )


@pytest.mark.parametrize(
    ("name", "nothing", "message"),
    [
        ("leftovers", lambda spans: Leftovers(), "a man with a skateboard"),
        ("shades_besides", lambda *_: [], "dressed in dark red"),
        ("divide", lambda spans, state, text: Division(spans[:2], ()), "a man with a woman in a red coat"),
        ("_notes_on", lambda left, collected, state: [], "a man, forget the skateboard"),
    ],
)
def test_the_check_can_fail(monkeypatch: pytest.MonkeyPatch, name: str, nothing: object, message: str):
    assert lost_words(message, SearchState()) == []
    monkeypatch.setattr(understanding, name, nothing)
    assert lost_words(message, SearchState())
