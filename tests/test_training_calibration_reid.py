"""A checkpoint is calibrated with a re-ID encoder: pictures under its name, words under CLIP's."""

import json
from dataclasses import replace

import numpy as np
import pytest

from app.model.checkpoint import KINDS_OF_QUERY, Calibration, CheckpointManifest, encoder_key
from app.settings import Settings
from app.startup import open_engine
from app.ui.html import UNCALIBRATED, guide_html
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.reid_encoder import ReidEncoder
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import write_pictures
from tests.reid_files import write_tower
from tests.test_training_calibration_searches import DRAWN
from tests.tiny_qwen import build_tiny
from training.__main__ import main
from training.calibration.found import found, measured
from training.calibration.searches import halves, records_of_data, searches
from training.calibration.shares import Shares
from training.commands.calibrate import calibration_table
from training.evaluation.harness import search_all
from training.evaluation.workers import Models, Workers

pytestmark = pytest.mark.slow
K = 16  # candidates that the model reads in a search; most of the time is that
OF_BEFORE = Calibration(
    yes_logit=0.5, similarity=4, bias=-1, clip_similarity=5, clip_bias=-2, tau=-0.9, threshold=0.3
)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """(model, clip, tower, the printed object); pictures were calibrated by CLIP before, and the attributes get a
    share, of a sharpness that is fitted once."""
    folder = tmp_path_factory.mktemp("reid")
    model, clip = build_tiny(folder / "plain"), make_clip_folder(folder / "bad")
    tower = write_tower(folder / "tower.pt")
    encoder = ClipEncoder.load(clip)
    key = encoder_key(encoder.name, encoder.version)
    CheckpointManifest("plain", "base", calibrations={key: {"image": OF_BEFORE}}).write(model)
    run = ["calibrate", "--model", str(model), "--clip", str(clip), "--reid", str(tower), "--data", DRAWN]
    given = []

    def fit_shares(likeness, sharpness, progress):
        given.append(sharpness)
        return Shares(0.3 if likeness.weighs_words else 0.5, 0.05, 20.0 if sharpness is None else None)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.calibration.draft_searches.fit_shares", fit_shares)
        assert main([*run, "--queries", "30", "--k", str(K), "--device", "cpu"]) == 0
    assert given == [None, 20.0]
    return model, clip, tower, json.loads((folder / "plain.calibration" / "result.json").read_text())


def keys_of(clip, tower):
    return tuple(
        encoder_key(one.name, one.version) for one in (ClipEncoder.load(clip), ReidEncoder.load(tower))
    )


def test_each_kind_is_fitted_for_the_encoder_that_prefilters_it(calibrated, tmp_path):
    model, clip, tower, told = calibrated
    by_clip, by_tower = keys_of(clip, tower)
    manifest = CheckpointManifest.read(model)
    pictures = set(KINDS_OF_QUERY) - {"text"}
    assert {key: set(kinds) for key, kinds in manifest.calibrations.items()} == {
        by_clip: {"text", "image"},
        by_tower: pictures,
    }
    assert manifest.calibrations[by_clip]["image"] == OF_BEFORE
    assert manifest.attribute_sharpness == {by_clip: 20.0}
    by_words = (manifest.calibrations[by_clip]["text"], manifest.calibrations[by_tower]["image-plus-text"])
    assert [(one.text_weight, one.stated_share) for one in by_words] == [(0.5, 0.05), (0.3, 0.05)]
    assert manifest.calibrations[by_tower]["image"].stated_share == 0
    named = {kind: of["encoder"] for kind, of in told["kinds"].items()}
    assert named == {kind: by_clip if kind == "text" else by_tower for kind in KINDS_OF_QUERY}
    assert {key: set(of["kinds"]) for key, of in manifest.figures["calibration"].items()} == {
        by_clip: {"text"},
        by_tower: pictures,
    }
    rows = calibration_table(told).splitlines()
    assert all(any(f"| {kind} " in row and named[kind] in row for row in rows) for kind in KINDS_OF_QUERY)

    # The figures again, by the engine that is served, on the people who were held out; and each tau.
    measure_on = halves(records_of_data(DRAWN, None), 0.5)[1]
    asked = searches(measure_on, 30)
    with Workers(Models(str(clip), str(model), k=K, device="cpu", reid=str(tower))) as workers:
        hits = search_all(asked.queries, asked.gallery, workers, work=tmp_path / "again")
        every = list(found(asked, hits))
    for kind in KINDS_OF_QUERY:
        fitted = manifest.calibrations[named[kind]][kind]
        of_kind = [every[row] for row in asked.rows_of(kind)]
        again = measured(of_kind, fitted).to_json()
        assert again["rankers"]["clip"] == pytest.approx(told["kinds"][kind]["rankers"]["clip"]), kind
        assert again["auroc"] == pytest.approx(told["kinds"][kind]["auroc"]), kind
        right = np.concatenate([one.hits.similarities[one.right] for one in of_kind])
        assert (right > fitted.tau).mean() > 0.9
    ranks = {kind: of["rankers"]["clip"]["mAP"] for kind, of in told["kinds"].items()}
    assert ranks["image"] > 0.9  # the tower tells drawn people apart, and this CLIP does not


def test_the_app_serves_pictures_and_words_as_calibrated(calibrated, tmp_path, capsys):
    model, clip, tower, _ = calibrated
    with GalleryStore.open(tmp_path / "g.db") as store:
        source = write_pictures(tmp_path / "in", [f"{n}.png" for n in range(4)])
        import_crops(store, ClipEncoder.load(clip), source, reid=ReidEncoder.load(tower))
    by_clip, by_tower = keys_of(clip, tower)
    whole = CheckpointManifest.read(model)
    said_of_size: list[bool] = []

    def shown(*keys, crops=0):
        told = {
            key: {kind: replace(one, crops=crops) for kind, one in whole.calibrations[key].items()}
            for key in keys
        }
        CheckpointManifest("plain", "base", calibrations=told).write(model)
        settings = Settings(
            model=str(model),
            clip=str(clip),
            reid=str(tower),
            gallery=str(tmp_path / "g.db"),
            data=str(tmp_path),
            device="cpu",
        )
        capsys.readouterr()
        engine = open_engine(settings)
        page = guide_html(engine)
        engine.store.close()
        assert engine.ranker.name == "fused"
        cautions = {which for which, caution in UNCALIBRATED.items() if caution and caution in page}
        said_of_size.append("too sure" in page)
        return cautions, capsys.readouterr().err

    command = f"`python -m training calibrate --model {model} --clip {clip} --reid {tower} --gallery FILE`"
    try:
        cautions, said = shown(by_clip, by_tower)
        assert cautions == set() and "not calibrated" not in said
        for crops in (2, 1):  # of a gallery of 4: more than three times as many as 1
            shown(by_clip, by_tower, crops=crops)
        assert said_of_size == [False, False, True]
        cautions, said = shown(by_clip)
        assert cautions == {"pictures"} and command in said
        assert f"is not calibrated with {tower}: its candidates of a search with a picture have" in said
        cautions, said = shown(by_tower)
        assert cautions == {"words"} and command in said
        assert f"is not calibrated with {clip}: its candidates of a search by words alone have" in said
        cautions, said = shown()
        assert cautions == {"all"} and command in said
        assert f"is not calibrated with {clip} and {tower}: its candidates have" in said
    finally:
        whole.write(model)
