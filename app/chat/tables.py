"""Word tables, written as text."""

from __future__ import annotations


def listed(words: str) -> tuple[str, ...]:
    """The words of a table, in order: listed("red green") == ("red", "green")."""
    return tuple(words.split())
