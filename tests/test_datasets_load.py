"""Each benchmark's miniature, read from the layout in which it is published."""

import json
import random

import pytest

from tests.miniatures import NAMES, write_miniature
from training.datasets.faults import DataSetError
from training.datasets.load import load, load_many, parse_name, parse_names
from training.datasets.record import DISTRACTOR, JUNK, SETTINGS
from training.datasets.specs import SPECS, Count
from training.datasets.survey import count

# split -> people, pictures, cameras, captions, counted by hand from tests/miniatures.py with four people.
HOLDS = {
    "market1501": {"train": (4, 16, 2, None), "query": (4, 8, 2, None), "gallery": (4, 12, 2, None)},
    "msmt17": {
        "train": (4, 16, 3, None),
        "val": (4, 4, 1, None),
        "query": (4, 8, 2, None),
        "gallery": (4, 12, 3, None),
    },
    "cuhk03": {"train": (4, 16, 2, None), "query": (4, 8, 2, None), "gallery": (4, 8, 2, None)},
    "ltcc": {"train": (4, 24, 6, None), "query": (4, 8, 2, None), "gallery": (4, 16, 4, None)},
    "prcc": {
        "train": (4, 24, 3, None),
        "val": (4, 12, 3, None),
        "gallery": (4, 8, 1, None),
        "query-same": (4, 8, 1, None),
        "query-changed": (4, 8, 1, None),
    },
    # Six cameras, two pictures each; the second, fourth, ... person is not seen by camera 5.
    "sysu-mm01": {"train": (3, 34, 6, None), "val": (1, 10, 5, None), "test": (4, 44, 6, None)},
    "regdb": {
        "train": (4, 24, 2, None),
        "test-visible": (4, 12, 1, None),
        "test-thermal": (4, 12, 1, None),
    },
    "cuhk-pedes": {"train": (3, 9, None, 18), "val": (1, 3, None, 6), "test": (4, 12, None, 24)},
    "icfg-pedes": {"train": (4, 12, 3, 12), "test": (4, 12, 3, 12)},
    "rstpreid": {"train": (3, 9, 3, 18), "val": (1, 3, 3, 6), "test": (4, 12, 3, 24)},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in NAMES:
        write_miniature(name, folder)
    return folder


def people(dataset, split):
    return {record.person for record in dataset.splits[split]}


def test_the_ten_benchmarks_have_a_spec_and_a_miniature():
    assert sorted(SPECS) == sorted(NAMES) == sorted(HOLDS)
    assert {spec.setting for spec in SPECS.values()} == set(SETTINGS)
    assert not any("duke" in folder.casefold() for spec in SPECS.values() for folder in spec.folders)


@pytest.mark.parametrize("name", NAMES)
def test_a_miniature_holds_what_was_drawn(root, name):
    dataset = load(name, root)
    assert dataset.name == name and dataset.setting == SPECS[name].setting
    assert {split: count(records) for split, records in dataset.splits.items()} == {
        split: Count(*numbers) for split, numbers in HOLDS[name].items()
    }
    assert set(HOLDS[name]) == set(next(iter(SPECS[name].counts.values())))
    for records in dataset.splits.values():
        assert len({record.image for record in records}) == len(records)
    assert dataset.train[0].picture().size == (24, 48)


@pytest.mark.parametrize("name", NAMES)
def test_reading_twice_gives_the_same_records_in_the_same_order(root, name):
    assert load(name, root) == load(name, root)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_of_the_test_people_is_in_train(root, name):
    dataset = load(name, root)
    for split in dataset.splits:
        if split != "train" and not (split == "val" and SPECS[name].shared_val):
            assert people(dataset, split) and not people(dataset, "train") & people(dataset, split)


def test_market1501_keeps_junk_and_distractors_in_the_gallery_alone(root):
    dataset = load("market1501", root)
    odd = {r.image.name: r.person for r in dataset.splits["gallery"] if r.person in (JUNK, DISTRACTOR)}
    assert sorted(odd.values()) == [JUNK, JUNK, DISTRACTOR, DISTRACTOR]
    assert odd["-1_c1s1_000000_03.jpg"] == JUNK and odd["0000_c2s1_000001_04.jpg"] == DISTRACTOR
    for split in ("train", "query"):
        assert not {JUNK, DISTRACTOR} & people(dataset, split)
    one = next(r for r in dataset.splits["query"] if r.image.name == "0005_c2s1_000001_00.jpg")
    assert (one.person, one.camera, one.infrared, one.clothes) == ("0005", "2", False, "")


@pytest.mark.parametrize("version", ["msmt17", "msmt17:v1"])
def test_both_versions_of_msmt17_are_found_by_themselves(tmp_path, version):
    folder = write_miniature(version, tmp_path)
    dataset = load("msmt17", tmp_path)
    assert {s: len(r) for s, r in dataset.splits.items()} == {
        "train": 16,
        "val": 4,
        "query": 8,
        "gallery": 12,
    }
    assert dataset.train[0].image.is_relative_to(folder)
    # Both halves count their people from 0: they must not be taken for one another, nor 0 for a distractor.
    assert people(dataset, "train") == people(dataset, "val") == {"0", "1", "2", "3"}
    assert people(dataset, "query") == people(dataset, "gallery") == {f"test-{n}" for n in range(4)}


def test_cuhk03_in_both_ways_of_cropping(root):
    labelled, detected = load("cuhk03", root), load("cuhk03:detected", root)
    assert labelled == load("cuhk03", root, variant="labelled") == load("cuhk03:labeled", root)
    assert detected.name == "cuhk03:detected" and labelled.name == "cuhk03"
    assert all("/detected/" in str(r.image) for records in detected.splits.values() for r in records)
    assert all("/labeled/" in str(r.image) for records in labelled.splits.values() for r in records)


def test_ltcc_tells_outfits_apart(root):
    dataset = load("ltcc", root)
    one = next(r for r in dataset.train if r.image.name == "002_2_c8_000021.png")
    assert (one.person, one.clothes, one.camera) == ("002", "2", "8")
    assert {r.clothes for r in dataset.splits["gallery"] if r.person == "005"} == {"1", "2"}
    assert "000" in people(dataset, "train")  # a person, unlike Market-1501's 0000


def test_prcc_wears_the_same_by_a_and_b_and_other_clothes_by_c(root):
    dataset = load("prcc", root)
    for records in dataset.splits.values():
        assert {(r.camera, r.clothes) for r in records} <= {("A", "1"), ("B", "1"), ("C", "2")}
    assert {r.camera for r in dataset.splits["gallery"]} == {"A"}
    assert {r.camera for r in dataset.splits["query-same"]} == {"B"}
    assert {r.camera for r in dataset.splits["query-changed"]} == {"C"}
    assert people(dataset, "val") == people(dataset, "train")


def test_sysu_mm01_sees_in_infrared_by_cameras_3_and_6(root):
    dataset = load("sysu-mm01", root)
    for records in dataset.splits.values():
        assert {r.camera for r in records if r.infrared} == {"3", "6"}
        assert not {r.camera for r in records if not r.infrared} & {"3", "6"}
    everybody = people(dataset, "train") | people(dataset, "val") | people(dataset, "test")
    assert everybody == {f"{n:04d}" for n in range(1, 9)}  # 0009 has pictures, but is in no list


def test_regdb_has_ten_trials_that_differ(root):
    trials = [load("regdb", root, variant=str(trial)) for trial in range(1, 11)]
    assert trials[0] == load("regdb", root) and trials[0].name == "regdb"
    assert trials[2].name == "regdb:3"
    assert len({tuple(r.image for r in trial.train) for trial in trials}) > 1
    for trial in trials:
        assert {r.infrared for r in trial.splits["test-thermal"]} == {True}
        assert {r.infrared for r in trial.splits["test-visible"]} == {False}
        shown = {r.image.parent.name for r in trial.splits["test-visible"]}
        assert shown == {r.image.parent.name for r in trial.splits["test-thermal"]}
        assert not shown & {r.image.parent.name for r in trial.train}
        # One label, one person, by both cameras.
        assert len({(r.person, r.image.parent.name) for r in trial.train}) == 4


@pytest.mark.parametrize(
    ("name", "other"), [("cuhk-pedes", "caption_all.json"), ("icfg-pedes", "ICFG_PEDES.json")]
)
def test_captions_go_by_either_name_of_their_file(tmp_path, name, other):
    folder = write_miniature(name, tmp_path)
    expected = load(name, tmp_path)
    [file] = folder.glob("*.json")
    file.rename(folder / other)
    assert load(name, tmp_path) == expected
    (folder / "annotations").mkdir()
    (folder / other).rename(folder / "annotations" / other)
    assert load(name, tmp_path) == expected


def test_captions_are_those_of_the_annotation_word_for_word(root):
    dataset = load("rstpreid", root)
    entries = json.loads((root / "RSTPReid" / "data_captions.json").read_text())
    told = {root / "RSTPReid" / "imgs" / e["img_path"]: (e["captions"], str(e["id"])) for e in entries}
    records = [record for split in dataset.splits.values() for record in split]
    assert len(records) == len(told) == 24
    for record in records:
        captions, person = told[record.image]
        assert list(record.captions) == captions and record.person.rpartition("-")[2] == person


def test_entries_of_one_picture_are_put_together(tmp_path):
    folder = write_miniature("cuhk-pedes", tmp_path)
    file = folder / "reid_raw.json"
    entries = json.loads(file.read_text())
    again = {**entries[0], "captions": ["  the same  picture once more ", ""]}
    file.write_text(json.dumps([*entries, again]))
    first = next(r for r in load("cuhk-pedes", tmp_path).train if r.image.name == "0001000.png")
    assert first.captions == (*entries[0]["captions"], "the same picture once more")


@pytest.mark.parametrize("name", [n for n in NAMES if "trainval" in SPECS[n].variants])
def test_trainval_learns_from_the_validation_split_too(root, name):
    apart, together = load(name, root), load(name, root, variant="trainval")
    assert together.name == f"{name}:trainval" and "val" not in together.splits
    both = [*apart.train, *apart.splits["val"]]
    assert list(together.train) == sorted(both, key=lambda record: str(record.image))
    for split in set(apart.splits) - {"train", "val"}:
        assert together.splits[split] == apart.splits[split]


def test_published_counts_add_up():
    for spec in SPECS.values():
        both = spec.counts.get("trainval")
        if both is None or spec.counts[""]["train"].images is None:
            continue
        parts = (spec.counts[""]["train"], spec.counts[""]["val"])
        assert both["train"].images == sum(part.images for part in parts), spec.name
        if not spec.shared_val:
            assert both["train"].identities == sum(part.identities for part in parts), spec.name


def test_records_do_not_depend_on_the_order_in_which_files_were_written(tmp_path):
    one = write_miniature("prcc", tmp_path / "one")
    two = tmp_path / "two" / "prcc"
    files = [file for file in one.rglob("*") if file.is_file()]
    random.Random(3).shuffle(files)
    for file in files:
        place = two / file.relative_to(one)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    first, second = load("prcc", tmp_path / "one"), load("prcc", tmp_path / "two")
    for split, records in first.splits.items():
        names = [r.image.relative_to(one) for r in records]
        assert names == [r.image.relative_to(two) for r in second.splits[split]]
        assert names == sorted(names)


def test_several_sets_are_loaded_in_the_order_named(root):
    sets = load_many(["regdb:2", "market1501", "synthetic:families=1,held_out=1,views=2"], root)
    assert [dataset.name for dataset in sets] == ["regdb:2", "market1501", "synthetic"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("market1501", ("market1501",)),
        (" market1501 , regdb:3,", ("market1501", "regdb:3")),
        ("synthetic:seed=3,families=2,prcc", ("synthetic:seed=3,families=2", "prcc")),
        ("csv:a b.csv,synthetic", ("csv:a b.csv", "synthetic")),
        ("", ()),
    ],
)
def test_names_in_a_row_are_told_apart(text, names):
    assert parse_names(text) == names


def test_names_cut_at_every_comma_are_put_together():
    [dataset] = load_many(["synthetic:families=1", "held_out=1", "views=2"])
    assert len(dataset.train) == 3 * 2 * 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("market", "no data set 'market'; there are market1501, msmt17"),
        ("dukemtmc", "no data set 'dukemtmc'"),
        ("regdb:11", "no variant '11'; it has 1, 2"),
        ("ltcc:detected", "no variant 'detected'; it has none"),
        ("csv", "csv needs its file"),
        ("synthetic:people=3", "'people=3' is not understood"),
        ("synthetic:families=0", "at least one"),
        ("", "no data set ''"),
    ],
)
def test_a_name_that_is_not_known_is_told(name, told):
    with pytest.raises(DataSetError) as problem:
        parse_name(name)
    assert told in str(problem.value)


def test_a_missing_root_and_a_missing_set_say_where_they_were_looked_for(tmp_path):
    with pytest.raises(DataSetError, match=r"no folder .*nowhere; --root"):
        load("market1501", tmp_path / "nowhere")
    with pytest.raises(DataSetError, match=r"looked for LTCC_ReID, LTCC .*docs/datasets.md"):
        load("ltcc", tmp_path)
    with pytest.raises(DataSetError, match="needs the folder"):
        load("ltcc")
