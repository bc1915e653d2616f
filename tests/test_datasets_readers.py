"""CUHK03 as one folder of pictures and a split file of the new protocol, .mat or .json."""

import json
import shutil
import zlib
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.miniatures import save, write_miniature
from training.datasets import mat_split
from training.datasets.faults import BAD_FILE, DataSetError
from training.datasets.load import load
from training.datasets.mat_split import read_split

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
# A split file with one byte changed, by which SciPy 1.17's parser crashes its process.
CRASHING = (
    "eNqtU91KwzAU7tyPm5Pize7PA+hIUrvZXtkJgmDFi93HwroRiO3MqswX2LWP4KOa4BkLcxdaE0g/zmnO90NImkzvkwmEQwJpMr2Y"
    "C5nDo8yqeameY1iWK7E+hxuVZ1U+g7KI4VYJeCjfgI2BhDGN4iACRtjIq7Ead6mv4aPpeR2NXdPCX22sT7HXwNoYlGJVmblrbzfX"
    "2psz532L7wxrygkhXH/pcFksvnt1eJjmoZxt/ssTaB7mwI/JFXDmJNelAz8mV+jAj8k1+uln8Guez12usQM/JteVo/uK3NwXJW7u"
    "i9I9P08Wj3+Ap4XY07tSmSi4mK3xnHm3YOkcITYRt77+qvPymqv3AzptrDuIx4jdGjp9vReZlLbSVqeHcyeIfcuHWV9e0l/5"
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
    cuts = range(0, len(whole) - 1, max(1, len(whole) // 150))
    for size in cuts:
        (folder / MAT).write_bytes(whole[:size])
        with pytest.raises(Exception):  # noqa: B017 (whatever SciPy raises)
            read_split(folder / MAT)
    for size in cuts[::25]:
        (folder / MAT).write_bytes(whole[:size])
        assert told_of(folder).startswith("it is ")


def told_of(folder):
    """The one fault that refuses the split file."""
    with pytest.raises(DataSetError) as problem:
        load("cuhk03", folder.parent)
    [fault] = problem.value.faults
    assert fault.startswith(f"{BAD_FILE}: {folder / MAT}: ") and "\n" not in fault
    return fault.removeprefix(f"{BAD_FILE}: {folder / MAT}: ")


def test_a_file_that_crashes_the_parser_is_refused_in_one_sentence(folder):
    (folder / MAT).write_bytes(zlib.decompress(b64decode(CRASHING)))
    assert told_of(folder) == "it is damaged or cut off"


def test_a_small_file_that_unpacks_to_much_is_refused_unread(folder):
    matlab(folder, train_idx=np.ones((mat_split.MOST_ENTRIES + 1, 1)))
    assert (folder / MAT).stat().st_size < 50_000
    assert told_of(folder) == "it is too large for a split"


@pytest.mark.parametrize("odd", [[0], [-1], [99], [1.5], [np.inf], [1j], "12"])
def test_indices_that_are_no_places_of_the_list_are_refused(folder, odd):
    matlab(folder, train_idx=odd)
    assert told_of(folder) == "it is no split of the new protocol"


def test_indices_in_a_row_or_a_matrix_are_read_column_by_column(folder):
    matlab(folder, train_idx=np.array(TRAIN[:2])[None] + 1, query_idx=np.array([[1, 3], [2, 4]]))
    split = read_split(folder / MAT)
    assert split["train_idx"] == [n + 1 for n in TRAIN[:2]] and split["query_idx"] == [1, 2, 3, 4]


def test_names_that_are_no_texts_are_refused(folder):
    matlab(folder, filelist=list(range(16)))
    with pytest.raises(DataSetError, match="no split of the new protocol"):
        load("cuhk03", folder.parent)
