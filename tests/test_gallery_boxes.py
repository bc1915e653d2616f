"""People cut out of whole pictures by files of boxes: COCO's and FiftyOne's published layouts, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gallery_store import __main__ as command
from gallery_store import cuts
from gallery_store.boxes import Box, Picture, boxes_among, read_boxes
from gallery_store.decoding import PictureError, open_picture
from gallery_store.importer import ImportReport, import_crops
from gallery_store.items import SourceError
from gallery_store.sources import read_source
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, all_crops, write_manifest

WIDE, HIGH = 160, 120


@pytest.fixture
def store(tmp_path):
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        yield store


def draw(file: Path, seed: int = 0) -> Image.Image:
    """A picture in which no two pixels are alike nearby, as a file; -> as it was drawn."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HIGH, WIDE, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(file)
    return image


def coco(
    *boxes: dict[str, Any], pictures: tuple[str, ...] = ("a.png", "b.png"), **more: Any
) -> dict[str, Any]:
    """boxes: annotations, by default of the first picture and of a person."""
    return {
        "info": {"description": "drawn"},
        "images": [
            {"id": number, "file_name": name, "width": WIDE, "height": HIGH}
            for number, name in enumerate(pictures, 1)
        ],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [[1, 2, 3, 4]]}
            | box
            for number, box in enumerate(boxes, 17)
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    } | more


def write_json(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), "utf-8")
    return file


def pixels_of(store: GalleryStore) -> dict[str, np.ndarray]:
    return {crop.path: np.asarray(open_picture(crop.file)) for crop in all_crops(store)}


def refusals(report: ImportReport) -> list[tuple[str, str]]:
    return [(refused.path, refused.reason) for refused in report.rejected]


FIRST = {"bbox": [10, 20, 30, 60]}
SECOND = {"bbox": [100.4, 5.6, 20.2, 40], "image_id": 2}
LAYOUTS = {  # the file of boxes, and the folder of the pictures
    "COCO": ("annotations/instances_val2017.json", "val2017"),
    "COCO, pictures below images": ("annotations/instances_val2017.json", "images/val2017"),
    "CVAT": ("annotations/instances_default.json", "images"),
    "Roboflow": ("train/_annotations.coco.json", "train"),
    "FiftyOne's COCO": ("labels.json", "data"),
    "beside": ("any name.json", ""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_people_are_cut_out_by_coco_in_each_published_layout(store, tmp_path, layout):
    listing, folder = LAYOUTS[layout]
    root = tmp_path / "in"
    a, b = (draw(root / folder / name, seed) for seed, name in enumerate(("a.png", "b.png")))
    file = write_json(root / listing, coco(FIRST, SECOND))
    report = import_crops(store, PixelEncoder(), root)
    assert (report.added, refusals(report)) == (2, [])
    under = f"{folder}/" if folder else ""
    cut = pixels_of(store)
    assert np.array_equal(cut[f"{under}a.png#17"], np.asarray(a)[20:80, 10:40])
    assert np.array_equal(cut[f"{under}b.png#18"], np.asarray(b)[6:46, 100:121])
    # By the file itself, and as a zip, they are the same people.
    assert import_crops(store, PixelEncoder(), file).unchanged == 2
    zipped = Path(shutil.make_archive(str(tmp_path / "in"), "zip", root))
    again = import_crops(store, PixelEncoder(), zipped)
    assert (again.added, again.unchanged, again.rejected) == (0, 2, ())
    assert verify(store).ok


def test_importing_again_adds_nothing_and_takes_what_is_new(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    file = write_json(tmp_path / "in" / "boxes.json", coco(FIRST, pictures=("a.png",)))
    first = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (first.added, import_crops(store, PixelEncoder(), tmp_path / "in").unchanged) == (1, 1)
    added = {"bbox": [60, 60, 20, 30]}
    write_json(
        file, coco(FIRST | {"track_id": 5, "attributes": {"camera": "hall"}}, added, pictures=("a.png",))
    )
    later = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (later.added, later.completed, dict(later.changes)) == (1, 1, {"camera": 1, "person": 1})
    crop = all_crops(store)[0]
    assert (crop.path, crop.person, crop.camera) == ("a.png#17", "5", "hall")


def test_a_picture_is_decoded_once_for_all_of_its_boxes(store, tmp_path, monkeypatch):
    names = tuple(f"{letter}.png" for letter in "abcdefg")  # more than are in memory, their boxes in turn
    for seed, name in enumerate(names):
        draw(tmp_path / "in" / name, seed)
    boxes = [{"bbox": [8 * n, 4 * n, 20, 40], "image_id": 1 + n % 7} for n in range(14)]
    write_json(tmp_path / "in" / "boxes.json", coco(*boxes, pictures=names))
    decoded = []

    def counted(data: bytes) -> Image.Image:
        decoded.append(data)
        return open_picture(data)

    monkeypatch.setattr(cuts, "open_picture", counted)
    assert import_crops(store, PixelEncoder(), tmp_path / "in").added == 14
    assert len(decoded) == len(set(decoded)) == 7


def test_other_categories_and_crowds_are_left_out_and_counted(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    car, crowd = FIRST | {"category_id": 3}, FIRST | {"iscrowd": 1}
    write_json(tmp_path / "in" / "boxes.json", coco(FIRST, car, car, crowd, pictures=("a.png",)))
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert report.added == 1
    assert "boxes of other categories than person, left out: 2" in report.notes
    assert "boxes of crowds, left out: 1" in report.notes


def test_without_a_category_person_all_are_taken_and_that_is_said(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    names = [{"id": 1, "name": "pedestrian"}, {"id": 3, "name": "rider"}]
    content = coco(FIRST, {"bbox": [50, 0, 20, 40], "category_id": 3}, pictures=("a.png",), categories=names)
    file = write_json(tmp_path / "in" / "boxes.json", content)
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert report.added == 2
    assert (f"{file} has no category person: the boxes of all were taken (pedestrian, rider)") in report.notes


def test_bad_boxes_are_rejected_by_name_and_the_rest_goes_on(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "small.png").resize((80, 60)).save(tmp_path / "in" / "small.png")
    (tmp_path / "in" / "torn.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:5000])
    boxes = [
        FIRST,
        {"bbox": [-20, -10, 50, 200]},  # clipped
        {"bbox": [10, 10, 0, 40]},
        {"bbox": [10, 10, 20]},
        {"bbox": [10, "x", 20, 30]},
        {"bbox": [10, 10, 7, 40]},
        {"bbox": [155, 10, 40, 40]},
        {"bbox": [500, 10, 40, 40]},
        {"bbox": [10, 10, 1e308, 1e308]},  # clipped
        {"bbox": [10, 10, float("nan"), 40]},
        {},
        FIRST | {"image_id": 9},
        FIRST | {"image_id": 2},
        FIRST | {"image_id": 3},
        FIRST | {"image_id": 4},
    ]
    content = coco(*boxes, pictures=("a.png", "small.png", "gone.png", "torn.png"))
    content["annotations"].append("no object")
    write_json(tmp_path / "in" / "boxes.json", content)
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    shapes = {path: cut.shape[:2] for path, cut in pixels_of(store).items()}
    assert shapes == {"a.png#17": (60, 30), "a.png#18": (120, 30), "a.png#25": (110, 150)}
    expected = {
        "a.png#19": "no width or no height",
        "a.png#20": "not four numbers",
        "a.png#21": "not four numbers",
        "a.png#22": "7 x 40 pixels, a side of less than 8",
        "a.png#23": "5 x 40 pixels, a side of less than 8",
        "a.png#24": "outside the picture of 160 x 120 pixels",
        "a.png#26": "not four numbers",
        "a.png#27": "not four numbers",
        "annotation 28": "no picture has its image_id",
        "small.png#29": "drawn on a picture of 160 x 120 pixels, and this one has 80 x 60",
        "gone.png#30": "its picture is not there",
        "torn.png#31": "damaged or cut off",
        "annotation number 16": "not an object",
    }
    said = dict(refusals(report))
    assert said.keys() == expected.keys()
    assert all(reason in said[name] for name, reason in expected.items()), said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps(coco(FIRST))[:-200], "is not whole JSON"),
        (json.dumps(coco(FIRST))[:90], "is not whole JSON"),
        ("[" * 100_000, "no end"),
        ('{"images": [], "annotations": [{"bbox": ' + "9" * 5000 + "}]}", "no end"),
        ("[1, 2]", "no file of boxes of a known kind"),
        ('{"shapes": []}', "no file of boxes of a known kind"),
        (json.dumps(coco()), "has no boxes of people"),
        ("", "empty"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_it(store, tmp_path, text, reason):
    (tmp_path / "instances_x.json").write_text(text)
    with pytest.raises(SourceError, match=reason) as caught:
        import_crops(store, PixelEncoder(), tmp_path / "instances_x.json")
    assert "instances_x.json" in str(caught.value) and "\n" not in str(caught.value)


def test_a_torn_file_in_a_folder_or_zip_is_said_and_no_whole_picture_is_imported(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "instances_val.json").write_text(json.dumps(coco(FIRST))[:90])
    zipped = Path(shutil.make_archive(str(tmp_path / "torn"), "zip", tmp_path / "in"))
    for source in (tmp_path / "in", zipped):
        with pytest.raises(SourceError, match=r"instances_val\.json is not whole JSON"):
            import_crops(store, PixelEncoder(), source)
    assert all_crops(store) == []


def test_several_files_of_boxes_are_refused_by_name(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    for split in ("train", "val"):
        write_json(tmp_path / "in" / f"instances_{split}.json", coco(FIRST))
    with pytest.raises(SourceError, match=r"instances_train\.json, instances_val\.json"):
        import_crops(store, PixelEncoder(), tmp_path / "in")


def test_other_json_files_change_nothing(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    write_json(tmp_path / "in" / "info.json", {"camera": 3, "bbox": [1, 2, 3, 4]})
    (tmp_path / "in" / "notes.json").write_text("{torn")
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (report.added, report.ignored, all_crops(store)[0].path) == (1, 2, "a.png")


def test_a_manifest_goes_before_a_file_of_boxes_and_unlisted_pictures_are_counted(store, tmp_path):
    for seed, name in enumerate(("a.png", "b.png")):
        draw(tmp_path / "in" / name, seed)
    write_json(tmp_path / "in" / "boxes.json", coco(FIRST, pictures=("a.png",)))
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert "pictures beside the manifest boxes.json that it does not list, left out: 1" in report.notes
    write_manifest(tmp_path / "in" / "manifest.csv", "path", "b.png")
    assert import_crops(store, PixelEncoder(), tmp_path / "in").added == 1
    assert [crop.path for crop in all_crops(store)] == ["a.png#17", "b.png"]


def test_cut_people_cannot_be_linked(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    write_json(tmp_path / "in" / "boxes.json", coco(FIRST, pictures=("a.png",)))
    with pytest.raises(SourceError, match="no files to link: leave --link out"):
        import_crops(store, PixelEncoder(), tmp_path / "in", link=True)


def test_the_pictures_name_and_exif_tell_camera_and_time(store, tmp_path):
    name = "cam3_2026-05-12_14-03-22.jpg"
    exif = Image.Exif()
    exif[306] = "2026:05:12 16:00:00"
    draw(tmp_path / "in" / name).save(tmp_path / "in" / name, exif=exif)
    file = write_json(tmp_path / "in" / "boxes.json", coco(FIRST, pictures=(name,)))
    by_name, by_exif = (read_source(file, store.zone, times=times).items[0] for times in ("name", "exif"))
    assert (by_name.camera, by_name.time) == ("3", datetime(2026, 5, 12, 12, 3, 22, tzinfo=UTC))
    assert by_exif.time == datetime(2026, 5, 12, 14, tzinfo=UTC)


def test_persons_and_cameras_are_taken_where_they_are_named_so(tmp_path):
    entries = [
        {"track_id": 4},
        {"attributes": {"person_id": "p7", "camera": 2}},
        {"attributes": {"track_id": -1, "occluded": True}},
        {"track_id": 3.0, "camera_id": "east"},
        {"track_id": True, "attributes": ["x"]},
    ]
    content = coco(*(FIRST | entry for entry in entries), pictures=("a.png",))
    content["images"][0]["camera"] = "yard"
    file = read_boxes(json.dumps(content).encode(), "x.json", lambda: None)
    assert [(box.person, box.camera) for box in file.boxes] == [
        ("4", "yard"), ("p7", "2"), (None, "yard"), ("3", "east"), (None, "yard"),
    ]  # fmt: skip


def test_labels_of_boxes_are_their_ids_or_else_their_numbers_and_never_twice():
    ids = [{"id": 3}, {"id": 3}, {"id": "a/../b"}, {"id": None}, {"id": "x-1"}]
    file = read_boxes(json.dumps(coco(*(FIRST | own for own in ids))).encode(), "x.json", lambda: None)
    assert [box.label for box in file.boxes] == ["3", "3-box2", "box3", "box4", "x-1"]


def detection(label: str, box: list[float], **more: Any) -> dict[str, Any]:
    return {
        "_id": {"$oid": "5f452471ef00e6374aac53c8"},
        "_cls": "Detection",
        "label": label,
        "bounding_box": box,
    } | more


def test_fiftyones_own_export(store, tmp_path):
    a, b = (draw(tmp_path / "in" / "data" / name, seed) for seed, name in enumerate(("a.png", "b.png")))
    write_json(tmp_path / "in" / "metadata.json", {"name": "drawn", "version": "1.0", "classes": {}})

    def sample(name: str, *detections: dict[str, Any]) -> dict[str, Any]:
        return {
            "_id": {"$oid": "5f452471ef00e6374aac53c7"},
            "filepath": f"data/{name}",
            "tags": ["validation"],
            "metadata": {"_cls": "ImageMetadata", "width": WIDE, "height": HIGH},
            "ground_truth": {"_cls": "Detections", "detections": list(detections)},
            "predictions": {"_cls": "Detections", "detections": [detection("person", [0, 0, 1, 1])]},
            "weather": {"_cls": "Classification", "label": "sunny"},
        }

    person = detection(
        "person", [0.125, 0.25, 0.25, 0.5], attributes={"pid": {"_cls": "Attribute", "value": 9}}
    )
    crowd = detection("person", [0.1, 0.1, 0.5, 0.5], iscrowd=1.0)
    samples = [
        sample("a.png", detection("car", [0, 0, 0.5, 0.5]), person, crowd),
        sample("b.png", detection("person", [0.5, 0.5, 0.9, 0.9])),
    ]
    write_json(tmp_path / "in" / "samples.json", {"samples": samples})
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (report.added, refusals(report)) == (2, [])
    assert "boxes were taken from the field ground_truth, and none from predictions" in report.notes
    assert "boxes of other categories than person, left out: 1" in report.notes
    assert "boxes of crowds, left out: 1" in report.notes
    cut = pixels_of(store)
    assert np.array_equal(cut["data/a.png#2"], np.asarray(a)[30:90, 20:60])
    assert np.array_equal(cut["data/b.png#1"], np.asarray(b)[60:, 80:])
    assert all_crops(store)[0].person == "9"
    for source in (
        tmp_path / "in" / "samples.json",
        shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path / "in"),
    ):
        assert import_crops(store, PixelEncoder(), Path(source)).unchanged == 2


def test_fiftyones_export_of_detections(store, tmp_path):
    a = draw(tmp_path / "in" / "data" / "a.png")
    draw(tmp_path / "in" / "data" / "b.png", 1).save(tmp_path / "in" / "data" / "b.jpg")
    (tmp_path / "in" / "data" / "b.png").unlink()
    box = [0.25, 0.5, 0.5, 0.25]
    labels = {
        "a": [{"label": 1, "bounding_box": box, "confidence": 0.9}, {"label": 0, "bounding_box": box}],
        "b": [{"label": "person", "bounding_box": box, "attributes": {"camera": "east"}}],
        "c": [{"label": "person", "bounding_box": box}],
        "d": None,
    }
    write_json(tmp_path / "in" / "labels.json", {"classes": ["car", "person"], "labels": labels})
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert refusals(report) == [("c#1", "its picture is not there")]
    assert np.array_equal(pixels_of(store)["data/a.png#1"], np.asarray(a)[60:90, 40:120])
    assert [(crop.path, crop.camera) for crop in all_crops(store)] == [
        ("data/a.png#1", None),
        ("data/b.jpg#1", "east"),
    ]
    again = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (again.added, again.unchanged) == (0, 2)


def test_fractions_hold_for_a_resized_picture_and_not_for_a_turned_one():
    box = Box(Picture("a.png", (WIDE, HIGH)), "1", (0.25, 0.25, 0.5, 0.5), relative=True)
    assert box.within(80, 60) == (20, 15, 60, 45)
    with pytest.raises(PictureError, match="160 x 120 pixels, and this one has 120 x 160"):
        box.within(HIGH, WIDE)


def test_pictures_outside_a_folder_or_zip_are_found_by_their_absolute_path_on_disk_alone(store, tmp_path):
    away = tmp_path / "away" / "a.png"
    draw(away)
    draw(tmp_path / "b.png", 1)
    names = (str(away), "b.png", "../b.png", "..\\b.png")
    boxes = [FIRST | {"image_id": number} for number in (1, 2)]
    write_json(tmp_path / "in" / "boxes.json", coco(*boxes, pictures=names))
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (report.added, refusals(report)) == (1, [("b.png#18", "its picture is not there")])
    zipped = Path(shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path / "in"))
    assert len(import_crops(store, PixelEncoder(), zipped).rejected) == 2


def test_too_many_boxes_and_parts_are_refused(monkeypatch):
    data = json.dumps(coco(FIRST, FIRST, FIRST)).encode()
    monkeypatch.setattr("gallery_store.boxes.MOST_BOXES", 2)
    with pytest.raises(ValueError, match=r"x\.json has more than 2 boxes"):
        read_boxes(data, "x.json", lambda: None)
    monkeypatch.setattr("gallery_store.boxes._MOST_PARTS", 10)
    with pytest.raises(ValueError, match=r"x\.json has more than 10 objects and lists"):
        read_boxes(data, "x.json", lambda: None)


def test_a_box_of_more_pixels_than_a_crop_may_have_is_refused():
    box = Box(Picture("a.png"), "1", (0.0, 0.0, 1.0, 1.0), relative=True)
    with pytest.raises(PictureError, match="4000 x 3000 pixels, more than a crop of 32 MB holds"):
        box.within(4000, 3000)


def test_the_command_imports_boxes_and_says_what_it_left_out(tmp_path, monkeypatch, capsys):
    draw(tmp_path / "in" / "images" / "a.png")
    file = write_json(
        tmp_path / "in" / "annotations" / "instances_default.json",
        coco(FIRST, {"bbox": [0, 0, 3, 30]}, pictures=("a.png",)),
    )
    monkeypatch.setattr("gallery_store.cli._clip", lambda options: PixelEncoder())
    arguments = ["import", str(file), "--gallery", str(tmp_path / "g.db")]
    assert command.main(arguments) == 0
    said = capsys.readouterr().out
    assert "1 added" in said
    assert "rejected images/a.png#18: its box has 3 x 30 pixels, a side of less than 8" in said
    assert command.main([*arguments, "--link"]) == 2


ODD = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            1,
            2,
            -1,
            0.5,
            1e308,
            float("nan"),
            10**400,
            "1",
            "person",
            "a.png",
            "\ud800",
            "",
            [],
            {},
        ]
    ),
    st.lists(st.floats(-200, 400) | st.sampled_from([float("inf"), "1", 10**400]), min_size=3, max_size=5),
    st.just({"value": "\ud800", "track_id": 7, "camera": "\ud800"}),
)
BOXES = st.tuples(*[st.floats(-50, 150)] * 2, *[st.floats(-1, 200) | st.floats(8, 200)] * 2).map(list)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 7).flatmap(lambda number: usual if number else ODD)


def entries(box: str = "", **usual: Any) -> st.SearchStrategy[list[Any]]:
    """Objects of these values, and a box, one odd at times; and things that are no objects."""
    whole = st.fixed_dictionaries(
        {name: st.just(value) for name, value in usual.items()} | ({box: BOXES} if box else {})
    )
    odd = st.dictionaries(st.sampled_from([*usual, *([box] if box else [])]), ODD, max_size=1)
    one = st.builds(lambda entry, other: entry | other, whole, odd)
    return st.lists(mostly(one), min_size=1, max_size=3)


DETECTIONS = entries("bounding_box", label="person", iscrowd=0, pid=3)
FIELDS = DETECTIONS.map(lambda some: {"_cls": "Detections", "detections": some})


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {
            "images": entries(id=1, file_name="a.png", width=WIDE, height=HIGH, camera="x"),
            "annotations": entries("bbox", id=1, image_id=1, category_id=1, attributes={"pid": 3}),
        },
        optional={"categories": mostly(entries(id=1, name="person"))},
    )
    | st.fixed_dictionaries(
        {
            "samples": st.lists(
                st.fixed_dictionaries({"filepath": mostly(st.just("a.png")), "found": mostly(FIELDS)}),
                max_size=3,
            )
        }
    )
    | st.fixed_dictionaries(
        {
            "labels": st.dictionaries(
                st.sampled_from(["a", "b", " ", "\ud800"]), mostly(DETECTIONS), max_size=3
            )
        },
        optional={"classes": st.just(["car", "person", 3]) | ODD},
    )
    | ODD
)
def test_whatever_a_file_says_is_read_or_refused_in_a_sentence(content):
    try:
        file = read_boxes(json.dumps(content).encode(), "x.json", lambda: None)
    except ValueError as problem:
        assert "x.json" in str(problem)
        return
    for text in (*file.notes, *(part for refused in file.rejected for part in refused)):
        text.encode()
    for box in file.boxes:
        (box.picture.name + box.label + (box.person or "") + (box.camera or "")).encode()
        try:
            left, top, right, bottom = box.within(WIDE, HIGH)
        except PictureError:
            continue
        assert 0 <= left <= right - 8 <= WIDE - 8 and 0 <= top <= bottom - 8 <= HIGH - 8


def test_whether_a_file_is_called_like_one_of_boxes_is_told_in_as_long_as_its_name_is():
    """Gone over once more for each "coco" in it, the name would never be read."""
    assert boxes_among(["coco" * 300_000 + "\n.json"], lambda name: b"{}") is None
