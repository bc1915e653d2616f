"""Candidates by person: who joins whom, under which numbers, and that nobody is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst

from app.cards import Card
from app.retrieval.engine import Engine
from app.retrieval.stacks import ONE_PERSON, stack_leads
from app.service import ChatService
from app.stacks import group, is_grouped, stacks, stacks_of
from app.ui.html import candidates_html
from tests.test_ui_html import ranking
from tests.toy_engine import toy_engine


def card(image_id: int) -> Card:
    return Card(image_id, f"{image_id}.jpg", "3", None, 0.5, 0.5, False, f"crops/{image_id}.jpg?v=ab")


@given(
    nst.arrays(np.float64, st.integers(1, 8).map(lambda n: (n, n)), elements=st.floats(0, 1)),
    st.randoms(use_true_random=False),
)
def test_each_joins_the_best_candidate_that_it_is_most_like(affinity: np.ndarray, random) -> None:
    order = list(range(len(affinity)))
    random.shuffle(order)
    leads = stack_leads(affinity, order)
    leading = [row for row in order if row not in leads]
    assert order[0] in leading
    for row in order:
        better = [one for one in leading if order.index(one) < order.index(row)]
        likely = [one for one in better if affinity[row, one] >= ONE_PERSON]
        if row in leads:
            assert leads[row] in likely and affinity[row, leads[row]] == max(affinity[row, likely])
        else:
            assert not likely


def test_a_chain_of_look_alikes_does_not_join_two_people() -> None:
    chain = np.array([[1, 0.8, 0.1], [0.8, 1, 0.8], [0.1, 0.8, 1]])
    assert stack_leads(chain, [0, 1, 2]) == {1: 0}
    assert stack_leads(chain, [1, 0, 2]) == {0: 1, 2: 1}


@given(st.lists(st.integers(1, 99), unique=True, max_size=12), st.data())
def test_every_card_stands_once_under_its_number(ids: list[int], data: st.DataObject) -> None:
    leads = {
        one: data.draw(st.sampled_from(ids[:place]))
        for place, one in enumerate(ids)
        if place and data.draw(st.booleans())
    }
    listed = data.draw(st.permutations(ids))
    made = stacks([card(one) for one in listed], leads)
    numbered = [one for stack in made for one in (stack.top, *stack.rest)]
    assert sorted((one.number, one.card.image_id) for one in numbered) == list(enumerate(listed, start=1))
    assert [stack.top.number for stack in made] == sorted(stack.top.number for stack in made)
    assert all(stack.top.number < one.number for stack in made for one in stack.rest)
    if ids:
        assert len(made) == len(set(ids) - set(leads))  # as many as lead


def test_the_page_hides_nothing_silently() -> None:
    made = stacks([card(one) for one in (5, 6, 7, 8)], {7: 5, 8: 5})
    page = candidates_html([card(5)] * 4, None, stacked=made)
    assert "Candidates appear here" in page
    page = candidates_html(
        [card(one) for one in (5, 6, 7, 8)], ranking(knows_stacks=True), 8, 20, stacked=made, is_grouped=True
    )
    assert "4 of 24 candidates, 2 people or so" in page and ">+2</button>" in page
    assert "2 more, likely of the person in candidate 1: candidates 3 and 4" in page
    assert page.count('class="cr-below is-open"') == 2  # what is selected is never out of sight
    for number in range(1, 5):
        assert f'aria-label="Candidate {number}:' in page
    alone = candidates_html([card(5), card(6)], ranking())
    assert "Group by person" not in alone and "people or so" not in alone


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("stacks"), 30) as engine:
        yield engine


def test_grouping_is_kept_and_chat_numbers_stay(engine: Engine) -> None:
    session = ChatService(engine).get("ann", "tab")
    session.say("a woman in red")
    group(session, by_person=True)
    assert not is_grouped(session)  # nothing was compared: a toy without calibration
    assert session.ranking is not None
    first, _, third, *_ = session.ranking.candidates
    some = tuple(
        replace(one, lead=first.image_id) if one is third else one for one in session.ranking.candidates
    )
    session.ranking = replace(session.ranking, candidates=some, knows_stacks=True)
    session.say("number 3")  # as it is numbered, whatever stack it is in
    assert session.selected and session.selected.image_id == third.image_id
    assert len(stacks_of(session)) == 11 and stacks_of(session)[0].has(third.image_id)
    session.show_more()
    assert len(session.cards) == 24 and len(stacks_of(session)) == 23
    again = ChatService(engine).get("ann", "another tab", session.case)
    assert is_grouped(again) and stacks_of(again) == stacks_of(session)
    again.order(by_time=True)
    assert len(stacks_of(again)) == 23
    group(again, by_person=False)
    assert len(stacks_of(again)) == 24
