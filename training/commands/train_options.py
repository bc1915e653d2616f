"""What `python -m training train` takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION
from training.commands.datasets import add_side_files, add_sources
from training.stages import SCHEDULES


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """All of it, in groups."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--stage", type=int, choices=(1, 2, 3))
    which.add_argument(
        "--all", action="store_true", help="the three stages, in OUT/stage1 to OUT/stage3; skips those done"
    )
    parser.add_argument(
        "--base", metavar="NAME|DIR", help="the base model, such as Qwen/Qwen2-VL-2B-Instruct"
    )
    parser.add_argument("--from", dest="before", metavar="DIR", help="the stage before (stages 2 and 3)")
    add_sources(parser)
    add_side_files(parser)
    parser.add_argument(
        "--out", type=Path, required=True, help="the finished checkpoint; OUT.work until then"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in OUT.work, if any"
    )
    parser.add_argument("--seed", type=int, default=0)
    recipe = parser.add_argument_group("recipe (the stage's own where left out; see training/stages.py)")
    length = recipe.add_mutually_exclusive_group()
    length.add_argument("--samples", type=int, metavar="N", help="how many samples to learn from")
    length.add_argument(
        "--epochs",
        type=float,
        metavar="X",
        help="so many samples to each training picture, instead of --samples",
    )
    recipe.add_argument(
        "--samples-per-step", type=int, metavar="N", help="between two updates of the weights"
    )
    recipe.add_argument("--learning-rate", type=float, metavar="X", help="peak")
    recipe.add_argument("--vision-lr", type=float, metavar="X", help="of the vision tower (stages 1 and 2)")
    recipe.add_argument("--merger-lr", type=float, metavar="X", help="of its merger (stages 1 and 2)")
    recipe.add_argument(
        "--schedule", choices=SCHEDULES, help="of the learning rate, as transformers names it"
    )
    recipe.add_argument("--warmup", type=float, metavar="SHARE", help="of the steps")
    recipe.add_argument(
        "--gallery",
        type=int,
        nargs=2,
        metavar=("A", "B"),
        help="fewest and most pictures of a gallery (stages 2 and 3); best choices have 9 at most",
    )
    recipe.add_argument("--max-pixels", type=int, metavar="N", help="bound of every picture")
    recipe.add_argument(
        "--packed",
        type=float,
        metavar="SHARE",
        help="share of the steps of stages 2 and 3 that are packed lists",
    )
    recipe.add_argument("--no-match", type=float, metavar="SHARE", help="share of galleries without a match")
    recipe.add_argument(
        "--hard", type=float, metavar="SHARE", help="share of other people who are look-alikes"
    )
    recipe.add_argument(
        "--vocabulary",
        type=int,
        choices=tuple(KINDS_OF_VERSION),
        metavar="N",
        help="version of the attribute vocabulary; that of the checkpoint it starts from, or else "
        f"{VOCABULARY_VERSION}",
    )
    watch = parser.add_argument_group("people held out, to see how it does on others")
    watch.add_argument(
        "--validation-share",
        type=float,
        metavar="X",
        help="share of the people of each data set held out, or how many of each (1 or more); 0 for none. By default"
        " 2 %%, 8 to 100 people, and none of a set of fewer than 80",
    )
    watch.add_argument(
        "--validation-samples",
        type=int,
        metavar="N",
        help="samples of them at each evaluation, and a list to every 16; 256, or a tenth of the stage's",
    )
    watch.add_argument(
        "--eval-steps",
        type=int,
        metavar="N",
        help="between two evaluations, each with a checkpoint; a tenth of all",
    )
    watch.add_argument(
        "--keep",
        choices=("best", "last"),
        help="the checkpoint that a stage ends with: best (by mAP on lists, in stage 1 by loss) where people are held"
        " out, else last",
    )
    how = parser.add_argument_group("how it runs")
    how.add_argument(
        "--lora",
        type=int,
        nargs="?",
        const=64,
        metavar="RANK",
        help="tune an adapter (rank 64) instead of all weights",
    )
    how.add_argument("--four-bit", action="store_true", help="the base in NF4 under the adapter (QLoRA)")
    how.add_argument("--tokens-per-batch", type=int, metavar="N", help="padded tokens of one forward pass")
    how.add_argument("--optimizer", choices=("adamw", "adamw-8bit"), help="8-bit by default with --four-bit")
    how.add_argument(
        "--weights",
        choices=("float32", "bfloat16"),
        default="float32",
        help="precision that full weights are kept in",
    )
    how.add_argument("--no-gradient-checkpointing", action="store_true", help="faster, with more memory")
    how.add_argument("--device", choices=("cuda", "cpu"), help="cuda where there is one, else cpu")
    how.add_argument(
        "--attention",
        choices=("sdpa", "eager", "flash_attention_2"),
        default="sdpa",
        help="as transformers names it; flash_attention_2 needs the package flash-attn",
    )
    how.add_argument(
        "--report-to",
        nargs="+",
        choices=("tensorboard", "wandb", "none"),
        help="as in transformers; TensorBoard where it is installed",
    )
    how.add_argument(
        "--workers", type=int, help="processes that prepare samples (4 beside a GPU, none on a CPU)"
    )
    how.add_argument("--minutes-per-checkpoint", type=float, default=30.0, metavar="M")
    how.add_argument(
        "--log-every", type=int, default=0, metavar="STEPS", help="between two lines of progress"
    )
