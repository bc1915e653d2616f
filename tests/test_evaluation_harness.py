"""The harness against the engine that it stands for: order, batches, K, workers, kills."""

import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from app.retrieval.choosing import choose
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model import reid_model
from app.model.checkpoint import KINDS_OF_QUERY, Calibration, CheckpointManifest, encoder_key
from app.model.pictures import DEMO
from app.model.vocabulary import Attribute
from app.retrieval.query import Query, Reference
from gallery_store.encoder import ClipEncoder
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture, tiny_folder
from training.datasets.record import Record
from training.evaluation.harness import Ask, HarnessError, search_all
from training.evaluation.rankers import RANKERS, Found
from training.evaluation.relevance import Relevance
from training.evaluation.searchers import Models, Searchers

COUNT = 30
WORDS = (Attribute("upper", "jacket"), Attribute("upper_colour", "red"))
CALIBRATION = Calibration(
    word=0.5, similarity=4, bias=-1, clip_similarity=5, clip_bias=-2, tau=-1, threshold=0.3, text_weight=0.25
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A toy CLIP and a toy Qwen2-VL that was calibrated for it."""
    clip = make_clip_folder(tmp_path_factory.mktemp("clip"))
    encoder = ClipEncoder.load(clip)
    folder = tmp_path_factory.mktemp("qwen") / "tuned"
    shutil.copytree(tiny_folder(), folder)
    kinds = dict.fromkeys(KINDS_OF_QUERY, CALIBRATION)
    CheckpointManifest(
        name="toy",
        base_model="random",
        image_rule=DEMO,
        calibrations={encoder_key(encoder.name, encoder.version): kinds},
    ).write(folder)
    return Models(clip=str(clip), model=str(folder), k=12, device="cpu")


@pytest.fixture(scope="module")
def searchers(models):
    with Searchers(models) as opened:
        yield opened


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        noise_picture(number, 112, 56).save(folder / f"{number:02}.png")
    shutil.copy(folder / "03.png", folder / "03-again.png")
    (folder / "torn.png").write_bytes((folder / "05.png").read_bytes()[:200])
    for number in range(COUNT, COUNT + 6):
        noise_picture(number, 112, 56).save(folder / f"q{number}.png")
    return folder


@pytest.fixture(scope="module")
def gallery(pictures):
    """COUNT crops, then one that cannot be read and one that is crop 3 again."""
    names = [*(f"{number:02}.png" for number in range(COUNT)), "torn.png", "03-again.png"]
    return [Record(pictures / name, str(number % 5), "1") for number, name in enumerate(names)]


@pytest.fixture(scope="module")
def asks(pictures):
    """By picture (the last of them a copy of crop 7), by words, and by both."""
    by_picture = [Ask(pictures / f"q{COUNT + n}.png") for n in range(4)]
    return [
        *by_picture,
        Ask(pictures / "07.png"),
        Ask(wanted=WORDS),
        Ask(text="somebody in a blue coat"),
        Ask(pictures / f"q{COUNT + 4}.png", wanted=WORDS),
    ]


@pytest.fixture(scope="module")
def found(asks, gallery, searchers, tmp_path_factory):
    work = tmp_path_factory.mktemp("evaluation") / "work"
    return search_all(asks, gallery, searchers, work=work, best_choice=len(asks), block=3)


def places(scores):
    """Columns, best first, ties by column."""
    return np.argsort(-scores, kind="stable").tolist()


def test_scores_are_the_engines_own_order(found, asks, gallery, searchers):
    engine = searchers.opened.engine(found.files[0].parent.parent / "gallery.db")
    for number, ask in enumerate(asks):
        references = (Reference(file=ask.image),) if ask.image else ()
        query = Query(ask.wanted, (), ask.text, references)
        ranked = [c.image_id for c in engine.search(query).candidates]
        told = engine.trace(query)
        assert told.found.asked == 12
        expected = {
            "combined": ranked,
            "clip": told.found.ids.tolist(),
            "pairwise": [
                *told.found.ids[:12][np.argsort(-told.words, kind="stable")].tolist(),
                *told.found.ids[12:].tolist(),
            ],
            "best-choice": choose(engine, told).tolist(),
        }
        assert len({tuple(order) for order in expected.values()}) > 2  # rankers differ, or nothing is tested
        for ranker in RANKERS:
            scores = found.scores(ranker)[number]
            assert scores.dtype == np.float32 and np.isfinite(scores).all()
            columns = places(scores)
            first = [int(found.ids[c]) for c in columns if c < COUNT]
            copy = [int(found.ids[7])] if number == 4 else []
            assert first == expected[ranker] + copy
            assert columns[-1] == COUNT  # the torn picture
            assert scores[COUNT + 1] == scores[3]  # one crop, two records
    assert found.unreadable == 1


def test_the_engine_without_a_manifest_is_the_pairwise_ranker(found, asks, gallery, models, tmp_path):
    with Searchers(replace(models, model=str(tiny_folder()))) as plain:
        # The toy without a manifest reads pictures by another rule: its words are its own.
        other = search_all(asks[5:7], gallery, plain, work=tmp_path / "work")
        assert np.array_equal(other.scores("pairwise"), other.scores("combined"))
        assert not np.array_equal(other.scores("pairwise"), other.scores("clip"))
        assert other.chosen().tolist() == []


def test_clip_alone_ranks_by_clip(found, asks, gallery, models, tmp_path):
    with Searchers(replace(models, model=None)) as alone:
        other = search_all(asks[4:6], gallery, alone, work=tmp_path / "work", best_choice=2)
        for ranker in ("clip", "pairwise", "combined"):
            assert np.array_equal(other.scores(ranker), found.scores("clip")[4:6])
        assert other.scores("best-choice").shape == (0, len(gallery))
        engine = alone.opened.engine(tmp_path / "work" / "gallery.db")
        told = engine.trace(Query(wanted=WORDS))
        assert choose(engine, told).tolist() == told.found.ids.tolist()
        with pytest.raises(ValueError, match="nothing to compare"):
            engine.trace(Query())


def test_any_block_and_batch_give_the_same(found, asks, gallery, searchers, models, tmp_path, monkeypatch):
    whole = search_all(asks, gallery, searchers, work=tmp_path / "whole", block=100, best_choice=3)
    assert len(whole.files) == 1
    assert whole.chosen().tolist() == [0, 2, 5]
    for ranker in ("clip", "pairwise", "combined"):
        assert np.array_equal(whole.scores(ranker), found.scores(ranker))
    monkeypatch.setattr(reid_model, "BATCH", 5)
    with Searchers(models) as again:
        small = search_all(asks, gallery, again, work=tmp_path / "small")
    for one, other in zip(small.found(), found.found(), strict=True):
        assert one.words == pytest.approx(other.words, abs=1e-3)
        assert one.similarities == pytest.approx(other.similarities, abs=1e-5, nan_ok=True)


def test_a_greater_k_changes_no_word_and_swaps_no_two(found, asks, gallery, models, tmp_path):
    for k in (COUNT, 1000):
        with Searchers(replace(models, k=k)) as more:
            wide = search_all(asks, gallery, more, work=tmp_path / str(k))
        for one, other in zip(found.found(), wide.found(), strict=True):
            assert other.asked == np.isfinite(other.similarities).sum()
            assert one.words == pytest.approx(other.words[: one.asked], abs=1e-3)
            head = set(one.prefiltered()[1][: one.asked].tolist())
            for ranker in ("pairwise", "combined"):
                narrow = one.order(ranker, CALIBRATION)[: one.asked].tolist()
                assert narrow == [c for c in other.order(ranker, CALIBRATION).tolist() if c in head]


def test_two_workers_give_the_same(found, asks, gallery, models, tmp_path):
    with Searchers(models, 2) as two:
        shared = search_all(asks, gallery, two, work=tmp_path / "work", block=2)
    assert len(shared.files) == 4
    for ranker in ("clip", "pairwise", "combined"):
        assert np.array_equal(shared.scores(ranker), found.scores(ranker))


def test_a_killed_run_goes_on(found, asks, gallery, models, searchers, tmp_path):
    script = """
        import os, pickle, signal, sys
        from pathlib import Path
        from training.evaluation.harness import search_all
        from training.evaluation.searchers import Searchers

        def killed(step, done, total):
            if step == "search" and done >= 4:
                os.kill(os.getpid(), signal.SIGKILL)

        asks, gallery, models = pickle.loads(Path(sys.argv[1]).read_bytes())
        with Searchers(models) as searchers:
            search_all(asks, gallery, searchers, work=Path(sys.argv[2]), block=2, progress=killed)
    """
    import pickle

    work = tmp_path / "work"
    (tmp_path / "task").write_bytes(pickle.dumps((asks, gallery, models)))
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "task"), str(work)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        timeout=300,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr[-2000:]
    before = {file: file.stat().st_mtime_ns for file in sorted((work / "blocks").iterdir())}
    assert len(before) == 2
    (work / "blocks" / ".00002.npz.1.part").write_bytes(b"half")  # as a kill inside a write leaves it
    resumed = search_all(asks, gallery, searchers, work=work, block=2)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    for ranker in ("clip", "pairwise", "combined"):
        assert np.array_equal(resumed.scores(ranker), found.scores(ranker))
    with pytest.raises(HarnessError, match="another evaluation"):
        search_all(asks[1:], gallery, searchers, work=work, block=2)


def test_recall_is_of_what_the_model_read(found, gallery):
    nearest = [one.prefiltered()[1][: one.asked].tolist() for one in found.found()]
    right = np.zeros((len(nearest), len(gallery)), bool)
    right[0, [nearest[0][0], nearest[0][11]]] = True
    outside = next(c for c in range(COUNT) if c not in nearest[1])
    right[1, [nearest[1][3], outside]] = True
    right[3, outside if outside not in nearest[3] else nearest[3][0]] = True
    third = 0.0 if outside not in nearest[3] else 1.0
    assert found.recall(Relevance.by_masks(right)) == pytest.approx((1 + 0.5 + third) / 3)
    assert found.recall(Relevance.by_masks(right[1:2]), start=1) == pytest.approx(0.5)
    assert set(found.seconds()) == {"encode", "prefilter", "words", "best-choice"}
    assert all(seconds > 0 for seconds in found.seconds().values())


def test_what_cannot_be_evaluated_is_refused(asks, gallery, searchers, pictures, tmp_path):
    with pytest.raises(HarnessError, match="0 queries"):
        search_all([], gallery, searchers, work=tmp_path / "a")
    with pytest.raises(HarnessError, match="0 crops"):
        search_all(asks, [], searchers, work=tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("mine")
    with pytest.raises(HarnessError, match="not empty"):
        search_all(asks, gallery, searchers, work=tmp_path / "c")
    with pytest.raises(HarnessError, match="no crop of the gallery"):
        search_all(asks, [Record(pictures / "torn.png", "1")], searchers, work=tmp_path / "d")
    with pytest.raises(ValueError, match="picture or words"):
        Ask()
    with pytest.raises(ValueError, match="worker"):
        Searchers(Models(), 0)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(st.sampled_from([math.nan, -0.5, 0.1, 0.1, 0.7]), min_size=1, max_size=25))
def test_rankers_by_the_rules(data, similarities):
    searched = [c for c, s in enumerate(similarities) if not math.isnan(s)]
    near = sorted(searched, key=lambda c: (-np.float32(similarities[c]), c))
    asked = data.draw(st.integers(0, len(near)))
    odds = st.lists(st.sampled_from([math.nan, -2.0, 0.0, 3.0]), min_size=asked, max_size=asked)
    words = data.draw(odds)
    read = data.draw(st.lists(st.sampled_from([-0.5, 0.1, 0.7]), min_size=asked, max_size=asked))
    chosen = data.draw(st.permutations(range(asked)))
    one = Found(
        ids=np.arange(len(similarities)) * 3 + 5,
        similarities=np.array(similarities, np.float32),
        asked=asked,
        words=np.array(words),
        near=np.array(read, np.float32),
        rarity=3.0,
        passed=True,
        chosen=np.array(chosen, np.int64),
        kind="text",
        seconds=np.zeros(4),
    )

    def by(odds_of):
        heard = [p for p in range(asked) if not math.isnan(words[p])]
        head = sorted(heard, key=lambda p: (-odds_of(p), p))
        return [near[p] for p in head] + [c for p, c in enumerate(near) if p not in heard]

    expected = {
        "clip": near,
        "pairwise": by(lambda p: words[p]),
        "best-choice": [near[p] for p in chosen] + near[asked:],
        "combined": by(lambda p: 0.5 * words[p] + 4 * float(np.float32(read[p])) - 1),
    }
    for ranker in RANKERS:
        assert one.order(ranker, CALIBRATION).tolist() == expected[ranker]
        scores = one.scores(ranker, CALIBRATION)
        assert places(scores)[: len(near)] == expected[ranker]
        if len(near) < len(similarities):
            assert scores[np.isnan(similarities)].max() < scores[searched].min(initial=1)
    with pytest.raises(ValueError, match="no ranker"):
        one.order("best", None)
    with pytest.raises(ValueError, match="not asked"):
        replace(one, chosen=None).order("best-choice", None)
