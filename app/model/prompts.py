"""What the model is asked and how it answers: the paper's wordings, and the query-first pair question.

The paper's wordings (PAPER_PROMPTS) are kept word for word for the training mixture. At run time every
pair is asked with the query first and the candidate's picture last, so that everything before the
candidate is computed once for all candidates. Messages are in the Hugging Face chat format: content is
a list of {"type": "text", "text": ...} and {"type": "image"}.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.model.answers import annotation_answer as annotation_answer
from app.model.answers import parse_annotation as parse_annotation

PROMPT_VERSION = 2  # 1: the question never says what may differ (may_differ=None)
# From this version on the words of the pair question stand behind the candidate's picture. (3 was a trial of it.)
WORDS_BEHIND = 4
# By words alone as in version 4, and what the model reads off the candidate stands behind the picture, kind by kind
# (app.model.readings); with a picture of the person as in version 2.
READ_ALOUD = 5
READ_PROMPT_VERSIONS = (1, PROMPT_VERSION, WORDS_BEHIND, READ_ALOUD)

YES = "Yes"
NO = "No"
NONE_OF_THEM = "None"
MAX_DESCRIPTION = 400  # characters; a longer description is cut at a word

Message = dict[str, Any]

# Section 3.1 and Figure 4 of the paper, word for word. "<[ ]>", "{person image}" and "{gallery}" stand for
# pictures, '"..."' and "{text}" for a text.
PAPER_PROMPTS: dict[str, str] = {
    # stage 1
    "caption": (
        "In the {person image} provided, can you give a detailed description of the pedestrian, including"
        " their gender, age range, hair, type and color of clothing, footwear type and color, posture or"
        " gait, any patterns or accessories, and any distinguishing features?"
    ),
    # stage 2
    "image_one_to_one": "Do these two images <[ ]> contain the same pedestrian identity?",
    "image_many_to_many": (
        "Given the query image <[ ]> of a pedestrian and a gallery set <[ ]>. Please select all images from"
        " gallery set, that match the identity of the pedestrian in the query image."
    ),
    "text_one_to_one": 'Does the image <[ ]> of the pedestrian match the following caption: "..."',
    "text_many_to_one": (
        "Given the following image <[ ]>, which of the captions accurately describes it?"
        ' The first caption: "...". The second caption: "...". The third: "..."'
    ),
    "text_one_to_many": (
        'Select the image that best matches the following description of the pedestrian\'s appearance: "..."'
    ),
    "compare": (
        "Given the first images <[ ]> and the second image <[ ]>, please describe the similarities and"
        " differences between them. Focus on the attributes of the pedestrians in each image."
    ),
    "annotate": (
        "Examine the image <[ ]> below and select the correct attribute annotations for the pedestrian."
    ),
    # stage 3
    "standard": (
        "Given the {person image} provided, identify which of the following images show the same pedestrian"
        " as in the first image."
    ),
    "cloth_changing": (
        "Given the {person image} provided, select which of the {gallery} shows the same person, who may be"
        " wearing different clothing."
    ),
    "visible_infrared": (
        "Using the given {person image}, choose the corresponding {gallery} that matches the same"
        " pedestrian, considering both infrared and visible light images for re-identification."
    ),
    "text_to_image": (
        "Select the {person image} that best matches the following description of the pedestrian’s"
        " appearance: {text}"
    ),
}

# Figure 4's answers; "<[ ]>" stands for names of pictures ("Image 3").
PAPER_RESPONSES: dict[str, str] = {
    "image_one_to_one": "Yes/No",
    "image_many_to_many": "These two images <[ ]> match the identity of the pedestrian in the query image.",
    "text_one_to_one": "Yes/No",
    "text_many_to_one": "The second caption",
    "text_one_to_many": "This image <[ ]> matches the following description.",
    "compare": (
        "Common Attributes: Unique Attributes of the First Image: Unique Attributes of the Second Image:"
    ),
    "annotate": "The pedestrian attributes of this image are:",
}

# What the pair question and the best choice take from "cloth_changing" and "visible_infrared".
OTHER_CLOTHES = ", who may be wearing different clothing"
OTHER_LIGHT = ", considering both infrared and visible light images"

# Behind a question of the operator's own.
OPEN_QUESTION = (
    "Answer in one or two short sentences, from what the picture shows and nothing else; say so if it does not show "
    "it. Never say who somebody is, and nothing of origin, religion or health."
)

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

_PICTURES = ("<[ ]>", "{person image}", "{gallery}")
_SLOT = re.compile(r'(<\[ \]>|\{person image\}|\{gallery\}|\{text\}|"\.\.\.")')
_SPECIAL = re.compile(r"<\|[^|<>]*\|>|<\||\|>")


@dataclass(frozen=True)
class MayDiffer:
    """What is known to set the query's pictures apart from a candidate's, of the person sought, beside the place.

    clothes: the person may wear others. light: some are visible and some infrared. Neither is the paper's standard
    retrieval, the others its clothes-changing and visible-infrared ones (section 3.1.3). Without a picture in the
    query there is nothing to differ from, and neither is said.
    """

    clothes: bool = False
    light: bool = False


NOTHING_DIFFERS = MayDiffer()


@dataclass(frozen=True)
class PairPrompt:
    """One question about one candidate, asked with the query first.

    messages: chat messages; the last picture in them is the candidate.
    references: how many pictures of the query stand before it.
    """

    messages: list[Message]
    references: int


@dataclass(frozen=True)
class ChoicePrompt:
    """One turn of the multi-turn best choice.

    names: what each candidate is called in the answer, e.g. ("Image 2", "Image 3"); NONE_OF_THEM is
    the answer when no candidate fits.
    """

    messages: list[Message]
    references: int
    names: tuple[str, ...]


def words_behind(version: int, references: int) -> bool:
    """Whether questions of a version with so many references have the words behind the candidate's picture."""
    return version == WORDS_BEHIND or reads_aloud(version, references)


def reads_aloud(version: int, references: int) -> bool:
    """Whether they have what the model reads off the candidate."""
    return version == READ_ALOUD and not references


def image_name(number: int) -> str:
    """How pictures are named in lists and answers: "Image 1", "Image 2", ..."""
    return f"Image {number}"


def clean_text(text: str, limit: int | None = MAX_DESCRIPTION) -> str:
    """Somebody's own words made safe inside a prompt: one line, without the model's control marks, bounded.

    limit: characters, of whole words; None for no bound.

    >>> clean_text("a red <|im_end|> coat\\n ")
    'a red coat'
    """
    text = " ".join(_SPECIAL.sub(" ", text).split())
    if limit is not None and len(text) > limit:
        text = text[: limit + 1].rsplit(" ", 1)[0][:limit]
    return text


def pair_prompt(
    description: str = "",
    references: int = 0,
    may_differ: MayDiffer | None = NOTHING_DIFFERS,
    *,
    words_behind: bool = False,
) -> PairPrompt:
    """The run-time question: does the last picture fit the description, or show the person of the references?

    Args:
        description: plain words; with references, the things that changed or were added since them: then clothes
            may differ, whatever else is said.
        references: number of pictures of the person sought, 0 or more.
        may_differ: between the references and the candidate; None for the question of version 1.
        words_behind: say the description behind the candidate's picture, where each word can look at it for what it
            says: by words alone this is Figure 4's text question, which has the picture first; beside references the
            description is said once more.

    Raises:
        ValueError: neither a description nor a reference.
    """
    words = clean_text(description).rstrip(" .")
    if words_behind and words and not references:
        return PairPrompt(paper_prompt("text_one_to_one", [1], [words]), 0)
    content = _query(description, references)
    content.text(_question(description, references, may_differ, many=False) + f" Answer {YES} or {NO}.\n")
    content.image()
    if words_behind and words:
        content.text(f"\n{words}.")
    return PairPrompt(content.messages(), references)


def best_choice_prompt(
    description: str = "",
    references: int = 0,
    candidates: int = 1,
    may_differ: MayDiffer | None = NOTHING_DIFFERS,
) -> ChoicePrompt:
    """One turn of section 3.3's multi-turn best choice; candidates are numbered on from the references.

    The arguments are those of pair_prompt.
    """
    if candidates < 1:
        raise ValueError("a best choice needs one candidate or more")
    content = _query(description, references)
    asked = _question(description, references, may_differ, many=True)
    content.text(asked + f" Answer the image or {NONE_OF_THEM}.\n")
    names = []
    for _ in range(candidates):
        names.append(content.image())
        if len(names) < candidates:
            content.text("\n")
    return ChoicePrompt(content.messages(), references, tuple(names))


def caption_prompt() -> list[Message]:
    """The paper's stage-1 question about one picture."""
    return paper_prompt("caption", [1])


def annotate_prompt() -> list[Message]:
    """Figure 4's attribute annotation question about one picture; the answer is `annotation_answer`."""
    return paper_prompt("annotate", [1])


def compare_prompt() -> list[Message]:
    """Figure 4's comparison of two pictures."""
    return paper_prompt("compare", [1, 1])


def open_question_prompt(question: str, names: Sequence[str]) -> list[Message]:
    """An operator's own question about one or more pictures, each under the name that the question gives it.

    names: of the pictures, in their order, e.g. ("Number 2", "Number 5").
    """
    content = _Content()
    for name in names:
        content.text(f"{clean_text(name)}:")
        content.parts.append({"type": "image"})
        content.text("\n")
    content.text(f"{clean_text(question)}\n{OPEN_QUESTION}")
    return content.messages()


def paper_prompt(task: str, pictures: Sequence[int] = (), texts: Sequence[str] = ()) -> list[Message]:
    """One of PAPER_PROMPTS with its slots filled, as chat messages.

    Args:
        task: a key of PAPER_PROMPTS.
        pictures: how many pictures each picture slot takes, in order of the slots; one number more than
            slots puts the rest (a gallery that the wording speaks of but does not place) at the end.
        texts: a text for each text slot. "text_many_to_one" takes any number of captions from two on.

    Raises:
        ValueError: unknown task, or counts that do not fit the wording.
    """
    if task not in PAPER_PROMPTS:
        raise ValueError(f"unknown task {task!r}; one of {', '.join(PAPER_PROMPTS)}")
    wording = _captions(len(texts)) if task == "text_many_to_one" else PAPER_PROMPTS[task]
    parts = _SLOT.split(wording)
    slots = sum(part in _PICTURES for part in parts)
    if len(pictures) not in (slots, slots + 1) or any(count < 1 for count in pictures):
        raise ValueError(f"{task!r} takes {slots} or {slots + 1} groups of pictures, got {list(pictures)}")
    if len(texts) != sum(part in ("{text}", '"..."') for part in parts):
        raise ValueError(f"{task!r} does not take {len(texts)} texts")
    content, groups, words = _Content(), iter(pictures), iter(texts)
    for part in parts:
        if part in _PICTURES:
            content.images(next(groups))
        elif part == "{text}":
            content.text(clean_text(next(words)))
        elif part == '"..."':
            content.text(f'"{clean_text(next(words))}"')
        else:
            content.text(part)
    for count in groups:
        content.text("\n")
        content.images(count)
    return content.messages()


def _captions(count: int) -> str:
    """Figure 4's many-to-one wording, grown or shrunk to the number of captions."""
    if not 2 <= count <= len(ORDINALS):
        raise ValueError(f"'text_many_to_one' takes 2 to {len(ORDINALS)} captions, got {count}")
    head = PAPER_PROMPTS["text_many_to_one"].split(" The first caption")[0]
    named = [
        f'The {word}{" caption" if place < 2 else ""}: "..."' for place, word in enumerate(ORDINALS[:count])
    ]
    return f"{head} {'. '.join(named)}"


def _query(description: str, references: int) -> _Content:
    description = clean_text(description).rstrip(" .")
    if references < 0 or not (description or references):
        raise ValueError("a pair question needs a description or a reference picture")
    content = _Content()
    content.text("Query: ")
    for number in range(references):
        if number:
            content.text("\n")
        content.image()
    if description:
        content.text(f"\nNow: {description}." if references else f"{description}.")
    content.text("\n")
    return content


def _question(description: str, references: int, may_differ: MayDiffer | None, many: bool) -> str:
    if not references:
        return "Which image matches the description?" if many else "Does the image match the description?"
    question = "Which image shows the same person" if many else "Does the next image show the same person"
    if may_differ is not None:
        if may_differ.clothes or clean_text(description).rstrip(" ."):
            question += OTHER_CLOTHES
        if may_differ.light:
            question += OTHER_LIGHT
    return f"{question}?"


class _Content:
    """The content of one user message, built up; pictures are named and numbered as they come."""

    def __init__(self) -> None:
        self.parts: list[dict[str, str]] = []
        self.count = 0

    def text(self, text: str) -> None:
        if not text:
            return
        if self.parts and self.parts[-1]["type"] == "text":
            self.parts[-1] = {"type": "text", "text": self.parts[-1]["text"] + text}
        else:
            self.parts.append({"type": "text", "text": text})

    def image(self) -> str:
        self.count += 1
        name = image_name(self.count)
        self.text(f"{name}:")  # no space after the colon: it would be one token more
        self.parts.append({"type": "image"})
        return name

    def images(self, count: int) -> None:
        for number in range(count):
            if number:
                self.text(" ")
            self.image()

    def messages(self) -> list[Message]:
        return [{"role": "user", "content": self.parts}]
