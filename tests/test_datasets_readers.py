"""CUHK03 as one folder of pictures and a split file of the new protocol, .mat or .json."""

import json
import shutil
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.miniatures import save, write_miniature
from training.datasets.faults import BAD_FILE, DataSetError
from training.datasets.load import load

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


# The same split as written on a machine that puts the highest byte first.
BIG_ENDIAN = (
    "TUFUTEFCIDUuMCBNQVQtZmlsZSwgZm9yIGEgdGVzdCAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAEATUkAAAAPAAAAj3icY2Bg4GNgYN3AwMDA"
    "BsQcQMzIAAGsUL4AVAyEOdIyc1JzMotLGMD6GAKQ9LGg6WOEqoGZB5KXYTBkiGcwAEIQDWEbMugxFDDkMaRD1VHLXCOqm2tEI/ca"
    "0cC9RjQKXyMaha8RjcLXiMrha0Sj9ItpLvXdS83wxTSXuu6ldvrFNJf67qVF+OJIvwCgfE2GAAAADwAAAEZ4nGNgYOBjYGBoAGI2"
    "IOaA0iDACuWDMCMUc5YUJWbmxWemVDDAAScQO9h/gHAcoIIOHFBaAEprQWkdKK0HpQ0gNABAfQiJAAAADwAAADR4nGNgYOBjYGBw"
    "AGI2IOYAYk4GCGCF8lmAmBGKOQtLU4sq4zNTKqCKgLJMrOyc3ABq0wSCAAAADwAAADl4nGNgYOBjYGDwAGI2IOYAYm4GCGCF8lmA"
    "mBGKudMTc3JSiyrjM1MqoMrA8hxA3RwMXAw8AKCTBVI="
)
MAT = "cuhk03_new_protocol_config_labeled.mat"


def matlab(folder, packed=True, **changes):
    def column(*values, kind="f8"):
        return np.array(values, kind)[:, None]

    split = {
        "camId": column(*(int(name[6]) for name in NAMES)),
        "filelist": NAMES,
        "gallery_idx": column(*(n + 1 for n in GALLERY), kind="u2"),
        "labels": column(*(int(name[0]) * 100 + int(name[2:5]) for name in NAMES)),
        "query_idx": column(*(n + 1 for n in QUERY), kind="u1"),
        "train_idx": column(*(n + 1 for n in TRAIN)),
    }
    split |= changes
    split["filelist"] = np.array(split["filelist"], object)[:, None]  # a cell of texts
    savemat(folder / MAT, split, do_compression=packed)


def unpacked(folder):
    matlab(folder, packed=False)


def big_endian(folder):
    (folder / MAT).write_bytes(b64decode(BIG_ENDIAN))


def torchreid(folder):
    def rows(numbers_):
        return [[f"/home/somebody/data/images_labeled/{NAMES[n]}", n, 0] for n in numbers_]

    split = [{"train": rows(TRAIN), "query": rows(QUERY), "gallery": rows(GALLERY), "num_train_pids": 2}]
    (folder / "splits_new_labeled.json").write_text(json.dumps(split))


@pytest.mark.parametrize("write", [matlab, unpacked, big_endian, torchreid])
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
    for head in (b"MATLAB 7.3 MAT-file" * 20, b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400)):
        (folder / MAT).write_bytes(head)
        with pytest.raises(DataSetError, match="no MATLAB 5 file"):
            load("cuhk03", folder.parent)
    matlab(folder, filelist=NAMES[:3])
    with pytest.raises(DataSetError, match="no split of the new protocol"):
        load("cuhk03", folder.parent)
    matlab(folder, filelist=[*NAMES[:-1], "what.png"])
    with pytest.raises(DataSetError, match=r"malformed file name \(1\): .*what\.png"):
        load("cuhk03", folder.parent)


@pytest.mark.parametrize("packed", [True, False])
def test_a_matlab_file_cut_anywhere_is_refused_in_one_sentence(folder, packed):
    matlab(folder, packed)
    whole = (folder / MAT).read_bytes()
    for size in range(0, len(whole) - 1, max(1, len(whole) // 150)):
        (folder / MAT).write_bytes(whole[:size])
        with pytest.raises(DataSetError) as problem:
            load("cuhk03", folder.parent)
        [fault] = problem.value.faults
        assert fault.startswith(f"{BAD_FILE}: {folder / MAT}: it is ") and "\n" not in fault


def test_names_that_are_no_texts_are_refused(folder):
    matlab(folder, filelist=list(range(16)))
    with pytest.raises(DataSetError, match="no split of the new protocol"):
        load("cuhk03", folder.parent)
