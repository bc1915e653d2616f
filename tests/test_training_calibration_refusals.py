"""What a calibration refuses, when, and in which words."""

import errno
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from app.model.checkpoint import CheckpointManifest, ModelError
from app.retrieval.query import Query
from tests.clip_folder import make_clip_folder
from tests.test_training_calibration_searches import DRAWN
from tests.tiny_qwen import build_tiny
from training.__main__ import main
from training.calibration import draft_searches, run
from training.calibration.audit import JudgedInApp, JudgedQuery
from training.calibration.by_kind import JudgedPairs
from training.calibration.draft_searches import _ASK_ALL, DraftSearches, _reads
from training.calibration.fit import OneSided, fit
from training.calibration.run import CalibrationPlan, calibrate
from training.calibration.searches import CalibrationError, records_of_data
from training.calibration.shares import Shares
from training.evaluation.work_folder import WHOLE, hold
from training.evaluation.workers import Models


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip") / "small")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture
def model(tmp_path, plain):
    return shutil.copytree(plain, tmp_path / "model")


@pytest.fixture
def refused(model, clip, monkeypatch, capsys):
    """Calibrates with further options, is refused before anything was searched for, and returns the last sentence."""
    asked = []
    monkeypatch.setattr(draft_searches, "search_all", lambda *_, **__: asked.append(1))

    def refused(*more, clip=clip):
        command = [
            "calibrate",
            "--model",
            str(model),
            "--clip",
            str(clip),
            "--data",
            DRAWN,
            "--device",
            "cpu",
        ]
        assert main([*command, *more]) == 2
        assert not asked
        return capsys.readouterr().err.strip().splitlines()[-1]

    return refused


def test_what_is_refused_before_any_search_leaves_nothing_that_stands_in_the_way(refused, model, tmp_path):
    running = tmp_path / "model.calibration" / "running"
    for _ in range(2):
        assert "no-such-clip" in refused(clip=tmp_path / "no-such-clip")
        assert not running.exists()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "FEWEST_SEARCHES", 100)
        assert "no kind of query has 100 searches" in refused("--queries", "100")
    assert not running.exists()


def test_another_calibration_that_has_begun_is_told_in_its_own_words(refused, model, tmp_path):
    running = tmp_path / "model.calibration" / "running"
    running.mkdir(parents=True)
    (running / "plan.json").write_text("{}")
    told = refused("--resume")
    assert "holds another calibration" in told and "remove that folder" in told
    assert "evaluation" not in told


def test_a_calibration_that_runs_is_not_joined_by_another(refused, model, tmp_path):
    with hold(tmp_path / "model.calibration", WHOLE):
        told = refused()
    assert f"{model} is being calibrated by another process" in told
    assert "--shard" not in told


@pytest.mark.parametrize("name", ["model", "model.calibration"])
def test_a_folder_that_cannot_be_written_is_named_before_any_search(
    refused, model, monkeypatch, tmp_path, name
):
    def no_file(dir):
        if Path(dir) == tmp_path / name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(Path(dir) / ".hidden"))
        return tempfile.TemporaryFile(dir=dir)

    monkeypatch.setattr(run, "TemporaryFile", no_file)
    told = refused()
    assert f"{tmp_path / name} cannot be written (Permission denied)" in told
    assert "hidden" not in told


def test_a_half_without_people_names_the_share(refused):
    assert "--share-for-fit 0.99 leaves nobody, or one person, to measure on" in refused(
        "--share-for-fit", "0.99"
    )
    assert "--share-for-fit 0.01 leaves nobody, or one person, to fit on" in refused(
        "--share-for-fit", "0.01"
    )


def test_options_are_checked_as_the_app_checks_them(refused):
    assert refused("--device", "tpu") == "--device is 'tpu'; give cpu, cuda, cuda:N, mps or auto"
    assert refused("--k", "0") == "--k is 0, but it must be 1 or more"


def test_comparing_checks_its_options_as_the_app_does(capsys):
    asked = ["compare", "--base", "one", "--model", "other", "--benchmark", "market1501", "--root", "nowhere"]
    assert main([*asked, "--device", "tpu"]) == 2
    assert capsys.readouterr().err.strip() == "--device is 'tpu'; give cpu, cuda, cuda:N, mps or auto"


def test_no_number_is_not_told_as_one_sided():
    pairs = (np.array([0.0, np.nan]), np.zeros(2))
    with pytest.raises(ValueError, match="finite") as raised:
        fit(*pairs, np.array([True, False]))
    assert not isinstance(raised.value, OneSided)
    with pytest.raises(OneSided):
        fit(np.zeros(2), np.zeros(2), np.array([True, True]))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OneSided("one-sided"), "text: among the first 12 candidates of all searches there are not both"),
        (ValueError("calibration needs finite words"), "text: calibration needs finite words; "),
    ],
)
def test_a_fit_that_fails_says_why(monkeypatch, error, told):
    def fails(*_):
        raise error

    monkeypatch.setattr(draft_searches, "pairs_of", lambda _: (None, None))
    monkeypatch.setattr(draft_searches, "fit_kind", fails)
    with pytest.raises(CalibrationError, match=told):
        DraftSearches.fitted(SimpleNamespace(draft={"text": _ASK_ALL}), "text", [], None)


def test_one_picture_that_cannot_be_opened_does_not_speak_for_the_model():
    records = records_of_data(DRAWN, None)[:4]
    first = "probe-0"

    class Model:
        probs, unreadable = np.array([[0.5]]), {first}

        def can_open(self, pictures, *, stop=None):
            return np.array([picture.key not in self.unreadable for picture in pictures])

        def attribute_probs(self, pictures):
            if isinstance(self.probs, Exception):
                raise self.probs
            return np.where(self.can_open(pictures)[:, None], self.probs, np.nan)

    model = Model()
    assert _reads(model, records)
    model.probs = ModelError("its tokenizer does not tell the values apart")
    assert not _reads(model, records)


@pytest.mark.slow
def test_judged_pairs_are_compared_by_the_weights_that_are_fitted_and_the_used_ones_are_counted(
    model, clip, monkeypatch, capsys
):
    asked = {}

    def pairs(self, kind, opened, work, progress=None):
        calibration = opened.model.manifest.calibration(opened.encoder.name, opened.encoder.version, kind)
        asked[kind] = calibration.text_weight
        return JudgedPairs(*np.zeros((4, 3)), np.array([True, False, False])) if kind == "text" else None

    judged = JudgedInApp(
        Path("own.db"), (JudgedQuery(Query(text="a man"), frozenset(range(7)), frozenset()),)
    )
    monkeypatch.setattr(draft_searches, "fit_shares", lambda *_: Shares(0.9))
    monkeypatch.setattr(JudgedInApp, "pairs", pairs)
    models, people = Models(str(clip), str(model), k=16, device="cpu"), records_of_data(DRAWN, None)
    plan = CalibrationPlan(models, people, "drawn", queries=40)
    with pytest.raises(CalibrationError, match="no right crop is among the candidates"):
        calibrate(replace(plan, models=replace(models, k=2), queries=10), judged=judged)
    assert not (plan.work / "running").exists()  # so that the command with a larger --k is not refused
    result = calibrate(plan, judged=judged)
    ((_, fitted),) = CheckpointManifest.read(model).calibrations.items()
    assert asked["image-plus-text"] == fitted["image-plus-text"].text_weight == 0.9
    assert "3 of 7 judged pairs are fitted on" in capsys.readouterr().err
    assert result["judged_pairs"] == 3
