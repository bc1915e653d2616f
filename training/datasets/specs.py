"""The ten benchmarks: where they lie, how they are read, and what was published of them.

Variant "trainval" adds the validation split to the training split, as much published work does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.datasets.annotation_files import by_captions
from training.datasets.readers import (
    PathPattern,
    PictureList,
    Reader,
    by_identity_lists,
    by_list,
    by_path,
    by_split_file,
    by_variant,
    either,
)


@dataclass(frozen=True)
class Count:
    """How much a split holds. None: not published, or nothing to count.

    identities: people, without junk and distractors. images: pictures, with them. captions: texts.
    """

    identities: int | None = None
    images: int | None = None
    cameras: int | None = None
    captions: int | None = None


@dataclass(frozen=True)
class Spec:
    """One benchmark as data.

    folders: names it is found under, below a root. marks: what lies in the right folder. read: makes records.
    counts: published, by variant and split. variants: "" is the usual one. alike: other words for a variant.
    shared_val: the people of "val" are those of "train"; all other splits' people are in no training split.
    shown: the variants that a survey lists.
    """

    name: str
    title: str
    setting: str
    folders: tuple[str, ...]
    marks: tuple[str, ...]
    read: Reader
    counts: Mapping[str, Mapping[str, Count]]
    variants: tuple[str, ...] = ("",)
    alike: Mapping[str, str] = field(default_factory=dict)
    shared_val: bool = False
    shown: tuple[str, ...] = ("",)


TRAINVAL = "trainval"

MSMT17_NAME = r"\d+_\d+_(?P<camera>\d+)_.*"  # 0000_000_01_0303morning_0008_0.jpg
MSMT17_TRAIN = ("mask_train_v2", "train")
MSMT17_TEST = ("mask_test_v2", "test")

LTCC_NAME = PathPattern(r"(?P<person>\d+)_(?P<clothes>\d+)_c(?P<camera>\d+)_[^/]*")  # 094_1_c9_015833.png

PRCC_CLOTHES = {"A": "1", "B": "1", "C": "2"}  # A and B the same, C other: Yang et al., TPAMI 2019
PRCC_TRAIN = PathPattern(r"(?P<person>\d+)/(?P<camera>[ABC])_[^/]*", clothes_of=PRCC_CLOTHES)
PRCC_TEST = {
    camera: PathPattern(r"(?P<person>\d+)/[^/]*", camera, clothes_of=PRCC_CLOTHES) for camera in PRCC_CLOTHES
}

SYSU_CAMERAS = {
    f"cam{camera}": PathPattern(r"(?P<person>\d{4})/[^/]*", camera, infrared=frozenset("36"))
    for camera in "123456"
}

MARKET_FOLDERS = {
    "train": ("bounding_box_train", PathPattern()),
    "query": ("query", PathPattern()),
    "gallery": ("bounding_box_test", PathPattern()),
}


def _cuhk03(boxes: tuple[str, ...]) -> Reader:
    """One way of cropping, by the folders of the new protocol, or as one folder with a split file."""
    folders = [
        by_path({split: (f"{name}/{place}", meaning) for split, (place, meaning) in MARKET_FOLDERS.items()})
        for name in boxes
    ]
    images = tuple(f"images_{name}" for name in boxes)
    files = [
        f.format(name) for name in boxes for f in ("cuhk03_new_protocol_config_{}.mat", "splits_new_{}.json")
    ]
    return either(
        *(((f"{name}/bounding_box_train",), reader) for name, reader in zip(boxes, folders, strict=True)),
        (images, by_split_file(images, files)),
    )


_SPECS = (
    Spec(
        name="market1501",
        title="Market-1501",
        setting="standard",
        folders=("Market-1501-v15.09.15", "market1501", "market"),
        marks=("bounding_box_train", "bounding_box_test"),
        read=by_path(MARKET_FOLDERS),
        # The set's readme.txt: 751 people in 12,936 pictures to train, 750 in 19,732 to test, 3,368 queries.
        counts={
            "": {"train": Count(751, 12936, 6), "query": Count(750, 3368, 6), "gallery": Count(750, 19732, 6)}
        },
    ),
    Spec(
        name="msmt17",
        title="MSMT17",
        setting="standard",
        folders=("MSMT17_V2", "MSMT17_V1", "MSMT17", "msmt"),
        marks=("list_train.txt", *MSMT17_TRAIN),
        read=by_list(
            {
                "train": [PictureList("list_train.txt", MSMT17_TRAIN, pattern=MSMT17_NAME)],
                "val": [PictureList("list_val.txt", MSMT17_TRAIN, pattern=MSMT17_NAME)],
                "query": [PictureList("list_query.txt", MSMT17_TEST, "test-", pattern=MSMT17_NAME)],
                "gallery": [PictureList("list_gallery.txt", MSMT17_TEST, "test-", pattern=MSMT17_NAME)],
            }
        ),
        # Wei et al., CVPR 2018, table 2: 1,041 people in 32,621 pictures to train (30,248 and 2,373 by the
        # two lists), 3,060 people in 11,659 queries and 82,161 gallery pictures, 15 cameras.
        counts={
            "": {
                "train": Count(1041, 30248, 15),
                "val": Count(None, 2373),
                "query": Count(3060, 11659, 15),
                "gallery": Count(3060, 82161, 15),
            },
            TRAINVAL: {
                "train": Count(1041, 32621, 15),
                "query": Count(3060, 11659, 15),
                "gallery": Count(3060, 82161, 15),
            },
        },
        variants=("", TRAINVAL),
        shared_val=True,
    ),
    Spec(
        name="cuhk03",
        title="CUHK03, new protocol",
        setting="standard",
        folders=("CUHK03-NP", "cuhk03_np", "cuhk03_release", "CUHK03", "cuhk-03"),
        marks=(
            "labeled",
            "labelled",
            "detected",
            "cuhk-label",
            "cuhk-detect",
            "images_labeled",
            "images_detected",
        ),
        read=by_variant(
            {
                "": _cuhk03(("labeled", "labelled", "cuhk-label")),
                "detected": _cuhk03(("detected", "cuhk-detect")),
            }
        ),
        # Zhong et al., CVPR 2017, and CUHK03-NP/README.md of their repository (person-re-ranking).
        counts={
            "": {"train": Count(767, 7368, 2), "query": Count(700, 1400, 2), "gallery": Count(700, 5328, 2)},
            "detected": {
                "train": Count(767, 7365, 2),
                "query": Count(700, 1400, 2),
                "gallery": Count(700, 5332, 2),
            },
        },
        variants=("", "detected"),
        alike={"labelled": "", "labeled": ""},
        shown=("", "detected"),
    ),
    Spec(
        name="ltcc",
        title="LTCC",
        setting="clothes-changing",
        folders=("LTCC_ReID", "LTCC"),
        marks=("train", "test"),
        read=by_path(
            {"train": ("train", LTCC_NAME), "query": ("query", LTCC_NAME), "gallery": ("test", LTCC_NAME)}
        ),
        # Qian et al., ACCV 2020, section 3: 77 people in 9,576 pictures, 75 in 493 queries and 7,050 to search;
        # 12 cameras in all.
        counts={"": {"train": Count(77, 9576), "query": Count(75, 493), "gallery": Count(75, 7050)}},
    ),
    Spec(
        name="prcc",
        title="PRCC",
        setting="clothes-changing",
        folders=("prcc", "PRCC_ReID"),
        marks=("rgb",),
        read=by_path(
            {
                "train": ("rgb/train", PRCC_TRAIN),
                "val": ("rgb/val", PRCC_TRAIN),
                "gallery": ("rgb/test/A", PRCC_TEST["A"]),
                "query-same": ("rgb/test/B", PRCC_TEST["B"]),
                "query-changed": ("rgb/test/C", PRCC_TEST["C"]),
            }
        ),
        # Yang et al., TPAMI 2019: 221 people, 33,698 pictures, 150 people to train; per split by the folders.
        counts={
            "": {
                "train": Count(150, 17896, 3),
                "val": Count(150, 5002, 3),
                "gallery": Count(71, 3384, 1),
                "query-same": Count(71, 3543, 1),
                "query-changed": Count(71, 3873, 1),
            },
            TRAINVAL: {
                "train": Count(150, 22898, 3),
                "gallery": Count(71, 3384, 1),
                "query-same": Count(71, 3543, 1),
                "query-changed": Count(71, 3873, 1),
            },
        },
        variants=("", TRAINVAL),
        shared_val=True,
    ),
    Spec(
        name="sysu-mm01",
        title="SYSU-MM01",
        setting="visible-infrared",
        folders=("SYSU-MM01", "sysu", "sysumm01"),
        marks=("exp", "cam1"),
        read=by_identity_lists(
            {"train": "exp/train_id.txt", "val": "exp/val_id.txt", "test": "exp/test_id.txt"},
            SYSU_CAMERAS,
        ),
        # Wu et al., ICCV 2017, and the set's README.md: 296, 99 and 96 people. The 395 together have 22,258
        # visible and 11,909 infrared pictures; of the test people 3,803 are infrared.
        counts={
            "": {"train": Count(296), "val": Count(99), "test": Count(96, None, 6)},
            TRAINVAL: {"train": Count(395, 34167, 6), "test": Count(96, None, 6)},
        },
        variants=("", TRAINVAL),
    ),
    Spec(
        name="regdb",
        title="RegDB",
        setting="visible-infrared",
        folders=("RegDB", "regdb_01"),
        marks=("idx", "Visible"),
        read=by_list(
            {
                "train": [
                    PictureList("idx/train_visible_{variant}.txt", camera="visible"),
                    PictureList("idx/train_thermal_{variant}.txt", camera="thermal", infrared=True),
                ],
                "test-visible": [
                    PictureList("idx/test_visible_{variant}.txt", people="test-", camera="visible")
                ],
                "test-thermal": [
                    PictureList(
                        "idx/test_thermal_{variant}.txt", people="test-", camera="thermal", infrared=True
                    )
                ],
            }
        ),
        # Nguyen et al., Sensors 2017: 412 people, ten pictures by each camera; halves after Ye et al., AAAI 2018.
        counts={
            str(trial): {
                "train": Count(206, 4120, 2),
                "test-visible": Count(206, 2060, 1),
                "test-thermal": Count(206, 2060, 1),
            }
            for trial in range(1, 11)
        },
        variants=tuple(str(trial) for trial in range(1, 11)),
        alike={"": "1"},
        shown=("1",),
    ),
    Spec(
        name="cuhk-pedes",
        title="CUHK-PEDES",
        setting="text-to-image",
        folders=("CUHK-PEDES",),
        marks=("reid_raw.json", "caption_all.json", "imgs"),
        read=by_captions(("reid_raw.json", "caption_all.json"), {"train": "", "val": "", "test": ""}),
        # Li et al., CVPR 2017: 13,003 people, 40,206 pictures, 80,440 captions; per split by the annotation.
        counts={
            "": {
                "train": Count(11003, 34054, None, 68126),
                "val": Count(1000, 3078, None, 6158),
                "test": Count(1000, 3074, None, 6156),
            },
            TRAINVAL: {"train": Count(12003, 37132, None, 74284), "test": Count(1000, 3074, None, 6156)},
        },
        variants=("", TRAINVAL),
    ),
    Spec(
        name="icfg-pedes",
        title="ICFG-PEDES",
        setting="text-to-image",
        folders=("ICFG-PEDES",),
        marks=("ICFG-PEDES.json", "ICFG_PEDES.json", "imgs"),
        read=by_captions(
            ("ICFG-PEDES.json", "ICFG_PEDES.json"), {"train": "", "test": "test-"}, camera=MSMT17_NAME
        ),
        # Ding et al., 2021 (arXiv 2107.12666): 3,102 people in 34,674 pictures, 1,000 in 19,848, one caption each.
        counts={"": {"train": Count(3102, 34674, 15, 34674), "test": Count(1000, 19848, 15, 19848)}},
    ),
    Spec(
        name="rstpreid",
        title="RSTPReid",
        setting="text-to-image",
        folders=("RSTPReid",),
        marks=("data_captions.json", "imgs"),
        read=by_captions(
            ("data_captions.json",),
            {"train": "", "val": "val-", "test": "test-"},
            camera=r"\d+_c(?P<camera>\d+)_.*",  # 0000_c14_0031.jpg
        ),
        # Zhu et al., ACM MM 2021: 4,101 people, five pictures each by different cameras, two captions a picture.
        counts={
            "": {
                "train": Count(3701, 18505, 15, 37010),
                "val": Count(200, 1000, None, 2000),
                "test": Count(200, 1000, None, 2000),
            },
            TRAINVAL: {"train": Count(3901, 19505, 15, 39010), "test": Count(200, 1000, None, 2000)},
        },
        variants=("", TRAINVAL),
    ),
)

SPECS: dict[str, Spec] = {spec.name: spec for spec in _SPECS}
