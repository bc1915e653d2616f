"""`python -m training memory`: what a stage needs, and how long an evaluation takes, by arithmetic."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gallery_store.console import quiet, remark

if TYPE_CHECKING:
    from training.tuning.memory import Sizes

HELP = "estimate, by arithmetic, what Qwen2-VL-2B needs in memory and time in each stage, or to be evaluated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, choices=(1, 2, 3), help="all three where left out")
    parser.add_argument("--tokens-per-batch", type=int, metavar="N", help="the stage's own where left out")
    parser.add_argument(
        "--memory", type=float, nargs="+", default=[24, 48, 141], metavar="GB", help="of the devices"
    )
    parser.add_argument(
        "--tflops", type=float, default=989, help="the device's peak in bfloat16 (H100, H200: 989)"
    )
    parser.add_argument("--utilisation", type=float, default=0.3, help="share of the peak that is reached")
    parser.add_argument(
        "--evaluate",
        metavar="NAME",
        help="instead, the time that a benchmark's evaluation takes, such as market1501",
    )
    parser.add_argument("--k", type=int, default=64, help="candidates that the model reads for a query")
    parser.add_argument(
        "--picture-tokens", type=int, default=10, help="of a crop: 10 for 128 x 64 px as they are (default)"
    )
    parser.add_argument(
        "--pass-ms",
        type=float,
        default=25,
        help="least time of a forward pass; a guess, unless you measured it",
    )
    parser.add_argument(
        "--best-choice", type=int, default=0, metavar="N", help="queries that it is asked for"
    )


def run(chosen: argparse.Namespace) -> int:
    from training.stages import STAGES
    from training.tuning.memory import GB, qwen2_vl_2b, sizes, table

    quiet()
    counts = sizes(qwen2_vl_2b())
    flops = chosen.tflops * 1e12 * chosen.utilisation
    if chosen.evaluate:
        return _evaluation_time(chosen, counts, flops)
    adapter = counts.encoder_adapter + counts.decoder_adapter
    print(
        f"Estimates by arithmetic, not measurements. Qwen2-VL-2B: {counts.parameters / 1e9:.3f} G parameters, of them"
        f" {counts.encoder / 1e9:.3f} G in the encoder; LoRA {adapter / 1e6:.1f} M."
        f" Time at {chosen.utilisation:.0%} of {chosen.tflops:,.0f} TFLOPS.\n"
    )
    for number in (chosen.stage,) if chosen.stage else (1, 2, 3):
        try:
            stage = STAGES[number].with_(tokens_per_batch=chosen.tokens_per_batch)
        except ValueError as error:
            remark(str(error))
            return 2
        print("\n".join(table(counts, stage, tuple(size * GB for size in chosen.memory), flops)) + "\n")
    return 0


def _evaluation_time(chosen: argparse.Namespace, counts: Sizes, flops: float) -> int:
    from training.datasets.specs import SPECS
    from training.evaluation.arithmetic import cache_bytes, passes, table

    splits = SPECS[chosen.evaluate].counts[""] if chosen.evaluate in SPECS else {}
    queries, gallery = (splits[split].images if split in splits else None for split in ("query", "gallery"))
    if not queries or not gallery or min(chosen.k, chosen.picture_tokens) < 1:
        remark(
            f"--evaluate needs a benchmark with published queries and gallery, such as market1501, not "
            f"{chosen.evaluate!r}, and --k and --picture-tokens of 1 or more"
        )
        return 2
    rows = passes(
        counts,
        queries=queries,
        gallery=gallery,
        k=min(chosen.k, gallery),
        picture=chosen.picture_tokens,
        best_choice=min(chosen.best_choice, queries),
    )
    kept = cache_bytes(counts, queries + gallery, chosen.picture_tokens)
    print(
        f"An estimate by arithmetic, not a measurement. Qwen2-VL-2B on one device, {queries:,} queries over"
        f" {gallery:,} crops of {chosen.picture_tokens} tokens, K {chosen.k:,}; {chosen.utilisation:.0%} of"
        f" {chosen.tflops:,.0f} TFLOPS, and {chosen.pass_ms:g} ms a pass at least."
        f" All vision tokens: {kept / 1e9:.1f} GB.\n"
    )
    print("\n".join(table(rows, flops, chosen.pass_ms / 1e3)))
    return 0
