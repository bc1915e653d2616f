"""The demo recipe on a GPU, without one: a step of each part on a device that holds no values.

On torch's "meta" device nothing can be read back, so that a step that waits for the GPU to decide something fails here,
and an operation that mixes it with the CPU is refused as CUDA would refuse it.
"""

import contextlib
import copy
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from app.model.prompts import READ_ALOUD
from app.model.vocabulary import KINDS_OF_VERSION
from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import build_tiny
from training.demo.clip import ClipLesson
from training.demo.language import LanguageLesson
from training.demo.looks import DevicePictures
from training.demo.recipe import StepBudget, demo_stages, load
from training.demo.stage0 import TowerLesson

MOVES = {"aten::_to_copy", "aten::copy_", "aten::empty_like", "aten::zeros_like", "aten::new_zeros"}
INDEXED = {
    "aten::index",
    "aten::_unsafe_index",
    "aten::index_put",
    "aten::index_put_",
    "aten::_index_put_impl_",
}
LESSONS = ("clip", "tower", "language", "stage1", "stage2", "stage3")


class Mixed(Exception):
    pass


class OneDevice(TorchDispatchMode):
    """Refuses what CUDA refuses: tensors of two devices in one operation, but for a copy, a number, or an index."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        given = args[:1] if name in INDEXED else args  # an index may lie on the CPU
        if name not in MOVES:
            tensors = [t for t in torch.utils._pytree.tree_leaves(given) if isinstance(t, torch.Tensor)]
            devices = {t.device.type for t in tensors if t.ndim}
            if len(devices) > 1:
                raise Mixed(f"{name} mixes {sorted(devices)}")
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """World -> a model and its processor, which have the words of that world's vocabulary."""
    return {
        world: load(build_tiny(tmp_path_factory.mktemp("tiny"), version=world)) for world in KINDS_OF_VERSION
    }


def lesson(name, tiny, device, families=6, world=1):
    pool, (model, processor) = tiny_pool(families=families, world=world), tiny[world]
    if name == "clip":
        return ClipLesson(pool, DevicePictures(pool.large, device), seed=0, families=4)
    model = copy.deepcopy(model).to(device)
    pictures = DevicePictures(pool.pictures, device)
    if name == "tower":
        return TowerLesson(model, pool, pictures, seed=0, families=4)
    few = {"plain": 2, "choices": 8, "soft": 0.5, "alone": 0.5, "near": 0.5}
    if world == 2:  # and by words, with what it reads
        stage = demo_stages(StepBudget(), READ_ALOUD)[name]
        stage = replace(stage, lists={"text": 1.0} if stage.lists else {}, lists_every=1)
    else:
        stage = demo_stages(StepBudget())[name]
    stage = replace(stage, forms=min(stage.forms, 2), **(few if stage.choices else {"plain": 2}))
    return LanguageLesson(model, processor, stage, pool, pictures, seed=0)


@pytest.mark.parametrize("world", KINDS_OF_VERSION)
@pytest.mark.parametrize("name", LESSONS)
def test_a_step_stays_on_its_device_and_never_waits_for_it(name, world, tiny, monkeypatch):
    # Autocast knows no such device; what it changes is tested below.
    monkeypatch.setattr(torch, "autocast", lambda *given, **options: contextlib.nullcontext())
    taught = lesson(name, tiny, "meta", world=world)
    drawn = [taught.draw(step, done) for step, done in ((0, 0.0), (1, 0.9))]
    with OneDevice():
        for one in drawn:
            loss, figures = taught.loss(one)
            assert {figure.device.type for figure in (loss, *figures.values())} == {"meta"}
            loss.backward()
            for optimizer in taught.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"]
                optimizer.step()


def test_mixed_devices_are_refused():
    there = torch.zeros(3, 3, device="meta")
    with OneDevice(), pytest.raises(Mixed):
        there @ torch.zeros(3, 3)
    with OneDevice():
        there[torch.zeros(2, dtype=torch.long)] * torch.tensor(2.0)
    with pytest.raises(NotImplementedError):
        there[there > 0]
    with pytest.raises(RuntimeError):
        float(there.sum())


@pytest.mark.parametrize("world", KINDS_OF_VERSION)
@pytest.mark.parametrize("name", ["clip", "tower", "stage2", "stage3"])
def test_in_bfloat16_a_step_says_what_it_says_in_float32(name, world, tiny):
    taught = lesson(name, tiny, "cpu", families=2, world=world)
    drawn = taught.draw(1, 0.9)
    with torch.no_grad():
        exact = taught.loss(drawn)[1]
    with torch.autocast("cpu", torch.bfloat16):
        loss, rounded = taught.loss(drawn)
    loss.backward()
    parameters = [p for module in taught.modules.values() for p in module.parameters()]
    gradients = [p.grad for p in parameters if p.grad is not None]
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    for figure, value in exact.items():
        if not figure.startswith("right"):
            assert float(rounded[figure].detach()) == pytest.approx(float(value), rel=0.1, abs=0.1), figure
