"""transformers.Trainer, taught three things: a step is several passes whose loss weights add up to 1; losses
are kept by task; a checkpoint is complete or absent, and a run that resumes meets the samples it would have met.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType, gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer, TrainingArguments

from training.tuning.collator import IGNORED, Batch
from training.tuning.errors import TuningError
from training.tuning.files import read_json, sync_tree, write_json
from training.tuning.processes import shard_on_cpus
from training.tuning.steps import Seen, StepInput, Steps

WEIGHTS = "trained.safetensors"  # the parameters that have gradients, under their own names
SEEN = "seen.json"
PARTIAL = "partial"


class StageTrainer(Trainer):
    """Tunes one stage. `first_step`: the step to begin with, of a checkpoint that is resumed.

    losses_by_task: means since they were last taken, over all processes (`take_losses`). seen: what has been
    learnt from since the stage began, over all processes and all resumptions.
    """

    def __init__(
        self,
        *,
        model: Any,
        args: TrainingArguments,
        steps: Steps,
        seed: int,
        resume: Path | None = None,
        **more: Any,
    ) -> None:
        super().__init__(model=model, args=args, train_dataset=steps, **more)
        self.model: Any
        self._steps, self._seed, self._resume = steps, seed, resume
        self.seen = Seen()
        self.first_step = 0
        if resume is not None:
            self.first_step = int(read_json(resume / "trainer_state.json")["global_step"])
            self.seen = Seen(**read_json(resume / SEEN))
        self._losses: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._writing = False

    def create_accelerator_and_postprocess(self) -> None:
        shard_on_cpus()
        super().create_accelerator_and_postprocess()

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

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> None:
        return None  # the loss weights are in the batches

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def training_step(
        self, model: nn.Module, inputs: Any, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        step: StepInput = inputs
        model.train()
        # Dropout, if there is any, is a function of the step, so that a resumed run repeats it.
        torch.manual_seed(self._seed * 1_000_003 + step.step * 1009 + self.args.process_index)
        if step.packed is not None:
            total = self._packed_step(model, step.packed)
        else:
            total = self._answer_step(model, step.batches)
        if not bool(torch.isfinite(total)):
            raise TuningError(
                f"the loss is no number at step {step.step + 1}; lower --learning-rate, and go on with --resume"
            )
        self.seen = self.seen + step.seen
        return total

    def _answer_step(self, model: nn.Module, batches: Sequence[Batch]) -> Tensor:
        """Gradients of all passes, added up; the loss, times the processes, whose mean is taken."""
        total = torch.zeros((), device=self.args.device)
        for place, batch in enumerate(batches):
            last = place == len(batches) - 1
            self.accelerator.gradient_state._set_sync_gradients(last)
            with self._between_passes(model, last):
                batch = batch.to(self.args.device)
                with self.compute_loss_context_manager():
                    logits = model(**batch.model_inputs()).logits
                    losses = token_losses(logits, batch)
                    loss = (losses * batch.weights).sum() * self.args.world_size
                self._backward(loss)
            total += loss.detach()
            self._keep(batch, losses.detach())
        return total

    def _packed_step(self, model: nn.Module, packed: Any) -> Tensor:
        with self.accelerator.autocast():
            loss = packed.loss(self.accelerator.unwrap_model(model), self.args.device)
        self._backward(loss)
        own = self._losses[f"list of {packed.kind}"]
        own[0] += float(loss.detach())
        own[1] += 1
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

    # Losses by task.

    def _keep(self, batch: Batch, losses: Tensor) -> None:
        answers = (batch.targets != IGNORED).sum(1).clamp(min=1)
        for task, mean, weight in zip(
            batch.tasks, (losses.sum(1) / answers).tolist(), batch.weights.sum(1).tolist(), strict=True
        ):
            if weight:  # not the sample that a device without its own goes through the motions with
                self._losses[task][0] += mean
                self._losses[task][1] += 1

    def take_losses(self) -> dict[str, float]:
        """Mean loss of each task's samples since the last call, over all processes; call it on all of them."""
        own = [{task: list(pair) for task, pair in self._losses.items()}]
        everyone = gather_object(own) if self.args.world_size > 1 else own
        self._losses.clear()
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for process in everyone:
            for task, (total, count) in process.items():
                sums[task][0] += total
                sums[task][1] += count
        return {task: total / count for task, (total, count) in sorted(sums.items())}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= {f"loss/{task}": value for task, value in self.take_losses().items()}
        super().log(logs, start_time)

    # Checkpoints.

    def _get_output_dir(self, trial: Any) -> str:
        folder = super()._get_output_dir(trial)
        return os.path.join(folder, PARTIAL) if self._writing else folder

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Into a folder of another name, renamed when it is whole; older checkpoints go after that."""
        run = Path(str(self.args.output_dir))
        if self.args.should_save:
            shutil.rmtree(run / PARTIAL, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._writing = True
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._writing = False
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            name = f"checkpoint-{self.state.global_step}"
            write_json(asdict(self.seen), run / PARTIAL / name / SEEN)
            sync_tree(run / PARTIAL / name)
            older = [folder for folder in run.glob("checkpoint-*") if folder.name != name]
            shutil.rmtree(run / name, ignore_errors=True)
            (run / PARTIAL / name).replace(run / name)
            for folder in older:
                shutil.rmtree(folder, ignore_errors=True)
        self.accelerator.wait_for_everyone()

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

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved = load_file(os.path.join(resume_from_checkpoint, WEIGHTS))
        own = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if set(saved) != set(own):
            raise ValueError(f"{resume_from_checkpoint} holds other parameters than this run trains")
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(saved[name])


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
    found = logits.new_zeros(batch.targets.shape, dtype=torch.float32)
    # Only the rows that answer are brought to float32: the vocabulary is large.
    return found.masked_scatter(
        asked, F.cross_entropy(logits[asked].float(), batch.targets[asked], reduction="none")
    )
