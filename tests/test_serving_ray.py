"""The models on a real Ray Serve: scores, where crops go, a replica that is killed in mid-search, and the end of it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.model.checkpoint import ModelError
from app.model.pictures import Picture
from app.model.prompts import caption_prompt
from app.model.reid_model import ReidModel
from app.model.served import connection
from app.model.served.clip import ServedClip
from app.model.served.local import LocalServe, start
from app.model.served.reid import ServedModel
from app.model.vocabulary import Attribute
from app.retrieval.engine import Engine
from app.retrieval.query import Query
from app.settings import DEMO_CLIP, DEMO_GALLERY, DEMO_MODEL
from gallery_store.decoding import open_picture
from gallery_store.encoder import ClipEncoder, EncoderError
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore

pytestmark = [pytest.mark.slow, pytest.mark.ray]

WORDS = "a woman in a red coat with a backpack"
FILES = sorted(DEMO_GALLERY.rglob("*.jpg"))[:32]
PICTURES = [Picture(file.name, lambda file=file: open_picture(file)) for file in FILES]
PATIENCE = 90  # seconds until a killed replica has a successor, on a loaded machine


@pytest.fixture(scope="module")
def ray() -> Iterator[LocalServe]:
    served = start(
        model=str(DEMO_MODEL),
        clip=str(DEMO_CLIP),
        replicas="2",
        device="cpu",
        four_bit=False,
        token_cache="200MB",
        cpus=0.5,
    )
    yield served
    served.end()


@pytest.fixture(scope="module")
def own() -> ReidModel:
    return ReidModel.load(DEMO_MODEL)


def processes(model: ServedModel) -> dict[str, int]:
    """session -> process of the replica that it leads to."""
    about = {str(n): model._connection.about(str(n)) for n in range(model._buckets)}
    return {session: int(said["process"].rpartition(":")[2]) for session, said in about.items()}


def test_scores_are_those_of_one_process(ray, own):
    model, clip, encoder = (
        ServedModel.connect(ray.address),
        ServedClip.connect(ray.address),
        ClipEncoder.load(DEMO_CLIP),
    )
    assert model.manifest == own.manifest and model.name == own.name and model.kinds == own.kinds
    assert model.warm_up() == 200_000_000
    some = PICTURES[:16]
    for references in ([], PICTURES[:1]):
        wanted = own.yes_logits(WORDS, references, some, other_clothes=True)
        np.testing.assert_allclose(
            model.yes_logits(WORDS, references, some, other_clothes=True), wanted, atol=1e-3
        )
    np.testing.assert_allclose(model.attribute_probs(some), own.attribute_probs(some), atol=1e-3)
    lists = [PICTURES[2:6], PICTURES[6:10]]
    wanted = own.choice_logits(WORDS, PICTURES[:1], lists)
    np.testing.assert_allclose(model.choice_logits(WORDS, PICTURES[:1], lists), wanted, atol=1e-3)
    said: list[str] = []
    written = model.write(caption_prompt(), PICTURES[:1], limit=12, said=said.append)
    assert written == own.write(caption_prompt(), PICTURES[:1], limit=12) and len(said) > 3
    with pytest.raises(ModelError, match="could not answer"):
        model.write(caption_prompt(), [], limit=12)  # no picture in its place

    assert (clip.name, clip.version, clip.dim, clip.logit_scale) == (
        encoder.name,
        encoder.version,
        encoder.dim,
        encoder.logit_scale,
    )
    images = [picture.load() for picture in PICTURES[:5]]
    np.testing.assert_allclose(clip.encode_images(images), encoder.encode_images(images), atol=1e-3)
    np.testing.assert_allclose(
        clip.encode_texts([WORDS, "red"]), encoder.encode_texts([WORDS, "red"]), atol=1e-3
    )


def test_operators_together_get_their_own_answers(ray, own):
    model, clip = ServedModel.connect(ray.address), ServedClip.connect(ray.address)
    encoder = ClipEncoder.load(DEMO_CLIP)
    queries = [f"a man with {thing}" for thing in ("a hat", "glasses", "a dog", "an umbrella")]
    wanted = [own.yes_logits(words, [], PICTURES[:16]) for words in queries]
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda words: clip.encode_texts([words])[0], queries)
        got = list(pool.map(lambda words: model.yes_logits(words, [], PICTURES[:16]), queries))
        np.testing.assert_allclose(list(texts), encoder.encode_texts(queries), atol=1e-3)
    np.testing.assert_allclose(got, wanted, atol=1e-3)


def test_a_killed_replica_loses_nothing(ray, own, tmp_path, monkeypatch):
    """kill -9 while a search runs: the others go on, the ranking is the same, and it is said."""
    monkeypatch.setattr(
        "app.model.served.reid._MOST", 4
    )  # pictures at a time: most are yet to be asked about
    model, encoder = ServedModel.connect(ray.address), ClipEncoder.load(DEMO_CLIP)
    before = processes(model)
    assert len(set(before.values())) == 2 and before == processes(
        model
    )  # each session leads to one replica, always
    crops = tmp_path / "crops"
    crops.mkdir()
    for file in FILES:
        shutil.copy(file, crops)
    victims: list[int] = []

    def kill(step: str, done: int, total: int) -> None:
        if step == "rerank" and done and not victims:
            victims.append(before[model.session(str(store.crops([1])[0].sha256))])
            os.kill(victims[0], signal.SIGKILL)

    query = Query(wanted=(Attribute("upper_colour", "red"), Attribute("upper", "coat")))
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_crops(store, encoder, crops)
        whole = Engine(store, encoder, own, ranker="pairwise").search(query)
        engine = Engine(store, ServedClip.connect(ray.address), model, ranker="pairwise")
        # Where Ray knows of the death before it is asked, only who answered before tells that another one does now.
        unhurt = engine.search(query)
        hurt = engine.search(query, progress=kill)
        assert victims and hurt.delayed and not (whole.delayed or unhurt.delayed)
        assert hurt.scored == unhurt.scored == whole.scored > 12
        close = dict(
            zip([c.image_id for c in whole.candidates], [c.p_yes for c in whole.candidates], strict=True)
        )
        for candidate in hurt.candidates:
            assert candidate.p_yes == pytest.approx(close[candidate.image_id], abs=1e-3)
        again = engine.search(query)
        assert [c.image_id for c in again.candidates] == [c.image_id for c in whole.candidates]
        until = time.monotonic() + PATIENCE
        while len(after := set(processes(model).values())) < 2 or victims[0] in after:
            assert time.monotonic() < until, "nobody took the place of the killed replica"
            time.sleep(0.5)
        assert engine.search(query).scored == whole.scored


def test_damaged_weights_are_refused_by_a_replica(tmp_path):
    from app.model.served.replicas import ClipReplica, ReidReplica

    folder = Path(shutil.copytree(DEMO_MODEL, tmp_path / "model"))
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    replica = ReidReplica(str(folder), "cpu", False, 0, 1)
    assert "is not the file that chatreid.json names" in replica.fault
    replica.check_health()  # it would only be started, and refuse, again
    assert "no CLIP folder" in ClipReplica(str(tmp_path / "nothing"), "cpu").fault


def test_a_device_that_failed_is_not_asked_again():
    import asyncio

    from app.model.served.replicas import Computing

    def fail() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

    replica = Computing()
    replica.check_health()
    for raised in (lambda: asyncio.run(replica.compute(fail)), replica.check_health):
        with pytest.raises(RuntimeError, match="illegal memory access"):
            raised()


def test_a_model_that_cannot_be_served_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="no checkpoint folder"):
        start(
            model=str(tmp_path / "nothing"),
            clip="none",
            replicas="1",
            device="cpu",
            four_bit=False,
            token_cache="",
        )


def test_a_ray_that_goes_away_is_one_sentence(ray, monkeypatch):
    """The last test: it ends the Ray."""
    model, clip = ServedModel.connect(ray.address), ServedClip.connect(ray.address)
    ray.end()
    monkeypatch.setattr(connection, "_GONE", 0.5)
    for ask, kind in (
        (lambda: model.yes_logits(WORDS, [], PICTURES), ModelError),
        (lambda: clip.encode_texts(["red"]), EncoderError),
    ):
        with pytest.raises(kind, match=rf"^the Ray at {ray.address} does not answer"):
            ask()
