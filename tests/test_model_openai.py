"""A model behind an OpenAI-compatible server, against one over the demo checkpoint by transformers' own code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.model import openai_model
from app.model.checkpoint import FILE_NAME, ModelError
from app.model.openai_model import OpenAiModel
from app.model.pictures import Picture
from app.model.prompts import NO, YES, caption_prompt
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.opening_models import open_model
from app.retrieval.engine import Engine
from app.retrieval.query import Query
from app.settings import DEMO_CLIP, DEMO_GALLERY, DEMO_MODEL, Settings
from gallery_store.decoding import open_picture
from gallery_store.encoder import ClipEncoder
from gallery_store.store import GalleryStore
from tests.openai_server import ModelServer, openai_server
from tests.serving import free_port

WORDS = "a woman in a red coat with a backpack"
FILES = sorted(DEMO_GALLERY.rglob("*.jpg"))[:8]
PICTURES = [Picture(file.name, lambda file=file: open_picture(file)) for file in FILES]


def asked_by(version: int, folder: Path) -> Path:
    """The demo model, as if it had been taught by prompts of a version."""
    shutil.copytree(DEMO_MODEL, folder)
    file = folder / FILE_NAME
    file.write_text(json.dumps({**json.loads(file.read_text()), "prompt_version": version}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return asked_by(2, tmp_path_factory.mktemp("model") / "demo")


@pytest.fixture(scope="module")
def running(folder) -> Iterator[tuple[str, ModelServer]]:
    with openai_server(folder) as (url, server):
        yield url, server


@pytest.fixture(scope="module")
def own(folder) -> ReidModel:
    return ReidModel.load(folder)


@pytest.fixture
def server(running, monkeypatch) -> Iterator[ModelServer]:
    monkeypatch.setattr(openai_model, "_PAUSES", (0.001,) * 3)
    server = running[1]
    server.asked.clear()
    yield server
    server.busy, server.top, server.says = 0, 20, {}


@pytest.fixture
def model(running, folder, server) -> OpenAiModel:
    return OpenAiModel.connect(f"openai:{running[0]}#{folder}")


def test_scores_are_those_in_process(model, own, server):
    grey = Picture("grey", lambda: PICTURES[3].load().convert("L").convert("RGB"))  # as by an infrared camera
    for references, candidates in (([], PICTURES), (PICTURES[:2], [*PICTURES[2:5], grey])):
        server.asked.clear()
        done: list[int] = []
        wanted = own.yes_logits(WORDS, references, candidates, other_clothes=True)
        scores = model.yes_logits(
            WORDS,
            references,
            candidates,
            other_clothes=True,
            progress=lambda at, _, done=done: done.append(at),
        )
        np.testing.assert_allclose(scores, wanted, atol=1e-3)
        assert np.ptp(wanted) > 0.1 and done[-1] == len(candidates)
        bodies = [body for body, _ in server.asked]
        assert len(bodies) == len(candidates) and {body["max_tokens"] for body in bodies} == {1}
        parts = [body["messages"][-1]["content"] for body in bodies]
        # The query comes first, the same to the letter, and the candidate last: a prefix cache serves them all.
        assert len({str(part[:-1]) for part in parts}) == (2 if grey in candidates else 1)
        assert len({str(part[-1]) for part in parts}) == len(candidates)


def test_a_checkpoint_of_version_4_is_asked_as_in_process(model, own, monkeypatch):
    before = own.yes_logits(WORDS, [], PICTURES[:3])
    for one in (model, own):
        monkeypatch.setattr(one, "manifest", replace(one.manifest, prompt_version=4))
    monkeypatch.setattr(own, "_prompts", {})
    wanted = own.yes_logits(WORDS, [], PICTURES[:3])
    np.testing.assert_allclose(model.yes_logits(WORDS, [], PICTURES[:3]), wanted, atol=1e-3)
    assert np.abs(wanted - before).max() > 0.01


def test_a_checkpoint_that_is_told_what_it_reads_is_not_asked_behind_a_server(running, tmp_path):
    folder = asked_by(5, tmp_path / "aloud")
    with pytest.raises(ModelError, match=f"load it here: --model {folder}"):
        OpenAiModel.connect(f"openai:{running[0]}#{folder}")


def test_it_writes_in_its_own_words(model, own):
    said: list[str] = []
    wanted = own.write(caption_prompt(), PICTURES[:1], limit=10)
    assert model.write(caption_prompt(), PICTURES[:1], limit=10, said=said.append) == wanted
    assert said[-1] == wanted.text and len(said) > 3
    stopped = model.write(caption_prompt(), PICTURES[:1], limit=10, stop=lambda: True)
    assert not stopped.ended and wanted.text.startswith(stopped.text)


def test_what_it_cannot_give_is_absent(model, own):
    assert model.kinds == own.kinds and model.manifest is not None and not model.manifest.calibrations
    assert np.isnan(model.attribute_probs(PICTURES)).all() and model.annotate(PICTURES[:2]) == [(), ()]
    with pytest.raises(ModelError, match="no best choice; choose another --ranker"):
        model.choice_logits("", PICTURES[:1], [PICTURES[1:3]])


def test_a_search_goes_by_its_word(running, folder, server, tmp_path, capsys):
    from gallery_store.importer import import_crops

    opened = open_model(Settings(model=f"openai:{running[0]}#{folder}"), "cpu")
    assert "attributes" in capsys.readouterr().err
    encoder = ClipEncoder.load(DEMO_CLIP)
    with GalleryStore.open(tmp_path / "g.db") as store:
        for file in FILES:
            import_crops(store, encoder, file)
        engine = Engine(store, encoder, opened, ranker="pairwise")
        engine.warm_up()
        ranking = engine.search(Query(wanted=(Attribute("upper_colour", "red"),)))
        assert ranking.scored == len(FILES) and not ranking.calibrated
        p_yes = [candidate.p_yes for candidate in ranking.candidates]
        assert p_yes == sorted(p_yes, reverse=True) and len(set(p_yes)) > 1


def test_a_busy_server_is_asked_again(model, server, own):
    server.busy = 2
    np.testing.assert_allclose(
        model.yes_logits(WORDS, [], PICTURES[:3]), own.yes_logits(WORDS, [], PICTURES[:3]), atol=1e-3
    )
    assert model.lost == 2
    server.busy = 10**6
    with pytest.raises(ModelError, match="refuses with 429"):
        model.yes_logits(WORDS, [], PICTURES[:1])
    assert np.isnan(model.yes_logits(WORDS, [], PICTURES[:1], stop=iter([False, True]).__next__)).all()


def test_a_word_that_is_not_among_the_likeliest(model, server, own):
    likelier = own.yes_logits(WORDS, [], PICTURES[:1])[0]
    server.says = {NO: "Not", "No": "Not"}
    assert model.yes_logits(WORDS, [], PICTURES[:1])[0] >= likelier
    server.says = {YES: "Oui", NO: "Non"}
    with pytest.raises(ModelError, match=r"answers neither Yes nor No \(but '(Oui|Non)'"):
        model.yes_logits(WORDS, [], PICTURES[:1])
    server.top = 0
    with pytest.raises(ModelError, match="gives no log-probabilities"):
        model.yes_logits(WORDS, [], PICTURES[:1])


def test_a_torn_picture_has_no_score(model):
    def load():
        raise OSError("torn")

    torn = Picture("torn", load)
    assert np.isfinite(model.yes_logits(WORDS, [], [PICTURES[0], torn])).tolist() == [True, False]
    assert model.can_open([PICTURES[0], torn]).tolist() == [True, False]
    with pytest.raises(OSError, match="torn"):
        model.yes_logits(WORDS, [torn], PICTURES[:1])


def test_what_is_wrong_at_the_start_is_one_sentence(running, folder, server, monkeypatch):
    url = running[0]
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    for spec, why in (
        ("openai:" + url, "names no model"),
        ("openai:box#name", "names no model"),
        (f"openai:{url}#other", "has no model other; it has "),
        (f"openai:{nobody}#name", r"does not answer \(.*refused"),
    ):
        with pytest.raises(ModelError, match=why):
            OpenAiModel.connect(spec)
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    keyed = OpenAiModel.connect(f"openai:{url}#{folder}")
    keyed.yes_logits(WORDS, [], PICTURES[:1])
    assert server.asked[-1][1] == "Bearer a-key"
