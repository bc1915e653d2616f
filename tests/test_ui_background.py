"""Work in a thread of its own: how far it is, and its exception."""

from __future__ import annotations

import pytest

from app.ui.background import BackgroundWork
from app.ui.view import progress_words


def test_a_job_reports_and_passes_on_its_problem() -> None:
    def work(tell: object) -> None:
        tell("rerank", 3, 8)  # type: ignore[operator]
        import time

        time.sleep(0.2)
        raise ValueError("no")

    seen = []
    with pytest.raises(ValueError, match="no"):
        for job in BackgroundWork(work).ticks(0.02):
            seen.append(progress_words(job))
    assert seen and seen[-1] == "Reading candidates, 3 of 8…"
