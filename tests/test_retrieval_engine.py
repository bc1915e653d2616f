"""The engine on a real gallery, a toy CLIP and a toy Qwen2-VL, checked against a plain reckoning."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import numpy as np
import pytest

from app.model import choice, reid_model
from app.model.checkpoint import AffinityWeights, Calibration, CheckpointManifest, encoder_key
from app.model.pictures import DEMO, Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import COLOURS, KINDS, Attribute, describe
from app.retrieval.attribute_probs import ClipAttributes, sensible
from app.retrieval.engine import Engine
from app.retrieval.fusion import TEXT_WEIGHT, squashed
from app.retrieval.query import Query, Reference, RetrievalError
from app.retrieval.references import crop_picture
from gallery_store import rows
from gallery_store.crops import Filters
from gallery_store.database import time_text
from gallery_store.decoding import open_picture
from gallery_store.encoder import ClipEncoder
from gallery_store.errors import EncoderMismatch
from gallery_store.importer import import_crops
from gallery_store.pace import Pace
from gallery_store.schema import crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture, tiny_folder

COUNT = 24
SHARPNESS, STATED_SHARE = 20.0, 1 / 12
RED_JACKET = (Attribute("gender", "woman"), Attribute("upper", "jacket"), Attribute("upper_colour", "red"))
CALIBRATION = Calibration(
    yes_logit=0.5,
    similarity=4,
    bias=-1,
    clip_similarity=5,
    clip_bias=-2,
    tau=-1,
    threshold=0.3,
    text_weight=0.25,
    stated_share=STATED_SHARE,
)


@pytest.fixture(autouse=True)
def steady_batches(monkeypatch):
    """Batches go by measured time, and scores round by their size: here all are of one size, so that they are equal."""
    monkeypatch.setattr(Pace, "took", lambda *measured: None)


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
    shutil.copytree(full.media, tmp_path / full.media.name)
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
    manifest = CheckpointManifest(
        "tuned", "tiny", image_rule=DEMO, calibrations={key: kinds}, attribute_sharpness={key: SHARPNESS}
    )
    manifest.write(folder)
    return ReidModel.load(folder)


def ids_of(ranking):
    return [candidate.image_id for candidate in ranking.candidates]


def plain_similarity(encoder, vector, wanted):
    """The description's cosine, and the log-probability of each attribute among the values of its kind."""
    found = float(vector @ encoder.encode_texts([describe(wanted)])[0])
    for attribute in wanted:
        values = KINDS[attribute.kind]
        rows = encoder.encode_texts([describe((Attribute(attribute.kind, value),)) for value in values])
        weights = np.exp(SHARPNESS * (rows @ vector).astype(float))
        found += STATED_SHARE * float(
            np.log(max(weights[values.index(attribute.value)] / weights.sum(), 1e-4))
        )
    assert found > -0.95  # below, similarities are drawn together
    return found


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
        yes_logit = float(tuned.yes_logits("a woman in a red jacket", [], [picture])[0])
        odds[image_id] = 0.5 * yes_logit + 4 * cosine[image_id] - 1
    head = sorted(odds, key=lambda image_id: -odds[image_id])
    assert ids_of(ranking)[:10] == head
    rest = ids_of(ranking)[10:]
    assert sorted(rest) == sorted(by_clip[10:])
    # Attributes are kept in half precision: what is closer than that may stand either way.
    assert all(cosine[first] > cosine[second] - 2e-4 for first, second in pairwise(rest))
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
    assert image.calibrated and mixed.calibrated
    said = {c.image_id: c.p_yes for c in image.candidates}
    assert any(abs(said[c.image_id] - c.p_yes) > 1e-3 for c in mixed.candidates)


def with_manifest(tuned, **changes):
    """The tuned model with another manifest."""
    return ReidModel(tuned._checkpoint, replace(tuned.manifest, **changes))


def calibrated(tuned, encoder, calibration, **changes):
    key = encoder_key(encoder.name, encoder.version)
    kinds = dict.fromkeys(("text", "image", "image-plus-text"), calibration)
    groups = {name: {key: value} for name, value in changes.items()}
    return with_manifest(tuned, calibrations={key: kinds}, **groups)


ALL_KINDS_OF_QUERY = [
    Query(wanted=RED_JACKET, unwanted=(Attribute("hat", "cap"),)),
    Query(references=(Reference(image_id=3), Reference(image_id=5))),
    Query(references=(Reference(image_id=3),), other_clothes=True),
    Query(wanted=RED_JACKET, references=(Reference(image_id=3),)),
]
every_kind_of_query = pytest.mark.parametrize("query", ALL_KINDS_OF_QUERY, ids=lambda query: query.kind)


@every_kind_of_query
def test_what_the_query_says_of_clothes_reaches_the_question(full, encoder, plain, query, monkeypatch):
    asked = []
    for module, name in ((reid_model, "pair_prompt"), (choice, "best_choice_prompt")):
        before = getattr(module, name)
        monkeypatch.setattr(
            module,
            name,
            lambda *given, before=before, **more: asked.append(before(*given, **more)) or asked[-1],
        )
    monkeypatch.setattr(plain, "_prompts", {})
    engine = Engine(full, encoder, plain, k=4)
    candidates = engine.find_candidates(query).candidates
    assert np.isfinite(candidates.yes_logits).all() and np.isfinite(candidates.choice_scores).all()
    texts = ["".join(part.get("text", "") for part in prompt.messages[0]["content"]) for prompt in asked]
    assert any("Does the" in text for text in texts) and any("Which image" in text for text in texts)
    said = bool(query.references) and (query.other_clothes or query.has_text)
    assert {"who may be wearing different clothing" in text for text in texts} == {said}


@every_kind_of_query
def test_where_p_yes_alone_has_weight_it_alone_orders(full, encoder, tuned, query):
    calibration = replace(CALIBRATION, similarity=0, rarity=0, bias=0.5)
    ranking = Engine(full, encoder, calibrated(tuned, encoder, calibration), k=8).search(query)
    p_yes = [candidate.p_yes for candidate in ranking.candidates[:8]]
    assert None not in p_yes
    assert p_yes == sorted(p_yes, reverse=True) and len(set(p_yes)) > 1


@every_kind_of_query
def test_where_p_yes_has_no_weight_clip_alone_orders(full, encoder, tuned, query):
    calibration = replace(CALIBRATION, yes_logit=0, text_weight=TEXT_WEIGHT, stated_share=0)
    engine = Engine(full, encoder, calibrated(tuned, encoder, calibration), k=8)
    ranking = engine.search(query)
    assert ids_of(ranking) == ids_of(Engine(full, encoder, None).search(query))
    assert ranking.scored == 0 and ranking.calibrated
    assert all(c.p_yes is None and c.probability is not None for c in ranking.candidates)


class Silent(ReidModel):
    """Fails on the questions that it is told never to hear."""

    never = ("yes_logits", "choice_logits", "attribute_probs")

    def __getattribute__(self, name):
        assert name not in type(self).never, f"{name} was asked"
        return super().__getattribute__(name)


@every_kind_of_query
def test_what_has_no_weight_is_not_asked(full, encoder, tuned, query, monkeypatch):
    def silent(calibration, **changes):
        made = calibrated(tuned, encoder, calibration, **changes)
        return Silent(tuned._checkpoint, made.manifest)

    # Neither "Yes" nor, since that is its multiple, the attribute score has a weight.
    weightless = replace(CALIBRATION, yes_logit=0, attribute_score=30.0)
    steps = []
    Engine(full, encoder, silent(weightless), k=8).search(query, progress=lambda *s: steps.append(s[0]))
    assert set(steps) == {"encode", "prefilter"}
    monkeypatch.setattr(Silent, "never", ("yes_logits", "choice_logits"))
    weights = dict.fromkeys(KINDS, (5.0, 0.8))
    read = Engine(full, encoder, silent(weightless, fusion_weights=weights), k=8).search(query)
    assert read.scored == 8 and all(c.p_yes is None for c in read.candidates)
    with pytest.raises(AssertionError, match="yes_logits was asked"):
        Engine(full, encoder, silent(CALIBRATION), k=8).search(query)
    by_clip = Engine(full, encoder, silent(CALIBRATION), k=8, ranker="clip").search(query)
    assert by_clip.scored == 0 and not by_clip.calibrated
    similar = [c.similarity for c in by_clip.candidates]
    assert similar == sorted(similar, reverse=True)


def model_prob(model, store, ids, kind, value):
    """float64 (n,): how likely the model reads this value in crops."""
    first = [k for k in KINDS for _ in KINDS[k]].index(kind) + KINDS[kind].index(value)
    pictures = [crop_picture(crop, store) for crop in store.crops(ids)]
    return model.attribute_probs(pictures)[:, first].astype(np.float64)


def test_the_attribute_score_of_words_is_the_models_log_probability(full, encoder, tuned):
    engine = Engine(full, encoder, calibrated(tuned, encoder, replace(CALIBRATION, attribute_score=0.2)), k=8)
    query = Query(wanted=(Attribute("hat", "cap"),))
    plain, trace = Engine(full, encoder, tuned, k=8).trace(query), engine.trace(query)
    np.testing.assert_array_equal(trace.prefiltered.ids, plain.prefiltered.ids)
    np.testing.assert_array_equal(trace.yes_logits, plain.yes_logits)
    cap = model_prob(tuned, full, trace.prefiltered.ids[:8].tolist(), "hat", "cap")
    score = engine.find_candidates(query).candidates.attribute_score
    np.testing.assert_allclose(score, 0.2 * np.log(cap), atol=1e-5)
    assert np.ptp(score) > 1e-3
    np.testing.assert_allclose(trace.scores, plain.scores + 0.5 * score, atol=1e-5)


@every_kind_of_query
def test_the_attribute_score_counts_by_its_weight(full, encoder, tuned, query):
    once, thrice = (
        Engine(full, encoder, calibrated(tuned, encoder, replace(CALIBRATION, attribute_score=weight)), k=8)
        .find_candidates(query)
        .candidates.attribute_score
        for weight in (0.1, 0.3)
    )
    # Batches go by measured time, and round by their size.
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-5)
    assert np.ptp(once) > 1e-3


@every_kind_of_query
def test_weights_that_trust_clip_alone_leave_clips_similarity(full, encoder, tuned, query):
    fitted = replace(CALIBRATION, attribute_share=0.5)
    plain = Engine(full, encoder, calibrated(tuned, encoder, fitted), k=8).trace(query)
    clip_alone = dict.fromkeys(KINDS, (SHARPNESS, 0.0))
    trusted = calibrated(tuned, encoder, fitted, fusion_weights=clip_alone)
    trace = Engine(full, encoder, trusted, k=8).trace(query)
    np.testing.assert_array_equal(trace.prefiltered.similarities, plain.prefiltered.similarities)
    np.testing.assert_array_equal(plain.fused.similarity, plain.prefiltered.similarities[:8])
    np.testing.assert_allclose(trace.fused.similarity, plain.fused.similarity, atol=1e-4)


def test_a_value_that_people_confuse_costs_less_and_what_is_excluded_stays_so(full, encoder, tuned):
    key = encoder_key(encoder.name, encoder.version)
    confused = {key: {"upper": {"jacket": {value: 1.0 for value in KINDS["upper"] if value != "jacket"}}}}
    model = with_manifest(tuned, confusion=confused)

    def similarities(engine, **query):
        found = engine.trace(Query(**query)).prefiltered
        return found.similarities[np.argsort(found.ids)]

    before, after = Engine(full, encoder, tuned, k=8), Engine(full, encoder, model, k=8)
    jacket, red = Attribute("upper", "jacket"), Attribute("upper_colour", "red")
    # Every top passes for the jacket: of both, only the colour is left to tell crops apart.
    cosines = full.similarities(encoder.encode_texts([describe((jacket, red))]), np.arange(1, COUNT + 1))[0]
    words = np.stack(
        [encoder.encode_texts([describe((Attribute("upper_colour", value),))])[0] for value in COLOURS]
    )
    odds = np.exp(SHARPNESS * full.similarities(words, np.arange(1, COUNT + 1)).astype(float))
    colour = np.log(np.maximum(odds[COLOURS.index("red")] / odds.sum(0), 1e-4))
    expected = squashed(cosines + STATED_SHARE * colour)
    np.testing.assert_allclose(similarities(after, wanted=(jacket, red)), expected, atol=1e-4)
    assert (similarities(before, wanted=(jacket, red)) < expected - 1e-3).any()
    for query in ({"wanted": (red,)}, {"unwanted": (jacket,)}):
        np.testing.assert_array_equal(similarities(after, **query), similarities(before, **query))


def test_weights_that_trust_the_model_alone_take_its_attributes(full, encoder, tuned):
    """The similarity of the candidates that the model read; the prefilter's stays CLIP's."""
    model_alone = dict.fromkeys(KINDS, (0.0, 1.0))
    engine = Engine(full, encoder, calibrated(tuned, encoder, CALIBRATION, fusion_weights=model_alone), k=8)
    query = Query(wanted=(Attribute("hat", "cap"),))
    trace, by_clip = engine.trace(query), Engine(full, encoder, tuned, k=8).trace(query)
    np.testing.assert_array_equal(trace.prefiltered.similarities, by_clip.prefiltered.similarities)
    ids = trace.prefiltered.ids[:8]
    cosines = full.vectors(ids) @ encoder.encode_texts([describe(query.wanted)])[0]
    cap = model_prob(tuned, full, ids.tolist(), "hat", "cap")
    np.testing.assert_allclose(trace.fused.similarity, cosines + STATED_SHARE * np.log(cap), atol=1e-4)
    ranking = engine.search(query)
    assert ranking.candidates[0].similarity in trace.prefiltered.similarities


def test_a_vanishing_affinity_changes_nothing(full, encoder, tuned):
    fitted = replace(CALIBRATION, attribute_share=0.5, attribute_score=0.2)
    weights = dict.fromkeys(KINDS, (5.0, 0.8))
    strangers = dict.fromkeys(("both", "model"), AffinityWeights(cosine=0, attributes=0, bias=-60))
    alone = calibrated(tuned, encoder, fitted, fusion_weights=weights)
    together = calibrated(tuned, encoder, fitted, fusion_weights=weights, affinity=strangers)
    for query in ALL_KINDS_OF_QUERY:
        plain, trace = (Engine(full, encoder, model, k=8).trace(query) for model in (alone, together))
        np.testing.assert_allclose(trace.fused.similarity, plain.fused.similarity, atol=1e-5)
        np.testing.assert_allclose(trace.scores, plain.scores, atol=1e-4)
        np.testing.assert_allclose(trace.fused.affinity, np.eye(8), atol=1e-9)
        assert plain.fused.affinity is None


@every_kind_of_query
def test_candidates_of_one_outfit_are_judged_together(full, encoder, tuned, query):
    """Where all are certain to be one person, all get one similarity and one attribute score."""
    fitted = replace(CALIBRATION, attribute_share=0.5, attribute_score=0.2)
    certain = dict.fromkeys(("both", "model"), AffinityWeights(cosine=0, attributes=0, bias=60))
    model = calibrated(
        tuned, encoder, fitted, fusion_weights=dict.fromkeys(KINDS, (5.0, 0.8)), affinity=certain
    )
    candidates = Engine(full, encoder, model, k=8).find_candidates(query).candidates
    fused, score = candidates.fused, candidates.attribute_score
    assert np.ptp(fused.similarity) < 1e-5 and np.ptp(score) < 1e-5
    np.testing.assert_allclose(fused.affinity, np.ones((8, 8)))


def test_who_was_rejected_puts_back_who_looks_the_same(own, encoder, tuned, tmp_path):
    """The crop most like the rejected one, here the same picture by another camera, falls behind the others."""
    shutil.copy(own.crops([3])[0].file, tmp_path / "again.png")
    import_crops(own, encoder, tmp_path / "again.png", camera="c9")
    (twin,) = (crop.id for crop in own.crops(own.matching(Filters(cameras=("c9",))).tolist()))
    weights = dict.fromkeys(KINDS, (5.0, 0.8))

    def engine(bias):
        affinity = {"both": AffinityWeights(cosine=30, attributes=0, bias=bias)}
        model = calibrated(tuned, encoder, CALIBRATION, fusion_weights=weights, affinity=affinity)
        return Engine(own, encoder, model)

    query = Query(wanted=RED_JACKET)
    rejecting = Query(wanted=RED_JACKET, rejected=frozenset({3, 9999}))  # one was deleted
    trace = engine(-29).trace(rejecting)
    penalty = trace.fused.rejection_penalty
    assert (penalty <= 0).all()
    assert trace.prefiltered.ids[int(penalty.argmin())] == twin
    assert engine(-29).trace(query).fused.rejection_penalty is None
    before, after = (ids_of(engine(-29).search(q)) for q in (query, rejecting))
    assert 3 in before and 3 not in after
    assert after.index(twin) > before.index(twin)
    assert engine(-29).search(rejecting).penalized and not engine(-29).search(query).penalized
    nobody_alike = [i for i in ids_of(engine(-200).search(query)) if i != 3]
    assert ids_of(engine(-200).search(rejecting)) == nobody_alike


def test_several_references_average_answers_and_vectors(full, encoder, tuned):
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
        logits = [
            float(tuned.yes_logits("", [picture(r)], [picture(candidate.image_id)])[0]) for r in (2, 3, 4)
        ]
        assert candidate.p_yes == pytest.approx(1 / (1 + np.exp(-np.mean(logits))), abs=1e-4)
    assert not {1, 2, 3, 4} & set(ids_of(ranking))


def test_a_photo_that_is_itself_in_the_gallery_is_shown_and_marked(full, encoder, tuned, tmp_path):
    crop = full.crops([7])[0]
    upload = tmp_path / "upload.png"
    shutil.copy(crop.file, upload)
    engine = Engine(full, encoder, tuned)
    by_photo = Query(references=(Reference(file=upload),))
    ranking = engine.search(by_photo)
    first, *others = ranking.candidates
    assert first.image_id == 7 and first.very_picture and (first.probability, first.weak) == (None, False)
    assert len(others) == COUNT - 1 and not any(candidate.very_picture for candidate in others)
    assert 7 not in [candidate.image_id for candidate in others]  # once, and nothing is judged by it
    assert ranking.searched == COUNT and ranking.scored == COUNT - 1
    as_crop = engine.search(Query(references=(Reference(image_id=7),)))  # known to the operator: not listed
    assert [c.image_id for c in as_crop.candidates] == [c.image_id for c in others]
    assert [c.probability for c in as_crop.candidates] == pytest.approx(
        [c.probability for c in others], abs=1e-3
    )
    assert ids_of(engine.search(by_photo, limit=3)) == ids_of(ranking)[:3]
    assert 7 not in ids_of(engine.search(replace(by_photo, confirmed=frozenset({7}))))
    noise_picture(999).save(upload)
    other = engine.search(by_photo)
    assert len(other.candidates) == COUNT and not any(c.very_picture for c in other.candidates)
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
    assert none.no_match


def test_filters_alone_list_by_time(full, encoder, tuned):
    ranking = Engine(full, encoder, tuned).search(Query(filters=Filters(cameras=("2",))))
    assert ranking.scored == 0 and ranking.ranker is None
    assert {candidate.probability for candidate in ranking.candidates} == {None}
    assert not ranking.no_match
    times = [crop.time for crop in full.crops(ids_of(ranking))]
    known = [moment for moment in times if moment]
    assert known == sorted(known)
    assert times[: len(known)] == known  # those without a time come last
    assert len(ranking.candidates) == len(full.matching(Filters(cameras=("2",))))


def test_a_list_by_time_is_in_the_order_of_a_plain_sort_and_reads_no_crops(own, encoder, monkeypatch):
    rng = np.random.default_rng(3)
    day = datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    moments = [day + timedelta(microseconds=int(us)) for us in (0, 999, 1000, 1001, 10**13)]
    with own.database.writing() as connection:
        for crop_id in own.matching(Filters()).tolist():
            stored = time_text(moments[crop_id % 5]) if rng.random() < 0.8 else ""
            connection.execute(crops.update().where(crops.c.id == crop_id).values(time=stored))
        rows.note_rewrite(connection)
    own.refresh()
    found = own.crops(own.matching(Filters()).tolist())
    assert {crop.time for crop in found} == {*moments, None}
    latest = datetime.max.replace(tzinfo=UTC)
    wanted = [crop.id for crop in sorted(found, key=lambda crop: (crop.time or latest, crop.id))]
    monkeypatch.setattr(own, "crops", None)
    engine = Engine(own, encoder, None)
    assert ids_of(engine.search(Query())) == wanted
    assert ids_of(engine.search(Query(rejected=frozenset(wanted[:1])), limit=3)) == wanted[1:4]


def test_pairwise_alone_orders_by_p_yes_and_claims_no_probability(full, encoder, plain, tuned):
    for model in (plain, tuned):
        ranking = Engine(full, encoder, model, ranker="pairwise").search(Query(wanted=RED_JACKET))
        assert not ranking.calibrated and ranking.ranker == "pairwise" and ranking.scored == COUNT
        said = [candidate.p_yes for candidate in ranking.candidates]
        assert said == sorted(said, reverse=True)
        assert {candidate.probability for candidate in ranking.candidates} == {None}
        assert not ranking.no_match and not any(candidate.weak for candidate in ranking.candidates)


def test_without_a_manifest_clip_and_p_yes_are_fused_by_rank(full, encoder, plain):
    engine = Engine(full, encoder, plain)
    trace, ranking = engine.trace(Query(wanted=RED_JACKET)), engine.search(Query(wanted=RED_JACKET))
    by_yes = np.argsort(-trace.yes_logits, kind="stable").tolist()
    score = [1 / (60 + place + 1) + 0.08 / (60 + by_yes.index(place) + 1) for place in range(COUNT)]
    order = trace.prefiltered.ids[np.argsort(-np.array(score), kind="stable")].tolist()
    assert ids_of(ranking) == order != trace.prefiltered.ids.tolist()
    assert not ranking.calibrated and ranking.ranker == engine.ranker.name == "fused"
    assert {candidate.probability for candidate in ranking.candidates} == {None}
    # No manifest asks for CLIP's attributes: the words' cosine stands alone.
    vector = encoder.encode_texts([describe(RED_JACKET)])[0]
    for candidate in ranking.candidates[:3]:
        cosine = float(full.vectors([candidate.image_id])[0] @ vector)
        assert candidate.similarity == pytest.approx(cosine, abs=1e-4)


def test_who_ranks_where_the_operator_names_nobody(full, encoder, tuned, plain):
    def ranker(model, given=None):
        return Engine(full, encoder, model, ranker=given).ranker

    elsewhere = with_manifest(tuned, calibrations={"other@1": tuned.manifest.calibrations})
    assert ranker(None).name == "clip" and ranker(plain).name == ranker(tuned).name == "fused"
    assert ranker(with_manifest(tuned, ranker="best-choice")).name == "best-choice"
    assert ranker(with_manifest(tuned, calibrations={})).name == "fused"
    found = ranker(elsewhere)
    assert found.name == "clip" and "was not calibrated with" in found.note and "--ranker fused" in found.note
    assert ranker(elsewhere, "fused").name == "fused" and not ranker(elsewhere, "fused").note
    ranking = Engine(full, encoder, elsewhere).search(Query(wanted=RED_JACKET))
    assert (ranking.ranker, ranking.scored) == ("clip", 0)
    with pytest.raises(ValueError, match="needs a model"):
        Engine(full, encoder, None, ranker="pairwise")


class Choosing:
    """A scripted model: likes the fourth place by far, and one crop a little. What it is shown is kept."""

    manifest, name, lost = None, "scripted", 0

    def __init__(self, liked, lost=()):
        self.liked, self.gone, self.shown = liked, set(lost), []

    def can_open(self, pictures, *, stop=None):
        return np.array([picture.key not in self.gone for picture in pictures])

    def choice_logits(self, description, references, lists, *, other_clothes):
        assert not other_clothes
        assert description or references
        self.shown += [(description, len(references), len(shown)) for shown in lists]
        worth = np.array([[2.0 * (picture.key == self.liked) for picture in shown] for shown in lists])
        return worth + np.array([0, 1, -1, 9, 0, 0, 2, 0])[: worth.shape[1]]


def test_best_choice_finds_the_one_behind_the_liking_for_a_place(full, encoder, tmp_path):
    shas = {crop.id: crop.sha256 for crop in full.crops(list(range(1, COUNT + 1)))}
    steps = []
    for target in (2, 11, 17, 24):
        model = Choosing(shas[target])
        engine = Engine(full, encoder, model, ranker="best-choice")
        ranking = engine.search(Query(wanted=RED_JACKET), progress=lambda *step: steps.append(step))
        assert ids_of(ranking)[0] == target and ranking.ranker == "best-choice"
        assert (ranking.scored, ranking.calibrated) == (COUNT, False)
        assert len(model.shown) == 3 * 4 + 4  # three lists of eight in four orders, and one of six
        assert {length for *_, length in model.shown} == {8, 6}
    assert steps[-1] == ("choose", 16, 16)
    engine = Engine(full, encoder, Choosing(shas[5], lost=[shas[9], shas[1]]), ranker="best-choice")
    references = tuple(Reference(image_id=number) for number in (1, 2, 3))
    ranking = engine.search(Query(references=references))
    assert ids_of(ranking)[0] == 5 and ranking.scored == COUNT - 4  # 9 cannot be opened, nor the reference 1
    assert {(references, length) for _, references, length in engine.model.shown} == {(2, 7), (2, 6), (2, 3)}
    stopped = engine.search(Query(wanted=RED_JACKET), stop=lambda: True)
    assert stopped.stopped and stopped.scored == 0
    assert ids_of(stopped) == ids_of(Engine(full, encoder, None).search(Query(wanted=RED_JACKET)))


def test_without_a_model_clip_alone_orders(full, encoder):
    ranking = Engine(full, encoder, None).search(Query(wanted=RED_JACKET))
    similar = [candidate.similarity for candidate in ranking.candidates]
    assert similar == sorted(similar, reverse=True)
    assert (ranking.scored, ranking.calibrated, ranking.no_match) == (0, False, False)
    assert ranking.ranker == "clip" and {candidate.probability for candidate in ranking.candidates} == {None}
    assert Engine(full, encoder, None).read([Reference(image_id=1)]) == [()]


FREE = Query(text="asdkjh qwe zzz")


@pytest.mark.parametrize("ranker", [None, "pairwise"])
def test_words_that_the_model_was_not_taught_have_no_probability(full, encoder, tuned, ranker):
    vocabulary_only = with_manifest(tuned, reads_free_words=False)
    engine = Engine(full, encoder, vocabulary_only, tau=0.999, ranker=ranker)  # nothing is more similar
    found = engine.search(FREE)
    assert {candidate.probability for candidate in found.candidates} == {None}
    assert not found.judged and not found.calibrated and found.unchecked == FREE.text
    assert not found.no_match and not any(candidate.weak for candidate in found.candidates)
    assert found.scored == 0  # the model is not asked about words that it cannot read
    assert ids_of(found) == ids_of(Engine(full, encoder, None).search(FREE))


def test_beside_what_can_be_judged_such_words_are_named(full, encoder, tuned):
    engine = Engine(full, encoder, with_manifest(tuned, reads_free_words=False))
    beside = [
        Query(wanted=RED_JACKET, text="limping"),
        Query(unwanted=(Attribute("hat", "cap"),), text="limping"),
        Query(references=(Reference(image_id=3),), text="limping"),
    ]
    for query in beside:
        found = engine.search(query)
        assert found.judged and found.calibrated and found.unchecked == "limping"
        assert None not in {candidate.probability for candidate in found.candidates}
        assert found.candidates == Engine(full, encoder, tuned).search(query).candidates
    assert engine.search(Query(wanted=RED_JACKET)).unchecked == ""
    assert not engine.search(Query()).judged  # a listing


def test_a_model_that_reads_free_words_judges_them(full, encoder, tuned):
    found = Engine(full, encoder, tuned).search(FREE)
    assert found.judged and found.calibrated and not found.unchecked
    assert None not in {candidate.probability for candidate in found.candidates}


def test_the_operators_own_words_reach_clip_and_the_model(full, encoder, tuned, monkeypatch):
    asked = []
    before = reid_model.pair_prompt
    monkeypatch.setattr(
        reid_model, "pair_prompt", lambda *given, **more: asked.append(str(given)) or before(*given, **more)
    )
    query = Query(wanted=RED_JACKET, text="limping", words=(("upper", "maroon anorak"),))
    both = "a woman in a red jacket, maroon anorak, limping"
    found = Engine(full, encoder, tuned).find_candidates(query)
    assert found.query.description == both
    assert found.query.vector == pytest.approx(encoder.encode_texts([both])[0])
    Engine(full, encoder, tuned, k=2).search(query)
    assert asked and all(both in one for one in asked)
    with_a_man = replace(query, company="with a man in a green coat")
    found = Engine(full, encoder, tuned).find_candidates(with_a_man)
    assert found.query.description == f"{both}, with a man in a green coat"
    # One that was taught the vocabulary alone has the canonical value, and the free words as ever.
    vocabulary_only = with_manifest(tuned, reads_free_words=False)
    plainly = Engine(full, encoder, vocabulary_only).find_candidates(query).query.description
    assert plainly == "a woman in a red jacket, limping"
    assert Engine(full, encoder, vocabulary_only).find_candidates(with_a_man).query.description == plainly


def test_who_is_with_the_person_is_searched_for_where_nothing_else_is_said(full, encoder, tuned):
    engine = Engine(full, encoder, with_manifest(tuned, reads_free_words=False))
    company = "with a man in a green coat"
    found = engine.search(Query(company=company))
    assert not found.judged and found.unchecked == company and found.candidates
    found = engine.search(Query(references=(Reference(image_id=3),), company=company))
    assert found.judged and found.unchecked == company and found.candidates


def test_tau_and_nobody(full, encoder, tuned):
    ranking = Engine(full, encoder, tuned, tau=0.999).search(Query(wanted=RED_JACKET))
    assert ranking.scored == 12
    assert ranking.no_match
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
    assert lost.p_yes is None
    assert ranking.scored == COUNT - 1
    assert len(ranking.candidates) == COUNT
    by_vector = engine.search(Query(references=(Reference(image_id=5),)))
    assert by_vector.scored == 0  # the model cannot look at it, its vector still searches
    assert len(by_vector.candidates) == COUNT - 1
    with pytest.raises(RetrievalError, match="verify"):
        engine.read([Reference(image_id=5)])


def test_references_that_are_gone_or_no_pictures(own, encoder, tuned, tmp_path):
    engine = Engine(own, encoder, tuned)
    own.delete([9])
    with pytest.raises(RetrievalError, match="not in the gallery any more: take its chip away"):
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
        assert (ranking.total, ranking.searched, ranking.no_match) == (0, 0, True)
        noise_picture(1).save(tmp_path / "mine.png")
        upload = Reference(file=tmp_path / "mine.png")
        assert Engine(store, encoder, tuned).search(Query(references=(upload,))).candidates == ()
    other = ClipEncoder.load(make_clip_folder(tmp_path / "other", seed=5))
    with pytest.raises(EncoderMismatch, match="reindex"):
        Engine(full, other, tuned).search(Query(wanted=RED_JACKET))


def test_reading_and_warming_up(full, encoder, tuned):
    engine = Engine(full, encoder, tuned)
    engine.warm_up()
    (by_model,) = engine.read([Reference(image_id=1)])
    assert by_model == tuned.annotate([crop_picture(full.crops([1])[0], full)])[0]
    key = encoder_key(encoder.name, encoder.version)
    weights = dict.fromkeys(KINDS, (5.0, 0.8))
    reads = with_manifest(tuned, fusion_weights={key: weights})
    (read,) = Engine(full, encoder, reads).read([Reference(image_id=1)])
    (crop,) = full.crops([1])
    (row,) = reads.attribute_probs([Picture(1, lambda: open_picture(crop.file))])
    expected = sensible(ClipAttributes(encoder, SHARPNESS).readings(full.vectors([1])[0], row, weights))
    assert [r.attribute for r in read] == [r.attribute for r in expected]
    assert [r.confidence for r in read] == pytest.approx([r.confidence for r in expected], abs=1e-4)
    Engine(full, encoder, reads).warm_up()
    gone = Reference(file=full.media / "gone.png")
    with pytest.raises(RetrievalError, match=r"gone\.png"):
        Engine(full, encoder, reads).read([gone])


def test_what_candidates_show_is_read_by_whoever_ranks_them(full, encoder, tuned, monkeypatch):
    """By CLIP alone where a search reads no attributes: a question is no reason to ask the model."""
    ids = [5, 3, 9]
    key = encoder_key(encoder.name, encoder.version)
    reads = with_manifest(tuned, fusion_weights={key: dict.fromkeys(KINDS, (5.0, 0.8))})
    alone = Engine(full, encoder, Silent(tuned._checkpoint, reads.manifest), ranker="clip")
    by_clip = alone.clip_attributes.appearance(full.vectors(np.array(ids))).probs
    shown = alone.candidate_probs(ids)
    assert all(np.allclose(shown[kind], by_clip[kind]) for kind in KINDS)

    engine = Engine(full, encoder, reads)
    both = engine.candidate_probs(ids)
    for place, image_id in enumerate(ids):
        (readings,) = engine.read([Reference(image_id=image_id)])
        for reading in readings:
            kind, value = reading.attribute.kind, reading.attribute.value
            assert both[kind][KINDS[kind].index(value), place] == pytest.approx(reading.confidence, abs=1e-4)
    with pytest.raises(KeyError):
        engine.candidate_probs([10_000])
