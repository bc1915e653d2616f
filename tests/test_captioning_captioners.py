"""Captioners, the files that they write, and the filters: with a server of our own and a toy Qwen2-VL."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.vocabulary import KINDS
from tests.chat_server import TOLD, honest, server
from tests.tiny_qwen import noise_picture, tiny_folder
from training.captioning.captioners import (
    CaptionerError,
    LocalCaptioner,
    RemoteCaptioner,
    annotation_question,
    caption_all,
)
from training.captioning.side_files import json_lines, open_for_lines, path_key, prepared, read_captions
from training.datasets.faults import DataSetError
from training.datasets.record import DataSet, Record


@pytest.fixture
def folder(tmp_path):
    for name in range(5):
        noise_picture(name).save(tmp_path / f"{name}.png")
    return tmp_path


def crops(folder, count=5):
    return [Record(folder / f"{name}.png", str(name)) for name in range(count)]


def test_a_server_is_asked_as_openai_s_is(folder):
    with server(honest) as (address, asked):
        found = caption_all(
            crops(folder), folder, RemoteCaptioner(address, "m", "secret"), folder / "c.jsonl"
        )
    assert (found.described, found.before, found.refused) == (5, 0, ())
    told = read_captions(folder / "c.jsonl")
    assert sorted(told) == [f"{name}.png" for name in range(5)]
    assert told["0.png"].caption == "A man in a red coat."
    assert told["0.png"].attributes == TOLD
    path, headers, body = asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert body["model"] == "m" and body["temperature"] == 0
    images = [part for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    assert len(images) == 1 and images[0]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert "secret" not in (folder / "c.jsonl").read_text()


def test_a_key_is_stripped_and_one_that_no_request_carries_is_refused_unseen(folder):
    with server(honest) as (address, asked):
        RemoteCaptioner(address, "m", " secret\n").describe([noise_picture(1)])
    assert asked[0][1]["Authorization"] == "Bearer secret"
    for key in ("sec\nret", "s\u00e9cret", "sec\x00ret"):
        with pytest.raises(CaptionerError, match="characters that no request can carry") as caught:
            RemoteCaptioner("http://127.0.0.1:9/v1", "m", key)
        assert key not in str(caught.value)


PROXIES = [f"{name}_proxy" for name in ("http", "https", "all", "no")]


@pytest.fixture
def no_proxies(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variable", "proxy"),
    [
        ("all_proxy", "socks5://127.0.0.1:9"),
        ("https_proxy", "garbage://x"),
        ("no_proxy", "[::1]"),
        ("no_proxy", "*"),
    ],
)
def test_a_proxy_of_other_addresses_is_left_alone(folder, no_proxies, variable, proxy):
    if variable == "no_proxy":
        no_proxies.setenv("http_proxy", "http://127.0.0.1:9" if proxy == "*" else "")
    no_proxies.setenv(variable, proxy)
    with server(honest) as (address, asked):
        RemoteCaptioner(address, "m").describe([noise_picture(1)])
    assert len(asked) == 2


def test_the_environments_proxy_is_asked(no_proxies):
    with server(honest) as (address, asked):
        no_proxies.setenv("http_proxy", address.removeprefix("http://").removesuffix("/v1"))
        RemoteCaptioner("http://captions.invalid/v1", "m").describe([noise_picture(1)])
    assert {path for path, *_ in asked} == {"http://captions.invalid/v1/chat/completions"}


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "garbage://x"])
def test_a_proxy_that_cannot_be_used_is_one_sentence(no_proxies, proxy):
    no_proxies.setenv("http_proxy", proxy)
    with pytest.raises(CaptionerError, match="proxy of this environment cannot be used"):
        RemoteCaptioner("http://captions.invalid/v1", "m")


def test_a_run_goes_on_behind_the_last_whole_line(folder):
    file = folder / "c.jsonl"
    with server(honest) as (address, asked):
        caption_all(crops(folder, 3), folder, RemoteCaptioner(address, "m"), file)
        whole = file.read_bytes()
        for cut in (len(whole) - 1, len(whole) - 20):  # killed in the midst of a line
            file.write_bytes(whole[:cut])
            asked.clear()
            found = caption_all(crops(folder, 3), folder, RemoteCaptioner(address, "m"), file)
            # A line that lacks its newline alone is whole.
            assert (found.described, found.before) == ((0, 3) if cut == len(whole) - 1 else (1, 2))
            assert sorted(file.read_text().splitlines()) == sorted(whole.decode().splitlines())
        asked.clear()
        assert caption_all(crops(folder, 3), folder, RemoteCaptioner(address, "m"), file).described == 0
        assert not asked


def test_a_server_that_is_busy_is_asked_again(folder):
    def busy_first(number, body, headers):
        return (503, {}) if number < 3 else honest(number, body, headers)

    with server(busy_first) as (address, asked):
        captioner = RemoteCaptioner(address, "m", wait=0.01, batch=1)
        assert caption_all(crops(folder, 1), folder, captioner, folder / "c.jsonl").described == 1
        assert len(asked) == 4


def test_what_cannot_go_on_is_said_and_nothing_is_lost(folder):
    def refuses(number, body, headers):
        return honest(number, body, headers) if number <= 4 else (401, {"error": "bad key"})

    with server(refuses) as (address, _):
        captioner = RemoteCaptioner(address, "m", wait=0.01, batch=2)
        with pytest.raises(CaptionerError, match=r"answers 401 Unauthorized: .*bad key"):
            caption_all(crops(folder), folder, captioner, folder / "c.jsonl")
    assert len(read_captions(folder / "c.jsonl")) == 2
    captioner = RemoteCaptioner("http://127.0.0.1:9", "m", wait=0.001, tries=2)
    with pytest.raises(CaptionerError, match="did not answer in 2 tries"):
        caption_all(crops(folder), folder, captioner, folder / "c.jsonl")
    with pytest.raises(CaptionerError, match="is no address"):
        RemoteCaptioner("ftp://x", "m")


def test_a_picture_that_is_refused_or_unreadable_is_named_and_the_rest_goes_on(folder):
    (folder / "1.png").write_bytes(b"no picture")
    first = {}

    def refuses_one(number, body, headers):
        url = next(p["image_url"]["url"] for p in body["messages"][0]["content"] if p["type"] == "image_url")
        return (
            (400, {"error": "policy"})
            if url == first.setdefault("url", url)
            else honest(number, body, headers)
        )

    with server(refuses_one) as (address, _):
        captioner = RemoteCaptioner(address, "m", batch=1)
        found = caption_all(crops(folder), folder, captioner, folder / "c.jsonl")
    assert found.described == 3
    assert [name for name, _ in found.refused] == ["0.png"]
    assert [name for name, _ in found.unreadable] == ["1.png"]

    with server(lambda *_: (400, {})) as (address, _):
        captioner = RemoteCaptioner(address, "m", batch=4)
        with pytest.raises(CaptionerError, match="pictures were all refused"):
            caption_all(crops(folder) + more(folder), folder, captioner, folder / "d.jsonl")


def more(folder):
    for name in range(5, 12):
        noise_picture(name).save(folder / f"{name}.png")
    return crops(folder, 12)[5:]


def test_a_local_qwen2_vl_tells_too(folder, monkeypatch):
    monkeypatch.setattr("training.captioning.captioners.CAPTION_TOKENS", 12)
    monkeypatch.setattr("training.captioning.captioners.ANNOTATION_TOKENS", 12)
    noise_picture(9, 140, 84).save(folder / "4.png")  # another size than the rest of its batch
    captioner = LocalCaptioner(tiny_folder(), batch=3)
    found = caption_all(crops(folder), folder, captioner, folder / "c.jsonl")
    assert found.described == 5
    for row in json_lines(folder / "c.jsonl"):
        assert "\n" not in row["caption"]
        assert all(value in KINDS[kind] for kind, value in row["attributes"].items())
    alone = captioner.describe([noise_picture(2)])[0]
    together = captioner.describe([noise_picture(name) for name in range(3)])[2]
    assert alone == together


def test_the_annotation_question_lists_the_vocabulary():
    text = "".join(part.get("text", "") for part in annotation_question()[0]["content"])
    assert all(value in text for values in KINDS.values() for value in values)


def test_a_kill_in_the_midst_leaves_whole_lines(folder):
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from training.captioning.captioners import PictureDescription, caption_all
from training.datasets.record import Record
class Slow:
    batch = 1
    def describe(self, pictures):
        time.sleep(0.2)
        return [PictureDescription("x" * 50, {{}}) for _ in pictures]
folder = Path({str(folder)!r})
caption_all([Record(folder / f"{{n}}.png", str(n)) for n in range(5)], folder, Slow(), folder / "c.jsonl")
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    file = folder / "c.jsonl"
    for _ in range(300):
        if file.exists() and file.read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = len(read_captions(file))
    assert 2 <= before < 5
    with server(honest) as (address, _):
        found = caption_all(crops(folder), folder, RemoteCaptioner(address, "m"), file)
    assert (found.before, found.described) == (before, 5 - before)


@settings(max_examples=50)
@given(st.binary(max_size=9000), st.booleans())
def test_opening_for_lines_keeps_all_whole_lines(tmp_path_factory, data, newline):
    file = tmp_path_factory.mktemp("lines") / "f"
    file.write_bytes(data + b"\n" * newline)
    with open_for_lines(file) as out:
        out.write(b"more\n")
    kept = file.read_bytes()
    whole = (data + b"\n" * newline).rpartition(b"\n")
    assert kept == whole[0] + whole[1] + b"more\n"


def test_a_damaged_file_is_named_with_its_line(tmp_path):
    file = tmp_path / "c.jsonl"
    file.write_text('{"path": "a"}\nrubbish\n{"path": "b"}\n')
    with pytest.raises(DataSetError, match="line 2"):
        read_captions(file)
    with pytest.raises(DataSetError, match="cannot be read"):
        read_captions(tmp_path / "none.jsonl")
    file.write_text('{"path": "a", "caption": "x", "attributes": {"hat": "crown", "bag": "none"}}\n{"pa')
    assert read_captions(file)["a"].attributes == {"bag": "none"}


def test_captions_fill_in_what_is_not_there_in_training_splits_alone(tmp_path):
    names = ("bare", "captioned", "annotated", "dropped")
    rows = {name: Record(tmp_path / f"{name}.png", "1") for name in names}
    rows["captioned"] = replace(rows["captioned"], captions=("by people",))
    rows["annotated"] = replace(rows["annotated"], attributes={"hat": "cap"})
    dataset = DataSet("d", "standard", {"train": tuple(rows.values()), "query": (rows["bare"],)})
    captions, dropped = tmp_path / "c.jsonl", tmp_path / "d.jsonl"
    lines = [{"path": f"{name}.png", "caption": "by a model", "attributes": TOLD} for name in names]
    captions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    dropped.write_text('{"path": "dropped.png", "dropped": true}\n{"path": "bare.png", "dropped": false}\n')
    (made,) = prepared([dataset], tmp_path, [captions], [dropped])
    assert made.splits["query"] == dataset.splits["query"]
    bare, captioned, annotated = made.train
    assert (bare.captions, bare.attributes) == (("by a model",), TOLD)
    assert (captioned.captions, captioned.attributes) == (("by people",), TOLD)
    assert (annotated.captions, annotated.attributes) == ((), {"hat": "cap"})
    assert prepared([dataset], tmp_path) == (dataset,)
    assert path_key(Path("/elsewhere/a.png"), tmp_path) == "/elsewhere/a.png"
