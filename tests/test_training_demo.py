"""The demo recipe's parts, at toy size: they learn, they resume, and they freeze what they say."""

import json
import shutil
from dataclasses import asdict, replace
from itertools import product
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from app.model.attributes import attribute_probe
from app.model.checkpoint import CheckpointManifest
from app.model.digests import weight_files
from app.model.prompts import READ_PROMPT_VERSIONS
from app.model.readings import ReadingTokens
from app.model.scoring import yes_no_ids
from app.model.vocabulary import KINDS
from gallery_store.encoder import WEIGHTS_FILE
from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import build_tiny
from training.__main__ import main
from training.commands.demo import ASSETS
from training.decoder import Decoder
from training.demo import language, lists
from training.demo.attribute_heads import (
    AttributeAttention,
    attribute_accuracy,
    attribute_loss,
    by_kind,
    hidden_loss,
    value_priors,
)
from training.demo.language import DemoStage, LanguageLesson, PoolTokens, train_stage
from training.demo.learning import LearningLog, learning_rate, muon_and_adamw, orthogonal
from training.demo.lists import ListArrays, list_answers
from training.demo.looks import DevicePictures
from training.demo.pool import PoolSpec, load_pool
from training.demo.recipe import (
    DemoRun,
    StepBudget,
    demo_stages,
    load,
    prompt_of_run,
    train_demo,
    world_of_run,
)
from training.demo.sampling import PoolLists
from training.demo.sequences import Forms
from training.demo.sizes import DemoSize
from training.demo.stage0 import warm_tower
from training.instructions.mixtures import STAGE2, STAGE3
from training.packed import answers, embed_queries
from training.synthetic.truth import KIND_NAMES
from training.tuning.origin import take_decoder


@pytest.fixture
def tiny(tmp_path):
    return load(build_tiny(tmp_path / "tiny"))


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module):
    after = module.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def stage(**options):
    given = {
        "name": "t",
        "steps": 3,
        "rate": 1e-3,
        "mixture": STAGE2,
        "plain": 2,
        "lists": {"image": 1.0, "text": 1.0},
        "tower_rate": 0.1,
    }
    return DemoStage(**{**given, **options})


def test_a_frozen_tower_does_not_move_and_a_tuned_one_does(tiny, tmp_path):
    model, processor = tiny
    before, language = weights(model.model.visual), weights(model.model.language_model)
    lists = {"image-plus-text": 1.0}
    frozen = stage(name="frozen", tower_rate=0, mixture=STAGE3, lists=lists)
    train_stage(model, processor, frozen, tiny_pool(), tmp_path, seed=0, log=LearningLog(tmp_path / "log"))
    assert not changed(before, model.model.visual)
    assert changed(language, model.model.language_model)
    train_stage(model, processor, stage(), tiny_pool(), tmp_path, seed=0, log=LearningLog(tmp_path / "log"))
    assert changed(before, model.model.visual)


def test_stage_2_carries_the_encoder_over_and_takes_a_fresh_decoder(tiny, tmp_path):
    model, _ = tiny
    base, _ = load(build_tiny(tmp_path / "base", seed=3))
    visual = weights(model.model.visual)
    take_decoder(model, base)
    assert not changed(visual, model.model.visual)
    assert not changed(weights(base.model.language_model), model.model.language_model)


def test_a_stage_that_is_done_is_not_run_again(tiny, tmp_path):
    model, processor = tiny
    train_stage(model, processor, stage(), tiny_pool(), tmp_path, seed=0, log=LearningLog(tmp_path / "log"))
    after = weights(model)
    again, _ = load(build_tiny(tmp_path / "again"))
    train_stage(again, processor, stage(), tiny_pool(), tmp_path, seed=0, log=LearningLog(tmp_path / "log"))
    assert not changed(after, again)


@pytest.mark.slow
def test_the_tower_learns_who_is_who(tiny, tmp_path):
    model, _ = tiny
    log = LearningLog(tmp_path / "log.jsonl")
    warm_tower(model, tiny_pool(), tmp_path, steps=130, seed=0, log=log)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["attributes"] < 1.45


@pytest.mark.parametrize("kind", ["image", "text", "image-plus-text"])
def test_right_candidates_differ_in_nothing_and_wrong_ones_by_what_shows(tiny, kind):
    _, processor = tiny
    pool = tiny_pool()
    drawn = PoolLists(pool, processor, 0).draw(kind, 3)
    assert not drawn.wrong[drawn.right].any()
    assert drawn.wrong[~drawn.right & ~drawn.ignored].any()
    if kind == "image":
        query, candidate = map(int, np.argwhere(~drawn.right & ~drawn.ignored)[0])
        ours, theirs = pool.seen(drawn.references[query][0]), pool.seen(int(drawn.rows[query, candidate]))
        expected = sum(ours[k] != theirs[k] for k in set(ours) & set(theirs))
        assert drawn.wrong[query, candidate] == expected


@pytest.mark.parametrize("kind", ["image", "text", "image-plus-text"])
def test_packed_lists_are_true_and_pure(tiny, kind):
    _, processor = tiny
    pool = tiny_pool()
    lists = PoolLists(pool, processor, 0)
    drawn, again = lists.draw(kind, 3), lists.draw(kind, 3)
    assert (drawn.right == again.right).all()
    assert not (drawn.right & drawn.ignored).any()
    assert drawn.right.any()
    if kind != "text":
        for query, references in enumerate(drawn.references):
            right = drawn.rows[query, drawn.right[query]]
            assert set(pool.person[right]) <= {pool.person[references[0]]}
            assert references[0] not in right


def test_a_pool_is_drawn_once_and_again_when_it_was_cut_off(tmp_path):
    spec = PoolSpec(1, "test", families=1, views=1)
    pool = load_pool(tmp_path, spec, workers=1)
    assert len(pool) == 6
    stamp = (tmp_path / "pictures.npy").stat().st_mtime_ns
    load_pool(tmp_path, spec, workers=1)
    assert (tmp_path / "pictures.npy").stat().st_mtime_ns == stamp
    (tmp_path / "done.json").unlink()
    again = load_pool(tmp_path, spec, workers=1)
    assert (again.pictures == pool.pictures).all()
    assert np.array_equal(again.visible, pool.visible)


def test_the_learning_rate_rises_then_falls():
    rates = [learning_rate(1.0, step, step / 100, warmup=10) for step in range(101)]
    assert rates[0] < rates[5] < rates[10]
    assert rates[-1] == pytest.approx(0.02)


def test_a_run_that_was_stopped_reaches_the_same_weights(tmp_path):
    """Six steps at once, and six with a stop after the third."""
    once, processor = load(build_tiny(tmp_path / "tiny"))
    whole, half = tmp_path / "whole", tmp_path / "half"
    six = stage(steps=6)
    train_stage(once, processor, six, tiny_pool(), whole, seed=0, log=LearningLog(tmp_path / "log"))

    class Stopped(Exception):
        pass

    class Cut(LearningLog):
        def write(self, **figures):
            raise Stopped

    twice, _ = load(build_tiny(tmp_path / "again"))
    with mock.patch.multiple("training.demo.learning", KEEP=3, TELL=4), pytest.raises(Stopped):
        train_stage(twice, processor, six, tiny_pool(), half, seed=0, log=Cut(tmp_path / "cut"))
    fresh, _ = load(build_tiny(tmp_path / "fresh"))
    train_stage(fresh, processor, six, tiny_pool(), half, seed=0, log=LearningLog(tmp_path / "log"))
    assert not changed(weights(once), fresh)


def test_descriptions_begin_long_and_end_as_told():
    long = stage(told=(1, 12), long_first=True)
    assert [long.told_at(done) for done in (0.0, 0.25, 0.5, 1.0)] == [(10, 12), (5, 12), (1, 12), (1, 12)]
    assert stage(told=(2, 4)).told_at(0.0) == (2, 4)


@pytest.mark.parametrize("shape", [(8, 8), (6, 24), (24, 6)])
def test_muons_update_is_nearly_orthogonal(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = torch.linalg.svdvals(orthogonal(matrix))
    assert float(found.min()) > 0.5 and float(found.max()) < 1.4
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert float((orthogonal(matrix) * (left @ right)).sum() / min(shape)) > 0.8


def test_muon_takes_filters_and_leaves_vectors_and_depthwise_filters_to_adamw():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=8), torch.nn.Linear(8, 8)
    )
    muon, adamw = muon_and_adamw(net.parameters(), net.parameters(), 0.1)
    assert [tuple(p.shape) for p in muon.param_groups[0]["params"]] == [(8, 4, 3, 3), (8, 8)]
    assert len(adamw.param_groups[0]["params"]) == 4
    before = net[0].weight.detach().clone()
    net[2](net[1](net[0](torch.ones(1, 4, 5, 5))).flatten(1)).sum().backward()
    for group in muon.param_groups:
        group["lr"] = group["peak"]
    muon.step()
    assert net[0].weight.shape == before.shape and not torch.equal(net[0].weight, before)


def _share_a_run(number, folder):
    import torch.distributed as dist

    from training.demo import learning

    dist.init_process_group("gloo", init_method=f"file://{folder}/place", rank=number, world_size=2)
    _toy_run(folder, lambda step: [float(10 * learning.process_rank() + step)])
    dist.destroy_process_group()


def _toy_run(folder, inputs):
    """Three steps of plain gradient descent on the mean of what a weight makes of the inputs."""
    from training.demo.learning import learn

    net = torch.nn.Linear(1, 1)
    torch.nn.init.ones_(net.weight)
    torch.nn.init.zeros_(net.bias)
    descent = torch.optim.SGD([{"params": list(net.parameters()), "peak": 0.01}])

    def take(step, done):
        loss = net(torch.tensor([[x] for x in inputs(step)])).square().mean() / 100
        return loss, {"loss": loss}

    state = folder / "state.pt"
    learn(
        take,
        {"net": net},
        [descent],
        steps=3,
        state=state,
        log=LearningLog(folder / "log"),
        stage="toy",
        warmup=1,
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_both_their_samples(tmp_path):
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    torch.multiprocessing.spawn(_share_a_run, (tmp_path / "two",), nprocs=2)
    _toy_run(tmp_path / "one", lambda step: [float(step), float(10 + step)])
    both = [torch.load(tmp_path / name / "state.pt", weights_only=True)["net"] for name in ("one", "two")]
    assert torch.allclose(both[0]["weight"], both[1]["weight"], rtol=1e-6)
    assert len((tmp_path / "two" / "log").read_text().splitlines()) == 1


def test_what_does_not_show_costs_nothing_where_the_usual_is_read():
    visible = tiny_pool().visible
    usual = value_priors(visible)
    beard = KIND_NAMES.index("beard")
    shown = visible[:, beard]
    assert float(usual[beard][1]) == pytest.approx((shown == 1).sum() / (shown >= 0).sum())
    prior = torch.from_numpy(np.log(usual.clip(1e-6))).expand(len(visible), -1, -1)
    assert float(hidden_loss(prior, visible, usual)) == pytest.approx(0, abs=1e-4)
    sure = prior.clone().index_fill(2, torch.tensor([0]), 20.0)
    assert float(hidden_loss(sure, visible, usual)) > 0.5
    assert float(hidden_loss(prior, np.zeros_like(visible), usual)) == 0


def test_a_look_finds_a_value_in_whichever_token_it_is():
    torch.manual_seed(0)
    looks = AttributeAttention(8, 4)
    colour = KIND_NAMES.index("bag_colour")
    rng = np.random.default_rng(0)
    optimizer = torch.optim.Adam(looks.parameters(), 1e-2)
    for _ in range(150):
        values, place = rng.integers(0, 5, 64), rng.integers(0, 4, 64)
        tokens = torch.zeros(64, 4, 8)
        tokens[np.arange(64), place, values] = 3
        visible = np.full((64, len(KIND_NAMES)), -1, np.int8)
        visible[:, colour] = values
        logits = looks(tokens)
        right = attribute_accuracy(logits, visible)
        optimizer.zero_grad()
        attribute_loss(logits, visible).backward()
        optimizer.step()
    assert right[colour] > 0.95
    assert np.isnan(right[0])


def test_some_kinds_can_weigh_more():
    pool = tiny_pool()
    rng = torch.Generator().manual_seed(0)
    logits = [torch.randn(len(pool), len(values), generator=rng) for values in KINDS.values()]
    each = [
        torch.nn.functional.cross_entropy(
            own, torch.from_numpy(pool.visible[:, place].astype(np.int64)), ignore_index=-1
        )
        for place, own in enumerate(logits)
    ]
    weights = [3.0 if kind == "age" else 1.0 for kind in KINDS]
    expected = sum(w * one for w, one in zip(weights, each, strict=True)) / sum(weights)
    torch.testing.assert_close(
        attribute_loss(by_kind(torch.cat(logits, 1), KINDS), pool.visible, {"age": 3.0}), expected
    )
    torch.testing.assert_close(
        attribute_loss(by_kind(torch.cat(logits, 1), KINDS), pool.visible), torch.stack(each).mean()
    )


@pytest.mark.slow
def test_finished_models_are_taught_further(tmp_path, monkeypatch):
    """From their weights, not from new ones, on other people for another seed; the encoder stays as it is."""
    specs = []
    before = CheckpointManifest.read(ASSETS / "demo_qwen2vl")
    world = world_of_run(tmp_path / "run", ASSETS, None)

    def pool(folder, spec, workers, picture):
        assert picture == before.image_rule.fixed  # as the finished model sees it
        specs.append(spec)
        return tiny_pool(world=spec.world)

    monkeypatch.setattr("training.demo.recipe.load_pool", pool)
    monkeypatch.setattr("training.demo.recipe.measure_clip", lambda folder, pool: {})
    train_demo(
        tmp_path,
        tmp_path / "assets",
        budget=StepBudget(clip=1, stage3=1),
        seed=5,
        workers=1,
        only=("clip", "stage3"),
        start=ASSETS,
        world=world,
    )
    assert {spec.seed for spec in specs if spec.split == "train"} == {6}
    first = load_file(ASSETS / "demo_clip" / WEIGHTS_FILE)
    after = load_file(tmp_path / "demo_clip" / WEIGHTS_FILE)
    moved = [
        float((after[n] - old).abs().max())
        for n, old in first.items()
        if old.is_floating_point() and "running" not in n
    ]
    assert 0 < max(moved) < 0.05
    old, new = load(ASSETS / "demo_qwen2vl")[0], load(tmp_path / "stage3")[0]
    assert not changed(weights(old.model.visual), new.model.visual)
    assert changed(weights(old.model.language_model), new.model.language_model)
    told = DemoRun(tmp_path, tmp_path / "assets", StepBudget(), 5, 1, start=ASSETS, world=world)._manifest()
    assert told.vocabulary_version == world == before.vocabulary_version
    assert told.stages[:-1] == before.stages and told.stages[-1]["steps"] == 1
    assert told.data["pools"] == [*before.data["pools"], {**before.data["pools"][0], **asdict(specs[0])}]


def test_a_finished_model_is_taught_further_by_lists_of_every_kind(tmp_path, monkeypatch):
    """Also where what it is asked is new to it."""
    monkeypatch.setattr("training.demo.recipe.load_pool", lambda *asked: None)
    monkeypatch.setattr("training.demo.recipe.save", lambda *asked: None)
    taught = mock.Mock()
    monkeypatch.setattr("training.demo.recipe.train_stage", taught)
    shipped = CheckpointManifest.read(ASSETS / "demo_qwen2vl").prompt_version
    versions = (None, *READ_PROMPT_VERSIONS[1:])
    for prompt in versions:
        DemoRun(tmp_path, tmp_path, StepBudget(), 5, 1, start=ASSETS, world=2, prompt=prompt)._stage3()
    stages = [call.args[2] for call in taught.call_args_list]
    assert [stage.prompt for stage in stages] == [shipped, *READ_PROMPT_VERSIONS[1:]]
    whole = demo_stages(StepBudget())["stage3"]
    for stage in stages:
        assert stage.rate < whole.rate and stage.lists_every == 1
        assert (stage.forms, stage.choices) == (whole.forms, whole.choices)
        assert {size for begins, size in stage.longest if not begins} == {2, 3, 4, 6, 8}
        assert (
            stage.lists.keys() == whole.lists.keys()
            and max(stage.lists, key=stage.lists.__getitem__) == "text"
        )


def test_the_recipe_by_steps_teaches_world_2(tmp_path, monkeypatch):
    worlds, drawn = set(), []

    def pool(folder, spec, workers, picture):
        worlds.add(spec.world)
        return tiny_pool(spec.split, 4, spec.world)

    monkeypatch.setattr("training.demo.recipe.load_pool", pool)
    monkeypatch.setattr(
        "training.demo.recipe.fit_demo", lambda folder, clip, pool, log: {"of": pool.vocabulary}
    )
    monkeypatch.setattr("training.demo.recipe.write_gallery", lambda *asked: drawn.append(asked))
    given = {"budget": StepBudget().scaled(0), "seed": 0, "workers": 1, "world": 2}
    size = DemoSize((168, 84), 64, 2, 4, 2, 32, 2)
    train_demo(tmp_path, tmp_path / "assets", **given, families=4, size=size)
    assert worlds == {2} and not drawn
    manifest = CheckpointManifest.read(tmp_path / "assets" / "demo_qwen2vl")
    assert manifest.vocabulary_version == 2 and {pool["world"] for pool in manifest.data["pools"]} == {2}
    assert json.loads((tmp_path / "export.done.json").read_text()) == {"of": 2}
    right = json.loads((tmp_path / "tower.done.json").read_text())
    assert right["attribute_sleeves"] >= 0 and np.isfinite(list(right.values())).all()
    (tmp_path / "export.done.json").unlink()
    train_demo(tmp_path, tmp_path / "assets", **given, families=4, size=size, gallery=True)
    assert drawn == [(tmp_path / "assets" / "demo_gallery", 2)]


def test_finished_models_are_calibrated_anew_where_nothing_is_taught(tmp_path, monkeypatch):
    monkeypatch.setattr("training.demo.recipe.load_pool", lambda folder, spec, workers, picture: tiny_pool())
    monkeypatch.setattr("training.demo.recipe.fit_demo", lambda folder, clip, pool, log: {"fitted": True})
    run = {"budget": StepBudget(), "seed": 5, "workers": 1, "only": ("export",), "start": ASSETS}
    run["world"] = world_of_run(tmp_path / "work", ASSETS, None)
    train_demo(tmp_path / "work", tmp_path / "out", **run)
    assert json.loads((tmp_path / "work" / "export.done.json").read_text()) == {"fitted": True}
    before, after = (
        CheckpointManifest.read(folder / "demo_qwen2vl") for folder in (ASSETS, tmp_path / "out")
    )
    assert (after.stages, after.data, after.calibrations) == (before.stages, before.data, before.calibrations)
    assert after.weights == weight_files(tmp_path / "out" / "demo_qwen2vl")
    old, new = (weights(load(folder / "demo_qwen2vl")[0]) for folder in (ASSETS, tmp_path / "out"))
    assert all(torch.equal(old[name], new[name]) for name in old)
    # As if CLIP had been taught further.
    shutil.copytree(ASSETS / "demo_clip", tmp_path / "further" / "demo_clip")
    train_demo(tmp_path / "further", tmp_path / "out", **run)
    after = CheckpointManifest.read(tmp_path / "out" / "demo_qwen2vl")
    pools = after.data["pools"]
    assert after.stages == before.stages and {**after.data, "pools": 0} == {**before.data, "pools": 0}
    assert before.calibrations and not after.calibrations  # those were of the CLIP before
    assert pools[:-1] == before.data["pools"] and (pools[-1]["split"], pools[-1]["seed"]) == ("train", 6)


def test_a_demo_can_be_taught_with_the_words_behind_the_picture(tmp_path, capsys):
    """Lists, instruction samples and the manifest are of one version; a work folder goes on by its own."""
    for version, behind in ((2, False), (4, True), (5, True)):
        stages = demo_stages(StepBudget(), version)
        assert {stage.mixture.words_behind for stage in stages.values()} == {version == 4}
        pool, (model, processor) = tiny_pool(), load(build_tiny(tmp_path / f"model{version}"))
        stage = replace(stages["stage3"], lists={"text": 1.0}, choices=0, forms=0)
        lesson = LanguageLesson(model, processor, stage, pool, DevicePictures(pool.pictures), seed=0)
        drawn = lesson._at_scale(1).draw("text", 0)
        for text, layout in zip(drawn.texts, drawn.layouts, strict=True):
            tail = processor.tokenizer.decode(layout.block_ids[layout.block_image_span[1] :])
            assert (text.rstrip(" .") in tail) == behind
        run = DemoRun(tmp_path / str(version), tmp_path / "assets", StepBudget(), 0, 1, prompt=version)
        assert run._manifest().prompt_version == version
        assert prompt_of_run(tmp_path / str(version), None) == version
    assert main(["demo", "--work", str(tmp_path / "4"), "--prompt", "2"]) == 2
    assert "version 4 of the prompts, not by 2" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["text", "image", "image-plus-text"])
@torch.no_grad()
def test_lists_of_words_behind_the_picture_are_asked_of_each_picture_once(tmp_path, monkeypatch, kind):
    """As asking each question of each of its candidates, of lists side by side too."""
    pool, (model, processor) = tiny_pool(), load(build_tiny(tmp_path / "model"))
    sight = PoolTokens(model, DevicePictures(pool.pictures), frozen=True)
    once = mock.Mock(wraps=lists.answers_of_pictures)
    monkeypatch.setattr(lists, "answers_of_pictures", once)
    probe = attribute_probe(processor, PoolLists(pool, processor, 0).grid, pool.vocabulary)
    forms = Forms(probe, ReadingTokens.of(processor, probe), torch.device("cpu"))
    for beside, prompt in product((1, 2), (4, 5)):
        drawn = PoolLists(pool, processor, 0, 1, beside, prompt).draw(kind, 3)
        rows = np.unique([*drawn.rows.flat, *(row for rows in drawn.references for row in rows)])
        listed = ListArrays.of(drawn, {int(row): place for place, row in enumerate(rows)})
        decoder, seen, yes_no = Decoder(model), sight(rows), yes_no_ids(processor.tokenizer)
        found = list_answers(decoder, listed, seen, yes_no, forms)
        queries = embed_queries(decoder.embed, listed.queries, seen[listed.references].flatten(0, 1))
        aloud = prompt == 5 and kind == "text"
        shown = torch.cat([seen, forms.read_aloud(decoder, seen)], 1) if aloud else seen
        each = answers(decoder, queries, shown[listed.candidates], yes_no)
        torch.testing.assert_close(found.odds, each.odds, atol=1e-4, rtol=0)
        torch.testing.assert_close(found.behind, each.behind, atol=1e-4, rtol=0)
        assert found.odds.std() > 0.01
    assert once.call_count == (4 if kind == "text" else 0)


def test_vision_tokens_of_a_frozen_tower_are_computed_once(tmp_path):
    pool, (model, _) = tiny_pool(), load(build_tiny(tmp_path / "model"))
    pictures = DevicePictures(pool.pictures)
    kept, fresh = (PoolTokens(model, pictures, frozen) for frozen in (True, False))
    with mock.patch.object(language, "encode_rounded", wraps=language.encode_rounded) as encode:
        for rows, new in (([3, 1, 3], True), ([1, 3], False), ([7, 1], True)):
            seen = kept(np.array(rows))
            assert encode.call_count == new
            encode.reset_mock()
            torch.testing.assert_close(seen, fresh(np.array(rows)), atol=2e-2, rtol=1e-2)
            encode.reset_mock()


def test_going_on_says_what_it_needs(tmp_path, capsys):
    assert main(["demo", "--start", str(tmp_path), "--work", str(tmp_path)]) == 2
    assert "demo_clip and no demo_qwen2vl" in capsys.readouterr().err
    assert main(["demo", "--start", str(ASSETS), "--only", "tower", "--work", str(tmp_path)]) == 2
    assert "not by tower" in capsys.readouterr().err
