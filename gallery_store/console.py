"""What commands say on stderr while they run: progress and remarks, by the logger "chatreid" and by tqdm.

What a command was asked for goes to stdout, by print. No model library loads on import.
"""

from __future__ import annotations

import io
import logging
import sys
import time
import warnings
from collections.abc import Callable

Progress = Callable[[int, int], None]  # (done, all)
StepProgress = Callable[[str, int, int], None]  # (step, done, all)

_log = logging.getLogger("chatreid")


def any_encoding() -> None:
    """Let stdout take any text: what its encoding lacks comes out as an escape, and not as an error."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


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
    """A bar that is drawn over on a terminal; elsewhere, as in a log file, a timed line for each tenth. Both tell how
    many are done in a second, and how much time is left.

    what: "import", "search"; unit: "crops". Called with (done, all), 0 <= done <= all; the bar ends when done
    reaches all, and begins anew when it is called again.
    """
    show = step_progress(unit)
    return lambda done, total: show(what, done, total)


def step_progress(unit: str = "") -> StepProgress:
    """As progress_bar, for work of several steps, each with a bar of its own: called with (step, done, all)."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}
    tenths: dict[str, int] = {}  # in the last line of each step that has not ended
    begun: dict[str, tuple[float, int]] = {}  # when, and with how many done

    def draw(step: str, done: int, total: int) -> None:
        if step not in bars:
            bars[step] = tqdm(
                total=total, initial=done, desc=step, unit=f" {unit}".rstrip(), miniters=1, file=sys.stderr
            )
        bar = bars[step]
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bars.pop(step).close()

    def write(step: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total > 0 else 10
        began, first = begun.setdefault(step, (time.monotonic(), done))
        if tenth > tenths.get(step, 0):
            said = f"{time.strftime('%H:%M:%S')} {step}: {done:,} of {total:,} {unit}".rstrip()
            spent = time.monotonic() - began
            if spent >= 1 and done > first:  # a rate over less says little
                rate = (done - first) / spent
                said += f", {rate:,.1f} a second, {tqdm.format_interval((total - done) / rate)} left"
            remark(said)
        tenths[step] = tenth
        if done >= total:
            del tenths[step], begun[step]

    def show(step: str, done: int, total: int) -> None:
        (draw if sys.stderr.isatty() else write)(step, done, total)

    return show


def quiet() -> None:
    """transformers and accelerate log errors only and draw no bars; no FutureWarning is shown. Loads transformers."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
