"""The README's line per file, made from the files' own docstrings: `python -m tests.readme_tree` writes it anew."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TOPS = ("app.py", "app", "gallery_store", "training")
LONGEST = 88  # characters of a line's words
_BLOCK = re.compile(r"(<summary>A line per file</summary>\n\n```\n).*?(\n```)", re.DOTALL)


def tree() -> str:
    """A line per Python file of the product, folder by folder."""
    lines: list[str] = []
    for top in TOPS:
        path = ROOT / top
        files = (
            [path] if path.is_file() else sorted(path.rglob("*.py"), key=lambda f: (f.parent.parts, f.name))
        )
        folder = Path(".")
        for file in files:
            if file.name == "__init__.py":
                continue
            relative = file.relative_to(ROOT)
            if relative.parent != folder:
                lines.append(f"{relative.parent}/")
                folder = relative.parent
            indent = "" if folder == Path(".") else "  "
            lines.append(f"{indent}{relative.name:<{26 - len(indent)}} {_first_words(file)}")
    return "\n".join(lines)


def with_tree(text: str) -> str:
    """The README with its tree made anew. Raises ValueError where it has no place for one."""
    found, count = _BLOCK.subn(lambda match: match[1] + tree() + match[2], text)
    if count != 1:
        raise ValueError(f"{README.name} has {count} places for the line per file, not one")
    return found


def _first_words(file: Path) -> str:
    doc = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").split("\n\n")[0]
    words = " ".join(doc.split()).split(". ")[0].rstrip(".")
    return words if len(words) <= LONGEST else words[: LONGEST - 3].rsplit(" ", 1)[0] + " …"


if __name__ == "__main__":
    README.write_text(with_tree(README.read_text("utf-8")), "utf-8")
    sys.exit(0)
