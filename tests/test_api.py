"""The whole conversation as a program has it, with gradio_client, against the app as it runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from app.model.vocabulary import absence
from app.settings import DEMO_CLIP, DEMO_GALLERY, DEMO_MODEL
from gallery_store.store import GalleryStore
from tests.bad_pictures import make_bad_pictures
from tests.serving import ROOT, Served

pytestmark = pytest.mark.slow
FIELDS = {"image_id", "path", "camera", "time", "similarity", "probability", "caution"}


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    made = Client(served.url, verbose=False)
    yield made
    made.close()


@pytest.fixture(scope="module")
def truth() -> dict[str, dict[str, str]]:
    """path -> attributes, from the demo manifest."""
    with (DEMO_GALLERY / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: json.loads(row["attributes"]) for row in csv.DictReader(file)}


def chat(client: Client, text: str = "", *files: Any) -> tuple[str, list[dict], dict]:
    reply, candidates, status = client.predict(message={"text": text, "files": list(files)}, api_name="/chat")
    check(candidates, status)
    return reply, candidates, status


def check(candidates: list[dict], status: dict) -> None:
    """What holds for every answer."""
    assert len(candidates) <= 12
    assert all(set(candidate) == FIELDS for candidate in candidates)
    assert all((candidate["probability"] is None) == bool(candidate["caution"]) for candidate in candidates)
    judged = [one for one in candidates if one["caution"] != "this very picture"]
    probabilities = [candidate["probability"] for candidate in judged]
    if status["calibrated"]:
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0 <= probability <= 1 for probability in probabilities)
    else:  # crops listed by time
        assert set(probabilities) <= {None}
    assert status["ranker"] == "fused"
    assert {"nobody_fits", "searched", "scored", "seconds", "query", "question"} <= set(status)


def test_the_conversation(client: Client, served: Served, truth: dict, tmp_path: Path) -> None:
    reply, candidates, status = chat(client, "I'm looking for a woman in a red jacket with a backpack")
    wanted = {"gender": "woman", "upper": "jacket", "upper_colour": "red", "bag": "backpack"}
    assert status["query"]["wanted"] == wanted
    assert "red jacket" in reply and str(status["searched"]) in reply and str(status["scored"]) in reply
    assert len(candidates) == 12 and status["scored"] > 0 and status["searched"] == len(truth)
    assert all(candidate["path"] in truth for candidate in candidates)

    _, _, status = chat(client, "she has long hair")
    assert status["query"]["wanted"] == {**wanted, "hair": "long"}

    _, _, status = chat(client, "no, the jacket is orange")
    assert status["query"]["wanted"] == {**wanted, "hair": "long", "upper_colour": "orange"}

    _, _, status = chat(client, "without a hat")
    assert status["query"]["unwanted"] == {"hat": [hat.value for hat in absence("hat")]}

    reply, _, status = chat(client, "and she carried a blue bakpack")
    assert "bakpack" in reply and status["query"]["wanted"]["bag_colour"] == "blue"

    reply, _, _ = chat(client, "she whistled a melody")
    assert "melody" in reply

    reply, candidates, _ = take_back(client)
    person = candidates[0]["image_id"]
    assert "the query" in client.predict(person, api_name="/select")
    _, candidates, status = step(client, "/search_with", person)
    assert status["query"]["kind"] == "image" and status["query"]["wanted"] == {}
    assert status["query"]["references"] == [{"image_id": person}]
    assert person not in [candidate["image_id"] for candidate in candidates]

    _, _, status = chat(client, "the same person, but now in a green coat")
    assert status["query"]["kind"] == "image-plus-text"
    assert status["query"]["wanted"] == {"upper": "coat", "upper_colour": "green"}

    _, candidates, status = chat(client, "only camera 3 after 14:00")
    assert status["query"]["filters"]["cameras"] == ["3"]
    assert status["query"]["filters"]["after"] == "14:00"
    assert candidates and status["searched"] < len(truth)
    for candidate in candidates:
        assert candidate["camera"] == "3" and datetime.fromisoformat(candidate["time"]).hour >= 14

    gone, next_one = candidates[0]["image_id"], candidates[1]["image_id"]
    _, candidates, status = step(client, "/reject", gone)
    assert gone not in [candidate["image_id"] for candidate in candidates]
    assert status["query"]["rejected"] == [gone]

    _, candidates, status = step(client, "/confirm", next_one)
    assert {"image_id": next_one} in status["query"]["references"]
    assert next_one not in [candidate["image_id"] for candidate in candidates]

    _, candidates, status = take_back(client)
    assert status["query"]["confirmed"] == [] and status["query"]["rejected"] == [gone]
    _, candidates, status = take_back(client)
    assert status["query"]["rejected"] == [] and candidates[0]["image_id"] == gone

    photo = large_rotated_photo(DEMO_GALLERY / candidates[0]["path"], tmp_path)
    _, candidates, status = chat(client, "", handle_file(str(photo)))
    assert status["query"]["references"] == [{"photo": "photo.jpg"}] and candidates

    _, candidates, status = step(client, "/reset")
    assert candidates == [] and status["query"]["wanted"] == {} and status["query"]["references"] == []

    with GalleryStore.open(served.data / "gallery.db") as store:
        latest = store.searches(limit=5)
    assert latest and all(row.user == "local" and row.reason == "not stated" for row in latest)
    assert any(row.query["filters"]["cameras"] == ["3"] for row in latest)


def test_a_question_comes_with_its_answers(client: Client) -> None:
    """Each is a message to be sent as it stands."""
    reply, candidates, status = chat(client, "a man")
    first = status["question"]
    assert first["kind"] not in ("gender", "hat_colour", "bag_colour") and reply.endswith(first["text"])
    assert 2 <= len(first["answers"]) <= 6 and first["answers"][-1] == "I don't know" and first["bits"] > 0.1

    reply, same, status = chat(client, first["answers"][-1])
    second = status["question"]
    assert same == candidates and status["query"]["wanted"] == {"gender": "man"}
    assert (
        second["kind"] != first["kind"] and second["bits"] <= first["bits"] and reply.endswith(second["text"])
    )

    _, _, status = chat(client, second["answers"][0])
    understood = {*status["query"]["wanted"], *status["query"]["unwanted"]}
    assert second["kind"] in understood and first["kind"] not in understood
    assert status["question"] is None or status["question"]["kind"] not in (first["kind"], second["kind"])
    _, _, status = step(client, "/reset")
    assert status["question"] is None


def test_a_photo_that_is_in_the_gallery_is_shown_as_this_very_picture(client: Client, truth: dict) -> None:
    path = sorted(truth)[20]
    reply, candidates, status = chat(client, "", handle_file(str(DEMO_GALLERY / path)))
    first = candidates[0]
    assert first["path"] == path and first["probability"] is None and first["caution"] == "this very picture"
    assert status["very_picture"] == [first["image_id"]] and "this very picture" in reply
    assert status["calibrated"] and candidates[1]["probability"] is not None
    assert "candidate 1" not in reply.lower()


def test_questions_to_the_model_change_nothing(client: Client) -> None:
    _, before, searched = chat(client, "a woman in a red jacket")
    for text in ("describe number 2", "are 1 and 3 the same woman?", "what is number 2 doing?"):
        reply, candidates, status = chat(client, text)
        assert (candidates, status["query"]) == (before, searched["query"])
        assert status["own_words"] and reply.endswith(status["own_words"])
    assert "cannot talk freely" in reply and "as the model reads it" in reply


def test_the_first_candidates_truly_fit(client: Client, truth: dict) -> None:
    _, candidates, status = chat(client, "I'm looking for a woman in a red jacket with a backpack")
    first = [truth[candidate["path"]] for candidate in candidates[:5]]
    wanted = status["query"]["wanted"]
    assert any(all(row.get(kind) == value for kind, value in wanted.items()) for row in first)


def test_when_nobody_fits_it_says_so(client: Client) -> None:
    reply, candidates, status = chat(
        client,
        "an elderly bald man in a pink dotted dress with a purple suitcase, a yellow hat and an umbrella",
    )
    assert status["nobody_fits"] is True
    assert "weak" in reply.lower()
    assert candidates  # still listed, as weak


@pytest.mark.parametrize("text", ["asdkjh qwe zzz", "someone running", "licence plate AB-123"])
def test_what_could_not_be_judged_has_no_probability(client: Client, text: str) -> None:
    reply, candidates, status = chat(client, text)
    assert {candidate["probability"] for candidate in candidates} == {None} and len(candidates) == 12
    assert status["unchecked"] and not status["calibrated"] and not status["nobody_fits"]
    assert "None of this could be checked" in reply and "%" not in reply
    reply, candidates, status = chat(client, "a woman in a red jacket")
    assert candidates[0]["probability"] > 0.5 and status["unchecked"]
    assert "could not be checked" in reply and "the percentages speak of the rest" in reply


def test_two_clients_never_mix(served: Served, client: Client) -> None:
    other = Client(served.url, verbose=False)
    chat(client, "a man with a suitcase")
    _, _, status = chat(other, "with an umbrella")
    assert status["query"]["wanted"] == {"umbrella": "umbrella"}
    _, _, status = chat(client, "in a black coat")
    assert status["query"]["wanted"] == {
        "gender": "man", "bag": "suitcase", "upper": "coat", "upper_colour": "black",
    }  # fmt: skip
    other.close()


def test_the_same_words_give_the_same_list(served: Served) -> None:
    lists = []
    for _ in range(2):
        fresh = Client(served.url, verbose=False)
        lists.append(chat(fresh, "a woman in a blue dress")[1])
        fresh.close()
    assert lists[0] == lists[1]


@pytest.mark.parametrize("name", ["letter.jpg", "torn.jpg", "bomb.png", "empty.png", "notes.txt", "page.svg"])
def test_a_bad_photo_gets_one_sentence_that_names_it(client: Client, tmp_path: Path, name: str) -> None:
    chat(client, "a man in a white shirt")
    file = make_bad_pictures(tmp_path)[name]
    with pytest.raises(AppError) as caught:
        chat(client, "", handle_file(str(file)))
    sentence = str(caught.value)
    assert name in sentence and "\n" not in sentence and "Traceback" not in sentence
    assert str(file.parent) not in sentence
    _, _, status = take_back(client)  # the refused message left no turn: this takes back the shirt
    assert status["query"]["wanted"] == {}


def test_words_go_on_without_the_photo_that_cannot_be_used(client: Client, tmp_path: Path) -> None:
    file = make_bad_pictures(tmp_path)["torn.jpg"]
    reply, candidates, status = chat(client, "a woman in a skirt", handle_file(str(file)))
    assert "torn.jpg" in reply and candidates
    assert status["query"]["references"] == [] and status["query"]["wanted"]["lower"] == "skirt"


@pytest.mark.parametrize("text", ["", "   \n\t "])
def test_an_empty_message_is_answered_without_a_search(client: Client, text: str) -> None:
    before = chat(client, "a man in a white shirt")
    reply, candidates, status = chat(client, text)
    assert "empty" in reply.lower()
    assert candidates == before[1] and status["query"] == before[2]["query"]


def test_a_very_long_message_is_answered(client: Client) -> None:
    reply, candidates, status = chat(client, "a woman in a red jacket " + "and so on " * 1000)
    assert status["query"]["wanted"]["upper_colour"] == "red" and candidates
    assert len(reply) < 4000


@pytest.mark.parametrize("image_id", [0, -1, 10**9, 10**30, 1.5, "abc", "²", None, [1], True])
@pytest.mark.parametrize("name", ["/search_with", "/confirm", "/reject", "/select"])
def test_an_unknown_image_id_is_refused(client: Client, name: str, image_id: Any) -> None:
    with pytest.raises(AppError) as caught:
        client.predict(image_id, api_name=name)
    assert "image id" in str(caught.value) or "no crop" in str(caught.value)


@pytest.mark.parametrize("message", [{"text": 5}, {"text": "x", "files": "y"}, {"files": [{"path": 3}]}, [1]])
def test_a_malformed_message_is_refused(client: Client, message: Any) -> None:
    with pytest.raises(AppError, match="message"):
        client.predict(message=message, api_name="/chat")


def test_a_path_is_no_right_to_read_a_file(client: Client, served: Served) -> None:
    """A hostile client names a file of the server instead of uploading one."""
    demo = sorted(DEMO_GALLERY.rglob("*.jpg"))[0]
    for path in (demo, served.data / "gallery.db", "/etc/passwd", f"{served.data}/uploads/../gallery.db"):
        with pytest.raises(AppError, match="not uploaded"):
            client.predict(message={"text": "", "files": [{"path": str(path)}]}, api_name="/chat")


def test_undo_and_reset_on_nothing_are_harmless(client: Client) -> None:
    assert take_back(client)[1] == []
    assert step(client, "/reset")[1] == []


def test_only_thumbnails_are_served(served: Served, client: Client) -> None:
    _, candidates, _ = chat(client, "a woman")
    database = served.data / "gallery.db"
    picture = next(served.data.glob("gallery.*.media/*/*.jpg"))
    secrets = [
        database, picture, next(DEMO_MODEL.glob("*.safetensors")), next(DEMO_CLIP.glob("*.safetensors")),
        DEMO_GALLERY / "manifest.csv", ROOT / "app.py", ROOT / "requirements.txt", Path("/etc/passwd"),
        served.log,
    ]  # fmt: skip
    for secret in secrets:
        assert secret.exists()
        for url in (
            f"gradio_api/file={secret}",
            f"file={secret}",
            f"gradio_api/file={served.data}/uploads/../{secret.name}",
        ):
            assert httpx.get(served.url + url).status_code in (403, 404), url
    for url in (
        "crops/0.jpg",
        "crops/999999999.jpg",
        f"crops/{10**30}.jpg",
        "crops/..%2Fgallery.db",
        "crops/",
    ):
        assert httpx.get(served.url + url).status_code == 404, url
    shown = httpx.get(f"{served.url}crops/{candidates[0]['image_id']}.jpg")
    assert shown.status_code == 200 and shown.headers["content-type"] == "image/jpeg"
    assert shown.content != (DEMO_GALLERY / candidates[0]["path"]).read_bytes()


def test_nothing_is_fetched_from_elsewhere(served: Served) -> None:
    for url in (
        "gradio_api/file=http://127.0.0.1:1/x",
        "gradio_api/file=https://example.org/",
        "gradio_api/proxy=x",
    ):
        assert httpx.get(served.url + url).status_code == 403
    page = httpx.get(served.url)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert httpx.get(served.url, headers={"Host": "evil.example"}).status_code == 403


def test_an_upload_that_is_too_large_is_refused(served: Served) -> None:
    sent = httpx.post(
        f"{served.url}gradio_api/upload", files={"files": ("big.jpg", b"\0" * (33 << 20))}, timeout=60
    )
    assert sent.status_code == 413


def step(client: Client, name: str, *given: Any) -> tuple[str, list[dict], dict]:
    reply, candidates, status = client.predict(*given, api_name=name)
    check(candidates, status)
    return reply, candidates, status


def take_back(client: Client) -> tuple[str, list[dict], dict]:
    return step(client, "/undo")


def large_rotated_photo(crop: Path, folder: Path) -> Path:
    """The person of a crop in a large frame that is stored lying on its side, as a phone does."""
    with Image.open(crop) as picture:
        frame = picture.convert("RGB").resize((1536, 3072))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = folder / "photo.jpg"
    frame.rotate(90, expand=True).save(path, exif=exif, quality=85)
    return path


def test_sightings_are_listed_noted_and_taken_off(client: Client) -> None:
    _, candidates, _ = chat(client, "a woman in a red jacket")
    one, other = (candidate["image_id"] for candidate in candidates[:2])
    step(client, "/confirm", one)
    step(client, "/reject", other)
    client.predict(one, "carries a bag", api_name="/note")
    board = client.predict(api_name="/sightings")
    assert [(sighting["image_id"], sighting["note"]) for sighting in board["confirmed"]] == [
        (one, "carries a bag")
    ]
    assert [sighting["image_id"] for sighting in board["ruled_out"]] == [other]
    step(client, "/take_off", one)
    assert client.predict(api_name="/sightings")["confirmed"] == []
    with pytest.raises(AppError, match="not on the board"):
        client.predict(one, "x", api_name="/note")


def test_the_person_is_looked_for_before_and_after_a_sighting(client: Client) -> None:
    _, candidates, _ = chat(client, "a woman in a red jacket")
    seen = candidates[0]
    moment = datetime.fromisoformat(seen["time"])
    for direction, earliest, latest in (("before", -5400, 0), ("after", 0, 5400)):
        _, found, status = step(client, "/around", seen["image_id"], direction, 90)
        assert status["query"]["references"] == [{"image_id": seen["image_id"]}]
        assert status["query"]["filters"]["not_cameras"] == [seen["camera"]]
        for one in found:
            apart = (datetime.fromisoformat(one["time"]) - moment).total_seconds()
            assert earliest <= apart <= latest
    for wrong in (("sideways", 30), ("after", 0), ("after", "ten"), ("after", 2.5)):
        with pytest.raises(AppError, match=r"direction is|[Mm]inutes"):
            client.predict(seen["image_id"], *wrong, api_name="/around")


def test_nobody_to_share_with_is_a_sentence(client: Client) -> None:
    chat(client, "a woman in a red jacket")
    with pytest.raises(AppError, match="nobody to share with"):
        client.predict("ann", api_name="/share_case")
