"""Shares and sizes against the paper's formulas, and against slow counts."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.prompts import NONE_OF_THEM
from tests.instruction_columns import made_up
from training.instructions.mixtures import MIXTURES, STAGE2, STAGE3, StageMixture, match_count, probabilities
from training.instructions.rng import SampleRng, mixed
from training.instructions.schedule import MOST, Schedule
from training.instructions.stage_samples import SampleMaker

SAMPLES = 50_000


def chi_square_bound(degrees: int, z: float = 3.5) -> float:
    """The value that a chi-square variable exceeds once in about 4,000 times (Wilson and Hilferty, 1931)."""
    return degrees * (1 - 2 / (9 * degrees) + z * (2 / (9 * degrees)) ** 0.5) ** 3


def chi_square(seen: Counter, expected: dict, count: int) -> float:
    assert set(seen) <= {key for key, share in expected.items() if share > 0}
    return sum((seen[key] - share * count) ** 2 / (share * count) for key, share in expected.items() if share)


def equation_1(size: int) -> dict[int, float]:
    """P(n = k) = 1 / (k - 1) for k in 2..N, normalised."""
    total = sum(1 / (k - 1) for k in range(2, size + 1))
    return {k: 1 / (k - 1) / total for k in range(2, size + 1)}


@pytest.fixture(scope="module")
def drawn_sizes():
    """(N, n) of 50,000 many-to-many samples, n counted by person."""
    columns = made_up(150, (12, 16), unknown=1, sets=2)
    made = SampleMaker(replace(STAGE2, shares={"image-many-to-many": 1.0}, gallery=(3, 8)), columns, 0)
    sizes = []
    person = columns.person.tolist()
    for index in range(SAMPLES):
        query, *gallery = made.sample(index).pictures
        sizes.append((len(gallery), sum(person[row] == person[query] for row in gallery)))
    return sizes


def test_gallery_sizes_are_uniform(drawn_sizes):
    seen = Counter(size for size, _ in drawn_sizes)
    assert chi_square(seen, dict.fromkeys(range(3, 9), 1 / 6), SAMPLES) < chi_square_bound(5)


def test_matches_follow_equation_1(drawn_sizes):
    for size in range(3, 9):
        seen = Counter(count for own, count in drawn_sizes if own == size)
        assert chi_square(seen, equation_1(size), sum(seen.values())) < chi_square_bound(size - 2)


def test_the_chi_square_would_notice_another_law(drawn_sizes):
    seen = Counter(count for own, count in drawn_sizes if own == 8)
    uniform = dict.fromkeys(range(2, 9), 1 / 7)
    assert chi_square(seen, uniform, sum(seen.values())) > 10 * chi_square_bound(6)


def test_equation_1_is_normalised_over_its_support():
    for size in range(2, 10):
        assert dict(enumerate(probabilities(size), 2)) == pytest.approx(equation_1(size))
        assert probabilities(size, "uniform") == pytest.approx([1 / (size - 1)] * (size - 1))
    with pytest.raises(ValueError, match="2 pictures or more, got 1"):
        probabilities(1)


def test_a_share_of_galleries_has_one_match_where_asked():
    rng = SampleRng(0)
    seen = Counter(match_count(4, rng, single=0.5) for _ in range(SAMPLES))
    expected = {1: 0.5, **{k: share / 2 for k, share in equation_1(4).items()}}
    assert chi_square(seen, expected, SAMPLES) < chi_square_bound(3)
    assert match_count(1, rng) == 1


def test_identities_are_uniform_among_those_with_enough_pictures():
    columns = made_up(40, (3, 9), unknown=1, outfits=1)
    made = SampleMaker(replace(STAGE2, shares={"image-many-to-many": 1.0}, gallery=(4, 4)), columns, 0)
    counts = np.bincount(columns.person)
    seen: dict[int, Counter] = {2: Counter(), 3: Counter(), 4: Counter()}
    for index in range(8_000):
        query, *gallery = made.sample(index).pictures
        matches = sum(columns.person[row] == columns.person[query] for row in gallery)
        seen[matches][int(columns.person[query])] += 1
    for matches, people in seen.items():
        able = np.flatnonzero(counts >= matches + 1).tolist()
        expected = dict.fromkeys(able, 1 / len(able))
        assert chi_square(people, expected, sum(people.values())) < chi_square_bound(len(able) - 1)


def test_where_no_identity_has_enough_pictures_another_set_has_the_turn_or_n_is_the_most_there_is():
    few = made_up(30, (3, 3), unknown=1)
    made = SampleMaker(replace(STAGE2, shares={"image-many-to-many": 1.0}), few, 0)
    assert {made.sample(i).answer.count("Image") for i in range(50)} == {2}
    both = made_up(60, (3, 3), unknown=1, sets=2)
    rows = np.concatenate(
        [np.flatnonzero(both.data_set == 0), np.repeat(np.flatnonzero(both.data_set == 1), 4)]
    )
    columns = replace(
        both,
        **{
            name: getattr(both, name)[rows] for name in ("person", "outfit", "camera", "data_set", "infrared")
        },
        attributes=both.attributes[rows],
        captions=((),) * len(rows),
    )
    made = SampleMaker(replace(STAGE2, shares={"image-many-to-many": 1.0}), columns, 0)
    matches = [made.sample(i).answer.count("Image") for i in range(2000)]
    shares = Counter(matches)
    by_law = Counter()
    for size in range(2, 9):
        for k, share in equation_1(size).items():
            by_law[k] += share / 7
    assert chi_square(shares, dict(by_law), 2000) < chi_square_bound(6)


def test_stage_2_keeps_figure_4s_shares_exactly():
    made = SampleMaker(STAGE2, made_up(60, (4, 10)), 0)
    tasks = [made.sample(index).task for index in range(400)]
    shares = {name: share * 20 for name, share in STAGE2.shares.items()}
    assert sum(STAGE2.shares.values()) == pytest.approx(1)
    assert [STAGE2.shares[name] for name in ("image-one-to-one", "image-many-to-many")] == [0.25, 0.25]
    for start in range(0, 400, 20):
        assert Counter(tasks[start : start + 20]) == shares
    # Blocks are not all alike, so that no worker meets one task for ever.
    assert len({tuple(tasks[start : start + 20]) for start in range(0, 400, 20)}) > 5
    assert len(set(tasks[::20])) > 1


@settings(max_examples=60)
@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0.001, 1000), min_size=1, max_size=12),
    st.integers(0, 5),
    st.integers(0, 10**9),
)
def test_any_shares_are_kept_in_any_window(shares, seed, start):
    schedule = Schedule(shares, seed)
    share = {name: slots / schedule.length for name, slots in schedule.slots.items()}
    assert schedule.length <= MOST
    total = sum(shares.values())
    assert all(abs(share[name] - shares[name] / total) <= (len(shares) + 1) / MOST for name in shares)
    start -= start % schedule.length
    had = {name: start * slots // schedule.length for name, slots in schedule.slots.items()}
    before = dict(had)
    lags: dict[str, list[float]] = {name: [0.0] for name in shares}
    for place in range(min(2 * schedule.length, 400)):
        slot = schedule.at(start + place)
        assert slot.turn == had[slot.name], "turns count on without a gap"
        had[slot.name] += 1
        for name in shares:
            lags[name].append(had[name] - before[name] - share[name] * (place + 1))
    for own in lags.values():
        assert max(map(abs, own)) < 1  # from a block's start
        assert max(own) - min(own) < 2  # in any window


def test_the_three_stages_are_the_papers():
    assert {n: m.samples for n, m in MIXTURES.items()} == {1: 5_000_000, 2: 3_000_000, 3: 500_000}
    assert list(STAGE2.shares) == [
        "image-one-to-one",
        "image-many-to-many",
        "text-one-to-one",
        "text-many-to-one",
        "text-one-to-many",
        "compare-attributes",
        "annotate-attributes",
    ]
    assert STAGE3.nobody == 0.1 and STAGE2.nobody == 0
    assert STAGE2.positive == 0.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positive": 1.5}, "positive must lie in 0..1, got 1.5"),
        ({"gallery": (4, 3)}, "gallery must be two numbers in 2..99, the smaller first, got 4, 3"),
        ({"gallery": (1, 3)}, "gallery must be"),
        ({"law": "zipf"}, "no law 'zipf'; there are equation-1, uniform"),
        ({"samples": 0}, "one sample or more, got 0"),
        ({"infrared": -1}, "0 or more"),
    ],
)
def test_nonsense_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(STAGE2, **changes)


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="stage 2 has no task image-two; there are caption, "):
        SampleMaker(replace(STAGE2, shares={"image-two": 1}), made_up(4), 0)
    with pytest.raises(ValueError, match="shares must be 0 or more"):
        Schedule({"a": -1.0})
    with pytest.raises(ValueError, match="some above 0"):
        Schedule({"a": 0.0})


def test_chance_is_uniform_and_the_same_everywhere():
    rng = SampleRng(1, 2)
    # Pinned: another Python or machine must draw the same.
    assert [rng.below(1000) for _ in range(5)] == [384, 837, 54, 368, 334]
    assert mixed(1, 2) != mixed(2, 1)
    assert len({mixed(seed, index) for seed in range(30) for index in range(300)}) == 9000
    seen = Counter(rng.between(3, 7) for _ in range(SAMPLES))
    assert chi_square(seen, dict.fromkeys(range(3, 8), 0.2), SAMPLES) < chi_square_bound(4)
    seen = Counter(tuple(rng.some("abc", 2)) for _ in range(6000))
    assert chi_square(
        seen, {tuple(p): 1 / 6 for p in ("ab", "ba", "ac", "ca", "bc", "cb")}, 6000
    ) < chi_square_bound(5)
    items = list(range(9))
    rng.shuffle(items)
    assert sorted(items) == list(range(9)) and items != sorted(items)
    first = Counter(SampleRng(0, index).below(4) for index in range(4000))
    assert chi_square(first, dict.fromkeys(range(4), 0.25), 4000) < chi_square_bound(3)


def test_empty_galleries_only_where_stated():
    paper = SampleMaker(replace(STAGE3, nobody=0.0, gallery_of_one=0.0), made_up(60, (4, 10)), 0)
    assert all(paper.sample(index).answer != NONE_OF_THEM for index in range(500))
    assert isinstance(STAGE3, StageMixture)
