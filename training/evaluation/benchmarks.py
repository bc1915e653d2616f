"""Which protocol a benchmark is measured by, and the searches that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.datasets.load import load, parse_name
from training.datasets.record import DataSet
from training.datasets.specs import SPECS
from training.evaluation import protocols, protocols_described, protocols_infrared
from training.evaluation.protocols import TRIALS, ProtocolError
from training.evaluation.search import Search

Loader = Callable[[str], DataSet]  # variant -> data set


@dataclass(frozen=True)
class Benchmark:
    """What is to be measured.

    name: as training.datasets.load takes it (market1501, csv:FILE, synthetic:seed=3). protocol: "" for the
    benchmark's own. variant: "" for the usual one; of RegDB for all ten trials. trials: of protocols that draw
    galleries. queries: at most so many of each setting, evenly spread; 0 for all. seed: of what is drawn by
    our own protocols (attributes, image-plus-text).
    """

    name: str
    root: Path | None = None
    variant: str = ""
    protocol: str = ""
    trials: int = TRIALS
    queries: int = 0
    seed: int = 0


PROTOCOLS: Mapping[str, Callable[[Loader, Benchmark], tuple[Search, ...]]] = {
    "cross-camera": lambda load_, b: protocols.cross_camera(load_(b.variant)),
    "ltcc": lambda load_, b: protocols.ltcc(load_(b.variant)),
    "prcc": lambda load_, b: protocols.prcc(load_(b.variant), b.trials),
    "sysu-mm01": lambda load_, b: protocols_infrared.sysu_mm01(load_(b.variant), b.trials),
    "regdb": lambda load_, b: protocols_infrared.regdb(
        [load_(v) for v in ([b.variant] if b.variant else map(str, range(1, b.trials + 1)))]
    ),
    "text-to-image": lambda load_, b: protocols.text_to_image(load_(b.variant)),
    "attributes": lambda load_, b: protocols_described.attribute_based(load_(b.variant), seed=b.seed),
    "image-plus-text": lambda load_, b: protocols_described.image_plus_text(load_(b.variant), seed=b.seed),
}
OWN = ("ltcc", "prcc", "sysu-mm01", "regdb")  # benchmarks that are a protocol of their own
BY_SETTING = {"clothes-changing": "ltcc", "text-to-image": "text-to-image"}


def searches(benchmark: Benchmark) -> tuple[Search, ...]:
    """Load the data and lay out its searches.

    Raises:
        DataSetError: no such data set, or a broken one. ProtocolError: no such protocol, or the data lack
        what it needs.
    """
    if benchmark.trials < 1:
        raise ProtocolError(f"at least one trial is needed, not {benchmark.trials}")

    def loaded(variant: str) -> DataSet:
        return load(benchmark.name, benchmark.root, variant=variant)

    protocol = benchmark.protocol or protocol_of(benchmark.name, loaded)
    if protocol not in PROTOCOLS:
        raise ProtocolError(f"there is no protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    found = PROTOCOLS[protocol](loaded, benchmark)
    return tuple(search.head(benchmark.queries) for search in found) if benchmark.queries else found


def protocol_of(name: str, loaded: Loader) -> str:
    """A benchmark's own protocol; of other data, what their annotations allow (clothes, captions, cameras)."""
    base = parse_name(name).name
    if base in SPECS:
        return base if base in OWN else BY_SETTING.get(SPECS[base].setting, "cross-camera")
    data = loaded("")
    if "query" in data.splits:
        return "ltcc" if data.setting == "clothes-changing" else "cross-camera"
    return BY_SETTING.get(data.setting, "cross-camera")
