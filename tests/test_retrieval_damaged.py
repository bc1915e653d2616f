"""A search over damaged vectors and lost pictures: the rest is searched as ever, and the loss is said."""

from __future__ import annotations

import pytest

from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference, RetrievalError
from app.service import ChatService
from gallery_store.crops import Filters
from gallery_store.reindex import reindex
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.test_retrieval_engine import (  # fixtures
    COUNT,
    RED_JACKET,
    encoder,
    full,
    ids_of,
    own,
    tuned,
    with_manifest,
)

__all__ = ["encoder", "full", "own", "tuned"]

NAN, ZERO, LONG = b"\xff\xff", b"\x00\x00", b"\x00\x44"


def damage(store: GalleryStore, crop_id: int, number: bytes, whole: bool = False) -> None:
    """Overwrite a stored vector: its first number, or all of them."""
    with store.database.writing() as connection:
        query = "SELECT data FROM vectors WHERE crop_id = ?"
        (data,) = connection.exec_driver_sql(query, (crop_id,)).one()
        new = number * (len(data) // 2) if whole else number + data[2:]
        connection.exec_driver_sql("UPDATE vectors SET data = ? WHERE crop_id = ?", (new, crop_id))


def test_one_nan_in_a_vector_costs_one_crop(own, encoder, tuned, capsys):
    before = Engine(own, encoder, tuned).search(Query(wanted=RED_JACKET))
    assert before.scored == COUNT and before.set_aside == 0 and not before.unreadable
    damage(own, 5, NAN)
    with GalleryStore.open(own.location) as store:
        engine = Engine(store, encoder, tuned)
        for _ in range(2):
            ranking = engine.search(Query(wanted=RED_JACKET))
            assert (ranking.scored, ranking.searched, ranking.set_aside) == (COUNT - 1, COUNT - 1, 1)
        assert ids_of(ranking) == [crop_id for crop_id in ids_of(before) if crop_id != 5]
        assert all(candidate.probability is not None for candidate in ranking.candidates)
        said = capsys.readouterr().err
        assert said.count("Set aside") == 1 and "crops 5 (04.png)" in said and "reindex" in said
        with pytest.raises(RetrievalError, match="crop 5 cannot be searched with, for its vector is damaged"):
            engine.search(Query(references=(Reference(image_id=5),)))
        answer = ChatService(engine).get("ann", "tab").say("a woman in a red jacket")
        assert store.searches(1)[0].query["set_aside"] == 1
        assert answer.status["set_aside"] == 1 and "**1 crop could not be compared**" in answer.reply
        assert reindex(store, encoder).encoded == 1
        assert engine.search(Query(wanted=RED_JACKET)).set_aside == 0 and verify(store).ok


def test_the_last_crop_and_all_crops_may_be_damaged(own, encoder, tuned):
    damage(own, COUNT, ZERO, whole=True)
    damage(own, 1, LONG, whole=True)
    with GalleryStore.open(own.location) as store:
        assert store.set_aside() == (1, COUNT) and len(store.matching(Filters())) == COUNT - 2
        store.delete([1])
        assert store.set_aside() == (COUNT,)
        for crop_id in range(2, COUNT):
            damage(store, crop_id, NAN, whole=True)
    with GalleryStore.open(own.location) as store:
        ranking = Engine(store, encoder, tuned).search(Query(wanted=RED_JACKET))
        assert not ranking.candidates and ranking.set_aside == COUNT - 1


def test_a_reindex_by_an_encoder_without_numbers_keeps_the_old_one(own, encoder):
    class Broken:
        name, version, fit = "broken", "1", staticmethod(encoder.fit)

        def encode_images(self, images, batch_size=64):
            return encoder.encode_images(images) * float("nan")

    with pytest.raises(Exception, match="broken makes no usable vector of crop 1"):
        reindex(own, Broken())
    assert own.encoder() == (encoder.name, encoder.version) and verify(own).ok


def test_lost_pictures_are_counted_and_have_no_percentage(own, encoder, tuned):
    fresh = with_manifest(tuned)  # nothing is remembered
    whole = Engine(own, encoder, with_manifest(tuned)).search(Query(wanted=RED_JACKET))
    lost = ids_of(whole)[:3]
    for crop in own.crops(lost[:2]):
        crop.file.unlink()
    own.crops(lost[2:])[0].file.write_bytes(b"torn")
    engine = Engine(own, encoder, fresh)
    ranking = engine.search(Query(wanted=RED_JACKET))
    assert ranking.unreadable == frozenset(lost) and ranking.scored == COUNT - 3
    for candidate in ranking.candidates:
        assert (candidate.probability is None) == (candidate.image_id in lost)
    chances = [c.probability for c in ranking.candidates if c.probability is not None]
    assert chances == sorted(chances, reverse=True)
    answer = ChatService(engine).get("ann", "tab").say("a woman in a red jacket")
    assert own.searches(1)[0].query["unreadable"] == sorted(lost)
    assert answer.status["unreadable"] == 3 and "**3 pictures could not be read**" in answer.reply
    assert "have no percentage" in answer.reply


def test_a_gallery_whose_pictures_are_gone_gives_no_percentages(own, encoder, tuned):
    own.media.rename(own.media.with_name("unmounted"))
    engine = Engine(own, encoder, with_manifest(tuned))
    answer = ChatService(engine).get("ann", "tab").say("a woman in a red jacket")
    assert answer.status["unreadable"] == COUNT and answer.status["scored"] == 0
    assert len(answer.cards) == 12 and all(card.probability is None for card in answer.cards)
    assert f"**{COUNT} pictures could not be read**" in answer.reply
    assert own.count_pictures(1000).missing == COUNT == own.count_pictures(1000).checked
    assert 0 < own.count_pictures(5).checked < 12


def test_a_lost_picture_that_is_searched_with_is_said(own, encoder, tuned):
    own.crops([5])[0].file.unlink()
    ranking = Engine(own, encoder, with_manifest(tuned)).search(Query(references=(Reference(image_id=5),)))
    assert ranking.unreadable == {5} and ranking.scored == 0


def test_by_clip_alone_lost_pictures_are_said_too(own, encoder):
    own.crops([5])[0].file.unlink()
    ranking = Engine(own, encoder, None).search(Query(wanted=RED_JACKET))
    assert ranking.unreadable == {5} and len(ranking.candidates) == COUNT
