"""Whatever is wrong with a data set is told by name and with counts, all of it at once, before anything runs."""

import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.miniatures import NAMES, write_miniature
from training.datasets.faults import SHOWN, DataSetError
from training.datasets.load import load, load_many
from training.datasets.specs import SPECS


def told(name, root, **options) -> str:
    with pytest.raises(DataSetError) as problem:
        load(name, root, **options)
    assert problem.value.faults
    return str(problem.value)


PARTS = {
    "market1501": ["bounding_box_train", "query", "bounding_box_test"],
    "msmt17": ["mask_train_v2", "mask_test_v2", "list_train.txt", "list_val.txt", "list_query.txt"],
    "cuhk03": ["labeled/bounding_box_train", "labeled/query"],
    "ltcc": ["train", "query", "test"],
    "prcc": ["rgb/train", "rgb/val", "rgb/test/A", "rgb/test/B", "rgb/test/C"],
    "sysu-mm01": ["cam1", "cam6", "exp/train_id.txt", "exp/val_id.txt", "exp/test_id.txt"],
    "regdb": ["idx/train_visible_1.txt", "idx/test_thermal_1.txt"],
    "cuhk-pedes": ["imgs", "reid_raw.json"],
    "icfg-pedes": ["imgs", "ICFG-PEDES.json"],
    "rstpreid": ["imgs", "data_captions.json"],
}


@pytest.mark.parametrize(("name", "part"), [(name, part) for name in NAMES for part in PARTS[name]])
def test_each_part_that_is_missing_is_named(tmp_path, name, part):
    place = write_miniature(name, tmp_path, people=2) / part
    kind = "missing folder" if place.is_dir() else "missing split file"
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    text = told(name, tmp_path)
    assert kind in text and place.name in text and "docs/datasets.md" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_no_bytes_and_a_torn_one_are_named(tmp_path, name):
    folder = write_miniature(name, tmp_path, people=2)
    first = load(name, tmp_path).train[0].image
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    load(name, tmp_path)  # only decoding can tell
    text = told(name, tmp_path, check=True)
    assert "unreadable picture (1)" in text and str(first) in text and "cut off" in text
    first.write_bytes(b"")
    assert f"empty picture (1): {first}" in told(name, tmp_path)
    first.write_bytes(whole)
    assert load(name, tmp_path, check=True).train
    assert folder in first.parents


@pytest.mark.parametrize("name", ["msmt17", "regdb"])
def test_a_listed_picture_that_is_not_there_is_named(tmp_path, name):
    write_miniature(name, tmp_path, people=2)
    lost = [record.image for record in load(name, tmp_path).train[:2]]
    for image in lost:
        image.unlink()
    text = told(name, tmp_path)
    assert "missing picture (2)" in text and all(str(image) in text for image in lost)


@pytest.mark.parametrize("name", ["cuhk-pedes", "icfg-pedes", "rstpreid"])
def test_a_caption_without_a_picture_is_told_with_its_words(tmp_path, name):
    write_miniature(name, tmp_path, people=2)
    record = load(name, tmp_path).splits["test"][0]
    record.image.unlink()
    text = told(name, tmp_path)
    assert f"caption without a picture ({len(record.captions)})" in text
    assert str(record.image) in text and record.captions[0][:40] in text


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("market1501", "query/abcd_c1s1_000001_00.jpg"),
        ("market1501", "query/0001_s1_000001_00.jpg"),
        ("market1501", "query/٠٠٠١_c1s1_000001_00.jpg"),
        ("ltcc", "train/001_c3_000001.png"),
        ("prcc", "rgb/train/001/D_cropped_rgb001.jpg"),
        ("prcc", "rgb/test/A/cropped_rgb001.jpg"),
        ("sysu-mm01", "cam1/12/0001.jpg"),
    ],
)
def test_a_malformed_file_name_is_named(tmp_path, name, place):
    folder = write_miniature(name, tmp_path, people=2)
    (folder / place).parent.mkdir(exist_ok=True, parents=True)
    shutil.copy(load(name, tmp_path).train[0].image, folder / place)
    text = told(name, tmp_path)
    assert "malformed file name (1)" in text and str(folder / place) in text


@pytest.mark.parametrize(
    "line", ["0000/0000_000_01.jpg", "justaname 3x", "../../etc/passwd 1", "/etc/passwd 1", "a b"]
)
def test_a_malformed_line_is_named_by_its_number(tmp_path, line):
    file = write_miniature("msmt17", tmp_path, people=2) / "list_query.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], line, "", *lines[2:]]))
    text = told("msmt17", tmp_path)
    assert "malformed line (1)" in text and f"{file}:3:" in text


def test_lists_may_end_their_lines_as_windows_does(tmp_path):
    file = write_miniature("msmt17", tmp_path, people=2) / "list_query.txt"
    expected = load("msmt17", tmp_path)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert load("msmt17", tmp_path) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "training"}, "its split is 'training'"),
        ({"id": "x7"}, "its id is 'x7'"),
        ({"id": None}, "its id is None"),
        ({"captions": "a man"}, "its captions are no list of texts"),
        ({"captions": [3]}, "its captions are no list of texts"),
        ({"file_path": "../../secret.png"}, "it has no usable file_path"),
        ({"file_path": 7}, "it has no usable file_path"),
        ({"split": ["train"]}, "its split is ['train']"),
        ({"id": "9" * 5000}, "its id is '999"),
        ({"captions": ["\ud800"]}, "it holds half a character"),
    ],
)
def test_a_malformed_annotation_is_named_by_its_number(tmp_path, change, said):
    file = write_miniature("cuhk-pedes", tmp_path, people=2) / "reid_raw.json"
    entries = json.loads(file.read_text())
    entries.append({**entries[0], **change})
    file.write_text(json.dumps(entries))
    text = told("cuhk-pedes", tmp_path)
    assert f"entry {len(entries) - 1}: {said}" in text


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[3]", "", "\ud800"])
def test_an_annotation_that_is_none_is_told(tmp_path, text):
    file = write_miniature("rstpreid", tmp_path, people=2) / "data_captions.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert str(file) in told("rstpreid", tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("split", "captions", "file_path", "img_path", "id")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(JSON, st.dictionaries(st.sampled_from(FIELDS), JSON)))
def test_whatever_an_annotation_holds_the_error_is_ours(tmp_path, entry):
    folder = tmp_path / "RSTPReid"
    if not folder.exists():
        write_miniature("rstpreid", tmp_path, people=2)
        shutil.copy(folder / "data_captions.json", tmp_path / "kept.json")
    entries = json.loads((tmp_path / "kept.json").read_text())
    (folder / "data_captions.json").write_text(json.dumps([*entries, entry]))
    told("rstpreid", tmp_path).encode()


def test_a_name_that_is_no_unicode_can_still_be_told(tmp_path):
    folder = write_miniature("ltcc", tmp_path, people=2)
    try:
        with open(os.fsencode(folder / "train") + b"/\xff\xfe.png", "wb") as out:
            out.write(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert "\\udcff" in told("ltcc", tmp_path)


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    write_miniature("ltcc", tmp_path, people=2)

    def refuse(*_):
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr("training.datasets.readers.pictures_below", refuse)
    with pytest.raises(DataSetError, match=r"ltcc in .*: /secret cannot be read: Permission denied"):
        load("ltcc", tmp_path)


def test_a_picture_of_two_people_is_told(tmp_path):
    file = write_miniature("cuhk-pedes", tmp_path, people=2) / "reid_raw.json"
    entries = json.loads(file.read_text())
    file.write_text(json.dumps([*entries, {**entries[0], "id": 99}]))
    assert "picture listed twice (1)" in told("cuhk-pedes", tmp_path)


def test_a_picture_listed_in_two_splits_is_told(tmp_path):
    folder = write_miniature("msmt17", tmp_path, people=2)
    line = (folder / "list_query.txt").read_text().splitlines()[0]
    with (folder / "list_gallery.txt").open("a") as out:
        out.write(line + "\n")
    assert "picture listed twice (1)" in told("msmt17", tmp_path)


def test_junk_where_people_belong_is_told(tmp_path):
    folder = write_miniature("market1501", tmp_path, people=2)
    junk = folder / "bounding_box_test" / "-1_c1s1_000000_03.jpg"
    shutil.copy(junk, folder / "bounding_box_train")
    shutil.copy(folder / "bounding_box_test" / "0000_c1s1_000000_04.jpg", folder / "query")
    assert "junk or distractor where only people belong (2)" in told("market1501", tmp_path)


def test_a_test_person_in_train_is_told(tmp_path):
    folder = write_miniature("ltcc", tmp_path, people=2)
    image = load("ltcc", tmp_path).splits["gallery"][0].image
    shutil.copy(image, folder / "train" / image.name)
    text = told("ltcc", tmp_path)
    assert "identity in train and in another split" in text and "002, also in gallery" in text


def test_an_identity_of_two_lists_and_one_without_pictures_are_told(tmp_path):
    exp = write_miniature("sysu-mm01", tmp_path, people=2) / "exp"
    (exp / "test_id.txt").write_text("1,3,4,77\n")
    text = told("sysu-mm01", tmp_path)
    assert "0001 is also in train" in text and "identity without pictures (1): 0077 of test" in text
    (exp / "test_id.txt").write_text("3;4\n")
    assert "one line of numbers with commas" in told("sysu-mm01", tmp_path)


def test_an_empty_folder_is_told(tmp_path):
    folder = write_miniature("ltcc", tmp_path, people=2)
    for file in (folder / "query").iterdir():
        file.unlink()
    assert "split without pictures (1): query" in told("ltcc", tmp_path)


def test_all_faults_are_counted_the_first_are_shown_and_the_rest_are_at_hand(tmp_path):
    folder = write_miniature("market1501", tmp_path, people=4)
    for image in sorted((folder / "bounding_box_train").glob("*.jpg")):
        image.write_bytes(b"")
    (folder / "query" / "who.jpg").write_bytes(b"x")
    shutil.rmtree(folder / "bounding_box_test")
    with pytest.raises(DataSetError) as problem:
        load("market1501", tmp_path)
    text = str(problem.value)
    assert "has 18 faults" in text and len(problem.value.faults) == 18
    assert "missing folder (1)" in text and "malformed file name (1)" in text
    assert "empty picture (16)" in text and f"and {16 - SHOWN} more" in text
    assert text.count("bounding_box_train") == SHOWN


def test_faults_of_several_sets_are_told_together(tmp_path):
    shutil.rmtree(write_miniature("ltcc", tmp_path, people=2) / "query")
    shutil.rmtree(write_miniature("prcc", tmp_path, people=2) / "rgb" / "val")
    write_miniature("regdb", tmp_path, people=2)
    with pytest.raises(DataSetError) as problem:
        load_many(["ltcc", "regdb", "prcc", "market1501"], tmp_path)
    text = str(problem.value)
    assert "ltcc in" in text and "prcc in" in text and "market1501 was not found" in text
    assert "regdb in" not in text


def test_pictures_are_checked_in_several_processes_with_the_same_result(tmp_path, monkeypatch):
    from training.datasets import faults

    write_miniature("ltcc", tmp_path, people=2)
    images = [record.image for record in load("ltcc", tmp_path).train]
    for image in (images[1], images[7]):
        image.write_bytes(b"no picture")
    monkeypatch.setattr(faults, "PICTURES_AT_ONCE", 4)
    alone, together = faults.Faults(), faults.Faults()
    faults.check_pictures(images, alone, workers=1)
    steps = []
    faults.check_pictures(images, together, workers=2, progress=lambda *step: steps.append(step))
    assert steps == [(4, 12), (8, 12), (12, 12)]
    assert alone.by_kind == together.by_kind and len(alone) == 2


def test_every_spec_looks_for_something():
    assert all(spec.folders and spec.marks for spec in SPECS.values())
