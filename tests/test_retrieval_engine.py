"""The engine on a real gallery, a toy CLIP and a toy Qwen2-VL, checked against a plain reckoning."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import time

import numpy as np
import pytest

from app.model.image_rules import DEMO
from app.model.manifest import Calibration, CheckpointManifest, Kin, encoder_key
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import KINDS, Attribute, describe
from app.retrieval.comparison import compare_readings
from app.retrieval.engine import Engine, RetrievalError
from app.retrieval.evidence import SHARPNESS, AttributeEvidence, sensible
from app.retrieval.kin import kinship, log_apart, own_together, together, together_read
from app.retrieval.shares import comparable, reading, split
from app.retrieval.similarity import SHARE, picture_similarity, text_similarity
from app.retrieval.values import Query, Reference
from gallery_store.crops import Filters
from gallery_store.decoding import open_picture
from gallery_store.encoder import ClipEncoder
from gallery_store.errors import EncoderMismatch
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture, tiny_folder

COUNT = 24
RED_JACKET = (Attribute("gender", "woman"), Attribute("upper", "jacket"), Attribute("upper_colour", "red"))
CALIBRATION = Calibration(
    word=0.5, similarity=4, bias=-1, clip_similarity=5, clip_bias=-2, tau=-1, threshold=0.3, text_weight=0.25
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return ClipEncoder.load(make_clip_folder(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="module")
def full(tmp_path_factory, encoder):
    """A gallery of COUNT crops on 4 cameras, one an hour, some without time or camera; treat as read-only."""
    folder = tmp_path_factory.mktemp("pictures")
    rows = ["path,camera,time"]
    for number in range(COUNT):
        noise_picture(number, 112, 56).save(folder / f"{number:02}.png")
        camera = f"c{number % 4 + 1}" if number % 8 else ""
        moment = f"2026-05-01T{23 - number:02}:30:00" if number % 5 else ""
        rows.append(f"{number:02}.png,{camera},{moment}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    with GalleryStore.open(tmp_path_factory.mktemp("gallery") / "gallery.db") as store:
        assert import_crops(store, encoder, folder).added == COUNT
        yield store


@pytest.fixture
def own(tmp_path, full):
    """A copy of the gallery that a test may change."""
    source = full.media.parent
    shutil.copytree(source / "gallery.media", tmp_path / "gallery.media")
    with (
        closing(sqlite3.connect(full.location)) as database,
        closing(sqlite3.connect(tmp_path / "gallery.db")) as copy,
    ):
        database.backup(copy)
    with GalleryStore.open(tmp_path / "gallery.db") as store:
        yield store


@pytest.fixture(scope="module")
def plain():
    """The toy model without a manifest."""
    return ReidModel.load(tiny_folder())


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, encoder):
    """The toy model with a manifest that knows the toy encoder."""
    folder = tmp_path_factory.mktemp("tuned")
    for file in tiny_folder().iterdir():
        (folder / file.name).symlink_to(file)
    key = encoder_key(encoder.name, encoder.version)
    kinds = dict.fromkeys(("text", "image", "image-plus-text"), CALIBRATION)
    manifest = CheckpointManifest("tuned", "tiny", image_rule=DEMO, calibrations={key: kinds})
    manifest.write(folder)
    return ReidModel.load(folder)


def ids_of(ranking):
    return [candidate.image_id for candidate in ranking.candidates]


def plain_similarity(encoder, vector, wanted):
    """The description's cosine, and the log-share of each attribute among the values of its kind."""
    found = float(vector @ encoder.encode_texts([describe(wanted)])[0])
    for attribute in wanted:
        values = KINDS[attribute.kind]
        rows = encoder.encode_texts([describe((Attribute(attribute.kind, value),)) for value in values])
        weights = np.exp(SHARPNESS * (rows @ vector).astype(float))
        found += SHARE * float(np.log(max(weights[values.index(attribute.value)] / weights.sum(), 1e-4)))
    return float(np.clip(found, -1, 1))


def test_text_ranking_equals_a_plain_reckoning(full, encoder, tuned):
    ranking = Engine(full, encoder, tuned, k=10).search(Query(wanted=RED_JACKET))
    assert (ranking.total, ranking.searched, ranking.scored) == (COUNT, COUNT, 10)
    assert ranking.calibrated
    assert not ranking.stopped
    crops = full.crops(full.matching(Filters()).tolist())
    cosine = {crop.id: plain_similarity(encoder, full.vectors([crop.id])[0], RED_JACKET) for crop in crops}
    by_clip = sorted(cosine, key=lambda image_id: (-cosine[image_id], image_id))
    files = {crop.id: crop.file for crop in crops}
    odds = {}
    for image_id in by_clip[:10]:
        picture = Picture(("mine", image_id), lambda image_id=image_id: open_picture(files[image_id]))
        word = float(tuned.words("a woman in a red jacket", [], [picture])[0])
        odds[image_id] = 0.5 * word + 4 * cosine[image_id] - 1
    head = sorted(odds, key=lambda image_id: -odds[image_id])
    assert ids_of(ranking) == head + by_clip[10:]
    for candidate, image_id in zip(ranking.candidates, head, strict=False):
        assert candidate.probability == pytest.approx(1 / (1 + np.exp(-odds[image_id])), abs=1e-4)
        assert candidate.similarity == pytest.approx(cosine[image_id], abs=1e-3)
    chances = [candidate.probability for candidate in ranking.candidates]
    assert chances == sorted(chances, reverse=True)
    assert ranking.timings.total >= ranking.timings.rerank > 0


def test_a_search_is_the_same_each_time(full, encoder, tuned):
    query = Query(wanted=RED_JACKET, text="limping")
    first, second = (Engine(full, encoder, tuned).search(query) for _ in range(2))
    assert ids_of(first) == ids_of(second)
    assert first.scored == COUNT  # a gallery smaller than k
    assert len(first.candidates) == COUNT
    assert Engine(full, encoder, tuned).search(query, limit=5).candidates == first.candidates[:5]


def test_image_and_image_plus_text(full, encoder, tuned):
    engine = Engine(full, encoder, tuned)
    reference = Reference(image_id=3)
    image = engine.search(Query(references=(reference,)))
    assert 3 not in ids_of(image)
    assert image.searched == COUNT - 1
    mixed = engine.search(Query(references=(reference,), wanted=RED_JACKET))
    query_vector = full.vectors([3])[0]
    for candidate in mixed.candidates:
        vector = full.vectors([candidate.image_id])[0]
        text = plain_similarity(encoder, vector, RED_JACKET)
        expected = 0.25 * text + 0.75 * vector @ query_vector
        assert candidate.similarity == pytest.approx(float(expected), abs=1e-4)
    said = {c.image_id: c.word for c in image.candidates}
    assert any(abs(said[c.image_id] - c.word) > 1e-3 for c in mixed.candidates)


def test_what_the_model_reads_off_pictures_is_part_of_its_word(full, encoder, tuned):
    reads = replace(CALIBRATION, reading=0.2)
    kinds = dict.fromkeys(("text", "image", "image-plus-text"), reads)
    key = encoder_key(encoder.name, encoder.version)
    with_reading = ReidModel(tuned._checkpoint, replace(tuned.manifest, calibrations={key: kinds}))
    for query in (
        Query(wanted=RED_JACKET, unwanted=(Attribute("hat", "cap"),)),
        Query(references=(Reference(image_id=3), Reference(image_id=5))),
        Query(references=(Reference(image_id=3),), other_clothes=True),
        Query(wanted=RED_JACKET, references=(Reference(image_id=3),)),
    ):
        plain = Engine(full, encoder, tuned, k=8).find(query)
        found = Engine(full, encoder, with_reading, k=8).find(query)
        assert found.found.ids.tolist() == plain.found.ids.tolist()
        crops = {crop.id: crop for crop in full.crops([*found.found.ids.tolist(), 3, 5])}

        def shares(ids, crops=crops):
            return tuned.shares([Picture(i, lambda i=i: open_picture(crops[i].file)) for i in ids])

        own = shares([r.image_id for r in query.references]) if query.references else None
        rows = shares(found.found.ids[:8].tolist())
        everybody = full.vectors(np.sort(found.found.ids))
        usual = AttributeEvidence(encoder).usual(lambda texts, v=everybody: texts @ v.T)
        own = split(own) if own is not None else None
        told = reading(split(rows), own, query.wanted, query.unwanted, query.other_clothes, usual)
        np.testing.assert_allclose(found.words, plain.words + 0.2 * told, atol=1e-4)
        assert np.ptp(told) > 1e-3


def test_what_both_read_decides_among_the_candidates(full, encoder, tuned):
    """The similarity of the candidates that the model read is that of both readers; the prefilter's is CLIP's."""
    key = encoder_key(encoder.name, encoder.version)
    kinds = dict.fromkeys(("text", "image"), replace(CALIBRATION, attributes=0.5))
    readers = dict.fromkeys(KINDS, (5.0, 0.8))
    manifest = replace(tuned.manifest, calibrations={key: kinds})
    alone = ReidModel(tuned._checkpoint, manifest)
    together = ReidModel(tuned._checkpoint, replace(manifest, readers={key: readers}))
    for query in (
        Query(wanted=RED_JACKET, unwanted=(Attribute("hat", "cap"),)),
        Query(references=(Reference(image_id=3), Reference(image_id=5))),
    ):
        plain = Engine(full, encoder, alone, k=8).find(query)
        engine = Engine(full, encoder, together, k=8)
        found = engine.find(query)
        np.testing.assert_array_equal(found.found.similarities, plain.found.similarities)
        np.testing.assert_allclose(found.words, plain.words, atol=1e-5)
        np.testing.assert_array_equal(plain.near, plain.found.similarities[:8])
        ids = found.found.ids[:8].tolist()
        crops = {crop.id: crop for crop in full.crops([*ids, 3, 5])}

        def shares(wanted, crops=crops):
            return tuned.shares([Picture(i, lambda i=i: open_picture(crops[i].file)) for i in wanted])

        own = [r.image_id for r in query.references]
        looks = engine.evidence.looks(full.vectors(ids), shares(ids), readers)
        if own:
            everybody = full.vectors(found.found.ids)
            usual = engine.evidence.usual(lambda rows, v=everybody: rows @ v.T)
            theirs = engine.evidence.looks(full.vectors(own), shares(own), readers)
            near = picture_similarity(theirs, looks.seen, 0.5, usual)
        else:
            told = encoder.encode_texts([found.description])[0]
            near = text_similarity(looks.seen, told, query.wanted, query.unwanted)
        np.testing.assert_allclose(found.near, near, atol=1e-4)
        assert np.abs(found.near - found.found.similarities[:8]).max() > 1e-3
        odds = 0.5 * found.words + 4 * found.near - 1
        ranked = engine.search(query).candidates[:8]
        assert [c.image_id for c in ranked] == [ids[i] for i in np.argsort(-odds, kind="stable")]
        assert ranked[0].probability == pytest.approx(1 / (1 + np.exp(-odds.max())), abs=1e-4)
        assert ranked[0].similarity in found.found.similarities


@pytest.mark.parametrize(
    "query",
    [
        Query(wanted=RED_JACKET),
        Query(references=(Reference(image_id=3),)),
        Query(references=(Reference(image_id=3),), other_clothes=True),
        Query(references=(Reference(image_id=3), Reference(image_id=5)), wanted=RED_JACKET),
    ],
    ids=lambda query: query.kind,
)
def test_candidates_are_judged_together_with_their_kin(full, encoder, tuned, query):
    """The query's own pictures too, where other clothes than theirs are sought."""
    key = encoder_key(encoder.name, encoder.version)
    fitted = replace(CALIBRATION, attributes=0.5, reading=0.2)
    kin = {"both": Kin(cosine=1, alike=2, bias=-1), "model": Kin(cosine=0, alike=3, bias=-2)}
    readers = dict.fromkeys(KINDS, (5.0, 0.8))
    kinds = dict.fromkeys(("text", "image", "image-plus-text"), fitted)
    manifest = replace(tuned.manifest, calibrations={key: kinds}, readers={key: readers})
    alone = Engine(full, encoder, ReidModel(tuned._checkpoint, manifest), k=8)
    engine = Engine(full, encoder, ReidModel(tuned._checkpoint, replace(manifest, kin={key: kin})), k=8)
    plain, found = alone.find(query), engine.find(query)
    np.testing.assert_array_equal(found.found.ids, plain.found.ids)

    ids, own = found.found.ids[:8].tolist(), [r.image_id for r in query.references]
    crops = {crop.id: crop for crop in full.crops([*ids, *own])}
    shares = {i: tuned.shares([Picture(i, lambda i=i: open_picture(crops[i].file))]) for i in crops}
    rows = np.concatenate([shares[i] for i in ids])
    everybody = full.vectors(found.found.ids)
    usual = engine.evidence.usual(lambda texts: texts @ everybody.T)
    looks = engine.evidence.looks(full.vectors(ids), rows, readers)
    parts, theirs, told = [], None, None
    if own:
        told = np.concatenate([shares[i] for i in own])
        theirs = engine.evidence.looks(full.vectors(own), told, readers)
    if theirs is not None and (query.wanted or query.other_clothes):
        theirs = own_together(theirs, looks, kin["both"], usual)
    related = kinship(looks, kin["both"], usual)
    looks = together(looks, related)
    if query.wanted:
        described = encoder.encode_texts([found.description])[0]
        parts.append(text_similarity(looks.seen, described, query.wanted, ()))
    if theirs is not None:
        compared = comparable(query.wanted, query.other_clothes)
        parts.append(picture_similarity(theirs, looks.seen, 0.5, usual, kinds=compared))
    near = parts[0] if len(parts) == 1 else 0.25 * parts[0] + 0.75 * parts[1]
    np.testing.assert_allclose(found.near, near, atol=1e-4)
    assert np.abs(found.near - plain.near).max() > 1e-3
    np.testing.assert_allclose(found.kinship, related, atol=1e-5)
    assert plain.kinship is None

    asked = (query.wanted, (), query.other_clothes, usual)
    told = split(told) if told is not None else None
    pooled = split(together_read(rows, kin["model"], usual))
    change = reading(pooled, told, *asked) - reading(split(rows), told, *asked)
    np.testing.assert_allclose(found.words - plain.words, 0.2 * change, atol=1e-4)


def test_who_was_rejected_puts_back_who_looks_the_same(full, encoder, tuned):
    key = encoder_key(encoder.name, encoder.version)
    kin = {"both": Kin(cosine=1, alike=2, bias=1)}
    readers = dict.fromkeys(KINDS, (5.0, 0.8))
    manifest = replace(tuned.manifest, readers={key: readers}, kin={key: kin})
    engine = Engine(full, encoder, ReidModel(tuned._checkpoint, manifest), k=8)
    plain = engine.find(Query(wanted=RED_JACKET))
    assert plain.apart is None
    rejected = [plain.found.ids[0], plain.found.ids[3]]
    query = Query(wanted=RED_JACKET, rejected=frozenset([*map(int, rejected), 9999]))  # one was deleted
    found = engine.find(query)
    ids = found.found.ids[:8].tolist()
    assert not set(ids) & set(query.rejected)
    crops = {crop.id: crop for crop in full.crops([*ids, *map(int, rejected)])}

    def looks(wanted):
        read = tuned.shares([Picture(int(i), lambda i=i: open_picture(crops[int(i)].file)) for i in wanted])
        return engine.evidence.looks(full.vectors(wanted), read, readers)

    everybody = full.vectors(np.sort(found.found.ids))
    usual = engine.evidence.usual(lambda texts: texts @ everybody.T)
    expected = log_apart(looks(rejected), looks(ids), kin["both"], usual)
    np.testing.assert_allclose(found.apart, expected, atol=1e-4)
    assert (found.apart < -0.1).all()
    odds = 0.5 * found.words + 4 * found.near - 1 + found.apart
    ranking = engine.search(query)
    assert [c.image_id for c in ranking.candidates[:8]] == [ids[i] for i in np.argsort(-odds, kind="stable")]
    assert ranking.put_back and not engine.search(Query(wanted=RED_JACKET)).put_back


def test_several_references_average_words_and_vectors(full, encoder, tuned):
    engine = Engine(full, encoder, tuned)
    references = tuple(Reference(image_id=number) for number in (1, 2, 3, 4))
    ranking = engine.search(Query(references=references, confirmed=frozenset({2})))
    mean = full.vectors([1, 2, 3, 4]).mean(0)
    mean /= np.linalg.norm(mean)
    crops = {crop.id: crop for crop in full.crops(list(range(1, COUNT + 1)))}

    def picture(image_id):
        return Picture(crops[image_id].sha256, lambda: open_picture(crops[image_id].file))

    for candidate in ranking.candidates[:4]:
        assert candidate.similarity == pytest.approx(
            float(full.vectors([candidate.image_id])[0] @ mean), abs=1e-4
        )
        words = [float(tuned.words("", [picture(r)], [picture(candidate.image_id)])[0]) for r in (2, 3, 4)]
        assert candidate.word == pytest.approx(1 / (1 + np.exp(-np.mean(words))), abs=1e-4)
    assert not {1, 2, 3, 4} & set(ids_of(ranking))


def test_an_uploaded_copy_of_a_crop_is_not_its_own_answer(full, encoder, tuned, tmp_path):
    crop = full.crops([7])[0]
    upload = tmp_path / "upload.png"
    shutil.copy(crop.file, upload)
    engine = Engine(full, encoder, tuned)
    ranking = engine.search(Query(references=(Reference(file=upload),)))
    assert 7 not in ids_of(ranking)
    assert len(ranking.candidates) == COUNT - 1
    noise_picture(999).save(upload)
    assert len(engine.search(Query(references=(Reference(file=upload),))).candidates) == COUNT
    assert hashlib.sha256(crop.file.read_bytes()).hexdigest() == crop.sha256


def test_filters_rejected_and_confirmed(full, encoder, tuned):
    engine = Engine(full, encoder, tuned)
    filters = Filters(cameras=("3",), after=time(8))
    ranking = engine.search(Query(wanted=RED_JACKET, filters=filters))
    assert sorted(ids_of(ranking)) == full.matching(filters).tolist()
    assert 0 < ranking.searched < COUNT
    assert ranking.total == COUNT
    gone = ids_of(ranking)[0]
    assert gone not in ids_of(engine.search(Query(wanted=RED_JACKET, rejected=frozenset({gone}))))
    assert gone not in ids_of(engine.search(Query(wanted=RED_JACKET, confirmed=frozenset({gone}))))
    none = engine.search(Query(wanted=RED_JACKET, filters=Filters(cameras=("nowhere",))))
    assert none.candidates == ()
    assert none.nobody_fits


def test_filters_alone_list_by_time(full, encoder, tuned):
    ranking = Engine(full, encoder, tuned).search(Query(filters=Filters(cameras=("2",))))
    assert ranking.scored == 0
    assert not ranking.nobody_fits
    times = [crop.time for crop in full.crops(ids_of(ranking))]
    known = [moment for moment in times if moment]
    assert known == sorted(known)
    assert times[: len(known)] == known  # those without a time come last
    assert len(ranking.candidates) == len(full.matching(Filters(cameras=("2",))))


def test_without_a_manifest_the_word_alone_orders(full, encoder, plain):
    ranking = Engine(full, encoder, plain).search(Query(wanted=RED_JACKET))
    assert not ranking.calibrated
    said = [candidate.word for candidate in ranking.candidates]
    assert said == sorted(said, reverse=True)
    assert said == [candidate.probability for candidate in ranking.candidates]


def test_without_a_model_clip_alone_orders(full, encoder):
    ranking = Engine(full, encoder, None).search(Query(wanted=RED_JACKET))
    similar = [candidate.similarity for candidate in ranking.candidates]
    assert similar == sorted(similar, reverse=True)
    assert (ranking.scored, ranking.calibrated, ranking.nobody_fits) == (0, False, False)
    assert Engine(full, encoder, None).read([Reference(image_id=1)]) == [()]


def test_tau_and_nobody(full, encoder, tuned):
    ranking = Engine(full, encoder, tuned, tau=0.999).search(Query(wanted=RED_JACKET))
    assert ranking.scored == 12
    assert ranking.nobody_fits
    assert all(candidate.weak for candidate in ranking.candidates)
    with pytest.raises(ValueError, match="k is at least 1"):
        Engine(full, encoder, tuned, k=0)


def test_a_stopped_search_returns_clips_order(full, encoder, tuned):
    seen = []
    ranking = Engine(full, encoder, tuned).search(
        Query(wanted=RED_JACKET), stop=lambda: True, progress=lambda *step: seen.append(step)
    )
    assert ranking.stopped
    assert ranking.scored == 0
    similar = [candidate.similarity for candidate in ranking.candidates]
    assert similar == sorted(similar, reverse=True)
    assert [step for step, _, _ in seen] == ["encode", "prefilter"]
    Engine(full, encoder, tuned).search(Query(wanted=RED_JACKET), progress=lambda *step: seen.append(step))
    assert seen[-1] == ("rerank", COUNT, COUNT)


def test_a_vanished_picture_keeps_its_place_by_clip(own, encoder):
    model = ReidModel.load(tiny_folder())  # its own cache: nothing is remembered
    own.crops([5])[0].file.unlink()
    engine = Engine(own, encoder, model)
    ranking = engine.search(Query(wanted=RED_JACKET))
    lost = next(candidate for candidate in ranking.candidates if candidate.image_id == 5)
    assert lost.word is None
    assert ranking.scored == COUNT - 1
    assert len(ranking.candidates) == COUNT
    by_vector = engine.search(Query(references=(Reference(image_id=5),)))
    assert by_vector.scored == 0  # the model cannot look at it, its vector still searches
    assert len(by_vector.candidates) == COUNT - 1
    with pytest.raises(RetrievalError, match="verify"):
        engine.compare(Reference(image_id=5), Reference(image_id=6))


def test_references_that_are_gone_or_no_pictures(own, encoder, tuned, tmp_path):
    engine = Engine(own, encoder, tuned)
    own.delete([9])
    with pytest.raises(RetrievalError, match="crop 9"):
        engine.search(Query(references=(Reference(image_id=9),)))
    note = tmp_path / "note.jpg"
    note.write_text("not a picture")
    with pytest.raises(RetrievalError, match=r"note\.jpg"):
        engine.search(Query(references=(Reference(file=note),)))
    with pytest.raises(RetrievalError, match=r"gone\.jpg"):
        engine.search(Query(references=(Reference(file=tmp_path / "gone.jpg"),)))
    assert len(engine.search(Query(wanted=RED_JACKET)).candidates) == COUNT - 1


def test_new_crops_are_seen_on_the_next_search(own, encoder, tuned, tmp_path):
    engine = Engine(own, encoder, tuned)
    engine.search(Query(wanted=RED_JACKET))
    folder = tmp_path / "more"
    folder.mkdir()
    noise_picture(500).save(folder / "new.png")
    with GalleryStore.open(own.location) as other:
        import_crops(other, encoder, folder)
    assert engine.search(Query(wanted=RED_JACKET)).searched == COUNT + 1


def test_an_empty_gallery_and_another_encoder(tmp_path, full, encoder, tuned):
    with GalleryStore.open(tmp_path / "empty.db") as store:
        ranking = Engine(store, encoder, tuned).search(Query(wanted=RED_JACKET))
        assert ranking.candidates == ()
        assert (ranking.total, ranking.searched, ranking.nobody_fits) == (0, 0, True)
        noise_picture(1).save(tmp_path / "mine.png")
        upload = Reference(file=tmp_path / "mine.png")
        assert Engine(store, encoder, tuned).search(Query(references=(upload,))).candidates == ()
    other = ClipEncoder.load(make_clip_folder(tmp_path / "other", seed=5))
    with pytest.raises(EncoderMismatch, match="reindex"):
        Engine(full, other, tuned).search(Query(wanted=RED_JACKET))


def test_reading_comparing_and_warming_up(full, encoder, tuned):
    engine = Engine(full, encoder, tuned)
    engine.warm_up()
    one, other = engine.read([Reference(image_id=1), Reference(image_id=2)])
    assert engine.compare(Reference(image_id=1), Reference(image_id=2)) == compare_readings(one, other)
    same = engine.compare(Reference(image_id=1), Reference(image_id=1))
    assert same.only_first == same.only_second == ()
    key = encoder_key(encoder.name, encoder.version)
    readers = dict.fromkeys(KINDS, (5.0, 0.8))
    reads = ReidModel(tuned._checkpoint, replace(tuned.manifest, readers={key: readers}))
    (read,) = Engine(full, encoder, reads).read([Reference(image_id=1)])
    (crop,) = full.crops([1])
    (row,) = reads.shares([Picture(1, lambda: open_picture(crop.file))])
    expected = sensible(AttributeEvidence(encoder).read(full.vectors([1])[0], row, readers))
    assert [r.attribute for r in read] == [r.attribute for r in expected]
    assert [r.confidence for r in read] == pytest.approx([r.confidence for r in expected], abs=1e-4)
    Engine(full, encoder, reads).warm_up()
    gone = Reference(file=full.media / "gone.png")
    with pytest.raises(RetrievalError, match=r"gone\.png"):
        Engine(full, encoder, reads).read([gone])
