"""A re-ID encoder as the prefilter: drawn people whom it tells apart, and a CLIP that tells nobody apart."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.checkpoint import AffinityWeights, Calibration, CheckpointManifest, encoder_key
from app.model.pictures import DEMO
from app.model.reid_model import ReidModel
from app.model.vocabulary import KINDS, Attribute
from app.retrieval.engine import Engine
from app.retrieval.fusion import TEXT_WEIGHT, text_similarity
from app.retrieval.query import Query, Reference
from app.retrieval.rankers import ChosenRanker
from app.retrieval.reid import prefilter_encoder, together
from app.settings import CLIP, FUSED
from gallery_store.crops import Filters
from gallery_store.decoding import open_picture
from gallery_store.encoder import ClipEncoder
from gallery_store.errors import EncoderMismatch
from gallery_store.importer import import_crops
from gallery_store.reid_encoder import ReidEncoder
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import all_crops
from tests.reid_files import tiny_timm, write_torchscript, write_tower
from tests.tiny_qwen import tiny_folder
from training.evaluation.synthetic_people import strangers

PEOPLE, K = 16, 6
RED_JACKET = (Attribute("upper", "jacket"), Attribute("upper_colour", "red"))


def calibration(tau: float, **more: float) -> Calibration:
    fitted = {"yes_logit": 0.5, "similarity": 4, "bias": -1, "clip_similarity": 5, "clip_bias": -2}
    return Calibration(**{**fitted, "tau": tau, "threshold": 0.3, **more})


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Random weights: it knows nobody."""
    return ClipEncoder.load(make_clip_folder(tmp_path_factory.mktemp("clip") / "bad"))


@pytest.fixture(scope="module")
def reid(tmp_path_factory):
    return ReidEncoder.load(write_tower(tmp_path_factory.mktemp("reid") / "tower.pt"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Folders of the queries, one of each person, and of the gallery, three of each; names begin with the person."""
    folder, world = tmp_path_factory.mktemp("pictures"), strangers(5, PEOPLE)
    for part in ("queries", "gallery"):
        (folder / part).mkdir()
        for number, crop in enumerate(getattr(world, part)):
            crop.picture().save(folder / part / f"{crop.person_id}_{number}.png")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory, clip, reid, pictures):
    with GalleryStore.open(tmp_path_factory.mktemp("gallery") / "g.db") as store:
        assert import_crops(store, clip, pictures / "gallery", reid=reid).added == 3 * PEOPLE
        yield store


@pytest.fixture(scope="module")
def queries(pictures):
    return sorted((pictures / "queries").iterdir())


def tuned(folder, *keys, **manifest):
    """The toy Qwen2-VL with a manifest; keys: (encoder, tau, more of the calibration) for every kind of query."""
    folder.mkdir()
    for file in tiny_folder().iterdir():
        (folder / file.name).symlink_to(file)
    calibrations = {
        encoder_key(encoder.name, encoder.version): dict.fromkeys(
            ("text", "image", "image-plus-text"), calibration(tau, **more)
        )
        for encoder, tau, more in keys
    }
    CheckpointManifest("toy", "tiny", image_rule=DEMO, calibrations=calibrations, **manifest).write(folder)
    return ReidModel.load(folder)


def person_of(path) -> str:
    return str(path).rsplit("/", 1)[-1].partition("_")[0]


def recall(engine, queries, k=K) -> float:
    """Share of a person's crops among the first k of the prefilter."""
    person = {crop.id: person_of(crop.path) for crop in all_crops(engine.store)}
    shares = []
    for file in queries:
        nearest = engine.trace(Query(references=(Reference(file=file),))).prefiltered.ids[:k]
        shares.append(sum(person[int(image_id)] == person_of(file) for image_id in nearest) / 3)
    return float(np.mean(shares))


def test_who_is_told_apart_comes_before_the_model(store, clip, reid, queries):
    with_reid, without = Engine(store, clip, None, reid=reid), Engine(store, clip, None)
    found, missed = recall(with_reid, queries), recall(without, queries)
    assert found > 0.9 and missed < 0.5, (found, missed)
    person = {crop.id: person_of(crop.path) for crop in all_crops(store)}
    first = 0
    for file in queries:
        query = Query(references=(Reference(file=file),))
        ranking = with_reid.search(query)
        vector = reid.encode_images([open_picture(file)])
        cosines = dict(
            zip(
                store.matching(query.filters).tolist(),
                store.similarities(vector, role="reid")[0],
                strict=True,
            )
        )
        ids = [candidate.image_id for candidate in ranking.candidates]
        assert ids == sorted(cosines, key=lambda image_id: (-cosines[image_id], image_id))
        assert [c.similarity for c in ranking.candidates] == pytest.approx(
            [cosines[i] for i in ids], abs=1e-5
        )
        first += person[ids[0]] == person_of(file)
    assert first > 0.8 * PEOPLE


def test_the_model_reads_whom_the_re_id_encoder_finds(store, clip, reid, queries):
    model = ReidModel.load(tiny_folder())
    engine = Engine(store, clip, model, reid=reid, k=K, tau=0.999)  # a cosine by CLIP: not for pictures here
    for file in queries[:4]:
        trace = engine.trace(Query(references=(Reference(file=file),)))
        read = store.crops(trace.prefiltered.ids[:K].tolist())
        assert trace.prefiltered.asked == K and trace.calibration is None
        likest = store.similarities(reid.encode_images([open_picture(file)]), role="reid")[0]
        assert {crop.id for crop in read} == set(store.matching(Filters())[np.argsort(-likest)[:K]].tolist())
        ranking = engine.search(Query(references=(Reference(file=file),)))
        assert {c.image_id for c in ranking.candidates[:K]} == {crop.id for crop in read}
        assert ranking.scored == K and not ranking.calibrated
        assert ranking.prefiltered_by == trace.prefiltered.encoder == encoder_key(reid.name, reid.version)


def test_a_crop_searches_as_its_file_does(store, clip, reid):
    engine = Engine(store, clip, None, reid=reid)
    crop = store.crops([7])[0]
    by_id = engine.trace(Query(references=(Reference(image_id=7),))).prefiltered
    by_file = engine.trace(Query(references=(Reference(file=crop.file),))).prefiltered
    assert 7 not in by_id.ids and by_id.ids.tolist() == by_file.ids.tolist()
    assert by_id.similarities == pytest.approx(by_file.similarities, abs=2e-3)
    other = Query(references=(Reference(image_id=7),), other_clothes=True)
    assert engine.trace(other).prefiltered.ids.tolist() == by_id.ids.tolist()


def test_several_pictures_are_compared_by_their_mean(store, clip, reid):
    two = Query(references=(Reference(image_id=7), Reference(image_id=20)))
    found = Engine(store, clip, None, reid=reid).trace(two).prefiltered
    mean = store.vectors([7, 20], "reid").mean(0)
    assert found.similarities == pytest.approx(
        store.vectors(found.ids, "reid") @ mean / np.linalg.norm(mean), abs=1e-5
    )


def test_words_alone_are_clips(store, clip, reid, tmp_path):
    model = tuned(tmp_path / "m", (clip, 0.1, {}), (reid, 0.9, {}))
    query = Query(wanted=RED_JACKET)
    with_reid, without = Engine(store, clip, model, reid=reid), Engine(store, clip, model)
    found, alone = with_reid.search(query).candidates, without.search(query).candidates
    assert [(one.image_id, one.similarity) for one in found] == [
        (one.image_id, one.similarity) for one in alone
    ]
    # Batches are sized by measured time, and round by their size.
    assert [one.p_yes for one in found] == pytest.approx([one.p_yes for one in alone], abs=1e-6)
    trace = with_reid.trace(query)
    assert trace.calibration.tau == 0.1
    assert trace.prefiltered.encoder == encoder_key(clip.name, clip.version)


def test_words_beside_a_picture_are_added_in_standard_deviations(store, clip, reid, tmp_path):
    query = Query(wanted=RED_JACKET, references=(Reference(image_id=7),))
    own = {"text_weight": 0.2, "stated_share": 0.1}
    for model, weight, share in (
        (None, TEXT_WEIGHT, 0.0),
        (tuned(tmp_path / "m", (clip, -1, {}), (reid, -1, own)), 0.2, 0.1),
    ):
        engine = Engine(store, clip, model, reid=reid)
        found = engine.find_candidates(query)
        ids = found.prefiltered.ids
        described = clip.encode_texts([found.query.description])[0]
        by_clip = engine.clip_attributes.appearance(store.vectors(ids))
        words = text_similarity(by_clip, described, RED_JACKET, (), share).astype(float)
        pictures = (store.vectors(ids, "reid") @ store.vectors([7], "reid")[0]).astype(float)
        summed = weight * (words - words.mean()) / words.std()
        summed += (1 - weight) * (pictures - pictures.mean()) / pictures.std()
        assert found.prefiltered.similarities == pytest.approx(np.tanh(summed / 4), abs=5e-4)
        assert (np.diff(summed) < 1e-4).all()
        names = [encoder_key(one.name, one.version) for one in (reid, clip)]
        assert found.prefiltered.encoder == " + ".join(names)


def test_the_calibration_of_a_picture_is_the_re_id_encoders(store, clip, reid, tmp_path):
    model = tuned(tmp_path / "m", (clip, -1, {}), (reid, 0.8, {}))
    engine = Engine(store, clip, model, reid=reid, k=64)
    for other_clothes in (False, True):
        query = Query(references=(Reference(image_id=7),), other_clothes=other_clothes)
        trace = engine.trace(query)
        above = int((trace.prefiltered.similarities > 0.8).sum())
        assert 0 < above < 12 and trace.prefiltered.asked == above and trace.calibration.tau == 0.8
        assert engine.search(query).calibrated
    only_reid = Engine(store, clip, tuned(tmp_path / "r", (reid, -1, {})), reid=reid, k=64)
    assert only_reid.ranker == ChosenRanker(FUSED)
    assert only_reid.search(query).calibrated and not only_reid.search(Query(wanted=RED_JACKET)).calibrated
    assert Engine(store, clip, only_reid.model, k=64).ranker.name == CLIP
    only_clip = tuned(tmp_path / "c", (clip, 0.9, {}))
    trace = Engine(store, clip, only_clip, reid=reid, k=64).trace(query)
    assert trace.calibration is None and trace.prefiltered.asked == len(trace.prefiltered.ids)  # no tau


def test_attributes_are_read_off_clips_vectors_only(store, clip, reid, tmp_path):
    """The two have vectors of different lengths, so that a mistake fails here."""
    assert clip.dim != reid.dim
    key = encoder_key(clip.name, clip.version)
    model = tuned(
        tmp_path / "m",
        (clip, -1, {}),
        (reid, -1, {"attribute_score": 0.5, "attribute_share": 0.5}),
        fusion_weights={key: dict.fromkeys(KINDS, (30.0, 1.0))},
        affinity={key: {"both": AffinityWeights(1, 1, -1), "model": AffinityWeights(0, 1, -1)}},
    )
    engine = Engine(store, clip, model, reid=reid, k=K)
    for query in (
        Query(references=(Reference(image_id=7),), rejected=frozenset({9})),
        Query(wanted=RED_JACKET, references=(Reference(image_id=7),)),
    ):
        trace = engine.trace(query)
        assert np.array_equal(trace.fused.similarity, trace.prefiltered.similarities[:K])
        score = engine.find_candidates(query).candidates.attribute_score
        assert np.isfinite(score).all() and score.any()
        assert trace.fused.affinity is not None and trace.fused.affinity.shape == (K, K)
        assert engine.search(query).calibrated
    assert (
        engine.read([Reference(image_id=7)])[0] == Engine(store, clip, model).read([Reference(image_id=7)])[0]
    )


def test_a_gallery_without_such_vectors_is_refused(store, clip, pictures, tmp_path):
    other = ReidEncoder.load(write_torchscript(tmp_path / "other.pt", tiny_timm()))
    query = Query(references=(Reference(image_id=7),))
    with pytest.raises(EncoderMismatch, match=r"re-ID vectors by tower .*not by other"):
        Engine(store, clip, None, reid=other).search(query)
    shutil.copytree(pictures / "gallery", tmp_path / "in")
    with GalleryStore.open(tmp_path / "plain.db") as plain:
        import_crops(plain, clip, tmp_path / "in")
        with pytest.raises(EncoderMismatch, match="has no re-ID vectors"):
            Engine(plain, clip, None, reid=other).search(query)


def test_whose_calibration_holds_for_a_kind():
    clip, reid = object(), object()
    for kind in ("text", "image", "image-plus-text", "image-other-clothes"):
        assert prefilter_encoder(kind, clip, None) is clip
        assert prefilter_encoder(kind, clip, reid) is (clip if kind == "text" else reid)


values = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=12)


@settings(max_examples=60)
@given(values, st.integers(0, 9), st.floats(0, 1), st.floats(0.01, 50), st.floats(-3, 3))
def test_neither_scale_nor_zero_of_a_likeness_matters(words, seed, weight, scale, shift):
    words = np.array(words)
    pictures = np.random.default_rng(seed).normal(size=len(words))
    found = together(words, pictures, weight)
    assert found.dtype == np.float32 and (np.abs(found) <= 1).all()
    moved = together(words, pictures * scale + shift, weight)
    assert moved == pytest.approx(found, abs=1e-5)


def test_one_likeness_alone_gives_its_order_and_a_constant_says_nothing():
    words, pictures = np.array([0.1, 0.3, 0.2]), np.array([0.9, 0.2, 0.5])
    assert np.argsort(-together(words, pictures, 1.0)).tolist() == [1, 2, 0]
    assert np.argsort(-together(words, pictures, 0.0)).tolist() == [0, 2, 1]
    assert np.argsort(-together(np.full(3, 0.7), pictures, 0.9)).tolist() == [0, 2, 1]
    assert together(words[:0], pictures[:0], 0.5).shape == (0,)
    assert together(words[:1], pictures[:1], 0.5).tolist() == [0.0]
