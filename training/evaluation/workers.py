"""Who does the searching of an evaluation: models loaded once, in this process or in several."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.model.checkpoint import CheckpointManifest, encoder_key
from app.model.token_budget import BY_SHARE, TokenBudget
from app.settings import DEMO_CLIP, DEMO_MODEL, OPENAI, RAY, Settings, is_elsewhere
from gallery_store.console import remark
from training.evaluation.results import Model
from training.evaluation.synthetic_people import world_of
from training.evaluation.work_folder import WHOLE, HarnessError, Shard

if TYPE_CHECKING:
    from app.model.asked import AskedModel
    from app.retrieval.engine import Engine
    from gallery_store.encoder import ImageEncoder, WordEncoder

Task = TypeVar("Task")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Models:
    """Which models answer, and how a search is cut: as the app's settings, with its defaults.

    clip, model, reid: as --clip, --model and --reid take them; model None searches by CLIP alone, reid "" prefilters
    by CLIP alone. k: at most so many candidates are read by the model. tau: None takes the manifest's own for each
    kind of query. tokens: memory for vision tokens, which changes no score. calibrated: False passes over the
    manifest's calibrations, so that CLIP's plain cosine prefilters whatever checkpoint answers.
    """

    clip: str = str(DEMO_CLIP)
    model: str | None = str(DEMO_MODEL)
    k: int = Settings.k
    tau: float | None = None
    device: str = "auto"
    four_bit: bool = False
    tokens: TokenBudget = BY_SHARE
    reid: str = ""
    calibrated: bool = True

    @property
    def is_elsewhere(self) -> bool:
        """Whether the model computes on Ray Serve, or behind somebody's server."""
        return is_elsewhere(self.model or "")

    def world(self) -> int:
        """The drawn world whose vocabulary the checkpoint knows; CLIP alone is asked about the shipped models' world.

        Raises:
            ModelError: the checkpoint's manifest is not understood, or who serves it does not answer.
        """
        name = self.model or ""
        if name.startswith(RAY):
            from app.model.served.reid import ServedModel

            return world_of(ServedModel.connect(name).manifest)
        if name.startswith(OPENAI):
            from app.model.openai_model import OpenAiModel

            return world_of(OpenAiModel.connect(name).manifest)
        return world_of(CheckpointManifest.read(name or DEMO_MODEL))

    def fingerprint(self) -> dict[str, Any]:
        """What the scores depend on: changes with the weights, not with where they lie.

        Raises EncoderError, ModelError.
        """
        from gallery_store.reid_encoder import version_at

        clip, model = _content(self.clip, "/clip"), _content(self.model, "/reid")
        shown = {"clip": clip, "model": model, "k": self.k, "tau": self.tau}
        by_reid = {"reid": version_at(self.reid)} if self.reid else {}
        plain = {} if self.calibrated else {"calibrated": False}
        return {**shown, "four_bit": self.four_bit, **by_reid, **plain}


class Workers:
    """Runs tasks over the models, in this process (count 1) or in `count` processes. A context manager.

    A task is a picklable value; the function that does it is a module's own, and gets the Opened models. Processes are
    spread over the visible GPUs. shard: which part of an evaluation they are to do.
    """

    def __init__(self, models: Models, count: int = 1, shard: Shard = WHOLE) -> None:
        if count < 1:
            raise ValueError(f"at least one worker is needed, not {count}")
        self.models, self.count, self.shard = models, count, shard
        self._opened: OpenedModels | None = None
        self._pool: ProcessPoolExecutor | None = None

    @property
    def opened(self) -> OpenedModels:
        """The models in this process, loaded on first use. Raises EncoderError, ModelError."""
        if self._opened is None:
            self._opened = OpenedModels(self.models)
        return self._opened

    def run(
        self, work: Callable[[OpenedModels, Task], Done], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Done]]:
        """Yields (task, answer) as they are done; in order where there is one worker.

        Raises:
            HarnessError: a worker process was killed.
        """
        if not tasks:
            return
        if self.count == 1:
            self.opened.warm_up()
            for task in tasks:
                yield task, work(self.opened, task)
            return
        if self._pool is None:
            self._pool = self._start_pool()
        waiting = {self._pool.submit(_do, work, task): task for task in tasks}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool:
            raise HarnessError(
                "a worker process was ended from outside, by a signal or for want of memory: what was done is kept, "
                "so start the same command again, with fewer --workers if memory is short"
            ) from None

    def _start_pool(self) -> ProcessPoolExecutor:
        spawning = get_context("spawn")  # a fork would copy torch's locks
        numbers = spawning.SimpleQueue()
        for number in range(self.count):
            numbers.put(number)
        threads = max(1, (os.cpu_count() or 1) // self.count)
        return ProcessPoolExecutor(
            self.count,
            mp_context=spawning,
            initializer=_start,
            initargs=(self.models, numbers, spawning.Lock(), self.count, threads),
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        if self._opened is not None:
            self._opened.close()


def spread_over_gpus(models: Models, worker: int, workers: int, gpus: int) -> Models:
    """The models as one of several processes loads them: on a GPU of its own, as far as there are enough.

    worker: 0..workers - 1. gpus: how many this machine shows. A device that is named with its number, such as cuda:1,
    is everybody's. The processes on one device, or on the CPU, share its memory.
    """
    if models.device != "cuda" or gpus < 1:
        return replace(models, tokens=replace(models.tokens, sharers=workers))
    own = worker % gpus
    sharers = len(range(own, workers, gpus))
    return replace(models, device=f"cuda:{own}", tokens=replace(models.tokens, sharers=sharers))


class OpenedModels:
    """The models, and an engine for each gallery that was asked for."""

    def __init__(self, models: Models) -> None:
        from app.opening_models import open_clip
        from gallery_store.encoder import resolve_device
        from gallery_store.reid_encoder import ReidEncoder

        device = resolve_device(models.device)
        self.models = models = replace(models, device=device)
        self.encoder: WordEncoder = open_clip(Settings(clip=models.clip), device)
        self.reid = ReidEncoder.load(models.reid, device) if models.reid else None
        self.model = _open(models)
        if self.model is not None and self.model.manifest is not None and not models.calibrated:
            self.model.manifest = replace(self.model.manifest, calibrations={})
        self._engines: dict[str, Engine] = {}
        self._warm = False

    def warm_up(self, tells: Callable[[], bool] = lambda: True) -> None:
        """Load the weights, once, and tell how much memory pictures may take. Raises ModelError."""
        if self.model is not None and not self._warm:
            budget, sharers = self.model.warm_up(), self.models.tokens.sharers
            each = f" in each of {sharers} processes" if sharers > 1 else ""
            if not self.models.is_elsewhere and tells():
                remark(
                    f"token cache: up to {budget / 1e9:.1f} GB on {self.models.device}{each} (--token-cache)"
                )
        self._warm = True

    def engine(self, gallery: str | Path) -> Engine:
        """The engine that operators get, over a gallery."""
        from app.retrieval.engine import Engine
        from gallery_store.store import GalleryStore

        key = str(gallery)
        if key not in self._engines:
            store = GalleryStore.open(gallery)
            self._engines[key] = Engine(
                store, self.encoder, self.model, reid=self.reid, k=self.models.k, tau=self.models.tau
            )
        return self._engines[key]

    def described(self) -> Model:
        """Which models these are, for a result."""
        encoders: list[ImageEncoder] = [self.encoder, *([self.reid] if self.reid else [])]
        encoder = " + ".join(encoder_key(one.name, one.version) for one in encoders)
        if self.model is None:
            return Model(encoder=encoder, tau=self.models.tau, k=self.models.k)
        manifest = self.model.manifest
        return Model(
            name="demo" if self.models.model == str(DEMO_MODEL) else self.models.model or "",
            base_model=manifest.base_model if manifest else self.models.model or "",
            stages=tuple(str(stage.get("name", "")) for stage in manifest.stages) if manifest else (),
            parameters=_parameters(Path(self.models.model or "")),
            encoder=encoder,
            tau=self.models.tau,
            k=self.models.k,
        )

    def close(self) -> None:
        for engine in self._engines.values():
            engine.store.close()
        self._engines.clear()


def _open(models: Models) -> AskedModel | None:
    """As the app opens it, with this process's share of the memory. Raises ModelError."""
    from app.model.reid_model import ReidModel
    from app.opening_models import open_model

    if models.model is None:
        return None
    if models.is_elsewhere:
        return open_model(Settings(model=models.model), models.device)
    return ReidModel.load(models.model, device=models.device, four_bit=models.four_bit, tokens=models.tokens)


_here: OpenedModels | None = None  # of a worker process
_teller: Any = None  # a lock of all workers, kept by the one that tells what holds for all


def _start(models: Models, numbers: Any, teller: Any, workers: int, threads: int) -> None:
    global _here, _teller
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    from gallery_store.encoder import resolve_device

    torch.set_num_threads(threads)
    _teller = teller
    models = replace(models, device=resolve_device(models.device))
    _here = OpenedModels(spread_over_gpus(models, numbers.get(), workers, torch.cuda.device_count()))


def _end_with_parent() -> None:
    """A killed parent cannot end its workers; they would wait for tasks, and keep their GPUs, forever."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _do(work: Callable[[OpenedModels, Task], Done], task: Task) -> Done:
    assert _here is not None
    _here.warm_up(lambda: bool(_teller.acquire(block=False)))
    return work(_here, task)


def _parameters(folder: Path) -> int:
    """Weights of a checkpoint folder, from its files' headers; 0 for a hub name."""
    from safetensors import safe_open

    count = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="np") as weights:
            for name in weights.keys():  # noqa: SIM118 (not a mapping)
                count += math.prod(weights.get_slice(name).get_shape())
    return count


def _content(spec: str | None, route: str) -> str:
    """A folder by its files' contents; replicas by their version; a hub name by itself. route: of the replicas."""
    if spec is not None and spec.startswith(RAY):
        from app.model.served.connection import Connection

        return str(Connection(spec, route).about()["version"])
    if spec is None or not Path(spec).is_dir():
        return spec or ""
    digest = hashlib.sha256()
    for file in sorted(Path(spec).iterdir()):
        if file.suffix in (".json", ".safetensors", ".jinja"):
            digest.update(file.name.encode())
            with file.open("rb") as data:
                digest.update(hashlib.file_digest(data, "sha256").digest())
    return digest.hexdigest()
