"""What commands tell on the terminal while they run: progress, remarks, and libraries kept quiet.

All of it goes to stderr, by the logger "chatreid" and by tqdm; what a command was asked for goes to stdout.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable

Progress = Callable[[int, int], None]  # (done, all)
StepProgress = Callable[[str, int, int], None]  # (step, done, all)

_log = logging.getLogger("chatreid")


class _Stderr(logging.Handler):
    """Writes to the stderr of the moment, above a progress bar that is being drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def remark(text: str) -> None:
    """One line on stderr, as it is."""
    if not _log.handlers:
        _log.addHandler(_Stderr())
        _log.setLevel(logging.INFO)
        _log.propagate = False
    _log.info("%s", text)


def progress_bar(what: str, unit: str = "") -> Progress:
    """A bar that is drawn over on a terminal; elsewhere, as in a log file, a timed line for each tenth.

    what: "import", "search"; unit: "crops". Called with (done, all); the bar ends when done reaches all, and
    begins anew when it is called again.
    """
    show = step_progress(unit)
    return lambda done, total: show(what, done, total)


def step_progress(unit: str = "") -> StepProgress:
    """As progress_bar, for work of several steps, each with a bar of its own."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}
    tenths: dict[str, int] = {}

    def show(step: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            tenth = 10 * done // max(1, total)
            if tenth != tenths.get(step) and (done or total == 0):
                remark(f"{time.strftime('%H:%M:%S')} {step}: {done:,} of {total:,} {unit}".rstrip())
            tenths[step] = tenth
            return
        if step not in bars:
            bars[step] = tqdm(total=total, initial=done, desc=step, unit=f" {unit}".rstrip(), file=sys.stderr)
        bar = bars[step]
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bars.pop(step).close()

    return show


def quiet() -> None:
    """transformers and accelerate tell errors only and draw no bars; no warnings of their coming versions."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
