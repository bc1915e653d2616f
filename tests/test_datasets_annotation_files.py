"""Any other data set comes in as CSV."""

import csv
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.model.vocabulary import KINDS
from training.datasets.annotation_files import COLUMNS, SPLITS, read_csv
from training.datasets.faults import DataSetError, Faults
from training.datasets.load import load


@pytest.fixture
def folder(tmp_path):
    for name in "abcdef":
        Image.new("RGB", (8, 16), (ord(name), 0, 0)).save(tmp_path / f"{name}.png")
    return tmp_path


def write(folder, text, name="mine.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return f"csv:{folder / name}"


def test_two_columns_are_enough_and_all_of_it_is_train(folder):
    dataset = load(write(folder, "path,person\nb.png,7\na.png,7\n"))
    assert dataset.name == "mine" and dataset.setting == "standard" and set(dataset.splits) == {"train"}
    assert [(r.image, r.person, r.camera) for r in dataset.train] == [
        (folder / "a.png", "7", ""),
        (folder / "b.png", "7", ""),
    ]


def test_every_column_is_read(folder):
    dataset = load(
        write(
            folder,
            "Person,PATH,split,camera,clothes,modality,caption,captions,upper,upper_colour,hat\n"
            'p1,a.png,train,3,c1,infrared,"a man, tall",in black|  with   a bag |,jacket,RED,\n'
            "p2,b.png,query,4,,visible,,,,,none\n"
            "p2,c.png,gallery,5,,,,,,,\n",
        )
    )
    [one] = dataset.train
    assert (one.person, one.camera, one.clothes, one.infrared) == ("p1", "3", "c1", True)
    assert one.captions == ("a man, tall", "in black", "with a bag")
    assert one.attributes == {"upper": "jacket", "upper_colour": "red"}
    [asked] = dataset.splits["query"]
    assert asked.attributes == {"hat": "none"} and asked.captions == () and not asked.infrared
    assert list(dataset.splits) == ["train", "query", "gallery"]


def test_several_rows_of_a_picture_add_captions(folder):
    dataset = load(
        write(folder, "path,person,caption\na.png,1,first\nb.png,1,other\na.png,1,second\na.png,1,\n")
    )
    assert [r.captions for r in dataset.train] == [("first", "second"), ("other",)]
    assert dataset.setting == "text-to-image"


@pytest.mark.parametrize(
    ("rows", "setting"),
    [
        ("a.png,1,infrared,1,x\nb.png,1,visible,2,", "visible-infrared"),
        ("a.png,1,,1,x\nb.png,1,,2,", "clothes-changing"),
        ("a.png,1,,1,x\nb.png,2,,2,", "text-to-image"),
        ("a.png,1,infrared,1,\nb.png,2,infrared,1,", "standard"),
    ],
)
def test_the_setting_follows_from_what_is_told(folder, rows, setting):
    text = f"path,person,modality,clothes,caption\n{rows}\n"
    assert load(write(folder, text)).setting == setting


def test_junk_and_distractors_may_stand_in_the_gallery_only(folder):
    head = "path,person,split\na.png,1,train\n"
    assert len(load(write(folder, head + "b.png,-1,gallery\nc.png,0000,gallery\n")).splits["gallery"]) == 2
    with pytest.raises(DataSetError, match="junk or distractor"):
        load(write(folder, head + "b.png,-1,train\n"))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a.png", "1 cells, but 5 columns"),
        (",1,,,", "no path"),
        ("a.png,,,,", "no person"),
        ("a.png,1,trian,,", "split 'trian' is not one of train, val, query, gallery, test"),
        ("a.png,1,,x-ray,", "modality 'x-ray' is not visible or infrared"),
        ("a.png,1,,,crimson", "upper_colour 'crimson' is not one of black, white"),
        ("z.png,1,,,", "missing picture"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_with_its_line(folder, row, told):
    name = write(folder, f"path,person,split,modality,upper_colour\nb.png,1,train,,\n{row}\n")
    with pytest.raises(DataSetError) as problem:
        load(name)
    assert told in str(problem.value)
    assert "mine.csv:3" in str(problem.value) or "z.png" in str(problem.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no column path and no column person; its columns are none"),
        ("path,id\na.png,1\n", "no column person; its columns are path, id"),
        ("path,person,colour\na.png,1,red\n", "unknown columns colour; there are path, person"),
        ("path,person,path\na.png,1,b.png\n", "the column path more than once"),
        ("path,person\n", "has no rows"),
        ('path,person\n"a.png,1\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_such_csv_is_told(folder, text, told):
    with pytest.raises(DataSetError) as problem:
        load(write(folder, text))
    assert told in str(problem.value) and "mine.csv" in str(problem.value)


def test_a_missing_file_and_one_in_another_encoding_are_told(folder):
    with pytest.raises(DataSetError, match=r"nothing\.csv cannot be read"):
        load(f"csv:{folder / 'nothing.csv'}")
    (folder / "old.csv").write_bytes("path,person\na.png,Müller\n".encode("latin-1"))
    with pytest.raises(DataSetError, match="not UTF-8"):
        load(f"csv:{folder / 'old.csv'}")


def test_rows_of_one_picture_that_disagree_are_told(folder):
    for other in ("a.png,2,train", "a.png,1,query"):
        with pytest.raises(DataSetError, match="an earlier row"):
            load(write(folder, f"path,person,split\na.png,1,train\n{other}\n"))


def test_people_of_train_may_not_be_asked_for(folder):
    with pytest.raises(DataSetError, match="identity in train and in another split"):
        load(write(folder, "path,person,split\na.png,1,train\nb.png,1,query\n"))


def test_a_file_is_also_looked_for_below_the_root(folder):
    write(folder, "path,person\na.png,1\n")
    assert load("csv:mine.csv", folder).train[0].image == folder / "a.png"


def test_spreadsheets_bytes_and_line_ends_are_taken(folder):
    (folder / "mine.csv").write_bytes('\ufeffpath,person,caption\r\na.png,1,"two\r\nlines"\r\n\r\n'.encode())
    assert load(f"csv:{folder / 'mine.csv'}").train[0].captions == ("two lines",)


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from("abcdef").map(lambda name: f"{name}.png"),
            "person": WORDS.map(str.strip).filter(lambda text: text not in ("", "-1", "0000")),
            "split": st.sampled_from(SPLITS),
            "camera": WORDS.map(str.strip),
            "caption": WORDS,
            "hat": st.sampled_from(("", *KINDS["hat"])),
        }
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row["path"],
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
@example(
    [{"path": "a.png", "person": "a\u2028b", "split": "val", "camera": "c\x85d", "caption": "x", "hat": ""}]
)
def test_what_was_written_is_what_is_read(tmp_path, rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    file = tmp_path / "any.csv"
    file.write_bytes(out.getvalue().encode())
    faults = Faults()
    found = read_csv(file, faults)
    assert not faults.by_kind
    records = {r.image.name: (split, r) for split, records in found.items() for r in records}
    assert len(records) == len(rows)
    for row in rows:
        split, record = records[row["path"]]
        assert (split, record.person, record.camera) == (row["split"], row["person"], row["camera"])
        assert record.captions == ((" ".join(row["caption"].split()),) if row["caption"].strip() else ())
        assert record.attributes == ({"hat": row["hat"]} if row["hat"] else {})


def test_the_columns_are_unique():
    assert len(set(COLUMNS)) == len(COLUMNS)
