"""Results as the text that `python -m training evaluate` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.evaluation.hits import BEST_CHOICE
from training.evaluation.plans import FIVE, SYNTHETIC_RANKERS
from training.evaluation.results import Figures, Result


def benchmark_table(result: Result) -> str:
    """A row per setting and ranker, percent; then the seconds and the notes."""
    lines = [f"{'setting':20} {'ranker':15}    mAP  rank-1  rank-5 rank-10   mINP  recall@K  queries"]
    for setting, rankers in result.settings.items():
        for ranker, of in rankers.items():
            if of["queries"] == of["queries_without_match"]:
                lines.append(
                    f"{setting:20} {ranker:15} nothing to measure: none of {of['queries']} queries has a match"
                )
                continue
            shares = "  ".join(f"{100 * of[k]:6.2f}" for k in ("mAP", "rank1", "rank5", "rank10", "mINP"))
            recall = f"{100 * of['prefilter_recall']:8.2f}" if "prefilter_recall" in of else " " * 8
            lines.append(f"{setting:20} {ranker:15} {shares}  {recall}  {of['queries']:7}")
    lines.append("  ".join(f"{part} {seconds:.3f} s" for part, seconds in result.seconds.items()))
    return "\n".join([*lines, *result.notes])


def synthetic_table(result: Result) -> str:
    """As README and docs quote it, Markdown: mAP / rank-1 in percent, a row per setting and a column per ranker.

    Then the average of the paper's five settings, the notes, and the differences between rankers.
    """
    rankers = [r for r in SYNTHETIC_RANKERS if any(r in of for of in result.settings.values())]
    rows = [
        ["setting (mAP / rank-1)", *(_heading(result, r) for r in rankers), "recall"],
        *([name, *(_cell(of.get(r)) for r in rankers), _recall(of)] for name, of in result.settings.items()),
    ]
    averages = result.extra.get("averages", {})
    if averages:
        shares = [f"{100 * averages[r]:.1f}" if r in averages else "" for r in rankers]
        rows.append([f"average mAP of the first {len(FIVE)}", *shares, ""])
    lines = markdown_table(rows)
    world = result.world
    lines += [
        "",
        f"World version {world['version']}, seed {world['seed']}, {world['identities']} identities, "
        f"{world['views']} crops of each; {result.seconds['total']:.0f} s.",
        *_per_query(result),
        *result.notes,
    ]
    if differences := _differences(result):
        lines += [
            "",
            "mAP difference over the queries, in points, with its 95 % interval (paired bootstrap):",
        ]
        lines += differences
    return "\n".join(lines)


def _cell(figures: object) -> str:
    if not isinstance(figures, dict):
        return ""
    return f"{100 * figures['mAP']:.1f} / {100 * figures['rank1']:.1f}"


def _heading(result: Result, ranker: str) -> str:
    """ "best-choice (20)": with the number of queries where only a sample was asked."""
    if ranker != BEST_CHOICE:
        return ranker
    counts = {of[ranker]["queries"] for of in result.settings.values() if ranker in of}
    return f"{ranker} ({max(counts):.0f})"


def _recall(rankers: Mapping[str, Figures]) -> str:
    """The prefilter's, the same for every ranker that searches."""
    shares = [of["prefilter_recall"] for of in rankers.values() if "prefilter_recall" in of]
    return f"{100 * shares[0]:.1f}" if shares else ""


def _per_query(result: Result) -> list[str]:
    told = [f"{part} {1000 * seconds:.0f} ms" for part, seconds in result.seconds.items() if part != "total"]
    recall = "recall: the prefilter's, the share of right crops among the candidates."
    return [recall, ", ".join(told) + "."] if told else []


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Its lines, with columns of one width; the first row has the heads, and all columns but the first are figures."""
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (padded[0], rule, *padded[1:])]


def _differences(result: Result) -> list[str]:
    lines = []
    for setting, pairs in result.extra.get("differences", {}).items():
        told = [
            f"{pair} {100 * of['mean']:+.1f} [{100 * of['low']:+.1f}, {100 * of['high']:+.1f}]"
            for pair, of in pairs.items()
        ]
        if told:
            lines.append(f"- {setting}: " + "; ".join(told))
    return lines
