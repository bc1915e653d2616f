"""A survey of data sets as a table for people."""

from __future__ import annotations

from training.datasets.spec import Count
from training.datasets.survey import FIELDS, Found


def table(found: list[Found]) -> list[str]:
    """The lines of the table: what is there, a stroke, what was published, and a mark where they differ."""
    heads = ("split", *FIELDS)
    row = "  {:<14}{:>16}{:>18}{:>10}{:>18}".format
    lines = []
    for item in found:
        if not item.there:
            lines += [f"{item.name}: not found; looked for {', '.join(item.looked_for)}", ""]
            continue
        where = f"in {item.folder}" if item.folder else "drawn"
        lines.append(f"{item.name}: {item.title}, {item.setting or 'broken'}, {where}")
        if item.problem:
            lines += [*("  " + line for line in item.problem.splitlines()), ""]
            continue
        differing = set(item.differing())
        lines.append(row(*(f"{head}  " if head != "split" else head for head in heads)).rstrip())
        for split in item.splits:
            cells = [_cell(item, split, what, (split, what) in differing) for what in FIELDS]
            lines.append(row(split, *cells).rstrip())
        lines.append("")
    there = sum(item.there for item in found)
    broken = sum(bool(item.problem) for item in found)
    lines.append(f"{there} of {len(found)} found{f', {broken} broken' if broken else ''}.")
    if any(item.splits and item.differing() for item in found):
        lines.append("After a stroke stands the published count; * marks where it is another.")
    return lines


def _cell(item: Found, split: str, what: str, differs: bool) -> str:
    here, published = (getattr(of.get(split, Count()), what) for of in (item.splits, item.published))
    text = "-" if here is None else f"{here:,}"
    return text + (f" / {published:,}" if published is not None else "") + (" *" if differs else "  ")
