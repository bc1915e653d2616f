"""The drawn world as a data set."""

import numpy as np

from training.datasets.load import load


def people(dataset, split):
    return {record.person for record in dataset.splits[split]}


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
