"""Does everything still behave as it did? `python -m tests.equivalence`, before and after code is rearranged.

What the program answers is frozen in tests/data/equivalence.json, one line for each thing that was asked:

    python -m tests.equivalence --write                  # freeze what this checkout does
    python -m tests.equivalence                          # compare; a line for each difference, exit status 1
    python -m tests.equivalence --only queries api       # some of the parts

No pytest test: it takes minutes, and its figures belong to one kind of machine and to the versions that the file
names. One thread, whatever the caller set, so that sums are taken in one order. Floats are compared within
TOLERANCES and everything else exactly. Most of it goes through command lines and the app's API; the rest of the
project's insides are imported in the one block below, and nothing of their names reaches the file.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
for name in [name for name in os.environ if name.startswith("CHATREID_")]:
    del os.environ[name]
os.environ.update({**dict.fromkeys(THREADS, "1"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})

import argparse
import csv
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from datetime import time as day_time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from gradio_client import Client, handle_file
from PIL import Image
from safetensors.torch import load_file
from transformers.utils.logging import disable_progress_bar

# ---- The project's insides: whoever moves or renames code mends this block, and nothing below it ----
from app.chat import conversation as talk
from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState
from app.chat.understanding import understand
from app.chat.words import COLOURS, PHRASES
from app.model import vocabulary
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference
from app.retrieval.ranking import Ranking
from gallery_store.crops import Filters
from gallery_store.encoder import ClipEncoder
from gallery_store.store import GalleryStore
from tests.serving import serving  # runs app.py in a process of its own
from tests.tiny_pool import tiny_pool  # 144 drawn crops as a training pool
from training.demo.clip import train_clip
from training.demo.language import train_stage
from training.demo.recipe import StepBudget, demo_stages, load
from training.demo.stage0 import warm_tower


def engine_over(gallery: Path, clip: Path, model: Path | None, **settings: Any) -> Engine:
    loaded = None if model is None else ReidModel.load(model)
    return Engine(GalleryStore.open(gallery), ClipEncoder.load(clip), loaded, **settings)


def close(engine: Engine) -> None:
    engine.store.close()


def query_of(asked: Mapping[str, Any]) -> Query:
    """A query from plain values: see `plain_query`."""
    filters = dict(asked.get("filters", {}))
    return Query(
        wanted=attributes(asked.get("wanted", ())),
        unwanted=attributes(asked.get("unwanted", ())),
        text=asked.get("text", ""),
        references=tuple(Reference(image_id=number) for number in asked.get("crops", ()))
        + tuple(Reference(file=Path(file)) for file in asked.get("files", ())),
        filters=Filters(
            cameras=tuple(filters.get("cameras", ())),
            not_cameras=tuple(filters.get("not_cameras", ())),
            days=tuple(date.fromisoformat(day) for day in filters.get("days", ())),
            after=day_time.fromisoformat(filters["after"]) if "after" in filters else None,
            before=day_time.fromisoformat(filters["before"]) if "before" in filters else None,
            tags=tuple(filters.get("tags", ())),
        ),
        rejected=frozenset(asked.get("rejected", ())),
        confirmed=frozenset(asked.get("confirmed", ())),
        other_clothes=asked.get("other_clothes", False),
    )


def plain_query(query: Query) -> dict[str, Any]:
    return {
        "kind": query.kind,
        "wanted": [word(a) for a in query.wanted],
        "unwanted": [word(a) for a in query.unwanted],
        "text": query.text,
        "references": [r.image_id if r.file is None else r.file.name for r in query.references],
        "filters": plain_filters(query.filters),
        "rejected": sorted(query.rejected),
        "confirmed": sorted(query.confirmed),
        "other_clothes": query.other_clothes,
    }


def plain_filters(filters: Filters) -> list[str]:
    """@3 and @!3 cameras, @2026-05-12 days, @14:00- and @-09:00 times, #tag."""
    said = [f"@{camera}" for camera in filters.cameras] + [f"@!{camera}" for camera in filters.not_cameras]
    said += [f"@{day.isoformat()}" for day in filters.days] + [f"#{tag}" for tag in filters.tags]
    if filters.after is not None or filters.before is not None:
        said.append(
            "@" + "-".join(f"{t:%H:%M:%S}" if t is not None else "" for t in (filters.after, filters.before))
        )
    return said


def plain_ranking(ranking: Ranking, first: int) -> dict[str, Any]:
    candidates = ranking.candidates[:first]
    return {
        "ids": [c.image_id for c in candidates],
        "similarity": [c.similarity for c in candidates],
        "word": [c.p_yes for c in candidates],
        "probability": [c.probability for c in candidates],
        "weak": "".join("01"[c.weak] for c in candidates),
        "kin": [list(c.same_outfit) for c in candidates[:10]],
        "listed": len(ranking.candidates),
        "counts": [ranking.total, ranking.searched, ranking.scored],
        "nobody fits": ranking.no_match,
        "calibrated": ranking.calibrated,
        "put back": ranking.penalized,
    }


def plain_understood(said: ParsedMessage) -> list[str]:
    """All that a message was taken to say, in order; the notation of tests/chat_notation.py, and the notes."""
    parts = [] if said.intent == "search" else [f"!{said.intent}"]
    parts += [word(a) for a in said.wanted] + [f"-{word(a)}" for a in said.unwanted]
    parts += [f"x:{kind}" for kind in said.dropped] + [f"x:{word(a)}" for a in said.dropped_values]
    parts += [f"x:'{words}'" for words in said.dropped_text] + [f"free:{kind}" for kind in said.freed]
    parts += [f"'{words}'" for words in said.text] + [f"?{words}" for words in said.unused]
    parts += [f"{typed}>{read}" for typed, read in said.corrections] + plain_filters(said.filters)
    parts += ["FILTERS"] if not said.filters.is_empty else []
    parts += ["BACK"] if said.refers_back else []
    parts += ["MORE-PHOTOS"] if said.adds_photos else []
    parts += [] if said.other_clothes is None else ["OTHER-CLOTHES" if said.other_clothes else "SAME-CLOTHES"]
    return parts + list(said.notes) + ([said.question] if said.question else [])


def plain_readings(engine: Engine, ids: Sequence[int]) -> list[dict[str, float]]:
    """What is read off each crop: kind=value -> confidence."""
    found = engine.read([Reference(image_id=number) for number in ids])
    return [{word(reading.attribute): reading.confidence for reading in readings} for readings in found]


def plain_comparison(engine: Engine, one: int, other: int) -> list[list[str]]:
    """What two crops have in common, what the first alone shows, and the second."""
    first, second = (
        [word(reading.attribute) for reading in readings if reading.confidence >= 0.5]
        for readings in engine.read([Reference(image_id=one), Reference(image_id=other)])
    )
    common, alone = [w for w in first if w in second], [w for w in first if w not in second]
    return [common, alone, [w for w in second if w not in first]]


def attributes(pairs: Sequence[Sequence[str]]) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, value) for kind, value in pairs)


def word(attribute: Attribute) -> str:
    return f"{attribute.kind}={attribute.value}"


PHRASES_KNOWN = (*vocabulary.PHRASES, *vocabulary.GROUPS, *PHRASES)
COLOURS_KNOWN = (*vocabulary.COLOUR_WORDS, *COLOURS)
SIX_CAMERAS = GalleryFacts(
    tuple("123456"), days=(date(2026, 5, 11), date(2026, 5, 12)), today=date(2026, 5, 12)
)
RED_JACKET = SearchState(
    wanted=attributes(
        [("gender", "woman"), ("upper", "jacket"), ("bag", "backpack"), ("upper_colour", "red")]
    )
)
KNOWN = {"fresh": SearchState(), "going on": RED_JACKET}


def steps_of(script: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Plays a conversation without searching: after each step the chips, the query, and a direct answer."""
    now = talk.Conversation()
    for action, *given in script:
        if action == "say":
            now = talk.say(now, given[0], SIX_CAMERAS, [Path(name) for name in given[1:]])
        elif action == "undo":
            now = talk.undo(now)
        else:
            steps: dict[str, Callable[..., Any]] = {
                "search with": talk.search_with,
                "confirm": talk.confirm,
                "reject": talk.reject,
                "remove chip": talk.remove_chip,
            }
            now = steps[action](now, *given)
        yield plain_state(now)
    for chip in talk.chips(now):
        yield {"without": chip.key, **plain_state(talk.remove_chip(now, chip.key))}


def plain_state(now: talk.Conversation) -> dict[str, Any]:
    chips = [[chip.key, chip.label, chip.kind] for chip in talk.chips(now)]
    return {"chips": chips, "query": plain_query(talk.to_query(now)), "answer": talk.direct_answer(now)}


class Figures:
    """Stands in for a log: keeps the figures of a recipe's steps as they are, unrounded."""

    def __init__(self) -> None:
        self.kept: dict[str, float] = {}

    def write(self, *, done: float, **figures: Any) -> None:
        self.kept.update({name: value for name, value in figures.items() if isinstance(value, float)})


def recipe_steps(assets: Path, work: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Two steps of each part of the demo recipe, from the shipped models, over a tiny pool."""
    pool, base = tiny_pool(), load(assets / "demo_qwen2vl")[0].state_dict()
    for name, stage in demo_stages(StepBudget(2, 2, 2, 2, 2, 2)).items():
        log, (model, processor) = Figures(), load(assets / "demo_qwen2vl")
        train_stage(model, processor, stage, pool, work / name, seed=3, log=log)  # type: ignore[arg-type]
        yield name, {**log.kept, "moved": moved(base, model.state_dict())}
    log, (model, _) = Figures(), load(assets / "demo_qwen2vl")
    warm_tower(model, pool, work / "tower", steps=2, seed=3, log=log)  # type: ignore[arg-type]
    yield "tower", {**log.kept, "moved": moved(base, model.state_dict())}
    log, clip, out = Figures(), assets / "demo_clip", work / "out"
    train_clip(pool, out, work / "clip", steps=2, seed=3, log=log, name="x", start=clip)  # type: ignore[arg-type]
    yield "clip", {**log.kept, "moved": moved(tensors(clip), tensors(out))}


# ---- End of the project's insides ----

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
FROZEN = ROOT / "tests" / "data" / "equivalence.json"
SENTENCES = ROOT / "tests" / "chat_sentences.txt"
LIBRARIES = ("torch", "transformers", "open_clip_torch", "numpy", "pillow")
FIRST = 30  # candidates of a ranking that are frozen
DIGITS = 9  # that floats are kept with

# part -> (absolute, relative). Figures of the API come rounded to 4 places: a last place may flip.
TOLERANCES = {
    "queries": (1e-6, 0.0),
    "train": (1e-9, 1e-6),
    "recipe": (1e-9, 1e-6),
    "evaluate": (1e-6, 0.0),
    "api": (1.1e-4, 0.0),
}
INTERVAL = 3e-3  # of a bootstrap's bounds: another library draws other samples


def command(*arguments: str | Path) -> str:
    """What `python ARGUMENTS` prints. RuntimeError with its last words when it fails."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " ".join(map(str, arguments))
        raise RuntimeError(f"`python {said}` ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint's folder."""
    return {
        name: value
        for file in sorted(folder.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


def moved(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> float:
    """How far the weights went, all in all; a tensor that was not there before came from zero."""
    nothing = torch.zeros(())
    return sum(
        float((value.double() - before.get(name, nothing).double()).abs().sum())
        for name, value in after.items()
        if value.is_floating_point()
    )


def short_hash(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    return hashlib.sha256(data).hexdigest()[:10]


# ---- The parts: each yields (key, plain value) ----

Entries = Iterator[tuple[str, Any]]


def sentences(work: Path) -> Entries:
    """What each sentence says; for other circumstances a hash, which is enough to name the sentence."""
    section = ""
    for line in SENTENCES.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            text = line.partition("  ->")[0]
            said = plain_understood(understand(text, KNOWN[section], SIX_CAMERAS))
            others = [
                understand(text, KNOWN["going on"], SIX_CAMERAS),
                understand(text, KNOWN[section], SIX_CAMERAS, with_photo=True),
                understand(text, KNOWN[section], SIX_CAMERAS, asked="hat"),
                understand(text.upper() + "!!", KNOWN[section], SIX_CAMERAS),
                understand(text, KNOWN[section], GalleryFacts()),
            ]
            own = short_hash(said)
            hashes = [short_hash(plain_understood(other)) for other in others]
            yield (
                f"{section}: {text}",
                {
                    "hash": own,
                    "said": said,
                    "otherwise": ["=" if other == own else other for other in hashes],
                },
            )


def words(work: Path) -> Entries:
    """What each word of the vocabulary and of the chat says by itself."""
    texts = [f"someone, {words}" for words in PHRASES_KNOWN] + [
        f"a {colour} coat" for colour in COLOURS_KNOWN
    ]
    for text in sorted(set(texts)):
        yield text, plain_understood(understand(text, KNOWN["fresh"], SIX_CAMERAS))


SCRIPTS: dict[str, list[tuple[Any, ...]]] = {
    "words": [
        ("say", "hello"),
        ("say", "a woman in a red striped shirt and blue jeans, no hat, with a black backpack"),
        ("say", "she had a tattoo"),
        ("say", "only camera 3 and 4 after 14:00 yesterday"),
        ("remove chip", "wanted:upper"),
        ("remove chip", "wanted:upper"),
        ("say", "not a handbag"),
        ("undo",),
        ("say", "who is she?"),
        ("say", "forget the backpack"),
        ("say", "no, the jeans were grey and she wore sunglasses"),
    ],
    "pictures": [
        ("say", "a man in a green coat"),
        ("reject", 7),
        ("search with", 12),
        ("say", "the same person, but now in a grey hoodie"),
        ("confirm", 31),
        ("confirm", 32),
        ("reject", 31),
        ("say", "they may have changed clothes"),
        ("say", "not camera 5, before noon"),
        ("remove chip", "reference:32"),
        ("say", "", "photo.jpg"),
        ("say", "also this one", "second.jpg"),
        ("undo",),
    ],
    "over": [
        ("say", "an elderly man with a suitcase and an umbrella"),
        ("say", "start over"),
        ("undo",),
        ("say", "undo"),
        ("say", "thanks"),
    ],
}


def conversation(work: Path) -> Entries:
    for name, script in SCRIPTS.items():
        for number, state in enumerate(steps_of(script), 1):
            yield f"{name} {number:02}", state


def demo_gallery(work: Path) -> Path:
    """The demo gallery, imported once into a run's folder; what the import said lies beside it."""
    own = work / "gallery" / "gallery.db"
    if not own.exists():
        own.parent.mkdir(parents=True)
        said = command("-m", "gallery_store", "import", ASSETS / "demo_gallery", "--gallery", own, "--json")
        own.with_suffix(".import.json").write_text(said, "utf-8")
    return own


def gallery(work: Path) -> Entries:
    def ask(*arguments: str | Path) -> dict[str, Any]:
        told = json.loads(command("-m", "gallery_store", *arguments, "--json"))
        return {key: value for key, value in told.items() if key != "gallery"}  # a path

    own = demo_gallery(work)
    yield "import", json.loads(own.with_suffix(".import.json").read_text("utf-8"))
    yield "stats", ask("stats", "--gallery", own)
    yield "verify", ask("verify", "--gallery", own)
    columns = "id, path, sha256, camera, time, person, clothes, frame, width, height"
    with sqlite3.connect(own) as database:
        rows = database.execute(f"SELECT {columns} FROM crops ORDER BY id").fetchall()
    yield "crops", [short_hash(row) for row in rows]
    shutil.copytree(own.parent, work / "copy")
    other = work / "copy" / own.name
    yield "delete", ask("delete", "--gallery", other, "--camera", "3", "--yes")
    yield "stats without camera 3", ask("stats", "--gallery", other)


@cache
def manifest() -> tuple[dict[str, Any], ...]:
    with (ASSETS / "demo_gallery" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple({**row, "visible": json.loads(row["visible"])} for row in rows)


FREE = ("tattoo on the left arm", "carrying a skateboard", "limping", "red", "a nurse", "wet clothes")
FILTERS: tuple[dict[str, Any], ...] = (
    {"cameras": ["3"]},
    {"cameras": ["c1", "Cam-02"], "after": "09:00"},
    {"not_cameras": ["5", "6"]},
    {"before": "12:30"},
    {"after": "18:00", "before": "08:30"},
    {"days": ["2026-05-12"], "cameras": ["4"]},
    {"days": ["2026-05-11"]},
    {"tags": ["infrared"]},
    {"cameras": ["99"]},
    {"after": "14:00", "before": "16:00", "not_cameras": ["1"]},
)
NOBODY = (("age", "elderly"), ("hair", "bald"), ("upper", "dress"), ("upper_colour", "pink"), ("hat", "hat"))


class Asker:
    """Draws what the demo gallery is asked: of one seed always the same."""

    def __init__(self, ids: Mapping[str, int], folder: Path) -> None:
        self.rng, self.ids, self.folder = np.random.default_rng(11), ids, folder
        self.rows = manifest()
        self.people: dict[str, list[int]] = {}
        for row in self.rows:
            self.people.setdefault(row["person"], []).append(ids[row["path"]])
        self.often = sorted(person for person, crops in self.people.items() if len(crops) >= 5)

    def row(self) -> dict[str, Any]:
        return self.rows[int(self.rng.integers(len(self.rows)))]

    def crop(self) -> int:
        return self.ids[self.row()["path"]]

    def crops(self, count: int) -> list[int]:
        """Of one person."""
        person = self.often[int(self.rng.integers(len(self.often)))]
        return [int(number) for number in self.rng.permutation(self.people[person])[:count]]

    def others(self, count: int) -> list[int]:
        return [self.crop() for _ in range(count)]

    def told(self, count: int) -> list[tuple[str, str]]:
        """Attributes that show in one crop."""
        shown = [(kind, value) for kind, value in self.row()["visible"].items() if value != "none"]
        places = self.rng.permutation(len(shown))[:count]
        return [shown[place] for place in sorted(places)]

    def photo(self, number: int) -> str:
        """A crop as a file of the operator's: as it is, or cut and enlarged."""
        source, target = ASSETS / "demo_gallery" / self.row()["path"], self.folder / f"photo{number}.png"
        with Image.open(source) as picture:
            whole = picture.convert("RGB")
        if number == 0:
            target = target.with_suffix(".jpg")
            shutil.copy(source, target)
            return str(target)
        width, height = whole.size
        cut = whole.crop((number, 2 * number, width - 1, height - number))
        cut.resize((cut.width * 2, cut.height * 2), Image.Resampling.BICUBIC).save(target)
        return str(target)

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """120 queries by name."""
        for i in range(18):
            yield f"text {i}", {"wanted": self.told(1 + i % 6)}
        for i in range(6):
            yield f"text without {i}", {"wanted": self.told(2), "unwanted": self.told(1 + i % 3)}
        for i in range(2):
            yield f"only without {i}", {"unwanted": self.told(1 + i)}
        for i in range(8):
            yield f"free text {i}", {"text": FREE[i % len(FREE)], "wanted": self.told(i // 3)}
        for i, filters in enumerate(FILTERS):
            yield f"text filtered {i}", {"wanted": self.told(2), "filters": filters}
        for i in range(4):
            yield f"text rejected {i}", {"wanted": self.told(3), "rejected": self.others(1 + 3 * i)}
        for i in range(2):
            yield f"nobody {i}", {"wanted": NOBODY[: 5 - i]}
        for i in (0, 4, 6):
            yield f"filters alone {i}", {"filters": FILTERS[i]}
        for i in range(12):
            yield f"image {i}", {"crops": [self.crop()]}
        for i in (1, 3, 7):
            yield f"image filtered {i}", {"crops": [self.crop()], "filters": FILTERS[i]}
        for i in range(5):
            own = self.crops(2 + i % 2)
            yield f"image rejected {i}", {"crops": own[:1], "rejected": [*own[1:], *self.others(i)]}
        for i in range(5):
            own = self.crops(3)
            yield f"image confirmed {i}", {"crops": own[: 1 + i % 3], "confirmed": own[: i % 3]}
        for i in range(5):
            yield f"several images {i}", {"crops": [*self.crops(2 + i), *self.others(i % 2)]}
        for i in range(4):
            yield f"photo {i}", {"files": [self.photo(i)], "crops": self.others(i // 3)}
        for i in range(7):
            yield f"other clothes {i}", {"crops": self.crops(1 + i // 4), "other_clothes": True}
        for i in range(2):
            own = self.crops(3)
            yield (
                f"other clothes rejected {i}",
                {"crops": own[:1], "rejected": own[1:], "other_clothes": True},
            )
        for i in (2, 3):
            yield (
                f"other clothes filtered {i}",
                {"crops": [self.crop()], "filters": FILTERS[i], "other_clothes": True},
            )
        for i in range(12):
            yield f"image and text {i}", {"crops": [self.crop()], "wanted": self.told(1 + i % 3)}
        for i in range(2):
            yield f"image and free text {i}", {"crops": [self.crop()], "text": FREE[i]}
        for i in range(3):
            yield f"image without {i}", {"crops": [self.crop()], "unwanted": self.told(1 + i)}
        for i in range(4):
            own = self.crops(4)
            yield (
                f"images and text {i}",
                {
                    "crops": own[:2],
                    "wanted": self.told(1 + i % 2),
                    "confirmed": own[1:2],
                    "rejected": [*own[2:3], *self.others(i)],
                    "filters": FILTERS[2] if i % 2 else {},
                },
            )
        yield "photo and text, other clothes", {
            "files": [self.photo(5)], "wanted": self.told(2), "other_clothes": True,
        }  # fmt: skip


def queries(work: Path) -> Entries:
    """Rankings of the shipped models; some of CLIP alone, some with bounds of the prefilter."""
    gallery = demo_gallery(work)
    with sqlite3.connect(gallery) as database:
        ids = dict(database.execute("SELECT path, id FROM crops").fetchall())
    asker = Asker(ids, work)
    asked = {name: query_of(query) for name, query in asker.all()}
    assert len(asked) == 120
    clip, model = ASSETS / "demo_clip", ASSETS / "demo_qwen2vl"
    engine = engine_over(gallery, clip, model)
    for name, query in asked.items():
        yield name, {"asked": short_hash(plain_query(query)), **plain_ranking(engine.search(query), FIRST)}
    for number in asker.others(12):
        yield f"read {number}", plain_readings(engine, [number])[0]
    for number in range(4):
        one, other = asker.crops(2) if number % 2 else asker.others(2)
        yield f"compare {one} with {other}", plain_comparison(engine, one, other)
    close(engine)
    for title, of, settings in (("CLIP alone", None, {}), ("k 20, tau 0.3", model, {"k": 20, "tau": 0.3})):
        engine = engine_over(gallery, clip, of, **settings)
        for name in list(asked)[::15]:
            yield f"{title}: {name}", plain_ranking(engine.search(asked[name]), FIRST)
        close(engine)


def samples(work: Path) -> Entries:
    """A hash for each of 500 samples of a stage, and for the first of their pictures' pixels."""
    for stage in (1, 2, 3):
        file = work / f"stage{stage}.jsonl"
        options = ("--count", "500", "--data", "synthetic:families=40", "--jsonl", file)
        command("-m", "training", "build", "--stage", str(stage), *options)
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        hashes = []
        for row in rows:
            said = [[message["role"], message["content"]] for message in row["messages"]]
            hashes.append(short_hash([row["task"], said, [Path(image).stem for image in row["images"]]]))
        yield f"stage {stage} tasks", dict(sorted(Counter(row["task"] for row in rows).items()))
        yield f"stage {stage} samples", hashes
        drawn = {Path(image).stem: image for row in rows for image in row["images"]}
        pixels = []
        for image in list(drawn.values())[:40]:
            with Image.open(image) as picture:
                pixels.append(short_hash(picture.convert("RGB").tobytes()))
        yield f"stage {stage} pictures", {"different": len(drawn), "first": pixels}


def train(work: Path) -> Entries:
    """Two steps of each stage, plain and packed, and two of an adapter."""
    shared = (
        *("--base", ASSETS / "demo_qwen2vl", "--data", "synthetic:families=20", "--samples", "16"),
        *("--samples-per-step", "8", "--max-pixels", "6272", "--device", "cpu", "--log-every", "1"),
    )
    command("-m", "training", "train", "--all", "--packed", "0.5", *shared, "--out", work / "all")
    command("-m", "training", "train", "--stage", "1", "--lora", "8", *shared, "--out", work / "lora")
    for name, folder in [(f"stage {n}", work / "all" / f"stage{n}") for n in (1, 2, 3)] + [
        ("stage 1, adapter", work / "lora")
    ]:
        for line in (folder / "log.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            kept = ("loss", "losses", "learning_rate", "gradient", "samples", "tokens")
            yield f"{name} step {row['step']}", {key: row[key] for key in kept}
        yield f"{name} weights", {"moved": moved(tensors(ASSETS / "demo_qwen2vl"), tensors(folder))}


def recipe(work: Path) -> Entries:
    yield from recipe_steps(ASSETS, work)


def evaluate(work: Path) -> Entries:
    """Every setting's figures by every ranker."""
    options = ("--benchmark", "synthetic", "--identities", "12", "--seed", "7001", "--json")
    found = json.loads(command("-m", "training", "evaluate", *options))
    for setting, rankers in found["settings"].items():
        for ranker, figures in rankers.items():
            yield f"{setting}, {ranker}", figures
    for setting, pairs in found["extra"]["differences"].items():
        for pair, figures in pairs.items():
            yield f"{setting}, {pair}", figures
    yield "averages", found["extra"]["averages"]
    yield "notes", found["notes"]


def api(work: Path) -> Entries:
    """One conversation with the app as it runs, and the trail that it leaves."""
    photo = work / "photo.png"
    with Image.open(ASSETS / "demo_gallery" / manifest()[40]["path"]) as picture:
        picture.convert("RGB").resize((300, 600), Image.Resampling.BICUBIC).save(photo)
    script: list[tuple[str, Any]] = [
        ("chat", "hello"),
        ("chat", "I'm looking for a woman in a red jacket with a backpack"),
        ("chat", "she has long hair and a blue bakpack"),
        ("chat", "no, the jacket is orange, without a hat"),
        ("undo", None),
        ("select", 0),
        ("search_with", 0),
        ("chat", "the same person, but now in a green coat"),
        ("chat", "only camera 3 after 14:00"),
        ("reject", 0),
        ("confirm", 0),
        ("undo", None),
        ("chat", "they may have changed clothes"),
        ("chat", "forget the coat, any camera"),
        ("select", 1),
        ("chat", photo),
        ("chat", "who is she?"),
        ("reset", None),
        ("chat", "an elderly bald man in a pink dotted dress with a purple suitcase and a yellow hat"),
        ("chat", ""),
    ]
    with serving(work / "app") as served:
        client, shown = Client(served.url, verbose=False), []
        for number, (name, given) in enumerate(script, 1):
            key = f"{number:02} {name} {getattr(given, 'name', '' if given is None else given)}".strip()
            place = f"/{name}"
            if name == "chat":
                is_photo = isinstance(given, Path)
                files = [handle_file(str(given))] if is_photo else []
                message = {"text": "" if is_photo else given, "files": files}
                answer = client.predict(message=message, api_name=place)
            elif given is None:
                answer = client.predict(api_name=place)
            else:
                answer = client.predict(shown[given]["image_id"], api_name=place)
            if isinstance(answer, str):
                yield key, answer
                continue
            reply, shown, status = answer
            status.pop("seconds")
            columns = {name: [row[name] for row in shown] for name in (shown[0] if shown else {})}
            yield key, {"reply": reply, "candidates": columns, "status": status}
        client.close()
        with sqlite3.connect(served.data / "gallery.db") as database:
            trail = database.execute(
                "SELECT user_id, reason, query, shown FROM searches ORDER BY id"
            ).fetchall()
        yield "trail", [short_hash(row) for row in trail]


PARTS: dict[str, Callable[[Path], Entries]] = {
    part.__name__: part
    for part in (sentences, words, conversation, gallery, queries, samples, train, recipe, evaluate, api)
}

# ---- Freezing and comparing ----


def rounded(value: Any) -> Any:
    """Floats with DIGITS digits, tuples as lists: what JSON gives back."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def differences(part: str, key: str, frozen: Any, now: Any) -> Iterator[str]:
    """One line for each thing that differs; a list of plain values is one thing."""
    if isinstance(frozen, dict) and isinstance(now, dict):
        for name in dict.fromkeys((*frozen, *now)):
            yield from differences(
                part, f"{key} / {name}", frozen.get(name, "(nothing)"), now.get(name, "(nothing)")
            )
    elif isinstance(frozen, list) and isinstance(now, list) and len(frozen) == len(now):
        wrong = [
            i
            for i, (a, b) in enumerate(zip(frozen, now, strict=True))
            if next(differences(part, key, a, b), None)
        ]
        if len(wrong) == 1 or (wrong and isinstance(frozen[wrong[0]], (dict, list))):
            for i in wrong:
                yield from differences(part, f"{key} [{i}]", frozen[i], now[i])
        elif wrong:
            places = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
            yield line(
                part,
                f"{key} [{places}], {len(wrong)} of {len(now)}",
                frozen[wrong[0]],
                now[wrong[0]],
            )
    elif not same(part, key, frozen, now):
        yield line(part, key, frozen, now)


def same(part: str, key: str, frozen: Any, now: Any) -> bool:
    numbers = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in (frozen, now)]
    if not all(numbers) or (not isinstance(frozen, float) and not isinstance(now, float)):
        return type(frozen) is type(now) and frozen == now
    absolute, relative = TOLERANCES.get(part, (0.0, 0.0))
    if part == "evaluate" and key.endswith((" / low", " / high")):
        absolute = INTERVAL
    return bool(abs(frozen - now) <= absolute + relative * abs(frozen))


def line(part: str, key: str, frozen: Any, now: Any) -> str:
    """Long values are shown from a little before the place where they part."""
    told = [json.dumps(value, ensure_ascii=False) for value in (frozen, now)]
    apart = next((i for i, (a, b) in enumerate(zip(*told, strict=False)) if a != b), min(map(len, told)))
    start = max(0, apart - 20) if max(map(len, told)) > 90 else 0
    cut = [
        ("..." if start else "") + t[start : start + 90] + ("..." if t[start + 90 :] else "") for t in told
    ]
    return f"{part}: {key}: frozen {cut[0]}, now {cut[1]}"


def as_text(frozen: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON with a line for each entry."""
    parts = []
    for part, entries in frozen.items():
        rows = [
            f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in entries.items()
        ]
        parts.append(f"{json.dumps(part)}: {{\n" + ",\n".join(rows) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.equivalence", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="freeze what is so now, instead of comparing")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    known = json.loads(FROZEN.read_text("utf-8")) if FROZEN.is_file() else {}
    made_with = {name: version(name) for name in LIBRARIES}
    if not known and not chosen.write:
        parser.error(f"there is no {FROZEN.relative_to(ROOT)} yet: --write makes it")
    if not chosen.write and known["made with"] != made_with:
        print(f"frozen with other libraries: {known['made with']}, here {made_with}", file=sys.stderr)
    result, found, began = {"made with": made_with}, 0, time.monotonic()
    with TemporaryDirectory() as folder:
        for part, entries in PARTS.items():
            if chosen.only and part not in chosen.only:
                result[part] = known.get(part, {})
                continue
            started = time.monotonic()
            result[part] = json.loads(json.dumps(rounded(dict(entries(Path(folder))))))
            spent = time.monotonic() - started
            lines = [] if chosen.write else list(parting(part, known.get(part, {}), result[part]))
            found += len(lines)
            told = "frozen" if chosen.write else f"{len(lines)} differences" if lines else "as frozen"
            print(
                f"{part:13} {len(result[part]):4} entries  {spent:6.1f} s  {told}",
                file=sys.stderr,
                flush=True,
            )
            print("".join(f"{each}\n" for each in lines), end="", flush=True)
    if chosen.write:
        FROZEN.parent.mkdir(exist_ok=True)
        FROZEN.write_text(as_text(result), "utf-8")
    print(f"{time.monotonic() - began:.0f} s in all, {found} differences", file=sys.stderr)
    return 1 if found else 0


def parting(part: str, frozen: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """The differences of a part, and entries that came or went."""
    for key in dict.fromkeys((*frozen, *now)):
        yield from differences(part, key, frozen.get(key, "(nothing)"), now.get(key, "(nothing)"))


if __name__ == "__main__":
    sys.exit(main())
