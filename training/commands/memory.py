"""`python -m training memory`."""

from __future__ import annotations

import argparse

HELP = "estimate, by arithmetic, what Qwen2-VL-2B needs in memory and time in each stage"


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


def run(chosen: argparse.Namespace) -> int:
    import sys

    from training.stages import STAGES
    from training.tuning.memory import GB, qwen2_vl_2b, sizes, table
    from training.tuning.quiet import quiet

    quiet()
    own = sizes(qwen2_vl_2b())
    flops = chosen.tflops * 1e12 * chosen.utilisation
    print(
        f"Estimates by arithmetic, not measurements. Qwen2-VL-2B: {own.parameters / 1e9:.3f} G parameters, of them"
        f" {own.encoder / 1e9:.3f} G in the encoder; LoRA {(own.encoder_adapter + own.decoder_adapter) / 1e6:.1f} M."
        f" Time at {chosen.utilisation:.0%} of {chosen.tflops:,.0f} TFLOPS.\n"
    )
    for number in (chosen.stage,) if chosen.stage else (1, 2, 3):
        try:
            stage = STAGES[number].with_(tokens_per_batch=chosen.tokens_per_batch)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        print("\n".join(table(own, stage, tuple(size * GB for size in chosen.memory), flops)) + "\n")
    return 0
