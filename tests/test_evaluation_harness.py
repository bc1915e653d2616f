"""The harness against the engine that it stands for: order, batches, K, workers, kills."""

import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model import reid_model
from app.model.checkpoint import KINDS_OF_QUERY, Calibration, CheckpointManifest, encoder_key
from app.model.pictures import DEMO
from app.model.token_budget import TokenBudget
from app.model.vocabulary import Attribute
from app.retrieval.query import Query, Reference
from gallery_store.encoder import ClipEncoder
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture, tiny_folder
from training.datasets.record import Record
from training.evaluation.harness import EvalQuery, search_all
from training.evaluation.hits import RANKERS, QueryHits
from training.evaluation.metrics import Relevance
from training.evaluation.work_folder import HarnessError, Shard, Unfinished, require_all
from training.evaluation.workers import Models, Workers, spread_over_gpus

COUNT = 30
WORDS = (Attribute("upper", "jacket"), Attribute("upper_colour", "red"))
CALIBRATION = Calibration(
    yes_logit=0.5,
    similarity=4,
    bias=-1,
    clip_similarity=5,
    clip_bias=-2,
    tau=-1,
    threshold=0.3,
    text_weight=0.25,
    attribute_score=30.0,
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
def workers(models):
    with Workers(models) as opened:
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
def queries(pictures):
    """By picture (the last of them a copy of crop 7), by words, and by both."""
    by_picture = [EvalQuery(pictures / f"q{COUNT + n}.png") for n in range(4)]
    return [
        *by_picture,
        EvalQuery(pictures / "07.png"),
        EvalQuery(wanted=WORDS),
        EvalQuery(text="somebody in a blue coat"),
        EvalQuery(pictures / f"q{COUNT + 4}.png", wanted=WORDS),
    ]


@pytest.fixture(scope="module")
def found(queries, gallery, workers, tmp_path_factory):
    work = tmp_path_factory.mktemp("evaluation") / "work"
    return search_all(queries, gallery, workers, work=work, best_choice=len(queries), block=3)


def same_orders(one, other, ranker):
    """Whether two searches rank the gallery alike."""
    return np.array_equal(list(one.orders(ranker)), list(other.orders(ranker)))


def test_orders_are_the_engines_own(found, queries, gallery, workers):
    engine = workers.opened.engine(found.files[0].parent.parent / "gallery.db")
    for number, ask in enumerate(queries):
        references = (Reference(file=ask.image),) if ask.image else ()
        query = Query(ask.wanted, (), ask.text, references)
        ranked = [c.image_id for c in engine.search(query).candidates if not c.very_picture]
        trace = engine.find_candidates(query)
        candidates = trace.candidates
        assert trace.prefiltered.asked == 12
        expected = {
            "fused": ranked,
            "clip": trace.prefiltered.ids.tolist(),
            "pairwise": [
                *trace.prefiltered.ids[:12][np.argsort(-candidates.yes_logits, kind="stable")].tolist(),
                *trace.prefiltered.ids[12:].tolist(),
            ],
            "attribute-score": [
                *trace.prefiltered.ids[:12][np.argsort(-candidates.attribute_score, kind="stable")].tolist(),
                *trace.prefiltered.ids[12:].tolist(),
            ],
            "best-choice": [
                *trace.prefiltered.ids[:12][np.argsort(-candidates.choice_scores, kind="stable")].tolist(),
                *trace.prefiltered.ids[12:].tolist(),
            ],
        }
        assert len({tuple(order) for order in expected.values()}) > 2  # rankers differ, or nothing is tested
        for ranker in RANKERS:
            order = list(found.orders(ranker))[number].tolist()
            assert sorted(order) == list(range(len(gallery)))
            assert order[-1] == COUNT  # the torn picture
            assert order.index(COUNT + 1) == order.index(3) + 1  # one crop, two records
            copy = [int(found.ids[7])] if number == 4 else []
            assert [int(found.ids[c]) for c in order if c < COUNT] == expected[ranker] + copy
    assert found.unreadable == 1


def test_pairwise_is_p_yes_alone_whatever_the_attributes_weigh(found, queries, gallery, workers):
    """The attributes that the model reads have 30 times the weight of its "Yes" here: P(yes) is ranked without them."""
    engine = workers.opened.engine(found.files[0].parent.parent / "gallery.db")
    differs = 0
    for ask, order in zip(queries, found.orders("pairwise"), strict=True):
        references = (Reference(file=ask.image),) if ask.image else ()
        trace = engine.find_candidates(Query(ask.wanted, (), ask.text, references))
        head, yes = trace.prefiltered.ids[:12], trace.candidates.yes_logits
        expected = head[np.argsort(-yes, kind="stable")].tolist()
        assert [int(found.ids[c]) for c in order.tolist() if c < COUNT][:12] == expected
        differs += (
            expected != head[np.argsort(-(yes + trace.candidates.attribute_score), kind="stable")].tolist()
        )
    assert differs > 2  # or nothing is tested


def test_without_a_manifest_pairwise_and_clip_are_fused_by_rank(found, queries, gallery, models, tmp_path):
    with Workers(replace(models, model=str(tiny_folder()), k=COUNT)) as plain:
        # The toy without a manifest reads pictures by another rule: its words are its own.
        other = search_all(queries[5:7], gallery, plain, work=tmp_path / "work")
        pairwise, fused, clip = (list(other.orders(r)) for r in ("pairwise", "fused", "clip"))
        for one in (pairwise, clip):
            assert not np.array_equal(one, fused)
        engine = plain.opened.engine(tmp_path / "work" / "gallery.db")
        query = Query(queries[5].wanted)
        ranked = [c.image_id for c in engine.search(query).candidates if not c.very_picture]
        assert [int(other.ids[c]) for c in fused[0].tolist() if c < COUNT] == ranked
        assert other.answered("best-choice").tolist() == []
        assert other.answered("attribute-score").tolist() == [] == list(other.orders("attribute-score"))


def test_clip_alone_ranks_by_clip(found, queries, gallery, models, tmp_path):
    with Workers(replace(models, model=None)) as alone:
        other = search_all(queries[4:6], gallery, alone, work=tmp_path / "work", best_choice=2)
        for ranker in ("clip", "pairwise", "fused"):
            assert np.array_equal(list(other.orders(ranker)), list(found.orders("clip"))[4:6])
        assert not list(other.orders("best-choice"))
        engine = alone.opened.engine(tmp_path / "work" / "gallery.db")
        candidates = engine.find_candidates(Query(wanted=WORDS)).candidates
        assert np.isnan(candidates.choice_scores).all() and not candidates.read
        with pytest.raises(ValueError, match="nothing to compare"):
            engine.trace(Query())


def test_any_block_and_batch_give_the_same(found, queries, gallery, workers, models, tmp_path, monkeypatch):
    whole = search_all(queries, gallery, workers, work=tmp_path / "whole", block=100, best_choice=3)
    assert len(whole.files) == 1
    assert whole.answered("best-choice").tolist() == [0, 2, 5]
    for ranker in ("clip", "pairwise", "fused"):
        assert same_orders(whole, found, ranker)
    monkeypatch.setattr(reid_model, "BATCH", 5)
    with Workers(models) as again:
        small = search_all(queries, gallery, again, work=tmp_path / "small")
    for one, other in zip(small.by_query(), found.by_query(), strict=True):
        assert one.yes_logits == pytest.approx(other.yes_logits, abs=1e-3)
        assert one.attribute_score == pytest.approx(other.attribute_score, abs=1e-3)
        assert one.similarities == pytest.approx(other.similarities, abs=1e-5, nan_ok=True)


def test_a_greater_k_changes_no_word_and_swaps_no_two(found, queries, gallery, models, tmp_path):
    for k in (COUNT, 1000):
        with Workers(replace(models, k=k)) as more:
            wide = search_all(queries, gallery, more, work=tmp_path / str(k))
        for one, other in zip(found.by_query(), wide.by_query(), strict=True):
            assert other.asked == np.isfinite(other.similarities).sum()
            assert one.yes_logits == pytest.approx(other.yes_logits[: one.asked], abs=1e-3)
            assert one.attribute_score == pytest.approx(other.attribute_score[: one.asked], abs=1e-3)
            head = set(one.prefiltered()[1][: one.asked].tolist())
            for ranker in ("pairwise", "fused"):
                narrow = one.order(ranker, CALIBRATION)[: one.asked].tolist()
                assert narrow == [c for c in other.order(ranker, CALIBRATION).tolist() if c in head]


def assert_same(one, other):
    """Two searches came to the same, but for the seconds; scores to rounding, as other batches have other rounding."""
    for a, b in zip(one, other, strict=True):
        assert (a.asked, a.passed, a.kind, a.rarity) == (b.asked, b.passed, b.kind, b.rarity)
        assert np.array_equal(a.chosen, b.chosen)
        assert a.similarities == pytest.approx(b.similarities, abs=1e-6, nan_ok=True)
        assert a.yes_logits == pytest.approx(b.yes_logits, abs=1e-5)
        assert a.attribute_score == pytest.approx(b.attribute_score, abs=1e-3)


@pytest.mark.slow
def test_two_workers_give_the_same_also_after_one_was_killed(
    found, queries, gallery, models, workers, tmp_path, capfd
):
    many = queries * 5  # so that something is left to do when the first half is done

    killed = []

    def kill_a_worker(step, done, total):
        if step == "search, pairs" and done >= 20 * 12 and not killed:
            children = psutil.Process().children()
            killed.append(next(child for child in children if "spawn_main" in " ".join(child.cmdline())))
            killed[0].kill()

    with Workers(models, 2) as two, pytest.raises(HarnessError, match="a worker process was ended") as told:
        search_all(many, gallery, two, work=tmp_path, block=1, best_choice=40, progress=kill_a_worker)
    assert "\n" not in str(told.value)
    assert capfd.readouterr().err.count("in each of 2 processes") == 1  # one of them tells
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "blocks").glob("0*.npz")}
    assert 20 <= len(before) < len(many)
    resumed = search_all(many, gallery, workers, work=tmp_path, block=1, best_choice=40)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert_same(list(resumed.by_query()), list(found.by_query()) * 5)


def test_shards_give_the_same_in_any_order_and_number(found, queries, gallery, models, tmp_path):
    parts = [Shard(3, 3), Shard(2, 2), Shard(1, 3)]  # as when machines come and go
    for part in parts:
        with Workers(models, shard=part) as workers:
            hits = search_all(queries, gallery, workers, work=tmp_path, block=2, best_choice=len(queries))
            if part != parts[-1]:
                with pytest.raises(Unfinished, match=rf"shard {part} .* pieces"):
                    require_all(hits.files, part)
    require_all(hits.files, parts[-1])
    assert_same(hits.by_query(), found.by_query())
    for ranker in RANKERS:
        assert same_orders(hits, found, ranker)
    assert {file.name for file in tmp_path.glob("*.db")} == {"gallery.db", "gallery-2.db", "gallery-3.db"}
    with (
        Workers(models, shard=Shard(2, 2)) as workers,
        pytest.raises(HarnessError, match="another evaluation"),
    ):
        search_all(queries[1:], gallery, workers, work=tmp_path, block=2, best_choice=len(queries))


def test_the_size_of_the_token_cache_changes_nothing(found, queries, gallery, models, tmp_path):
    kept = {}
    for limit in (0, 20_000, None):
        with Workers(replace(models, tokens=TokenBudget(limit))) as workers:
            hits = search_all(queries, gallery, workers, work=tmp_path / str(limit), best_choice=len(queries))
            kept[limit] = workers.opened.model._tokens.used
        assert_same(hits.by_query(), found.by_query())
    assert kept[0] == 0 < kept[20_000] <= 20_000 < kept[None]  # or nothing is tested


def test_progress_counts_the_pairs_that_the_model_reads(queries, gallery, models, tmp_path):
    calls = []
    for asked in (queries[:5], queries[:5]):
        with Workers(replace(models, model=None)) as workers:
            search_all(
                asked, gallery, workers, work=tmp_path, block=2, progress=lambda *call: calls.append(call)
            )
    pairs = [call[1:] for call in calls if call[0] == "search, pairs"]
    # 12 of each query; the last pair is of the second run, which finds everything done.
    assert pairs == [(0, 60), (24, 60), (48, 60), (60, 60), (60, 60)]


@pytest.mark.parametrize(
    ("device", "workers", "gpus", "devices", "sharers"),
    [
        ("cuda", 5, 2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"], [3, 2, 3, 2, 3]),
        ("cuda", 2, 4, ["cuda:0", "cuda:1"], [1, 1]),
        ("cuda:1", 2, 4, ["cuda:1", "cuda:1"], [2, 2]),
        ("cpu", 3, 0, ["cpu"] * 3, [3, 3, 3]),
        ("cuda", 2, 0, ["cuda", "cuda"], [2, 2]),  # asked for where there is none: refused when it is used
    ],
)
def test_workers_are_spread_over_the_gpus(device, workers, gpus, devices, sharers):
    spread = [spread_over_gpus(Models(device=device), worker, workers, gpus) for worker in range(workers)]
    assert [models.device for models in spread] == devices
    assert [models.tokens.sharers for models in spread] == sharers


def test_a_killed_run_goes_on(found, queries, gallery, models, workers, tmp_path):
    script = """
        import os, pickle, signal, sys
        from pathlib import Path
        from training.evaluation.harness import search_all
        from training.evaluation.workers import Workers

        def killed(step, done, total):
            if step == "search, pairs" and done >= 4 * 12:
                os.kill(os.getpid(), signal.SIGKILL)

        queries, gallery, models = pickle.loads(Path(sys.argv[1]).read_bytes())
        with Workers(models) as workers:
            search_all(queries, gallery, workers, work=Path(sys.argv[2]), block=2, progress=killed)
    """
    work = tmp_path / "work"
    (tmp_path / "task").write_bytes(pickle.dumps((queries, gallery, models)))
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
    resumed = search_all(queries, gallery, workers, work=work, block=2)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    for ranker in ("clip", "pairwise", "fused"):
        assert same_orders(resumed, found, ranker)
    with pytest.raises(HarnessError, match="another evaluation"):
        search_all(queries[1:], gallery, workers, work=work, block=2)


def test_recall_is_of_what_the_model_read(found, gallery):
    nearest = [one.prefiltered()[1][: one.asked].tolist() for one in found.by_query()]
    right = np.zeros((len(nearest), len(gallery)), bool)
    right[0, [nearest[0][0], nearest[0][11]]] = True
    outside = next(c for c in range(COUNT) if c not in nearest[1])
    right[1, [nearest[1][3], outside]] = True
    right[3, outside if outside not in nearest[3] else nearest[3][0]] = True
    third = 0.0 if outside not in nearest[3] else 1.0
    assert found.recall(Relevance.by_masks(right)) == pytest.approx((1 + 0.5 + third) / 3)
    assert found.recall(Relevance.by_masks(right[1:2]).among(np.array([1]), len(nearest))) == pytest.approx(
        0.5
    )
    assert set(found.seconds()) == {"encode", "prefilter", "words", "best-choice"}
    assert all(seconds > 0 for seconds in found.seconds().values())


def test_what_cannot_be_evaluated_is_refused(queries, gallery, workers, pictures, tmp_path):
    with pytest.raises(HarnessError, match="0 queries"):
        search_all([], gallery, workers, work=tmp_path / "a")
    with pytest.raises(HarnessError, match="0 crops"):
        search_all(queries, [], workers, work=tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("mine")
    with pytest.raises(HarnessError, match="not empty"):
        search_all(queries, gallery, workers, work=tmp_path / "c")
    with pytest.raises(HarnessError, match="no crop of the gallery"):
        search_all(queries, [Record(pictures / "torn.png", "1")], workers, work=tmp_path / "d")
    with pytest.raises(ValueError, match="picture or words"):
        EvalQuery()
    with pytest.raises(ValueError, match="worker"):
        Workers(Models(), 0)


@settings(max_examples=150)
@given(st.data(), st.lists(st.sampled_from([math.nan, -0.5, 0.1, 0.1, 0.7]), min_size=1, max_size=25))
def test_rankers_by_the_rules(data, similarities):
    searched = [c for c, s in enumerate(similarities) if not math.isnan(s)]
    near = sorted(searched, key=lambda c: (-np.float32(similarities[c]), c))
    asked = data.draw(st.integers(0, len(near)))
    odds = st.lists(st.sampled_from([math.nan, -2.0, 0.0, 3.0]), min_size=asked, max_size=asked)
    words = data.draw(odds)
    shown = data.draw(odds)
    read = data.draw(st.lists(st.sampled_from([-0.5, 0.1, 0.7]), min_size=asked, max_size=asked))
    liked = data.draw(odds)
    one = QueryHits(
        ids=np.arange(len(similarities)) * 3 + 5,
        similarities=np.array(similarities, np.float32),
        asked=asked,
        yes_logits=np.array(words),
        attribute_score=np.array(shown),
        fused_similarity=np.array(read, np.float32),
        rarity=3.0,
        passed=True,
        chosen=True,
        choice_scores=np.array(liked),
        kind="text",
        seconds=np.zeros(4),
    )

    def by(odds_of):
        heard = [p for p in range(asked) if not math.isnan(odds_of(p))]
        head = sorted(heard, key=lambda p: (-odds_of(p), p))
        return [near[p] for p in head] + [c for p, c in enumerate(near) if p not in heard]

    expected = {
        "clip": near,
        "pairwise": by(lambda p: words[p]),
        "attribute-score": by(lambda p: shown[p]),
        "best-choice": by(lambda p: liked[p]),
        "fused": by(lambda p: 0.5 * (words[p] + shown[p]) + 4 * float(np.float32(read[p])) - 1),
    }
    for ranker in RANKERS:
        assert one.order(ranker, CALIBRATION).tolist() == expected[ranker]
    with pytest.raises(ValueError, match="no ranker"):
        one.order("best", None)
    for without in (None, replace(CALIBRATION, attribute_score=0)):
        with pytest.raises(ValueError, match="no weight"):
            one.order("attribute-score", without)
    with pytest.raises(ValueError, match="not asked"):
        replace(one, chosen=False).order("best-choice", None)
