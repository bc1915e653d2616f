"""transformers.Trainer, taught three things: a step is several passes whose loss weights add up to 1; losses
are kept by task; only a complete checkpoint counts, and a run that resumes meets the samples it would have met.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gallery_store.files import sync_tree, write_json
from training.tuning.collator import IGNORED, Batch
from training.tuning.failures import TuningError
from training.tuning.optimizer import set_rates
from training.tuning.steps import StepInput, Steps, StepStats
from training.tuning.tower import bare
from training.tuning.validation import HeldOut, Outcome, Question, outcome_of, questions_of

WEIGHTS = "trained.safetensors"  # the parameters that have gradients, under their own names
STATS = "seen.json"  # of a checkpoint; written last, so a folder with it is complete


class StageTrainer(Trainer):
    """Tunes one stage.

    resume: a complete checkpoint. first_step: the step to begin with, after that of the checkpoint. stats: what
    has been learnt from since the stage began, over all processes and all resumptions. held: what an evaluation is
    of, where arguments ask for one. rates: learning rates of parts (training.tuning.optimizer.set_rates).
    """

    def __init__(
        self,
        *,
        model: Any,
        args: TrainingArguments,
        steps: Steps,
        seed: int,
        resume: Path | None = None,
        held: HeldOut | None = None,
        rates: Mapping[str, float] | None = None,
        **more: Any,
    ) -> None:
        watched = held.steps if held is not None else None
        super().__init__(model=model, args=args, train_dataset=steps, eval_dataset=watched, **more)
        self.model: Any
        self._steps, self._seed = steps, seed
        self.stats = StepStats()
        self.first_step = 0
        if resume is not None:
            self.first_step = int(read_json(resume / "trainer_state.json")["global_step"])
            self.stats = StepStats(**read_json(resume / STATS))
        self._held, self._rates = held, rates or {}
        self.outcome: Outcome | None = None  # of the last evaluation
        self._losses = TaskLosses()
        self.add_callback(_CompleteCheckpoints(self))

    @property
    def pictures(self) -> int:
        """How many there are to learn from; 0 for samples that are not of records."""
        return len(getattr(self._steps.stream, "records", ()))

    def create_accelerator_and_postprocess(self) -> None:
        shard_on_cpus()
        super().create_accelerator_and_postprocess()

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(model)
        set_rates(optimizer, self.model if model is None else model, self._rates)
        return optimizer

    # What a step is.

    def get_train_dataloader(self) -> DataLoader:
        workers = self.args.dataloader_num_workers
        return DataLoader(
            self._steps,
            batch_size=None,
            sampler=_From(self.first_step, len(self._steps)),
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            pin_memory=False,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, None]:
        """No count of items to divide the loss by: the weights are in the batches."""
        return list(islice(epoch_iterator, num_batches)), None

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def training_step(self, model: nn.Module, inputs: Any, _item_count: Tensor | int | None = None) -> Tensor:
        step: StepInput = inputs
        model.train()
        # Dropout, if there is any, is a function of the step, so that a resumed run repeats it.
        torch.manual_seed(self._seed * 1_000_003 + step.step * 1009 + self.args.process_index)
        if step.packed is not None:
            total = self._packed_step(model, step.packed)
        else:
            total = self._answer_step(model, step.batches)
        if not bool(torch.isfinite(total)):
            raise self._diverged(step.step + 1)
        self.stats = self.stats + step.stats
        return total

    def _diverged(self, step: int) -> TuningError:
        """At a step, counted from 1. A run that goes on is held to its rate, and its weights may be past mending."""
        return TuningError(
            f"the loss is no number at step {step}; begin anew with a lower --learning-rate, in another --out or"
            f" after removing {self.args.output_dir}"
        )

    def _answer_step(self, model: nn.Module, batches: Sequence[Batch]) -> Tensor:
        """Gradients of all passes, added up; the loss, times the processes, whose mean is taken."""
        total = torch.zeros((), device=self.args.device)
        for number, batch in enumerate(batches, 1):
            last = number == len(batches)
            self.accelerator.sync_gradients = last
            with self._between_passes(model, last):
                batch = batch.to(self.args.device)
                with self.compute_loss_context_manager():
                    logits = model(**batch.model_inputs()).logits
                    losses = token_losses(logits, batch)
                    loss = (losses * batch.weights).sum() * self.args.world_size
                self._backward(loss)
            total += loss.detach()
            self._losses.add(batch, losses.detach())
        return total

    def _packed_step(self, model: nn.Module, packed: Any) -> Tensor:
        with self.accelerator.autocast():
            loss = packed.loss(self.accelerator.unwrap_model(model), self.args.device)
        self._backward(loss)
        self._losses.add_one(f"list of {packed.kind}", float(loss.detach()))
        return loss.detach()

    def _backward(self, loss: Tensor) -> None:
        more = (
            {"scale_wrt_gas": False} if self.accelerator.distributed_type == DistributedType.DEEPSPEED else {}
        )
        self.accelerator.backward(loss, **more)

    def _between_passes(self, model: nn.Module, last: bool) -> Any:
        """DDP need not exchange gradients before the last pass. FSDP must: it keeps no whole ones."""
        ddp = self.accelerator.distributed_type in (DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)
        return self.accelerator.no_sync(model) if ddp and not last else nullcontext()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= {
                f"loss/{task}": value for task, value in self._losses.take(self.args.world_size)[1].items()
            }
        super().log(logs, start_time)

    # Evaluation, of people held out.

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """transformers calls it when it is due, and chooses the best checkpoint by what it returns."""
        assert self._held is not None
        self.model_wrapped.eval()
        with torch.no_grad():
            outcome = outcome_of(*self._held_out_losses(self._held.steps), self._questions(self._held))
        if not math.isfinite(outcome.loss):
            raise self._diverged(self.state.global_step)
        self.outcome = outcome
        metrics = outcome.metrics()
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _held_out_losses(self, steps: Steps) -> tuple[float, dict[str, float]]:
        losses = TaskLosses()
        for number in range(len(steps)):
            for batch in steps[number].batches:
                batch = batch.to(self.args.device)
                with self.compute_loss_context_manager():
                    logits = self.model_wrapped(**batch.model_inputs()).logits
                losses.add(batch, token_losses(logits, batch))
        return losses.take(self.args.world_size)

    def _questions(self, held: HeldOut) -> list[Question]:
        """How each question of the lists fared; processes take lists by turns."""
        model = bare(self.accelerator.unwrap_model(self.model))
        own: list[Question] = []
        if held.lists is None:
            return own
        for number in range(self.args.process_index, held.count, self.args.world_size):
            packed = held.lists.draw(number)
            with self.accelerator.autocast():
                odds = packed.odds(model)
            if not bool(torch.isfinite(odds).all()):
                raise self._diverged(self.state.global_step)
            own += questions_of(packed, odds.float().cpu().numpy())
        return gather_object(own) if self.args.world_size > 1 else own

    # Checkpoints.

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Of a checkpoint: the trained parameters alone. FSDP and DeepSpeed write theirs with the optimizer's."""
        if (
            output_dir is None
            or self.is_fsdp_enabled
            or self.is_deepspeed_enabled
            or not self.args.should_save
        ):
            return
        os.makedirs(output_dir, exist_ok=True)
        trained = {
            n: p.detach().cpu().contiguous() for n, p in self.model.named_parameters() if p.requires_grad
        }
        save_file(trained, os.path.join(output_dir, WEIGHTS))

    # No callback and no public method stands in for this one: Trainer.train calls it, and it accepts whole models only.
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved = load_file(os.path.join(resume_from_checkpoint, WEIGHTS))
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if set(saved) != set(trained):
            raise ValueError(f"{resume_from_checkpoint} holds other parameters than this run trains")
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(saved[name])

    # As above: what it looks for are whole models.
    def _load_best_model(self) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_best_model()
        else:
            self._load_from_checkpoint(str(self.state.best_model_checkpoint))


class TaskLosses:
    """Sums of samples' losses, by task."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])  # sum, samples

    def add(self, batch: Batch, losses: Tensor) -> None:
        """A pass. losses: as `token_losses` gives them; a sample's is the mean over its answer."""
        answers = (batch.targets != IGNORED).sum(1).clamp(min=1)
        for task, mean, weight in zip(
            batch.tasks, (losses.sum(1) / answers).tolist(), batch.weights.sum(1).tolist(), strict=True
        ):
            if weight:  # a device without samples of its own repeats one, with weight 0
                self.add_one(task, mean)

    def add_one(self, task: str, loss: float) -> None:
        self._sums[task][0] += loss
        self._sums[task][1] += 1

    def take(self, processes: int) -> tuple[float, dict[str, float]]:
        """Mean loss of the samples since the last call, and of each task's, over so many processes, all of which
        call it."""
        local = [{task: list(pair) for task, pair in self._sums.items()}]
        gathered = gather_object(local) if processes > 1 else local
        self._sums.clear()
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for process in gathered:
            for task, (total, count) in process.items():
                sums[task][0] += total
                sums[task][1] += count
        whole = sum(total for total, _ in sums.values()) / max(1.0, sum(count for _, count in sums.values()))
        return whole, {task: total / count for task, (total, count) in sorted(sums.items())}


class _CompleteCheckpoints(TrainerCallback):
    """Marks a checkpoint as complete once all of it is on disk, and then removes the older ones, but for the best."""

    def __init__(self, trainer: StageTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        if args.should_save:  # what a kill left half-written would be mixed with a new one of its name
            for folder in Path(str(args.output_dir)).glob("checkpoint-*"):
                if not (folder / STATS).is_file():
                    shutil.rmtree(folder, ignore_errors=True)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        wait_for_everyone = self.trainer.accelerator.wait_for_everyone
        wait_for_everyone()  # each process writes a part
        if args.should_save:
            work = Path(str(args.output_dir))
            folder = work / f"checkpoint-{state.global_step}"
            sync_tree(folder)
            write_json(folder / STATS, asdict(self.trainer.stats))
            best = Path(str(state.best_model_checkpoint)).name
            for older in work.glob("checkpoint-*"):
                if older != folder and older.name != best:
                    shutil.rmtree(older, ignore_errors=True)
        wait_for_everyone()


class _From(Sampler[int]):
    """Steps from `first` on; its length is the whole run's, by which transformers counts."""

    def __init__(self, first: int, steps: int) -> None:
        self.first, self.steps = first, steps

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.steps))

    def __len__(self) -> int:
        return self.steps


def token_losses(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of each answer token: logits (B, K, vocabulary) -> float32 (B, K), 0 where none is."""
    asked = batch.targets != IGNORED
    losses = logits.new_zeros(batch.targets.shape, dtype=torch.float32)
    # Only the rows that answer are brought to float32: the vocabulary is large.
    return losses.masked_scatter(
        asked, F.cross_entropy(logits[asked].float(), batch.targets[asked], reduction="none")
    )


def last_checkpoint(work: Path) -> Path | None:
    """The latest complete checkpoint of a run, or None."""
    complete = [
        folder
        for folder in work.glob("checkpoint-*")
        if folder.name.removeprefix("checkpoint-").isdigit() and (folder / STATS).is_file()
    ]
    return max(complete, key=lambda folder: int(folder.name.removeprefix("checkpoint-")), default=None)


def weights_are_shared_out() -> bool:
    """Whether `accelerate launch` was told to give each process a part of the weights: FSDP or DeepSpeed."""
    names = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    return any(os.environ.get(name, "false").lower() == "true" for name in names)


def shard_on_cpus() -> None:
    """Let FSDP run on CPU processes where `accelerate launch` asked for it; call it before the Accelerator is made.

    accelerate takes no note of FSDP on CPUs and would quietly run DDP. torch shards there too, slowly, which is
    how FSDP is tried without GPUs; so accelerate is told that these processes are of a kind that it shards.
    """
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and PartialState().distributed_type == DistributedType.MULTI_CPU:
        PartialState().distributed_type = DistributedType.MULTI_XPU  # all instances share their attributes


def read_json(file: Path) -> Any:
    """Raises ValueError naming a damaged file, FileNotFoundError."""
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError:
        raise ValueError(f"{file} is damaged") from None
