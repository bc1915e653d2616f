"""Imports run one way; see the layers in the README."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ["gallery_store", "app.model", "app.retrieval", "app.chat", "app.ui"]
FILES = sorted(p for top in ("app", "gallery_store", "training") for p in (ROOT / top).rglob("*.py"))


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide where things come from"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(module: str, layer: str) -> bool:
    return module == layer or module.startswith(layer + ".")


def layer_of(file: Path) -> str | None:
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return next((layer for layer in LAYERS if within(module, layer)), None)


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_what_stands_left_of_it(file):
    layer, found = layer_of(file), imports(file)
    if layer is not None:
        right = LAYERS[LAYERS.index(layer) + 1 :]
        crossed = {module for module in found for other in [*right, "training"] if within(module, other)}
        assert not crossed, f"{file} belongs to {layer} and imports {crossed}"
    if file.relative_to(ROOT).parts[0] == "training":
        assert not {m for m in found if within(m, "app.ui")}, f"{file}: training does not know the screen"
    if layer != "app.ui":
        assert not {m for m in found if within(m, "gradio")}, f"{file}: only app/ui imports Gradio"
    if layer == "app.chat":
        assert not {m for m in found if within(m, "torch")}, f"{file}: a conversation needs no torch"
    assert not {m for m in found if within(m, "tests")}, f"{file} imports tests"


def test_the_walk_sees_the_layers():
    assert {layer_of(file) for file in FILES} >= set(LAYERS)
    assert any(
        within(m, "app.chat") for m in imports(ROOT / "app/ui/handlers.py") | imports(ROOT / "app/ui/desk.py")
    )
