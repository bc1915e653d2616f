"""Only training splits can reach a training sample."""

import dataclasses
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.miniatures import NAMES, write_miniature
from training.datasets.faults import DataSetError
from training.datasets.load import load, load_many
from training.datasets.record import JUNK, DataSet, Record
from training.datasets.specs import SPECS
from training.datasets.training_records import TrainingRecords, training_records


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("benchmarks")
    for name in NAMES:
        write_miniature(name, root)
    return load_many([*NAMES, "synthetic:families=1,held_out=1,views=2"], root)


def test_no_picture_of_another_split_comes_out(sets):
    learnt = {str(record.image) for record in training_records(sets).records}
    held_out = {
        str(record.image) for d in sets for split, rs in d.splits.items() if split != "train" for record in rs
    }
    assert learnt and held_out and not learnt & held_out
    assert learnt == {str(record.image) for d in sets for record in d.train}


def test_records_know_their_set_and_no_two_sets_share_a_person(sets):
    told = training_records(sets)
    assert len(told) == len(told.records) == len(told.sets) == sum(len(d.train) for d in sets)
    assert list(dict.fromkeys(told.sets)) == [d.name for d in sets]
    assert dict(told.settings) == {d.name: d.setting for d in sets}
    originals = [record for d in sets for record in d.train]
    for name, record, original in zip(told.sets, told.records, originals, strict=True):
        assert record.person == f"{name}/{original.person}"
        assert dataclasses.replace(record, person=original.person) == original


@pytest.mark.parametrize("name", [name for name in NAMES if "trainval" in SPECS[name].variants])
def test_trainval_takes_the_validation_split_and_nothing_of_the_test(name, tmp_path):
    write_miniature(name, tmp_path)
    learnt = {record.image for record in training_records([load(f"{name}:trainval", tmp_path)]).records}
    apart = load(name, tmp_path).splits
    assert {r.image for r in apart["val"]} <= learnt
    assert not learnt & {r.image for split in set(apart) - {"train", "val"} for r in apart[split]}


def test_nothing_else_makes_training_records(sets):
    test = sets[0].splits["query"]
    with pytest.raises(TypeError, match="made by"):
        TrainingRecords(test, ("market1501",) * len(test), {})
    with pytest.raises(TypeError, match="made by"):
        dataclasses.replace(training_records(sets), records=test)
    with pytest.raises(dataclasses.FrozenInstanceError):
        training_records(sets).records = test


def test_workers_get_the_same_records(sets):
    told = training_records(sets[:10])
    assert pickle.loads(pickle.dumps(told)) == told


def made(name="one", **splits):
    return DataSet(name, "standard", {split: tuple(records) for split, records in splits.items()})


def shot(name, person="1"):
    return Record(Path(name), person)


def test_a_picture_that_another_set_tests_with_is_refused():
    first = made("one", train=[shot("x/a.jpg"), shot("x/b.jpg")])
    other = made("two", train=[shot("y/a.jpg")], query=[shot("x/b.jpg")])
    with pytest.raises(
        DataSetError, match=r"1 training pictures .*\n.*b\.jpg of one's train is also in two's query"
    ):
        training_records([first, other])


def test_a_picture_is_known_by_another_road_too(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "road").symlink_to(tmp_path / "real")
    first = made("one", train=[shot(tmp_path / "real" / "a.jpg")])
    with pytest.raises(DataSetError, match="also in two's gallery"):
        training_records(
            [first, made("two", train=[shot("b.jpg")], gallery=[shot(tmp_path / "road" / "a.jpg")])]
        )


def test_two_variants_of_one_benchmark_are_refused():
    with pytest.raises(DataSetError, match="cuhk03 is named more than once"):
        training_records([made("cuhk03", train=[shot("a")]), made("cuhk03:detected", train=[shot("b")])])


@pytest.mark.parametrize("person", [JUNK, "0000", ""])
def test_nobody_is_learnt_from(person):
    with pytest.raises(DataSetError, match="1 training pictures show no known person"):
        training_records([made(train=[shot("a"), shot("b", person)])])


def test_nothing_to_learn_from_is_told():
    with pytest.raises(DataSetError, match="no training picture in one"):
        training_records([made(train=[], query=[shot("a")])])
    with pytest.raises(DataSetError, match="no data set at all"):
        training_records([])


PLACES = st.sampled_from([f"{letter}.jpg" for letter in "abcdefgh"])
SPLITS = st.dictionaries(st.sampled_from(("val", "query", "gallery", "test")), st.lists(PLACES, max_size=4))


@given(st.lists(st.tuples(st.lists(PLACES, max_size=4), SPLITS), min_size=1, max_size=3))
def test_whatever_the_sets_hold_nothing_held_out_comes_out(told):
    sets = [
        made(
            f"set{number}",
            train=[shot(place) for place in train],
            **{split: [shot(place) for place in places] for split, places in others.items()},
        )
        for number, (train, others) in enumerate(told)
    ]
    held_out = {place for _, others in told for places in others.values() for place in places}
    wanted = [place for train, _ in told for place in train]
    try:
        learnt = [str(record.image) for record in training_records(sets).records]
    except DataSetError:
        assert not wanted or held_out & set(wanted)
    else:
        assert learnt == wanted and not held_out & set(learnt)
