"""What data sets are called, where they are found, and the drawn world among them."""

import numpy as np
import pytest

from tests.miniatures import write_miniature
from training.datasets.errors import DataSetError
from training.datasets.load import load, load_many, locate, parse_name, parse_names
from training.datasets.specs import SPECS


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    write_miniature("ltcc", folder)
    return folder


def people(dataset, split):
    return {record.person for record in dataset.splits[split]}


@pytest.mark.parametrize("folder", ["MARKET-1501", "market_1501", "Market1501", "Market-1501-v15.09.15"])
def test_a_folder_is_found_whatever_its_case_and_dashes(tmp_path, folder):
    write_miniature("market1501", tmp_path).rename(tmp_path / folder)
    assert len(load("market1501", tmp_path).train) == 16


def test_the_folder_that_an_archive_wraps_is_looked_into(tmp_path):
    folder = write_miniature("market1501", tmp_path / "market1501")
    assert locate(SPECS["market1501"], tmp_path) == folder
    assert len(load("market1501", tmp_path).train) == 16


def test_the_root_may_be_the_folder_itself(root):
    assert len(load("ltcc", root / "LTCC_ReID").train) == 24


def test_folders_inside_are_found_in_any_case(tmp_path):
    folder = write_miniature("msmt17", tmp_path)
    (folder / "mask_test_v2").rename(folder / "mask_test_V2")
    assert len(load("msmt17", tmp_path).splits["query"]) == 8


def test_cameras_are_known_by_their_folders_in_any_case(tmp_path):
    folder = write_miniature("sysu-mm01", tmp_path)
    expected = [(r.person, r.camera, r.infrared) for r in load("sysu-mm01", tmp_path).train]
    for camera in range(1, 7):
        (folder / f"cam{camera}").rename(folder / f"Cam{camera}")
    assert [(r.person, r.camera, r.infrared) for r in load("sysu-mm01", tmp_path).train] == expected


def test_hidden_and_foreign_files_are_passed_over(tmp_path):
    folder = write_miniature("ltcc", tmp_path) / "train"
    (folder / "._000_1_c4_000000.png").write_bytes(b"mac")
    (folder / "desktop.ini").write_text("x")
    assert len(load("ltcc", tmp_path).train) == 24


def test_msmt17_v2_goes_before_v1(tmp_path):
    write_miniature("msmt17:v1", tmp_path)
    second = write_miniature("msmt17", tmp_path)
    assert locate(SPECS["msmt17"], tmp_path) == second


def test_a_whole_copy_goes_before_an_empty_folder_of_a_better_name(tmp_path):
    (tmp_path / "LTCC_ReID").mkdir()
    write_miniature("ltcc", tmp_path / "x").rename(tmp_path / "ltcc")
    assert len(load("ltcc", tmp_path).train) == 24


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


def test_the_drawn_world_has_every_annotation_and_keeps_people_apart():
    dataset = load("synthetic:seed=3,families=2,held_out=1,views=3")
    assert dataset == load("synthetic", variant="seed=3,families=2,held_out=1,views=3")
    assert {s: len(r) for s, r in dataset.splits.items()} == {
        "train": 2 * 3 * 2 * 3,
        "val": 18,
        "query": 6,
        "gallery": 12,
    }
    for split in ("val", "query", "gallery"):
        assert not people(dataset, split) & people(dataset, "train")
    assert people(dataset, "query") == people(dataset, "gallery")
    for record in dataset.train:
        assert len(record.captions) == 2 and record.attributes and record.clothes in ("1", "2")
    assert len({record.camera for record in dataset.train}) > 1
    assert dataset.train[0].picture().size == (128, 256)
    identities = {s: {r.image.shot.identity for r in records} for s, records in dataset.splits.items()}
    assert not identities["train"] & (identities["val"] | identities["query"] | identities["gallery"])
    other = load("synthetic:seed=4,families=2,held_out=1,views=3")
    assert np.mean([a == b for a, b in zip(dataset.train, other.train, strict=True)]) == 0
