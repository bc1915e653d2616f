"""Imports run one way, and in no circle; see the layers in the README."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(p for top in ("app", "gallery_store", "training") for p in (ROOT / top).rglob("*.py"))

# Each may use what stands left of it. "app.session" is the service, with all that stands beside it in app/.
LAYERS = ["gallery_store", "app.model", "app.retrieval", "app.chat", "app.session", "app.ui"]
SETTINGS = "app.settings"  # imports nothing of ours, and serves all


def module_of(file: Path) -> str:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


def within(module: str, layer: str) -> bool:
    return module == layer or module.startswith(layer + ".")


def layer_of(module: str) -> str | None:
    if within(module, SETTINGS) or module == "app":
        return None
    named = next((layer for layer in LAYERS if within(module, layer)), None)
    return named or ("app.session" if within(module, "app") else None)


def import_nodes(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import, inside functions too; those for the type checker alone are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from import_nodes(node)


def imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}


def imports(file: Path, *, for_types: bool = True) -> set[str]:
    """Every module (and every name of one) that a file imports; for_types: those for the type checker too."""
    tree = ast.parse(file.read_text("utf-8"))
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom))
    names: set[str] = set()
    for node in nodes if for_types else import_nodes(tree):
        relative = isinstance(node, ast.ImportFrom) and node.level
        assert not relative, f"{file}: relative imports hide where things come from"
        names |= imported(node)
    return names


@pytest.mark.parametrize("module", MODULES)
def test_a_file_imports_only_what_stands_left_of_it(module):
    layer, names = layer_of(module), imports(MODULES[module])
    if layer is not None:
        right = LAYERS[LAYERS.index(layer) + 1 :]
        crossed = {name for name in names for other in right if layer_of(name) == other}
        assert not crossed, f"{module} belongs to {layer} and imports {crossed}"
    if not within(module, "training"):
        assert not {name for name in names if within(name, "training")}, f"{module}: nothing imports training"
    else:
        assert not {n for n in names if within(n, "app.ui")}, f"{module}: training does not know the screen"
    if layer != "app.ui":
        assert not {n for n in names if within(n, "gradio")}, f"{module}: only app/ui imports Gradio"
    if layer == "app.chat":
        assert not {n for n in names if within(n, "torch")}, f"{module}: a conversation needs no torch"
    assert not {name for name in names if within(name, "tests")}, f"{module} imports tests"


def test_the_settings_import_nothing_of_ours():
    assert not {n for n in imports(ROOT / "app/settings.py") if n.split(".")[0] in ("app", "gallery_store")}


def test_the_recipe_of_the_demo_is_imported_by_its_own_command_alone():
    users = {
        module
        for module, file in MODULES.items()
        if not within(module, "training.demo") and any(within(n, "training.demo") for n in imports(file))
    }
    commands = {m for m in users if within(m, "training.commands") and m.endswith((".demo", ".gallery"))}
    assert users <= commands, f"{sorted(users - commands)} import training.demo"


def test_no_imports_run_in_a_circle():
    """Neither those of a module nor those inside its functions, together."""
    graph = {
        module: {name for name in imports(file, for_types=False) if name in MODULES and name != module}
        for module, file in MODULES.items()
    }
    for names in graph.values():  # `from app import settings` imports app.settings, not what stands in app
        names -= {name for name in names if MODULES[name].name == "__init__.py"}
    assert circle_in(graph) == []


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle in their order, or []."""
    finished: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in finished:
            return []
        path.append(module)
        for name in sorted(graph[module]):
            if circle := visit(name):
                return circle
        path.pop()
        finished.add(module)
        return []

    return next((circle for module in sorted(graph) if (circle := visit(module))), [])


def test_circles_are_seen():
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    tree = ast.parse("if TYPE_CHECKING:\n  import a\ndef f():\n  from b import c\n")
    assert set().union(*map(imported, import_nodes(tree))) == {"b", "b.c"}


def test_the_walk_sees_the_layers():
    assert {layer_of(module) for module in MODULES} >= set(LAYERS)
    assert layer_of("app.service") == layer_of("app.cards") == "app.session"
    assert any(layer_of(name) == "app.session" for name in imports(ROOT / "app/ui/handlers.py"))
    assert any(layer_of(name) == "app.chat" for name in imports(ROOT / "app/session.py"))
