"""transformers and accelerate tell at length what our own lines tell."""

from __future__ import annotations

import logging
import warnings


def quiet() -> None:
    """Errors only, no progress bars of theirs, no warnings of what a coming version will call otherwise."""
    from transformers.utils import logging as own

    own.set_verbosity_error()
    own.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
