"""The shares of a similarity: tried as the app compares, and kept where they clearly help."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.model.checkpoint import Calibration, CheckpointManifest, encoder_key
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference
from app.settings import DEMO_CLIP
from gallery_store.encoder import ClipEncoder
from gallery_store.reid_encoder import ReidEncoder
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.reid_files import tiny_timm, write_torchscript
from tests.test_training_calibration_searches import DRAWN
from training.calibration.draft_searches import DraftSearches
from training.calibration.searches import records_of_data, searches
from training.calibration.shares import SHARPNESSES, STATED_SHARES, TEXT_WEIGHTS, Likeness, fit_shares
from training.evaluation.harness import index_gallery

PLAIN = Calibration(yes_logit=0, similarity=1, bias=0, clip_similarity=1, clip_bias=0, tau=-1, threshold=0)


@pytest.fixture(scope="module")
def asked():
    return searches(records_of_data(DRAWN.replace("held_out=14", "held_out=30"), None), 100)


@pytest.fixture(scope="module")
def galleries(tmp_path_factory, asked):
    """name of the CLIP -> (encoder, re-ID encoder, open store, crop of each record)."""
    folder = tmp_path_factory.mktemp("shares")
    reid = ReidEncoder.load(write_torchscript(folder / "market.pt", tiny_timm()))
    made = {}
    for name, clip in (("demo", DEMO_CLIP), ("bad", make_clip_folder(folder / "clip"))):
        opened = SimpleNamespace(encoder=ClipEncoder.load(clip), reid=reid)
        (folder / name).mkdir()
        database = folder / name / "gallery.db"
        ids = index_gallery(asked.gallery, opened, folder / name, database, lambda *_: None)
        store = GalleryStore.open(database)
        made[name] = (opened.encoder, reid, store, ids)
    yield made
    for _, _, store, _ in made.values():
        store.close()


@pytest.mark.parametrize(
    ("kind", "by_reid"), [("text", False), ("image-plus-text", False), ("image-plus-text", True)]
)
def test_what_is_tried_is_the_apps_own_similarity(galleries, asked, kind, by_reid):
    clip, market, store, ids = galleries["demo"]
    reid = market if by_reid else None
    likeness = Likeness(asked, kind, ids, store, clip, reid)
    share, sharpness, weight = 0.05, 20.0, 0.3
    tried = likeness.similarities(likeness.words(share, likeness.probs(sharpness)), weight)
    fitted = replace(PLAIN, text_weight=weight, stated_share=share)
    clip_key = encoder_key(clip.name, clip.version)
    key = encoder_key(reid.name, reid.version) if reid else clip_key
    manifest = CheckpointManifest(
        "m", "b", calibrations={key: {kind: fitted}}, attribute_sharpness={clip_key: sharpness}
    )
    engine = Engine(store, clip, SimpleNamespace(manifest=manifest), reid=reid)
    crops = np.unique(ids)
    for row, number in enumerate(asked.rows_of(kind)[:12]):
        query, subject = asked.queries[number], int(ids[asked.subjects[number]])
        pictures = () if kind == "text" else (Reference(image_id=subject),)
        found = engine.find_candidates(Query(query.wanted, text=query.text, references=pictures)).prefiltered
        own = tried[row, np.searchsorted(crops, found.ids)]
        assert own == pytest.approx(found.similarities, abs=5e-4)
        assert kind == "text" or tried[row, np.searchsorted(crops, subject)] == -2


def test_attributes_get_a_share_where_they_clearly_help_and_else_none(galleries, asked):
    clip, _, store, ids = galleries["demo"]
    likeness = Likeness(asked, "text", ids, store, clip, None)
    # A CLIP that knows words and no sentence: what it reads of each attribute is all that it has.
    noise = np.random.default_rng(0).normal(size=likeness.cosines.shape)
    likeness.cosines = likeness.cosines.mean() + 0.01 * noise
    shares = fit_shares(likeness, None)
    assert shares.stated_share in STATED_SHARES
    assert shares.sharpness in [clip.logit_scale * times for times in SHARPNESSES]
    better = likeness.precisions(likeness.words(shares.stated_share, likeness.probs(shares.sharpness)), 0.5)
    gain = better - likeness.precisions(likeness.cosines, 0.5)
    gain = gain[np.isfinite(gain)]
    assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5 > 0
    given = fit_shares(likeness, 30.0)
    assert given.stated_share > 0 and given.sharpness is None

    bad, _, store, ids = galleries["bad"]
    shares = fit_shares(Likeness(asked, "text", ids, store, bad, None), None)
    assert (shares.stated_share, shares.sharpness) == (0, None)


def test_without_attributes_there_is_nothing_to_fit(galleries, asked):
    clip, market, store, ids = galleries["demo"]
    told = [
        replace(query, wanted=(), text="a woman in red") if query.wanted else query for query in asked.queries
    ]
    words = replace(asked, queries=tuple(told))
    for kind in ("text", "image-plus-text"):
        shares = fit_shares(Likeness(words, kind, ids, store, clip, market), None)
        assert (shares.stated_share, shares.sharpness) == (0, None)
        assert shares.text_weight in (TEXT_WEIGHTS if kind != "text" else TEXT_WEIGHTS[:1])


def test_what_was_fitted_with_two_readers_of_attributes_stays():
    fitted = replace(PLAIN, stated_share=0.08)
    for before, share in (({"clip@1": {}}, 0.0), ({}, 0.5)):
        engines = SimpleNamespace(
            workers=SimpleNamespace(opened=None),
            kinds=("text",),
            keys={"text": "clip@1"},
            before=SimpleNamespace(fusion_weights=before),
            draft={"text": replace(fitted, attribute_share=share)},
        )
        DraftSearches._fit_shares(engines, None, None, None)
        assert engines.draft["text"].stated_share == 0.08


def test_a_picture_that_the_gallery_refused_is_passed_over(galleries, asked):
    clip, _, store, ids = galleries["bad"]
    rows = asked.rows_of("image-plus-text")
    ids = ids.copy()
    ids[asked.subjects[rows[0]]] = -1
    likeness = Likeness(asked, "image-plus-text", ids, store, clip, None)
    kept = int((asked.subjects[rows] != asked.subjects[rows[0]]).sum())
    assert len(likeness.precisions(likeness.cosines, 0.5)) == kept < len(rows)
