"""Small conversations of the wild and what is right in them (tests/data/language_cases.jsonl), over the chat alone.

A line: `turns`, messages in order. Of the last one: `has`, kind -> value or any of several that is wanted; `hasnt`,
kinds, or kind -> values, that are not; `unwanted`, kind -> value that is left out; `filters`, what stands there;
`no_filters`; `same_query`, nothing changed; `reply`, what the direct answer says; `unjudged`, nothing that can be
judged is looked for; `ref`, `rejected`, places of the candidates shown before; `said`, words that reach the models
as they were said.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from app.chat.conversation import Conversation, answered, direct_answer, say, to_query
from app.chat.list_questions import asks_about_person, read_list_question
from app.chat.results import read_pointing
from app.query_json import query_json
from tests import chat_notation
from tests.serving import Served

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "language_cases.jsonl").read_text("utf-8").splitlines()
]
GALLERY = replace(chat_notation.GALLERY, hours=tuple(range(7, 21)))  # as the demo gallery
SHOWN = tuple(range(101, 113))  # image ids of the candidates after every search


def name_of(case: dict[str, Any]) -> str:
    return " / ".join(case["turns"])


@dataclass(frozen=True)
class Answer:
    """query: as the API has it. shown: image ids of the candidates. reply: "" where a search answers it."""

    query: dict[str, Any]
    shown: tuple[int, ...]
    reply: str


def of_candidates(case: dict[str, Any]) -> bool:
    """Whether the last message is about candidates on the screen, which the session answers."""
    last = case["turns"][-1]
    asks = read_pointing(last) or read_list_question(last) or asks_about_person(last)
    return len(case["turns"]) > 1 and bool(asks)


def talk(turns: list[str]) -> list[Answer]:
    conversation, answers = Conversation(), []
    for turn in turns:
        conversation = answered(say(conversation, turn, GALLERY), "", SHOWN)
        answers.append(Answer(query_json(to_query(conversation)), SHOWN, direct_answer(conversation) or ""))
    return answers


def talk_to_app(client: Client, turns: list[str]) -> list[Answer]:
    answers = []
    for turn in turns:
        reply, candidates, status = client.predict(message={"text": turn, "files": []}, api_name="/chat")
        answers.append(Answer(status["query"], tuple(one["image_id"] for one in candidates), reply))
    return answers


def wrongs(case: dict[str, Any], answers: list[Answer]) -> list[str]:
    """What a case finds wrong; nothing where all is right."""
    answer = answers[-1]
    query = answer.query
    wanted, unwanted, filters = query["wanted"], query["unwanted"], query["filters"]
    found = []

    def demand(holds: bool, what: object) -> None:
        if not holds:
            found.append(f"{what}: {answer}")

    for kind, value in case.get("has", {}).items():
        demand(wanted.get(kind) in (value if isinstance(value, list) else [value]), (kind, value))
    hasnt = case.get("hasnt", {})
    for kind in hasnt:
        values = hasnt[kind] if isinstance(hasnt, dict) else [wanted.get(kind)]
        demand(kind not in wanted or wanted[kind] not in values, f"no {kind}")
    for kind, value in case.get("unwanted", {}).items():
        demand(value in unwanted.get(kind, ()), f"unwanted {kind} {value}")
    for key, value in case.get("filters", {}).items():
        demand(filters[key] == value, (key, value))
    if case.get("no_filters"):
        demand(not any(filters.values()), "no filters")
    if case.get("same_query"):
        before = answers[-2].query if len(answers) > 1 else query_json(to_query(Conversation()))
        demand(query == before, "the same query")
    if "reply" in case:
        demand(bool(re.search(case["reply"], answer.reply, re.IGNORECASE)), "reply")
    if case.get("unjudged"):
        demand(not wanted and not unwanted, "nothing to judge")
    if "ref" in case:
        places = [answers[-2].shown[place - 1] for place in case["ref"]]
        demand([reference.get("image_id") for reference in query["references"]] == places, places)
    if "rejected" in case:
        places = [answers[-2].shown[place - 1] for place in case["rejected"]]
        demand(query["rejected"] == sorted(places), "rejected")
    told = " ".join([query["text"], query["company"], *query["words"].values()])
    for words in case.get("said", ()):
        demand(words in told, words)
    return found


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name_of(case)[:60]) for case in CASES if not of_candidates(case)],
)
def test_case(case: dict[str, Any]):
    assert not wrongs(case, talk(case["turns"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name_of(case)[:60]) for case in CASES if of_candidates(case)]
)
def test_case_about_candidates(case: dict[str, Any], served: Served):
    client = Client(served.url, verbose=False)
    try:
        assert not wrongs(case, talk_to_app(client, case["turns"]))
    finally:
        client.close()


def test_there_are_many_cases():
    assert len(CASES) >= 50
    assert sum(map(of_candidates, CASES)) >= 10
