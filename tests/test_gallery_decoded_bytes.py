"""A few kilobytes of file may not take gigabytes of memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gallery_store import colours, decoding
from gallery_store.decoded_bytes import DecodedBytes
from gallery_store.decoding import MAX_SIDE, PictureError, open_picture
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder, picture


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_so_much_at_once_and_whoever_is_alone_goes_on():
    bytes_at_once = DecodedBytes(100)
    first_in, second_in, go_on = threading.Event(), threading.Event(), threading.Event()

    def first():
        with bytes_at_once.taken(70):
            first_in.set()
            go_on.wait(10)

    def second():
        first_in.wait(10)
        with bytes_at_once.taken(40):
            second_in.set()

    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(first), pool.submit(second)]
        assert first_in.wait(10) and not second_in.wait(0.2)
        go_on.set()
        assert second_in.wait(10)
        [end.result() for end in ends]
    with bytes_at_once.taken(1000):  # alone: it is refused before, or goes on
        assert bytes_at_once.peak == 1000


def test_a_large_picture_counts_until_it_is_let_go():
    bytes_at_once = DecodedBytes(100 << 20)
    image = Image.new("RGB", (10, 10))
    bytes_at_once.keep(image, 90 << 20)
    entered = threading.Event()

    def decode():
        with bytes_at_once.taken(5 << 20), ThreadPoolExecutor(1) as pool:
            pool.submit(other)
            assert not entered.wait(0.2)
            go.set()

    def other():
        with bytes_at_once.taken(20 << 20):
            entered.set()

    go = threading.Event()
    thread = threading.Thread(target=decode)
    thread.start()
    assert go.wait(10)
    del image
    assert entered.wait(10)
    thread.join()


def test_threads_together_keep_the_bound(monkeypatch):
    bytes_at_once = DecodedBytes(12 << 20)
    monkeypatch.setattr(decoding, "DECODED", bytes_at_once)
    data = encoded(Image.new("RGB", (600, 500), "red"))  # 300,000 pixels: 4.8 MB to decode
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda _: open_picture(data).size, range(24)))
    assert sizes == [(600, 500)] * 24 and bytes_at_once.peak <= bytes_at_once.most
    large = encoded(Image.new("RGBA", (1000, 800)))
    with pytest.raises(PictureError, match="18 MB to decode, more than 12"):
        open_picture(large)


@settings(max_examples=60)
@given(
    st.sampled_from(["uint16", "int32", "float32"]),
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 90), st.sampled_from([1, 200, 4095, 60000, 10**6]),
    st.integers(0, 9),
)  # fmt: skip
def test_deep_pictures_strip_by_strip_are_the_same(kind, width, height, strip, top, seed):
    values = np.random.default_rng(seed).random((height, width)) * top
    if kind == "uint16":
        values = values.clip(max=65535)
    if kind == "float32":
        values[0, 0] = np.nan if seed % 2 else -np.inf
    deep = Image.fromarray(values.astype(kind))
    with pytest.MonkeyPatch.context() as patch:
        whole = np.asarray(colours.to_srgb(deep, deep.copy))
        patch.setattr(colours, "_STRIP", strip)
        assert np.array_equal(np.asarray(colours.to_srgb(deep, deep.copy)), whole)


def test_a_big_endian_deep_tiff_is_read_in_strips(monkeypatch):
    monkeypatch.setattr(colours, "_STRIP", 7)
    deep = np.arange(0, 60000, 1000, dtype=">u2").reshape(6, 10)
    opened = open_picture(encoded(Image.frombytes("I;16B", (10, 6), deep.tobytes()), "TIFF"))
    assert np.asarray(opened)[:, :, 0].tolist() == (deep / 65535 * 255).round().astype(int).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["I;16", "RGBA", "LA"])
def test_fifty_million_pixels_take_less_than_two_gigabytes(mode, tmp_path):
    """Four at once, in a process of its own, whose peak is read afterwards. Before, one deep picture took 1.3 GB."""
    file = tmp_path / "bomb.png"
    Image.new(mode, (7069, 7069)).save(file)
    assert file.stat().st_size < 1_000_000
    code = (
        "import resource, sys; from concurrent.futures import ThreadPoolExecutor; "
        "from gallery_store.decoding import open_picture; import numpy; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "pool = ThreadPoolExecutor(4); "
        "print(list(pool.map(lambda _: open_picture(sys.argv[1]).width, range(4))), "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, timeout=300
    )
    widths, kilobytes = ended.stdout.rsplit(" ", 1)
    assert widths == "[7069, 7069, 7069, 7069]"
    assert int(kilobytes) < 2 << 20


def test_a_line_of_pixels_is_refused():
    with pytest.raises(PictureError, match="32,768"):
        open_picture(encoded(Image.new("L", (1, MAX_SIDE + 1))))
    assert open_picture(encoded(Image.new("L", (MAX_SIDE, 1)))).size == (MAX_SIDE, 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    "size, small", [((3000, 1500), (768, 384)), ((600, 3000), (77, 384)), ((60, 50), (60, 50))]
)
def test_a_small_copy_looks_like_the_whole_one_made_small(kind, size, small):
    image = picture(4, 40, 40).resize(size, Image.Resampling.BICUBIC)
    data = encoded(image, kind)
    copy = open_picture(data, within=(768, 384))
    assert copy.size == small
    whole = open_picture(data)
    whole.thumbnail((768, 384), Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(copy, float) - np.asarray(whole, float))
    assert difference.mean() < 2


def test_a_small_copy_of_a_jpeg_is_not_decoded_whole(monkeypatch):
    bytes_at_once = DecodedBytes(2 << 30)
    monkeypatch.setattr(decoding, "DECODED", bytes_at_once)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (6400, 3200), "red"), "JPEG", exif=exif)
    assert open_picture(data, within=(768, 384)).size == (192, 384)
    assert bytes_at_once.peak <= 6400 * 3200 * 4  # whole, it is counted as four times that


def test_the_galleries_bound_holds_for_imports_and_thumbnails(tmp_path):
    Image.new("RGB", (100, 50), "red").save(tmp_path / "a.png")
    with GalleryStore.open(tmp_path / "g.db") as store:
        store.max_pixels = 4999
        report = import_crops(store, PixelEncoder(), tmp_path / "a.png")
        assert report.added == 0 and "more than 4,999" in report.rejected[0].reason
        store.max_pixels = 5000
        assert import_crops(store, PixelEncoder(), tmp_path / "a.png").added == 1
        store.max_pixels = 4999
        with pytest.raises(RuntimeError, match="more than 4,999"):
            store.thumbnail(1)
