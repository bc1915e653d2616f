"""Where data sets are found, whatever their folders are called."""

import pytest

from tests.miniatures import write_miniature
from training.datasets.load import load, locate
from training.datasets.specs import SPECS


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    write_miniature("ltcc", folder)
    return folder


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
