"""A checkpoint is calibrated on half of the people, measured on the others, and served calibrated."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.model.checkpoint import FILE_NAME, Calibration, CheckpointManifest, encoder_key
from app.model.digests import weight_files
from app.model.reid_model import ReidModel
from app.query_json import query_json
from app.retrieval.query import Query, Reference
from app.settings import Settings
from app.startup import open_engine
from app.ui.html import UNCALIBRATED, guide_html
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import all_crops
from tests.tiny_qwen import tiny_folder
from training.__main__ import main
from training.calibration import draft_searches, run
from training.calibration.audit import judged_in
from training.calibration.found import RANKERS, found, measured
from training.calibration.searches import halves, records_of_data, records_of_gallery, searches
from training.evaluation.harness import search_all
from training.evaluation.open_set import answer
from training.evaluation.workers import Models, Workers
from training.synthetic.market1501 import FOLDER, write_market1501

PEOPLE = 42
CALIBRATION = Calibration(
    yes_logit=0.5, similarity=4, bias=-1, clip_similarity=5, clip_bias=-2, tau=-1, threshold=0.3
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Below it, a drawn Market-1501."""
    folder = tmp_path_factory.mktemp("data")
    write_market1501(folder, PEOPLE, seed=5)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip") / "small")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, root):
    """A LoRA adapter after two steps on other people, published."""
    folder = tmp_path_factory.mktemp("runs")
    write_market1501(folder / "others", 6, seed=6)
    run = [
        "--stage",
        "3",
        "--base",
        str(tiny_folder()),
        "--data",
        "market1501",
        "--root",
        str(folder / "others"),
    ]
    run += [
        "--packed",
        "1",
        "--samples",
        "8",
        "--samples-per-step",
        "4",
        "--lora",
        "4",
        "--max-pixels",
        "6272",
    ]
    assert main(["train", *run, "--device", "cpu", "--out", str(folder / "run")]) == 0
    assert main(["publish", "--from", str(folder / "run"), "--out", str(folder / "published")]) == 0
    return folder / "published"


def command(model, clip, *more):
    return [
        "calibrate",
        "--model",
        str(model),
        "--clip",
        str(clip),
        "--queries",
        "12",
        "--device",
        "cpu",
        *more,
    ]


def copied(folder, target):
    shutil.copytree(folder, target)
    return target


def test_a_trained_adapter_is_served_calibrated_after_it_and_its_figures_are_of_held_out_people(
    tmp_path, root, clip, trained, capsys
):
    model = copied(trained, tmp_path / "reid")
    named = CheckpointManifest.read(model).weights
    assert named == weight_files(model) and "adapter_model.safetensors" in named  # the trainer wrote them
    replace(CheckpointManifest.read(model), weights={}).write(model)
    settings = Settings(
        model=str(model), clip=str(clip), gallery=str(tmp_path / "g.db"), data=str(tmp_path), device="cpu"
    )
    with open_engine(settings).store:
        told = capsys.readouterr().err
    assert f"python -m training calibrate --model {model} --clip {clip}" in told
    assert "python -m training calibrate" in (model / "README.md").read_text()
    assert UNCALIBRATED["all"] in guide_html(open_engine(settings))

    assert main([*command(model, clip, "--data", "market1501", "--root", str(root)), "--json"]) == 0
    told = capsys.readouterr()
    assert f"{model} was tuned on people of market1501" in told.err
    printed = json.loads(told.out)
    assert set(printed) == {"kinds", "people", "queries", "unreadable"}
    assert printed["unreadable"] == 0
    assert printed["people"] == PEOPLE
    assert printed["queries"] == 24
    assert set(printed["kinds"]) == {"image"}
    assert set(printed["kinds"]["image"]) == {
        *("encoder", "rankers", "auroc", "false_alarms", "ece_before", "ece_after")
    }
    assert set(printed["kinds"]["image"]["rankers"]) == set(RANKERS)

    assert CheckpointManifest.read(model).weights == named
    capsys.readouterr()
    engine = open_engine(settings)
    assert "not calibrated" not in capsys.readouterr().err
    assert UNCALIBRATED["all"] not in guide_html(engine)
    assert "calibrated for" in (model / "README.md").read_text()
    assert "not calibrated" not in (model / "README.md").read_text()
    kept = (file.name for file in (tmp_path / "reid.calibration").iterdir())
    assert sorted(name for name in kept if not name.startswith(".")) == [
        "reliability.png",
        "result.json",
    ]

    # The figures again, from the manifest that was written, by the engine, on the people who were held out.
    records = records_of_data("market1501", root)
    fit_on, measure_on = halves(records, 0.5)
    assert not {r.person for r in fit_on} & {r.person for r in measure_on}
    assert len({r.person for r in measure_on}) == PEOPLE // 2
    asked = searches(measure_on, 12)
    with Workers(Models(str(clip), str(model), device="cpu")) as workers:
        hits = search_all(asked.queries, asked.gallery, workers, work=tmp_path / "again")
        key = encoder_key(engine.encoder.name, engine.encoder.version)
        calibration = CheckpointManifest.read(model).calibrations[key]["image"]
        again = measured(list(found(asked, hits)), calibration).to_json()
    assert calibration.crops == len(fit_on)
    assert again["rankers"]["fused"] == pytest.approx(printed["kinds"]["image"]["rankers"]["fused"])
    assert again["ece_after"] == pytest.approx(printed["kinds"]["image"]["ece_after"], abs=1e-6)
    assert again["auroc"] == pytest.approx(printed["kinds"]["image"]["auroc"])


def test_whoever_is_absent_is_answered_as_where_they_are_not_in_the_gallery(tmp_path, root, clip, trained):
    asked = searches(halves(records_of_data("market1501", root), 0.5)[0], 6)
    with Workers(Models(str(clip), str(trained), k=400, device="cpu")) as workers:
        model, encoder = workers.opened.model, workers.opened.encoder
        by = {encoder_key(encoder.name, encoder.version): {"image": CALIBRATION}}
        model.manifest = replace(model.manifest, calibrations=by)
        hits = search_all(asked.queries, asked.gallery, workers, work=tmp_path / "work")
        engine = workers.opened.engine(tmp_path / "work" / "gallery.db")
        for number, one in enumerate(found(asked, hits)):
            own = frozenset(hits.ids[asked.own[number]].tolist())
            subject = int(hits.ids[asked.subjects[number]])
            assert len(own) == 4
            away = engine.search(Query(references=(Reference(image_id=subject),), confirmed=own), limit=12)
            mine = answer(one.without_person(), CALIBRATION)
            assert [c.image_id for c in away.candidates] == one.hits.ids[mine.shown].tolist()
            np.testing.assert_allclose([c.probability for c in away.candidates], mine.confidences, atol=1e-4)


@pytest.mark.slow
def test_a_killed_calibration_goes_on_and_comes_to_the_same(tmp_path, root, clip, trained, capsys):
    whole, killed = (copied(trained, tmp_path / name) for name in ("whole", "killed"))
    data = ["--data", "market1501", "--root", str(root), "--queries", "40"]
    assert main(command(whole, clip, *data)) == 0
    running = subprocess.Popen(
        [sys.executable, "-m", "training", *command(killed, clip, *data)], cwd=Path(__file__).parents[1]
    )
    work = tmp_path / "killed.calibration" / "running"
    while running.poll() is None and not list(work.glob("fit/blocks/*.npz")):
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert (killed / FILE_NAME).read_bytes() == (trained / FILE_NAME).read_bytes()
    done = {file: file.stat().st_mtime_ns for file in work.glob("fit/blocks/*.npz")}
    assert done and not (work / "measure").exists()
    assert main(command(killed, clip, *data)) == 2
    assert "go on with it by --resume" in capsys.readouterr().err
    assert main(command(killed, clip, *data, "--share-for-fit", "0.4", "--resume")) == 2
    assert "holds another calibration" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert main(command(killed, clip, *data, "--resume")) == 0
    one, other = (
        json.loads((tmp_path / f"{name}.calibration/result.json").read_text()) for name in ("whole", "killed")
    )
    assert one == other
    calibrations = [CheckpointManifest.read(folder).calibrations for folder in (whole, killed)]
    assert calibrations[0] == calibrations[1] != {}


def test_a_kill_after_the_manifest_was_written_needs_no_search_again(
    tmp_path, root, clip, trained, monkeypatch
):
    model = copied(trained, tmp_path / "reid")
    data = ["--data", "market1501", "--root", str(root)]
    with monkeypatch.context() as patched:
        patched.setattr(run, "note_in_card", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            main(command(model, clip, *data))
    monkeypatch.setattr(draft_searches, "search_all", None)
    written = (model / FILE_NAME).read_bytes()
    assert main(command(model, clip, *data, "--resume")) == 0
    assert (model / FILE_NAME).read_bytes() == written
    assert "calibrated for" in (model / "README.md").read_text()
    assert not (tmp_path / "reid.calibration" / "running").exists()


def test_a_query_picture_that_cannot_be_read_is_left_out_told_and_counted(
    tmp_path, root, clip, trained, capsys
):
    copied(root, tmp_path / "data")
    records = records_of_data("market1501", tmp_path / "data")
    fit_on, measure_on = halves(records, 0.5)
    torn = [searches(half, 12).queries[0].image for half in (fit_on, measure_on)]
    for picture in torn:
        picture.write_bytes(picture.read_bytes()[:200])
    model = copied(trained, tmp_path / "reid")
    data = ["--data", "market1501", "--root", str(tmp_path / "data")]
    assert main(command(model, clip, *data)) == 0
    told = capsys.readouterr()
    for picture in torn:
        assert f"nobody is searched for by {picture}: " in told.err
    assert "2 searches were left out, since their pictures cannot be read." in told.out
    result = json.loads((tmp_path / "reid.calibration" / "result.json").read_text())
    assert (result["queries"], result["unreadable"]) == (22, 2)


def test_what_stands_in_the_way_is_one_sentence(tmp_path, root, clip, trained, capsys):
    def refused(*more, model=trained):
        assert main(command(model, clip, *more)) == 2
        told = capsys.readouterr().err.strip().splitlines()[-1]
        return told

    data = ["--root", str(root), "--data"]
    assert "people for tests" in refused(*data, "market1501:query")
    assert "share-for-fit" in refused(*data, "market1501", "--share-for-fit", "1")
    assert "name on the hub" in refused(*data, "market1501", model="Qwen/Qwen2-VL-2B-Instruct")
    write_market1501(tmp_path / "few", 39, seed=1)
    assert "there are 39 people, and at least 40" in refused(
        "--root", str(tmp_path / "few"), "--data", "market1501"
    )
    assert "there is no gallery" in refused("--gallery", str(tmp_path / "none.db"))
    assert CheckpointManifest.read(trained).calibrations == {}


def gallery_of(root, clip, file, *, camera=None):
    """The set's train half, imported: names tell person and camera."""
    encoder = ClipEncoder.load(clip)
    with GalleryStore.open(file) as store:
        import_crops(store, encoder, root / FOLDER / "bounding_box_train", camera=camera)
    return file


def test_an_operators_gallery_calibrates_by_its_labels_and_needs_two_cameras(
    tmp_path, root, clip, trained, capsys
):
    gallery = gallery_of(root, clip, tmp_path / "own.db")
    assert len(records_of_gallery(gallery)) == 4 * PEOPLE
    one_camera = gallery_of(root, clip, tmp_path / "one.db", camera="3")
    model = copied(trained, tmp_path / "reid")
    assert main(command(model, clip, "--gallery", str(one_camera))) == 2
    assert "one camera" in capsys.readouterr().err
    assert main(command(model, clip, "--gallery", str(gallery))) == 0
    assert "| image " in capsys.readouterr().out
    assert ReidModel.load(model).manifest.figures["calibration"]


def test_what_operators_judged_is_fitted_on(tmp_path, root, clip, trained, capsys):
    gallery = gallery_of(root, clip, tmp_path / "own.db")
    with GalleryStore.open(gallery) as store:
        crops = {crop.id: crop for crop in all_crops(store)}
        of_person = {}
        for crop in crops.values():
            of_person.setdefault(crop.person, []).append(crop.id)
        held_out = {record.person for record in halves(records_of_gallery(gallery), 0.5)[1]}
        mine = [ids for person, ids in sorted(of_person.items()) if person not in held_out]
        theirs = next(ids for person, ids in sorted(of_person.items()) if person in held_out)

        def searched(query, user="", **more):
            told = query_json(query) | more
            store.record_search(user=user, reason="", query=told, shown=[], seconds=0.0)

        first, other = mine[0], mine[1]
        by = Query(references=(Reference(image_id=first[0]),))
        searched(by)
        searched(replace(by, rejected=frozenset(other[:1])))
        confirmed = replace(
            by,
            references=(*by.references, Reference(image_id=first[1])),
            confirmed=frozenset(first[1:2]),
            rejected=frozenset(other[:1]),
        )
        searched(confirmed)
        searched(confirmed)
        # Taken back by its user; what another one judged stands.
        searched(replace(by, rejected=frozenset([*other[:1], other[2]])))
        searched(replace(by, rejected=frozenset(other[:1])), taken_back={"rejected": [other[2]]})
        searched(replace(by, rejected=frozenset(other[:1])), "ann", taken_back={"rejected": [other[0]]})
        searched(replace(by, rejected=frozenset(theirs[:1])))  # of the people who are measured on
        photo = Query(references=(Reference(file=tmp_path / "photo.jpg"),))
        searched(photo)
        searched(replace(photo, rejected=frozenset(other[1:2])))
    judged = judged_in(gallery, held_out)
    assert [(one.query, one.right, one.wrong) for one in judged.queries] == [
        (by, frozenset(first[1:2]), frozenset(other[:1]))
    ]
    assert (judged.count, judged.skipped) == (2, 1)
    with Workers(Models(str(clip), str(trained), k=400, device="cpu")) as workers:
        pairs = judged.pairs("image", workers.opened, tmp_path / "audit")
        assert judged.pairs("text", workers.opened, tmp_path / "audit") is None
        trace = workers.opened.engine(gallery).trace(by)
    # Stored: no engine is asked again.
    again = judged.pairs("image", None, tmp_path / "audit")
    assert all(np.array_equal(getattr(again, name), column) for name, column in vars(pairs).items())
    assert pairs.same.sum() == 1 and len(pairs.same) == 2
    place = trace.prefiltered.ids.tolist().index(first[1])
    assert pairs.yes_logits[pairs.same].tolist() == [trace.yes_logits[place]]

    model = copied(trained, tmp_path / "reid")
    calls = ["--gallery", str(gallery), "--k", "400"]
    assert main(command(model, clip, *calls)) == 0
    without = CheckpointManifest.read(model).calibrations
    assert main(command(model, clip, *calls, "--from-audit", str(gallery))) == 0
    told = capsys.readouterr().err
    assert "has 2 judged pairs: 1 confirmed, 1 rejected; 1 judged in searches by a photo" in told
    assert "2 of 2 judged pairs are fitted on" in told
    assert CheckpointManifest.read(model).calibrations != without
    assert (
        main(command(model, clip, *calls, "--from-audit", str(gallery_of(root, clip, tmp_path / "n.db"))))
        == 2
    )
    assert "was confirmed or rejected" in capsys.readouterr().err
