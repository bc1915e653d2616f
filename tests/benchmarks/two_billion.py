"""At real size, on one card: `python -m tests.benchmarks.two_billion [--device cuda] [--minutes 6]`.

A Qwen2-VL of the published 2B's sizes and a ViT-B-16, both with random weights, so that nothing is downloaded.
Printed in one run:

- the plain loop, stock transformers asked one pair after another, beside our search with the crops' vision tokens and
  the query's prefix remembered: seconds, and how far the answers are apart;
- seconds of a search over K candidates, first and again, by picture and by words, and as a multiple of its arithmetic
  at the rate that a large product of matrices reaches here; the most memory;
- pictures and texts a second of the ViT-B-16;
- tokens a second and the most memory of each stage of the trainer, fully tuned, with LoRA and with QLoRA, beside what
  `python -m training memory` says. What there is no time or no package for is named.

--tiny does all of it with a toy checkpoint, on any machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.model.pictures import Picture, apply_rule
from app.model.prompts import pair_prompt
from app.model.reid_model import ReidModel
from app.model.scoring import yes_no_ids
from gallery_store.encoder import ClipEncoder
from tests.tiny_qwen import build_tiny, noise_picture
from training.demo.base import build_processor, build_tokenizer
from training.evaluation.arithmetic import passes
from training.stages import STAGES
from training.tuning.memory import GB, Sizes, Tuning, estimate, qwen2_vl_2b, sizes, tokens_per_second

WORDS = "a woman in a red jacket with a backpack and blue trousers"
TUNED: dict[Tuning, list[str]] = {
    "full": [],
    "lora": ["--lora"],
    "qlora": ["--lora", "--four-bit"],
    "full-light": ["--weights", "bfloat16", "--optimizer", "adamw-8bit"],
}
NEEDS = {"lora": ("peft",), "qlora": ("peft", "bitsandbytes"), "full-light": ("bitsandbytes",)}
DATA = "synthetic:families=12,held_out=1,views=2"


@dataclass(frozen=True)
class Scale:
    """What is measured with. candidates: of a search. looped: of these, how many the plain loop is asked about.
    seconds: of each training that is measured, after its first step."""

    candidates: int
    looped: int
    repeats: int
    seconds: float
    more: tuple[str, ...] = ()


REAL = Scale(candidates=64, looped=64, repeats=5, seconds=8.0)
TINY = Scale(
    candidates=6,
    looped=4,
    repeats=2,
    seconds=0.5,
    more=("--tokens-per-batch", "1024", "--samples-per-step", "4", "--max-pixels", str(112 * 56)),
)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--minutes", type=float, default=6.0, help="of all; trainings that come later are left out"
    )
    parser.add_argument("--tiny", action="store_true", help="a toy checkpoint in place of the 2B's sizes")
    parser.add_argument("--no-training", action="store_true")
    given = parser.parse_args(argv)
    ends = time.monotonic() + 60 * given.minutes
    scale = TINY if given.tiny else REAL
    rate = matmul_rate(given.device, 512 if given.tiny else 8192)
    print(f"{device_name(given.device)}; products of large matrices: {rate / 1e12:.2f} TFLOP/s", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = (
            build_tiny(Path(place) / "model")
            if given.tiny
            else build_real(Path(place) / "model", given.device)
        )
        counts = sizes(config_of(folder))
        print(f"{counts.parameters / 1e9:.3f} billion parameters, random", flush=True)
        measure_search(folder, given.device, scale, counts, rate)
        measure_clip(given.device, tiny=given.tiny)
        if not given.no_training:
            measure_training(folder, given.device, scale, counts, rate, ends)


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else f"{device}, one process"


def half(device: str) -> torch.dtype:
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def median_seconds(do: Callable[[], Any], device: str, repeats: int) -> float:
    """The median of so many, after one that warms up."""
    took = []
    for _ in range(repeats + 1):
        wait(device)
        began = time.perf_counter()
        do()
        wait(device)
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def matmul_rate(device: str, size: int) -> float:
    """Operations a second of a square product, in the precision that the model computes in."""
    one = torch.randn(size, size, device=device, dtype=half(device))
    return 2.0 * size**3 / median_seconds(lambda: one @ one, device, 5)


def build_real(folder: Path, device: str) -> Path:
    """The 2B's sizes with random weights in bfloat16, and the demo's tokenizer, whose ids all lie in its vocabulary."""
    from transformers import Qwen2VLForConditionalGeneration

    tokenizer, config = build_tokenizer(), qwen2_vl_2b()
    known = tokenizer.get_vocab()
    for name, token in (("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start")):
        setattr(config, f"{name}_token_id", known[f"<|{token}|>"])
    config.vision_end_token_id = known["<|vision_end|>"]
    text = config.text_config
    text.bos_token_id = text.pad_token_id = known["<|endoftext|>"]
    text.eos_token_id = known["<|im_end|>"]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            torch.manual_seed(0)
            model = Qwen2VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    model.save_pretrained(folder)
    build_processor(tokenizer).save_pretrained(folder)
    return folder


def config_of(folder: Path) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder)


def crops(count: int, first: int) -> list[Picture]:
    """Pictures that no other call has the keys of."""
    return [
        Picture(("crop", first + i), lambda seed=first + i: noise_picture(seed, 256, 128))  # type: ignore[misc]
        for i in range(count)
    ]


@dataclass(frozen=True)
class Asked:
    """One query, and its candidates."""

    text: str
    references: list[Picture]
    candidates: list[Picture]


def measure_search(folder: Path, device: str, scale: Scale, counts: Sizes, rate: float) -> None:
    model = ReidModel.load(folder, device=device)
    model.warm_up()
    candidates = crops(scale.candidates, 0)
    stock = stock_parts(folder, device)
    height, width = apply_rule(model.rule, candidates[0].load()).size[::-1]
    tokens = height * width // 28**2
    print(f"crops of {height}x{width} px, {tokens} vision tokens; {scale.candidates} candidates")
    columns = (
        f"{'plain loop s':>12} {'first s':>9} {'again s':>9} {'loop/again':>10} {'of floor':>9} {'apart':>8}"
    )
    print(f"{'by':8} {columns}")
    arithmetic = passes(counts, queries=1, gallery=scale.candidates, k=scale.candidates, picture=tokens)
    floor = sum(row.flops * row.count / rate for row in arithmetic if row.what in ("prefixes", "pairs"))
    queries = {"picture": Asked("", crops(1, 9_000), candidates), "words": Asked(WORDS, [], candidates)}
    for by, asked in queries.items():
        loop, plain = timed(lambda one=asked: stock_logits(*stock, model, one, scale.looped), device)  # type: ignore[misc]
        loop *= scale.candidates / scale.looped
        first, again = search_seconds(model, asked, device, scale.repeats)
        own = model.yes_logits(asked.text, asked.references, candidates[: scale.looped])
        apart = float(np.abs(own - plain).max())
        print(
            f"{by:8} {loop:12.3f} {first:9.3f} {again:9.3f} {loop / again:10.1f} {again / floor:9.1f} {apart:8.4f}",
            flush=True,
        )
    if device.startswith("cuda"):
        print(
            f"most memory: {torch.cuda.max_memory_allocated() / GB:.1f} GB, two copies of the weights in it"
        )
    print(
        "floor: the question's prefix and the pairs, at the rate of large products; apart: of logit(Yes) - logit(No)"
    )


def search_seconds(model: ReidModel, asked: Asked, device: str, repeats: int) -> tuple[float, float]:
    """Of candidates that the model has not seen, and of those that it has."""
    unseen = iter(crops(len(asked.candidates), 10_000 * number) for number in range(1, repeats + 2))
    first = median_seconds(
        lambda: model.yes_logits(asked.text, asked.references, next(unseen)), device, repeats
    )
    again = median_seconds(
        lambda: model.yes_logits(asked.text, asked.references, asked.candidates), device, repeats
    )
    return first, again


def timed(do: Callable[[], Any], device: str) -> tuple[float, Any]:
    wait(device)
    began = time.perf_counter()
    found = do()
    wait(device)
    return time.perf_counter() - began, found


def stock_parts(folder: Path, device: str) -> tuple[Any, Any]:
    """transformers' own model, and its processor."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    stock: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=half(device))
    return stock.to(device).eval(), AutoProcessor.from_pretrained(folder)


@torch.inference_mode()
def stock_logits(stock: Any, processor: Any, model: ReidModel, asked: Asked, count: int) -> np.ndarray:
    """float32 (count,): transformers' own forward pass of each pair by itself, pictures at our model's size."""
    yes, no = yes_no_ids(processor.tokenizer)
    prompt = pair_prompt(asked.text, len(asked.references))
    text = processor.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
    odds = []
    for candidate in asked.candidates[:count]:
        images = [apply_rule(model.rule, one.load()) for one in (*asked.references, candidate)]
        inputs = processor(text=[text], images=images, return_tensors="pt").to(stock.device)
        last = stock(**inputs).logits[0, -1].float()
        odds.append(float(last[yes] - last[no]))
    return np.array(odds, np.float32)


def measure_clip(device: str, *, tiny: bool) -> None:
    import open_clip

    from gallery_store.torchvision_mend import mend_torchvision

    mend_torchvision()
    name, count = "ViT-B-16", 2 if tiny else 1024
    net = open_clip.create_model(name, pretrained=None).eval().to(device)
    encoder = ClipEncoder(net, open_clip.get_tokenizer(name), name, "random", device)
    images = [noise_picture(seed, 256, 128) for seed in range(count)]
    seeing = median_seconds(lambda: encoder.encode_images(images), device, 2)
    reading = median_seconds(lambda: encoder.encode_texts([WORDS]), device, 3)
    print(
        f"ViT-B-16, random: {count / seeing:,.1f} pictures a second, shrinking among it; a text in {reading:.4f} s"
    )


def measure_training(
    folder: Path, device: str, scale: Scale, counts: Sizes, rate: float, ends: float
) -> None:
    """What is measured, and by arithmetic at 30 % of the rate of large products."""
    print(f"{'stage':6} {'tuning':10} {'tokens/s':>9} {'of 30 %':>8} {'GB':>6} {'GB, arithmetic':>15}")
    for tuning, options in TUNED.items():
        if missing := [name for name in NEEDS.get(tuning, ()) if find_spec(name) is None]:
            print(f"{'all':6} {tuning:10} not measured: {' and '.join(missing)} is not installed")
            continue
        for number in (1, 2, 3):
            if time.monotonic() > ends - 2 * scale.seconds:
                print(f"{number:<6} {tuning:10} not measured: the time is over")
                continue
            row = trained(folder, device, scale, number, options)
            if isinstance(row, str):
                print(f"{number:<6} {tuning:10} not measured: {row}", flush=True)
                continue
            stage = STAGES[number]
            expected = tokens_per_second(counts, stage, tuning, 0.3 * rate)
            needed = estimate(counts, stage, tuning, stage.tokens_per_batch).total / GB
            print(
                f"{number:<6} {tuning:10} {row['rate']:9,.0f} {row['rate'] / expected:8.2f} {row['memory']:6.1f} "
                f"{needed:15.1f}",
                flush=True,
            )


def trained(
    folder: Path, device: str, scale: Scale, number: int, options: list[str]
) -> dict[str, float] | str:
    """tokens a second between the first step and the last, and the most memory in GB; or why there is none.

    The run is killed when it was seen for long enough: nothing of it is kept.
    """
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        start = ["--base", str(folder), *(["--from", str(folder)] if number > 1 else [])]
        command = [sys.executable, "-m", "training", "train", "--stage", str(number), *start, "--data", DATA]
        command += ["--out", str(out), "--device", device, "--log-every", "1", "--validation-share", "0"]
        with (Path(place) / "said").open("w+") as said:
            run = subprocess.Popen([*command, *options, *scale.more], stdout=said, stderr=subprocess.STDOUT)
            log, rows = out.with_suffix(".work") / "log.jsonl", []
            until = time.monotonic() + 120 + scale.seconds
            while run.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
                lines = log.read_text().splitlines() if log.is_file() else []
                rows = [json.loads(line) for line in lines[:-1]]
                if len(rows) > 2 and rows[-1]["seconds"] - rows[0]["seconds"] >= scale.seconds:
                    break
            run.kill()
            run.wait()
            said.seek(0)
            last = (said.read().strip() or "nothing was said").splitlines()[-1]
    if len(rows) < 2:
        return last
    seconds = rows[-1]["seconds"] - rows[0]["seconds"]
    return {"rate": (rows[-1]["tokens"] - rows[0]["tokens"]) / seconds, "memory": rows[-1]["memory_gb"]}


if __name__ == "__main__":
    main()
