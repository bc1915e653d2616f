"""From --reid to an engine: what is said, what is refused, and what the screen, the API and the evaluation tell."""

from __future__ import annotations

import argparse
import json
import re
import shlex

import numpy as np
import pytest

from app.retrieval.query import Query, Reference
from app.service import ChatService
from app.settings import ROOT, Settings
from app.startup import StartError, import_demo, open_engine
from app.ui.gallery_tab import stats_html
from app.ui.server import _never_served
from gallery_store.__main__ import _parser as gallery_parser
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.reid_encoder import ReidEncoder
from gallery_store.reindex import reindex
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import write_pictures
from tests.miniatures import write_miniature
from tests.reid_files import tiny_timm, write_torchscript, write_tower
from tests.tiny_qwen import tiny_folder
from training.__main__ import main
from training.commands import evaluate
from training.evaluation.results import Result
from training.evaluation.workers import Models


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip") / "bad")


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return write_torchscript(tmp_path_factory.mktemp("reid") / "market.pt", tiny_timm())


@pytest.fixture
def settings(tmp_path, clip, market):
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_crops(
            store, ClipEncoder.load(clip), write_pictures(tmp_path / "in", [f"{n}.png" for n in range(6)])
        )

    def of(reid=str(market)) -> Settings:
        models = {"clip": str(clip), "model": str(tiny_folder()), "reid": reid, "device": "cpu"}
        return Settings(data=str(tmp_path), gallery=str(tmp_path / "g.db"), **models)

    return of


def test_the_start_says_who_prefilters_and_refuses_a_gallery_without_its_vectors(settings, market, capsys):
    with pytest.raises(
        StartError, match=r"has no re-ID vectors: run .*reindex --gallery .*g\.db.* with --reid"
    ):
        open_engine(settings())
    reid = ReidEncoder.load(market)
    with GalleryStore.open(settings().gallery_location) as store:
        reindex(store, reid, role="reid")
    capsys.readouterr()
    engine = open_engine(settings())
    said = capsys.readouterr().err
    assert said.startswith(f"Loading the models ({settings().clip}, {market}, {tiny_folder()})\n")
    assert f"Queries by picture are prefiltered by market ({reid.version}, 64x32 pixels)" in said
    assert "bad and market" in stats_html(engine.store)
    session = ChatService(engine, audited=False).get("ann", "tab")
    assert session.search_with(2).status["prefiltered_by"] == f"market@{reid.version}"
    by_clip = f"{engine.encoder.name}@{engine.encoder.version}"
    assert session.say("with a red hat").status["prefiltered_by"] == f"market@{reid.version} + {by_clip}"
    session.start_over()
    assert session.say("a woman in a red jacket").status["prefiltered_by"] == by_clip
    assert {str(market), str(market.with_suffix(".json"))} <= set(_never_served(settings()))
    engine.store.close()

    engine = open_engine(settings(reid=""))
    assert "The gallery's re-ID vectors by market are not used: name that encoder" in capsys.readouterr().err
    query = Query(references=(Reference(image_id=2),))
    assert engine.trace(query).prefiltered.encoder == by_clip
    engine.store.close()
    with pytest.raises(StartError, match="names no re-ID encoder"):
        open_engine(settings(reid="resnet50"))


def test_the_demo_crops_of_a_first_start_have_both_vectors(tmp_path, clip, market):
    (tmp_path / "data").mkdir()
    with GalleryStore.open(tmp_path / "data" / "gallery.db") as store:
        source = write_pictures(tmp_path / "in", ["1.png", "2.png"])
        import_demo(store, ClipEncoder.load(clip), tmp_path / "data", source, reid=ReidEncoder.load(market))
        assert store.count() == 2 and store.encoder("reid")[0] == "market"


def test_an_evaluation_with_a_re_id_encoder_finds_whom_clip_does_not(tmp_path, clip, capsys):
    write_miniature("market1501", tmp_path / "data", people=8)
    tower = write_tower(tmp_path / "tower.pt")
    version = ReidEncoder.load(tower).version

    def measured(*more) -> tuple[dict, str]:
        asked = ("--benchmark", "market1501", "--root", str(tmp_path / "data"), "--clip", str(clip), "--json")
        models = ("--model", "none", "--device", "cpu", "--k", "3", "--rankers", "clip,k-reciprocal")
        code = main(["evaluate", *asked, *models, *map(str, more)])
        out, err = capsys.readouterr()
        return (json.loads(out) if code == 0 else {}), err

    by_clip, _ = measured("--out", tmp_path / "clip")
    by_reid, _ = measured("--out", tmp_path / "reid", "--reid", tower)
    for ranker in ("clip", "k-reciprocal"):
        found, missed = (of["settings"]["standard"][ranker] for of in (by_reid, by_clip))
        assert found["mAP"] > missed["mAP"] + 0.2 and found["rank1"] > missed["rank1"]
        assert found["prefilter_recall"] > missed["prefilter_recall"]
    told = Result.read(tmp_path / "reid").model.encoder
    assert told == f"{by_clip['model']['encoder']} + tower@{version}"
    _, err = measured("--out", tmp_path / "reid")
    assert "holds another evaluation" in err
    _, err = measured("--reid", "nowhere.pt")
    assert "there are no re-ID weights nowhere.pt" in err and err.count("\n") == 1


def test_the_pages_commands_parse_and_its_example_is_taken(tmp_path, market):
    page = (ROOT / "docs" / "reid-encoder.md").read_text("utf-8")
    commands = [shlex.split(line, comments=True)[1:] for line in re.findall(r"^python .*$", page, re.M)]
    assert len(commands) == 4
    evaluations = argparse.ArgumentParser()
    evaluate.add_arguments(evaluations)
    for command in commands:
        if command[0] == "app.py":
            assert Settings.parse(command[1:], {}).reid == "market.pt"
        elif command[1] == "gallery_store":
            assert gallery_parser().parse_args(command[2:]).reid == "market.pt"
        else:
            assert evaluations.parse_args(command[3:]).reid == "market.pt"
    (tmp_path / "market.pt").write_bytes(market.read_bytes())
    (tmp_path / "market.json").write_text(re.search(r"```json\n(.*?)```", page, re.S)[1])
    assert ReidEncoder.load(tmp_path / "market.pt").size == (256, 128)


def test_what_the_scores_depend_on_changes_with_the_weights_not_with_their_place(tmp_path, clip, market):
    moved = tmp_path / "elsewhere" / "market.pt"
    moved.parent.mkdir()
    for suffix in (".pt", ".json"):
        moved.with_suffix(suffix).write_bytes(market.with_suffix(suffix).read_bytes())
    other = write_torchscript(tmp_path / "market.pt", tiny_timm(3))
    shown = [Models(str(clip), None, reid=str(reid)).fingerprint() for reid in (market, moved, other)]
    assert shown[0] == shown[1] != shown[2] and np.unique([len(of) for of in shown]).tolist() == [6]
    assert "reid" not in Models(str(clip), None).fingerprint()  # runs of before go on
