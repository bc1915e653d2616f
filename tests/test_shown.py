"""Pictures of crops as browsers get them: byte for byte, or as small copies; nothing that was not imported."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.cards import thumbnail_sizes
from app.retrieval.references import crop_picture
from app.settings import DEMO_CLIP
from app.ui.pictures import picture_routes
from gallery_store.crops import Filters
from gallery_store.decoding import PictureError, size_of
from gallery_store.encoder import ClipEncoder
from gallery_store.errors import GalleryError
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder, all_crops


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "crops"
    folder.mkdir()
    Image.effect_noise((600, 1200), 60).convert("RGB").save(folder / "0001_c1s1_000001_00.jpg", quality=90)
    Image.effect_noise((60, 120), 60).convert("RGB").save(folder / "0002_c1s1_000002_00.tif")
    return folder


def client_of(store: GalleryStore, *, login: bool = False) -> TestClient:
    app = Starlette(routes=picture_routes(store))
    app.auth = {"ann": "x"} if login else None  # type: ignore[attr-defined]  # as Gradio's app has them
    app.cookie_id, app.tokens = "a", {}  # type: ignore[attr-defined]
    return TestClient(app)


def test_each_size_is_sent_to_whoever_may_see_it(pictures: Path, tmp_path: Path) -> None:
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_crops(store, ClipEncoder.load(DEMO_CLIP), pictures)
        large, tiff = sorted(store.crops(store.matching(Filters()).tolist()), key=lambda crop: -crop.width)
        client = client_of(store)
        whole = client.get(f"/originals/{large.id}")
        assert whole.content == (pictures / Path(large.path).name).read_bytes()
        assert whole.headers["content-type"] == "image/jpeg" and "private" in whole.headers["cache-control"]
        sizes = [
            Image.open(BytesIO(client.get(f"/crops/{large.id}{end}.jpg").content)).size
            for end in ("", "-large")
        ]
        assert sizes == [(192, 384), (384, 768)]
        assert thumbnail_sizes(large) == (
            f"crops/{large.id}.jpg?v={large.sha256[:12]} 192w, "
            f"crops/{large.id}-large.jpg?v={large.sha256[:12]} 384w"
        )
        assert thumbnail_sizes(tiff) == ""  # nothing more than needed is sent

        as_png = client.get(f"/originals/{tiff.id}")  # no browser shows a TIFF
        assert as_png.headers["content-type"] == "image/png"
        with Image.open(BytesIO(as_png.content)) as shown, Image.open(tiff.file) as stored:
            assert shown.tobytes() == stored.convert("RGB").tobytes()

        locked = client_of(store, login=True)
        for form in ("/originals/{}", "/crops/{}.jpg", "/crops/{}-large.jpg"):
            assert locked.get(form.format(large.id)).status_code == 401
            assert client.get(form.format(99)).status_code == 404
            assert client.get(form.format(10**30)).status_code == 404


def test_a_linked_file_that_became_something_else_is_not_shown(pictures: Path, tmp_path: Path) -> None:
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_crops(store, ClipEncoder.load(DEMO_CLIP), pictures, link=True)
        crop = next(
            crop for crop in store.crops(store.matching(Filters()).tolist()) if crop.path.endswith(".jpg")
        )
        client = client_of(store)
        assert client.get(f"/originals/{crop.id}").status_code == 200
        Image.new("RGB", (9, 9)).save(crop.file)
        answer = client.get(f"/originals/{crop.id}")
        assert answer.status_code == 404 and answer.headers["cache-control"] == "no-store"
        assert "it was changed since the import" in answer.text and str(tmp_path) not in answer.text
        crop.file.unlink()
        assert "the file does not exist" in client.get(f"/originals/{crop.id}").text


def test_a_linked_file_that_changed_shows_nobody_else_not_even_under_its_digest(tmp_path: Path) -> None:
    latest = tmp_path / "latest.jpg"
    Image.new("RGB", (32, 64), "red").save(latest)
    with GalleryStore.open(tmp_path / "g.db") as store:
        import_crops(store, PixelEncoder(), latest, link=True, camera="1")
        import_crops(store, PixelEncoder(), latest, camera="2")
        linked, own = all_crops(store)
        assert linked.linked and not own.linked and linked.sha256 == own.sha256
        Image.new("RGB", (32, 64), "blue").save(latest)
        with pytest.raises(GalleryError, match="it was changed since the import"):
            store.thumbnail(linked.id)
        client = client_of(store)
        for form in ("/crops/{}.jpg", "/crops/{}-large.jpg", "/originals/{}"):
            refused, shown = client.get(form.format(linked.id)), client.get(form.format(own.id))
            assert refused.status_code == 404 and "it was changed since the import" in refused.text
            with Image.open(BytesIO(shown.content)) as picture:
                red, _, blue = picture.convert("RGB").getpixel((16, 32))  # type: ignore[misc]
                assert red > 200 and blue < 50
        with pytest.raises(PictureError, match="it was changed since the import"):
            crop_picture(linked, store).load()
        assert crop_picture(own, store).load().getpixel((16, 32))[0] > 200  # type: ignore[index]


@pytest.mark.parametrize("orientation, size", [(1, (40, 20)), (3, (40, 20)), (6, (20, 40)), (8, (20, 40))])
def test_a_size_is_that_of_the_upright_picture(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = BytesIO()
    Image.new("RGB", (40, 20)).save(buffer, "JPEG", exif=exif)
    assert size_of(buffer.getvalue()) == size
    with pytest.raises(PictureError, match="damaged or cut off"):
        size_of(buffer.getvalue()[:10])
