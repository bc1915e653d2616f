"""Table 4's ablation at toy size: every arm from one base, taught once, measured alike."""

import numpy as np
import pytest
import torch

import training.demo.ablation as ablation
from tests.clip_folder import make_clip_folder
from tests.tiny_pool import tiny_pool
from tests.tiny_qwen import build_tiny
from training.__main__ import main
from training.demo.learning import LearningLog
from training.demo.recipe import load


def language(folder):
    model, _ = load(folder)
    return torch.cat([p.flatten() for p in model.model.language_model.layers.parameters()])


@pytest.mark.slow
def test_every_arm_starts_from_one_base_and_is_taught_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ablation, "ASKED", {"text": 3, "image": 3})
    build_tiny(tmp_path / "tower")
    measure = ablation.Measure.over(tiny_pool("validation"), make_clip_folder(tmp_path / "clip"))
    taught = []
    real = ablation.train_stage

    def counted(model, processor, stage, *rest, **options):
        taught.append(stage.name)
        real(model, processor, stage, *rest, **options)

    monkeypatch.setattr(ablation, "train_stage", counted)
    log = LearningLog(tmp_path / "log.jsonl")
    found = ablation.ablate(tmp_path, 1, lambda spec: tiny_pool(), measure, log, seeds=(0,))
    each = ["stage3", "stage2", "stage3", "stage1", "stage2", "stage3"]
    assert taught == ["language", *each]
    again = ablation.ablate(tmp_path, 1, lambda spec: tiny_pool(), measure, log, seeds=(0,))
    assert again == found and len(taught) == 7
    assert list(found) == ["CLIP", "base", *ablation.ARMS]
    assert all(len(found[arm]) == 1 for arm in ablation.ARMS)
    for figures in (f for of in found.values() for f in of):
        assert set(figures) >= {"text", "image"} and all(0 <= value <= 1 for value in figures.values())
    # The full arm's encoder came from stage 1, its decoder from the base again.
    folder = tmp_path / "ablation" / "1"
    base, first = language(folder / "base" / "model"), language(folder / "seed0" / "stage1" / "model")
    second = language(folder / "seed0" / "stage1-stage2" / "model")
    other = language(folder / "seed0" / "stage2" / "model")
    assert (second - base).norm() < (second - first).norm()
    assert not torch.equal(second, other)
    assert main(["demo", "--ablate", "1", "--work", str(tmp_path / "empty")]) == 2
    assert "demo_clip" in capsys.readouterr().err


def test_the_table_says_how_far_the_seeds_lie_apart():
    of = [{"text": 0.2, "image": 0.5, "attributes": 0.6}, {"text": 0.4, "image": 0.5, "attributes": 0.7}]
    table = ablation.ablation_table({"CLIP": [{"text": 0.9, "image": 0.8}], "stage 3": of}, 70)
    assert "| CLIP | 90.0 | 80.0 |  |" in table
    assert f"| stage 3 | 30.0 ± {100 * np.std([0.2, 0.4], ddof=1):.1f} | 50.0 ± 0.0 | 65.0 ± 7.1 |" in table
    assert table.startswith("| 70 steps a stage | text | image | attributes |")
