"""The demo models from nothing by the clock: `python -m training demo --device cuda --minutes 9`.

The parts are the recipe's; each has its share of the minutes, and what one does not need goes to those after it. While
all cores draw the people, each part is rehearsed: a few steps at full size, which are thrown away, so that what cannot
work on this machine is known, and mended as far as it can be, before its turn comes. Nothing that fails ends the run:
the next part goes on with what there is, and results are written after each part.
"""

from __future__ import annotations

import copy
import json
import os
import tarfile
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import torch

from app.model.digests import weight_files
from app.model.prompts import PROMPT_VERSION
from gallery_store.console import progress_bar, remark
from gallery_store.files import replacing, write_file
from training.demo.by_clock import Lesson, Outcome, Span, learn_by_clock, rounded, shares_of_time
from training.demo.clip import RATE as CLIP_RATE
from training.demo.clip import ClipLesson
from training.demo.clip import measure as measure_clip
from training.demo.drawing import DrawnPool, PoolDrawing
from training.demo.fusion_fit import fit_demo
from training.demo.goals import goal_lines, measure_goals
from training.demo.language import DemoStage, LanguageLesson
from training.demo.looks import DevicePictures
from training.demo.pool import Pool, PoolSpec, load_pool
from training.demo.recipe import CLIP_NAME, STEPS, DemoRun, StepBudget, demo_stages, load, save
from training.demo.sizes import CPU_STEPS, GPU_STEPS, DemoSize, StepSize
from training.demo.stage0 import RATE as TOWER_RATE
from training.demo.stage0 import TowerLesson, measure_tower
from training.synthetic.people import WORLD_VERSION
from training.tuning.origin import take_decoder

SHARES = {
    "pools": 0.115,
    "clip": 0.19,
    "tower": 0.12,
    "language": 0.09,
    "stage1": 0.02,
    "stage2": 0.12,
    "stage3": 0.225,
    "export": 0.09,
    "goals": 0.03,
}
GROWING = ("clip", "tower")  # the parts to which people are added while they go on
MORE = 1.15  # times as many people as before are worth to begin anew with
MEASURED = 960  # crops at most, on which CLIP is measured in between
SPARE = 5.0  # seconds of all that are left for the end of the process
LONGEST_START = 120.0  # seconds of imports before a run
GALLERY_SECONDS = 15.0  # that drawing the demo gallery takes at most
MOST_FAMILIES = 12_000  # of three people with six crops each: 16 GB
ALONE_TIMES = 4  # as many instruction samples where a stage has nothing beside them
REHEARSED = 2  # steps, at each end of a part
ALONE = 0.4  # of stage 3: turns of best choice without anything beside them
LONGEST = ((0.0, 2), (0.14, 3), (0.2, 4), (0.28, 6), (0.34, 8))
"""How turns of best choice grow in stage 3: all sizes are met while they are taught alone."""
CHOICE_RATE = 8e-4  # of stage 3, at which turns of best choice were seen to be learnt
SOFT = 0.5  # the weight of the pair question's own scores for best choice
NEAR = 0.3  # of the turns of best choice, those among the most alike
KEPT_EVERY = 2  # steps of stage 3 to one list


def timed_stages(steps: StepSize, prompt: int = PROMPT_VERSION) -> dict[str, DemoStage]:
    """The recipe's stages, for steps of this size; their number is the clock's matter. prompt: as in `demo_stages`."""
    stages = {}
    for name, stage in demo_stages(StepBudget(), prompt).items():
        stages[name] = replace(
            stage,
            rate=stage.rate * steps.rate,
            scale=steps.lists,
            beside=steps.beside,
            plain=steps.plain * (1 if stage.lists else ALONE_TIMES),
            forms=steps.forms if stage.forms else 0,
        )
    stages["stage3"] = replace(
        stages["stage3"],
        rate=CHOICE_RATE * steps.rate,
        choices=steps.choices,
        choices_alone=steps.choices_alone,
        lists_every=KEPT_EVERY,
        longest=LONGEST,
        alone=ALONE,
        soft=SOFT,
        near=NEAR,
        long_first=False,
    )
    return stages


class TimedRun(DemoRun):
    """One run by the clock, in a work folder where it can go on.

    grow: whether people go on being drawn while CLIP and the tower learn. ends: time.monotonic when all is to be
    written. results: a folder for the packed models and the log, or None.
    """

    def __init__(
        self,
        work: Path,
        assets: Path,
        *,
        size: DemoSize,
        steps: StepSize,
        device: str,
        seed: int,
        begins: float,
        minutes: float,
        workers: int,
        results: Path | None = None,
        start: Path | None = None,
        families: int = MOST_FAMILIES,
        only: Sequence[str] = STEPS,
        rehearse: bool = True,
        grow: bool = False,
        world: int = WORLD_VERSION,
        gallery: bool = False,
        prompt: int | None = None,
    ) -> None:
        given: dict[str, Any] = {"start": start, "families": families, "size": size, "prompt": prompt}
        super().__init__(work, assets, StepBudget(), seed, workers, **given, world=world, gallery=gallery)
        self.device, self.steps, self.results, self.rehearse = device, steps, results, rehearse
        self.grow = grow
        self.validation = replace(self.validation, families=steps.validation)
        self.only = [name for name in STEPS if name in only]
        measured = ("goals",) if "export" in self.only else ()
        self.shares = {name: share for name, share in SHARES.items() if name in (*self.only, *measured)}
        self.ends = begins + 60 * minutes - SPARE
        self.minutes = minutes
        self.parts: dict[str, int] = {}  # how many times smaller than planned a part's steps must be
        self.exact: set[str] = set()  # the parts that need float32
        self.exported = False  # whether the assets hold this run's model, calibrated or not
        self.drawn: Pool | None = None
        self.drawing: PoolDrawing | None = None  # while it goes on
        self.pictures: dict[str, DevicePictures] = {}
        self.taught: tuple[Any, Any] | None = None  # the model and its processor, as the last part left them

    def run(self) -> dict[str, Any]:
        """All parts that are asked for and not done; -> the rows of `measure_goals`, as far as it came."""
        self.log.write(stage="run", device=_named(self.device), minutes=self.minutes, left=self.left())
        for name in self.only:
            if name != "pools" and (self.work / f"{name}.done.json").is_file():
                continue
            try:
                if name not in ("pools", *GROWING):
                    self._end_drawing()
                figures = getattr(self, f"_{name}")()
                write_file(self.work / f"{name}.done.json", json.dumps(figures or {}, indent=2))
                self.log.write(stage=f"{name} is done", left=self.left(), **(figures or {}))
            except Exception as error:
                self._failed(name, error)
            self._pack()
        self._end_drawing()
        rows: dict[str, Any] = {}
        try:
            rows = self._goals() if "export" in self.only else rows
        except Exception as error:
            self._failed("goals", error)
        self._pack()
        if self.gallery and "export" in self.only:
            self._gallery_in_time()
        return rows

    def _gallery_in_time(self) -> None:
        """Where there is no time for it, it can be drawn at any time, on any machine."""
        if self.left() > GALLERY_SECONDS:
            self._draw_gallery()
        else:
            remark(
                f"no time was left for the gallery: `python -m training gallery --world {self.train.world}`"
            )

    def left(self) -> float:
        """Seconds until all is to be written."""
        return self.ends - time.monotonic()

    def span(self, name: str) -> Span:
        """A part's time, from now on."""
        now = time.monotonic()
        return Span(now, now + max(0.0, shares_of_time(self.shares, name, self.left())))

    def _failed(self, name: str, error: Exception) -> None:
        self.log.write(
            stage=name, failed=f"{type(error).__name__}: {error}", where=traceback.format_exc()[-3000:]
        )

    def _pools(self) -> dict[str, Any]:
        validation = self._validation()
        ends = self.span("pools").ends
        drawing = PoolDrawing(self.work / "pool-train", self.train, self.workers, self.picture)
        try:
            if self.rehearse:
                self._rehearse(validation, ends)
        finally:
            if not self.grow:
                drawn = drawing.finish(ends, progress_bar("draw train", "crops"))
            else:  # it goes on while CLIP and the tower learn, which keep few cores busy
                drawn = drawing.wait(ends, progress_bar("draw train", "crops"))
                self.drawing = drawing
        self._take(drawn)
        return {"train": asdict(drawn.spec), "validation": len(validation)}

    def _take(self, drawn: DrawnPool) -> Pool:
        """Goes on with what is drawn."""
        self.drawn, self.train = drawn.pool, drawn.spec
        for pictures in self.pictures.values():
            pictures.fill(len(drawn.pool))
        self.log.write(stage="pools", train=len(drawn.pool), families=drawn.spec.families)
        return drawn.pool

    def _more(self) -> Pool | None:
        """The people who are drawn by now, where they are some more than before."""
        if self.drawing is None or self.drawn is None:
            return None
        try:
            drawn = self.drawing.so_far()
            return self._take(drawn) if len(drawn.pool) > MORE * len(self.drawn) else None
        except Exception as error:  # those who are there remain
            self._failed("drawing more people", error)
            self.drawing = None
            return None

    def _end_drawing(self) -> None:
        """What is taught from now on remembers each picture, and needs the cores."""
        if self.drawing is not None:
            drawing, self.drawing = self.drawing, None
            self._take(drawing.finish(time.monotonic()))

    def _validation(self) -> Pool:
        return load_pool(self.work / "pool-validation", self.validation, self.workers, self.picture)

    def _pool(self, spec: PoolSpec) -> Pool:
        if spec == self.validation:
            return self._validation()
        if self.drawn is None:  # the part that draws was left out, or failed
            drawing = PoolDrawing(self.work / "pool-train", self.train, self.workers, self.picture)
            self.drawn = drawing.finish(time.monotonic() + SHARES["pools"] * self.left()).pool
        return self.drawn

    def _seen(self, name: str) -> DevicePictures:
        """The train pool's "pictures" or "large", on the device; one tensor where they are the same."""
        pool = self._pool(self.train)
        if pool.pictures is pool.large:
            name = "large"
        if name not in self.pictures:
            every = getattr(pool, name) if self.drawing is None else self.drawing.files()[name]
            self.pictures[name] = DevicePictures(every, self.device, len(pool))
        return self.pictures[name]

    def _rehearse(self, pool: Pool, ends: float) -> None:
        """A few steps of every part on validation people; what it teaches is thrown away."""
        with tempfile.TemporaryDirectory() as folder:
            fresh = load(self.start / "demo_qwen2vl" if self.start else self._base(folder))
        pictures = {name: DevicePictures(getattr(pool, name), self.device) for name in ("pictures", "large")}
        makes: dict[str, Callable[[], Lesson]] = {
            "clip": lambda: self._clip_lesson(pool, pictures["large"]),
            "tower": lambda: self._tower_lesson(copy.deepcopy(fresh[0]), pool, pictures["pictures"]),
        }
        for stage in timed_stages(self.steps, self.prompt):
            makes[stage] = lambda stage=stage: self._stage_lesson(  # type: ignore[misc]
                stage, copy.deepcopy(fresh[0]), fresh[1], pool, pictures["pictures"]
            )
        for name, make in makes.items():
            if name in self.only and time.monotonic() < ends:
                self._rehearse_part(name, make)

    def _rehearse_part(self, name: str, make: Callable[[], Lesson]) -> None:
        began, outcome = time.monotonic(), Outcome()
        for exact in (False, True):
            try:
                with rounded(self.device, exact):
                    lesson = make()
                for before in (0.0, 0.99):  # what a part asks at its start, and at its end
                    now, parts = time.monotonic(), self.parts.get(name, 1)
                    given: dict[str, Any] = {
                        "device": self.device,
                        "workers": 0,
                        "state": None,
                        "exact": exact,
                    }
                    span = Span(now, now + 1e6, before)
                    outcome = learn_by_clock(lesson, span, **given, log=self.log, parts=parts, most=REHEARSED)
                    self.parts[name] = outcome.parts
                    if outcome.error:
                        break
            except Exception as error:
                self._failed(f"rehearsal of {name}", error)
                outcome.error = str(error)
            if not outcome.error:
                if exact:
                    self.exact.add(name)
                break
        self.log.write(
            stage=f"rehearsal of {name}",
            seconds=time.monotonic() - began,
            parts=self.parts.get(name, 1),
            exact=name in self.exact,
            error=outcome.error,
        )

    def _learn(self, lesson: Lesson, name: str) -> dict[str, Any]:
        """Teaches a part for its time; -> what is told of it."""
        state = self.work / f"{name}.pt"
        workers = self.workers if self.device != "cpu" else 0
        span = self.span(name)
        outcome = learn_by_clock(
            lesson,
            span,
            device=self.device,
            workers=workers,
            state=state,
            log=self.log,
            parts=self.parts.get(name, 1),
            exact=name in self.exact,
            more=self._more if name in GROWING else None,
        )
        state.unlink(missing_ok=True)
        told = {"steps": outcome.steps, "seconds": round(time.monotonic() - span.begins, 1)}
        more = {"parts": outcome.parts, "halved": outcome.halved, "error": outcome.error}
        return told | {key: value for key, value in more.items() if value not in (0, "", 1)}

    def _clip_lesson(self, pool: Pool, pictures: DevicePictures) -> ClipLesson:
        start, steps = self.start and self.start / "demo_clip", self.steps
        rate = CLIP_RATE * steps.rate
        return ClipLesson(
            pool, pictures, seed=self.seed, start=start, families=steps.clip_families, rate=rate
        )

    def _tower_lesson(self, model: Any, pool: Pool, pictures: DevicePictures) -> TowerLesson:
        steps, rate = self.steps, TOWER_RATE * self.steps.rate
        model = model.to(self.device)
        return TowerLesson(model, pool, pictures, seed=self.seed, families=steps.families, rate=rate)

    def _stage_lesson(
        self, name: str, model: Any, processor: Any, pool: Pool, pictures: DevicePictures
    ) -> LanguageLesson:
        stage, seed = timed_stages(self.steps, self.prompt)[name], self.seed + len(name)
        return LanguageLesson(model.to(self.device), processor, stage, pool, pictures, seed=seed)

    def _clip(self) -> dict[str, Any]:
        folder = self.work / "demo_clip"
        lesson = self._clip_lesson(self._pool(self.train), self._seen("large"))
        told = self._learn(lesson, "clip")
        lesson.write(folder, CLIP_NAME)
        few = self._validation().head(MEASURED)
        return told | measure_clip(folder, few, self.device)

    def _tower(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            model, processor = load(self._base(folder))
        lesson = self._tower_lesson(model, self._pool(self.train), self._seen("pictures"))
        told = self._learn(lesson, "tower")
        self._keep("tower", model, processor)
        return told | measure_tower(lesson.warm, self._validation())

    def _stage(self, name: str, start: Path) -> dict[str, Any]:
        model, processor = self.taught or load(start if start.is_dir() else self._latest())
        stage = timed_stages(self.steps, self.prompt)[name]
        if stage.fresh_decoder and (self.work / "language").is_dir():
            take_decoder(model, load(self.work / "language")[0].to(self.device))
        pool, pictures = self._pool(self.train), self._seen("pictures")
        with rounded(self.device, name in self.exact):
            lesson = self._stage_lesson(name, model, processor, pool, pictures)
        told = self._learn(lesson, name)
        self._keep(name, model, processor)
        return told | {"rate": stage.rate, "lists": stage.lists, "choices": stage.choices}

    def _keep(self, name: str, model: Any, processor: Any) -> None:
        """The model as a part left it, in the work folder, and in short form among the results."""
        self.taught = model, processor
        save(model, processor, self.work / name)

    def _export(self) -> dict[str, Any]:
        ends = self.span("export").ends
        clip = self._place_clip()
        model, processor = self.taught or load(self._latest())
        folder = self._place_model(copy.deepcopy(model).cpu(), processor, self._manifest())
        self.exported = True
        self._pack()
        given: dict[str, Any] = {"device": self.device, "most": self.steps.searches, "ends": ends}
        return fit_demo(folder, clip, self._validation(), self.log, **given)

    def _latest(self) -> Path:
        """The model of the last part that left one."""
        for name in reversed(STEPS[2:7]):
            if (self.work / name).is_dir():
                return self.work / name
        if self.start:
            return self.start / "demo_qwen2vl"
        raise FileNotFoundError("no part has left a model")

    def _goals(self) -> dict[str, Any]:
        lists = max(2, self.steps.searches // 2)
        folder = self.assets / "demo_qwen2vl"
        rows = measure_goals(
            folder, self._validation(), self.figures("export"), lists=lists, device=self.device
        )
        write_file(self.work / "goals.json", json.dumps(rows, indent=2))
        print(goal_lines(rows), flush=True)
        return rows

    def _pack(self) -> None:
        """What there is by now, in few files: each model's folder as one .tar, the log, and the goals."""
        if self.results is None:
            return
        for file in (self.log.file, self.work / "goals.json"):
            if file.is_file():
                write_file(self.results / file.name, file.read_bytes())
        try:
            if (self.work / "demo_clip").is_dir():
                _tar(self.work / "demo_clip", self.results / "demo_clip.tar", "demo_clip")
            exported = (self.assets / "demo_qwen2vl").is_dir() and (self.exported or self.figures("export"))
            if exported:
                _tar(self.assets / "demo_qwen2vl", self.results / "demo_qwen2vl.tar", "demo_qwen2vl")
            elif self.taught is not None:
                with tempfile.TemporaryDirectory() as place:
                    save(copy.deepcopy(self.taught[0]).cpu().half(), self.taught[1], Path(place))
                    manifest = replace(self._manifest(), weights=weight_files(Path(place)))
                    manifest.write(Path(place))
                    _tar(Path(place), self.results / "demo_qwen2vl.tar", "demo_qwen2vl")
        except Exception as error:  # those of the part before stay
            remark(f"the models could not be packed: {type(error).__name__}: {error}")


def _tar(folder: Path, file: Path, name: str) -> None:
    with replacing(file) as partial, tarfile.open(partial, "w") as tar:
        tar.add(folder, name)


def _named(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else device


def run_by_clock(
    work: Path,
    assets: Path,
    *,
    device: str,
    minutes: float,
    workers: int | None = None,
    steps: StepSize | None = None,
    rehearse: bool | None = None,
    **given: Any,
) -> dict[str, Any]:
    """A TimedRun from the start of this process on; -> its rows.

    workers: all cores but one by default. steps, rehearse: by default what suits the device; on a CPU nothing is
    rehearsed, since what it has not seen is seen at once.
    """
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
        # It plans anew for each shape, and lists of descriptions are of many lengths.
        torch.backends.cuda.enable_cudnn_sdp(False)
    workers = max(1, (os.cpu_count() or 2) - 1) if workers is None else workers
    run = TimedRun(
        work,
        assets,
        device=device,
        begins=time.monotonic() - _age(),
        minutes=minutes,
        workers=workers,
        steps=steps or (GPU_STEPS if on_gpu else CPU_STEPS),
        rehearse=on_gpu if rehearse is None else rehearse,
        grow=on_gpu,
        **given,
    )
    return run.run()


def _age() -> float:
    """Seconds since this process began: most went into imports. Some virtual machines do not tell, or tell nonsense."""
    age = time.time() - psutil.Process().create_time()
    return age if 0 <= age <= LONGEST_START else 0.0
