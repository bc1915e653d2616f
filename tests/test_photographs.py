"""A model that knows drawn people only gives photographs no percentages, and says so before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.cards import make_cards
from app.chat.reply import PHOTOGRAPHS
from app.model.checkpoint import DRAWN_ONLY, Calibration, CheckpointManifest, encoder_key
from app.model.reid_model import ReidModel
from app.retrieval.comparison import Comparison
from app.retrieval.engine import Engine
from app.retrieval.photographs import FoundPhotographs
from app.retrieval.prefilter import Prefiltered
from app.retrieval.query import Query, Reference
from app.retrieval.ranking import Ranking, SearchTrace, rank_candidates
from app.service import ChatService
from app.settings import FUSED
from app.ui.gallery_tab import import_html
from app.ui.html import Sought, candidates_html, selected_html
from app.uploads import Uploads
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import ImportReport, import_crops
from gallery_store.photographs import PROOF, is_photograph, looks_photographic
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.drawn_and_photographed import drawn, photographed
from tests.tiny_qwen import tiny_folder
from training.synthetic.people import WORLDS, people
from training.synthetic.render import encode
from training.synthetic.site import cameras
from training.synthetic.world import crops_of

CALIBRATION = Calibration(
    yes_logit=0.3, similarity=2.0, bias=0.5, clip_similarity=3.0, clip_bias=0.2, tau=-0.5, threshold=0.1
)


def as_jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(BytesIO(as_jpeg(image, quality))).convert("RGB")


@cache
def of_world(world: int) -> tuple[Image.Image, ...]:
    """Drawn people as no file has them: the look alone decides."""
    some = people(9001, "test", 20, members=1, world=world)
    return tuple(
        crop.picture()
        for person in some
        for crop in crops_of(person, cameras(9001), 4, 9001, outfits=(0,), infrared_share=0.1)
    )


def test_what_we_draw_is_marked_and_never_taken_for_a_photograph() -> None:
    for seed in range(5):
        picture = photographed(seed)
        assert not is_photograph(encode(picture), picture)
        assert is_photograph(as_jpeg(picture, 90), picture)
    assert not is_photograph(as_jpeg(of_world(1)[0], 90), of_world(1)[0])


@pytest.mark.parametrize("world", WORLDS)
def test_drawn_people_are_not_taken_for_photographs_by_their_looks(world: int) -> None:
    assert sum(map(looks_photographic, of_world(world))) < PROOF / 3 * len(of_world(world))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("size, quality", [((64, 128), 75), ((84, 168), 90), ((128, 256), 50)])
def test_nor_are_they_when_they_are_saved_again(world: int, size: tuple[int, int], quality: int) -> None:
    again = [jpeg(picture.resize(size), quality) for picture in of_world(world)]
    assert sum(map(looks_photographic, again)) < PROOF / 2 * len(again)


@pytest.mark.parametrize("texture", [15, 25, 40])
@pytest.mark.parametrize("height", [64, 128, 900])
def test_what_is_textured_at_every_scale_is(height: int, texture: float) -> None:
    pictures = [photographed(seed, height, texture) for seed in range(3 if height > 128 else 12)]
    assert all(map(looks_photographic, pictures))
    assert all(looks_photographic(jpeg(picture, 60)) for picture in pictures)


@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_one_colour_alone_is_no_photograph(colour: str) -> None:
    assert not looks_photographic(Image.new("RGB", (64, 128), colour))
    assert not looks_photographic(Image.new("RGB", (1, 1), colour))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ClipEncoder:
    return ClipEncoder.load(make_clip_folder(tmp_path_factory.mktemp("clip")))


def model(encoder: ClipEncoder, **changes: Any) -> ReidModel:
    kinds = dict.fromkeys(("text", "image", "image-plus-text"), CALIBRATION)
    key = encoder_key(encoder.name, encoder.version)
    manifest = CheckpointManifest("toy", "toy", calibrations={key: kinds}, knows=DRAWN_ONLY)
    loaded = ReidModel.load(tiny_folder())
    return ReidModel(loaded._checkpoint, replace(manifest, **changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GalleryStore]:
    with GalleryStore.open(tmp_path / "gallery.db") as store:
        yield store


def fill(
    store: GalleryStore, encoder: ClipEncoder, folder: Path, drawings: int, photographs: int
) -> ImportReport:
    for number in range(drawings):
        (folder / f"drawn{number:02}.jpg").write_bytes(encode(drawn(number)))
    for number in range(photographs):
        photographed(number).save(folder / f"photo{number:02}.png")
    return import_crops(store, encoder, folder)


WORDS = Query(text="a man in a red coat")


def probabilities(found: Ranking) -> list[float | None]:
    return [candidate.probability for candidate in found.candidates]


def test_photographs_get_no_percentages_from_a_model_of_drawn_people(
    store: GalleryStore, encoder: ClipEncoder, folder: Path
) -> None:
    report = fill(store, encoder, folder, 2, 10)
    assert report.photographs == 10 and report.are_photographs
    engine = Engine(store, encoder, model(encoder))
    found = engine.search(WORDS)
    assert found.photographs and not found.calibrated and not found.no_match and found.scored == 12
    assert probabilities(found) == [None] * 12 and not any(candidate.weak for candidate in found.candidates)
    knows_more = Engine(store, encoder, model(encoder, knows=""))
    trusted = knows_more.search(WORDS)
    assert trusted.calibrated and None not in probabilities(trusted) and not trusted.photographs
    # What looks most alike still comes first.
    assert [c.image_id for c in found.candidates] == [c.image_id for c in trusted.candidates]
    said = import_html(report, engine)
    assert "10 of the new ones look like photographs" in said and "drawn people only" in said
    assert "photographs" not in import_html(report, knows_more)


def test_drawn_people_keep_theirs_and_one_photograph_among_them_has_none(
    store: GalleryStore, encoder: ClipEncoder, folder: Path
) -> None:
    report = fill(store, encoder, folder, 11, 1)
    assert report.photographs == 1 and not report.are_photographs
    engine = Engine(store, encoder, model(encoder))
    found = engine.search(WORDS)
    assert found.calibrated and not found.photographs
    (photo,) = store.ids_by_path(["photo00.png"])["photo00.png"]
    without = [candidate for candidate in found.candidates if candidate.probability is None]
    assert [candidate.image_id for candidate in without] == [photo]
    assert without[0].caution == "uncalibrated photo" and not without[0].weak
    assert "photographs" not in import_html(report, engine)


def test_behind_a_candidate_that_is_a_photograph_nobody_looked() -> None:
    found = FoundPhotographs(np.array([False, True, False, False, False]), False)
    prefiltered = Prefiltered(np.arange(7), np.linspace(0.5, 0.0, 7, dtype=np.float32), 5, True)
    trace = SearchTrace(
        prefiltered, np.array([5.0, 4, 3, 2, 1]), FUSED, CALIBRATION, np.zeros(5), photographs=found
    )
    ranking = rank_candidates(trace, 7)
    assert [p is None for p in probabilities(ranking)] == [False, True, False, False, False, True, True]
    assert ranking.calibrated and ranking.candidates[1].caution == "uncalibrated photo"
    drawn_only = replace(trace, photographs=FoundPhotographs(np.zeros(5, bool), False))
    assert None not in probabilities(rank_candidates(drawn_only, 7))


def test_a_photograph_that_is_searched_with_is_enough(
    store: GalleryStore, encoder: ClipEncoder, folder: Path, tmp_path: Path
) -> None:
    fill(store, encoder, folder, 9, 0)
    engine = Engine(store, encoder, model(encoder))
    photographed(77, 900).save(tmp_path / "me.jpg")
    found = engine.search(Query(references=(Reference(file=tmp_path / "me.jpg"),)))
    assert found.photographs and set(probabilities(found)) == {None}
    assert {candidate.caution for candidate in found.candidates} == {"uncalibrated"}
    (tmp_path / "drawn.jpg").write_bytes(encode(drawn(88)))
    found = engine.search(Query(references=(Reference(file=tmp_path / "drawn.jpg"),)))
    assert not found.photographs and None not in probabilities(found)


def test_the_caution_stands_where_the_percentages_would_stand(
    store: GalleryStore, encoder: ClipEncoder, folder: Path, tmp_path: Path
) -> None:
    fill(store, encoder, folder, 0, 6)
    service = ChatService(
        Engine(store, encoder, model(encoder)), Uploads(tmp_path / "up", max_bytes=1, max_pixels=1)
    )
    answer = service.get("ann", "tab").say("a man in a red coat")
    assert answer.status["photographs"] and answer.status["calibrated"] is False
    assert [card.as_json()["probability"] for card in answer.cards] == [None] * 6
    assert PHOTOGRAPHS in answer.reply and "%" not in answer.reply.replace(PHOTOGRAPHS, "")
    session = service.get("ann", "tab")
    page = candidates_html(session.cards, session.ranking)
    assert (
        page.count("uncalibrated photo</span>") == 6
        and "look like photographs" in page
        and "cr-bar" not in page
    )
    assert "uncalibrated photo" in selected_html(session.cards[0], Sought(), Comparison())


def test_a_checkpoint_that_is_not_calibrated_says_so_on_each_card(
    store: GalleryStore, encoder: ClipEncoder, folder: Path
) -> None:
    fill(store, encoder, folder, 4, 0)
    found = Engine(store, encoder, ReidModel.load(tiny_folder())).search(WORDS)
    cards = make_cards(found.candidates, store.crops([c.image_id for c in found.candidates]), store.zone)
    page = candidates_html(cards, found)
    assert page.count('<span class="cr-doubt">uncalibrated</span>') == 4
    assert "%" not in page and "photographs" not in page


def test_how_many_are_enough() -> None:
    def found(photographs: int, of: int, query: bool = False) -> FoundPhotographs:
        return FoundPhotographs(np.arange(of) < photographs, query)

    assert found(16, 64).prevail and not found(15, 64).prevail
    assert found(0, 64, query=True).prevail and not found(0, 0).prevail
