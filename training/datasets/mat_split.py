"""Reads a CUHK03 split file of MATLAB 5, in a process of its own: a damaged file can crash SciPy's parser, which no
`except` sees, and a small one can unpack to gigabytes.

    python -P mat_split.py FILE    one JSON object on stdout: filelist, and the indices of each split, from 1
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

SPLITS = ("train", "query", "gallery")
MOST_ENTRIES = 1_000_000  # of a variable; CUHK03 has 14,097 pictures
MOST_MEMORY, MOST_SECONDS = 2 << 30, 60  # of this process
# Exit codes; any other but 0, and a crash, mean damage.
NO_MAT5, NO_SPLIT, TOO_LARGE = 3, 4, 5


class SplitFileError(ValueError):
    """code: of those above."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def read_split(file: Path) -> dict[str, list[Any]]:
    """filelist: names; train_idx, query_idx, gallery_idx: whole numbers from 1 to their count.

    Raises:
        SplitFileError: another format, not the new protocol's variables, or larger than any split. Whatever SciPy
        raises for bytes that are not what they claim to be.
    """
    import numpy as np
    from scipy.io import loadmat, whosmat

    wanted = ["filelist", *(f"{split}_idx" for split in SPLITS)]
    try:
        shapes = {name: shape for name, shape, _ in whosmat(file, appendmat=False)}
        if any(math.prod(shapes.get(name, ())) > MOST_ENTRIES for name in wanted):
            raise SplitFileError(TOO_LARGE)
        variables = loadmat(file, appendmat=False, variable_names=wanted, squeeze_me=True)
    except NotImplementedError:
        raise SplitFileError(NO_MAT5) from None
    if not all(name in variables for name in wanted):
        raise SplitFileError(NO_SPLIT)
    names = ["" if np.size(name) == 0 else name for name in np.atleast_1d(variables["filelist"]).tolist()]
    split: dict[str, list[Any]] = {"filelist": names}
    if not all(isinstance(name, str) for name in names):
        raise SplitFileError(NO_SPLIT)
    for name in wanted[1:]:
        indices = np.asarray(variables[name]).ravel(order="F")
        if indices.dtype.kind not in "iuf" or not np.isin(indices, np.arange(1, len(names) + 1)).all():
            raise SplitFileError(NO_SPLIT)
        split[name] = indices.astype(np.int64).tolist()
    return split


def main() -> int:
    try:
        import resource  # not on Windows
    except ImportError:
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    try:
        print(json.dumps(read_split(Path(sys.argv[1]))))
    except SplitFileError as problem:
        return problem.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
