"""CUHK03 as one folder of pictures and a split file of the new protocol, .mat or .json."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.mat5_file import numbers, write_mat5
from tests.miniatures import save, write_miniature
from training.datasets.errors import DataSetError
from training.datasets.load import load
from training.datasets.mat5 import Mat5Error, read_mat5

PEOPLE = [(pair, person) for pair in (1, 2) for person in (1, 2)]
NAMES = [f"{a}_{b:03d}_{view}_{n:02d}.png" for a, b in PEOPLE for view in (1, 2) for n in (1, 2)]
TRAIN = [n for n in range(16) if NAMES[n][:5] in ("1_001", "2_002")]
QUERY = [n for n in range(16) if n not in TRAIN and NAMES[n].endswith("_01.png")]
GALLERY = [n for n in range(16) if n not in TRAIN and n not in QUERY]


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        save(Image.new("RGB", (6, 12), (9, 9, 9)), tmp_path / "cuhk03" / "images_labeled" / name)
    return tmp_path / "cuhk03"


def matlab(folder, **changes):
    split = {
        "camId": numbers(*(int(name[6]) for name in NAMES)),
        "filelist": NAMES,
        "gallery_idx": numbers(*(n + 1 for n in GALLERY), kind="u2"),
        "labels": numbers(*(int(name[0]) * 100 + int(name[2:5]) for name in NAMES)),
        "query_idx": numbers(*(n + 1 for n in QUERY), kind="u1"),
        "train_idx": numbers(*(n + 1 for n in TRAIN)),
    }
    write_mat5(folder / "cuhk03_new_protocol_config_labeled.mat", {**split, **changes})


def torchreid(folder):
    def rows(numbers_):
        return [[f"/home/somebody/data/images_labeled/{NAMES[n]}", n, 0] for n in numbers_]

    split = [{"train": rows(TRAIN), "query": rows(QUERY), "gallery": rows(GALLERY), "num_train_pids": 2}]
    (folder / "splits_new_labeled.json").write_text(json.dumps(split))


@pytest.mark.parametrize("write", [matlab, torchreid])
def test_either_split_file_is_read(folder, write):
    write(folder)
    dataset = load("cuhk03", folder.parent)
    for split, expected in (("train", TRAIN), ("query", QUERY), ("gallery", GALLERY)):
        assert [r.image.name for r in dataset.splits[split]] == sorted(NAMES[n] for n in expected)
    one = dataset.splits["query"][0]
    assert (one.image.name, one.person, one.camera) == ("1_002_1_01.png", "1_002", "1")
    assert {r.person for r in dataset.train} == {"1_001", "2_002"}


def test_the_extracted_folders_go_first(folder):
    torchreid(folder)
    shutil.move(write_miniature("cuhk03", folder.parent / "x") / "labeled", folder)
    assert len(load("cuhk03", folder.parent).train[0].person) == 4


def test_missing_and_broken_split_files_are_told(folder):
    with pytest.raises(
        DataSetError, match=r"missing split file .*config_labeled\.mat or .*splits_new_labeled\.json"
    ):
        load("cuhk03", folder.parent)
    (folder / "splits_new_labeled.json").write_text('[{"train": []}]')
    with pytest.raises(DataSetError, match="no split of the new protocol"):
        load("cuhk03", folder.parent)
    (folder / "cuhk03_new_protocol_config_labeled.mat").write_bytes(b"MATLAB 7.3 MAT-file" * 20)
    with pytest.raises(DataSetError, match="no MATLAB 5 file"):
        load("cuhk03", folder.parent)
    matlab(folder, filelist=NAMES[:3])
    with pytest.raises(DataSetError, match="no split of the new protocol"):
        load("cuhk03", folder.parent)
    matlab(folder, filelist=[*NAMES[:-1], "what.png"])
    with pytest.raises(DataSetError, match=r"malformed file name \(1\): .*what\.png"):
        load("cuhk03", folder.parent)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [True, False])
def test_matlab_variables_come_back(tmp_path, order, packed):
    told = {
        "a": numbers(1, 2, 70000),
        "b": numbers(3, kind="u1"),
        "c": ["x", "a longer text", numbers(5, kind="u2"), ["within"]],
        "a_rather_long_name": "text",
        "none": numbers(),
    }
    write_mat5(tmp_path / "x.mat", told, packed=packed, order=order)
    found = read_mat5(tmp_path / "x.mat")
    assert list(found) == list(told)
    for name in ("a", "b", "none"):
        assert np.array_equal(found[name], told[name])
    assert found["c"][:2] == ["x", "a longer text"] and found["c"][2].tolist() == [5]
    assert found["c"][3] == ["within"] and found["a_rather_long_name"] == "text"


def test_a_matlab_file_cut_anywhere_is_refused_or_shorter(tmp_path):
    told = {"a": numbers(1, 2, 3), "b": ["x", "yy", "zzz"]}
    for packed in (True, False):
        write_mat5(tmp_path / "x.mat", told, packed=packed)
        whole = (tmp_path / "x.mat").read_bytes()
        for size in range(0, len(whole) - 1, 3):
            (tmp_path / "x.mat").write_bytes(whole[:size])
            try:
                found = read_mat5(tmp_path / "x.mat")
            except Mat5Error:
                continue
            assert set(found) < set(told)
