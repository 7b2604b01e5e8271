"""The changes of the catalogue's own source: every number, comparison, severity and duration that stands in it.

A changed module is loaded in a process of its own, which says whether the rules are still the committed ones, and so
the pages and the README, and which of the tests fail that need no program: those of the runbook's transcription, and
whether rules say what their thresholds do. What promtool makes of other rules is tried by changing the rules.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from mutation.trials import RULES, read_yaml

ROOT = Path(__file__).parents[2]
_FOLDER = ROOT / "alerts" / "gw_alerts"
_MODULES = (
    "thresholds", "slos", "recordings", "expressions", "foreign", "rules", "routing", "catalog.sessions",
    "catalog.credentials", "catalog.jobs", "catalog.components", "catalog.proxies", "catalog.budgets",
    "catalog.watching", "catalog",
)  # fmt: skip
_DURATION = re.compile(r"(?<![\w.])(\d+)([smhd])(?!\w)")
_SIGNS = {">": ">=", ">=": ">", "<": "<=", "<=": "<", "=": ">"}
_SEVERITIES = {"PAGE": "TICKET", "TICKET": "PAGE", "INFO": "TICKET"}
_TESTS = (
    "artefacts/seed/test_alert_table.py", "artefacts/seed/test_alerts.py", "artefacts/alerts/test_thresholds.py",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceChange:
    """One change of one module: which of its constants, and what it becomes."""

    module: str
    number: int
    """Of the constant, in the order of the tree."""
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change leads to."""

    change: SourceChange
    problem: str = ""
    """Why it cannot even be loaded."""
    failed: tuple[str, ...] = ()
    """Tests that fail."""
    drifted: tuple[str, ...] = ()
    """Committed files that are no longer what is generated."""

    @property
    def is_noticed(self) -> bool:
        """Whether anybody would see it."""
        return bool(self.problem or self.failed or self.drifted)


def source_changes() -> Iterator[SourceChange]:
    """All of them, module by module."""
    for module in _MODULES:
        tree = ast.parse(_path(module).read_text())
        for number, (node, other) in enumerate(_constants(tree)):
            before = ast.unparse(node)
            yield SourceChange(module, number, node.lineno, f"{before} -> {other}")


def outcomes(changes: Sequence[SourceChange], workers: int) -> Iterator[Outcome]:
    """What becomes of each, in order."""
    # A fork has the clean modules of third parties, and none of the catalogue's.
    context = multiprocessing.get_context("fork")
    with context.Pool(workers, initializer=_prepare, maxtasksperchild=1) as pool:
        yield from pool.imap(_try, changes, chunksize=1)


def _path(module: str) -> Path:
    path = _FOLDER / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


# -- the constants -----------------------------------------------------------------------------------------------------


def _constants(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """The nodes that are changed, each with its other text."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=bool() | "0s"):
                pass
            case ast.Constant(value=int() | float() as number):
                yield node, repr(_other_number(number))
            case ast.Constant(value=str() as text) if text in _SIGNS:
                yield node, repr(_SIGNS[text])
            case ast.Constant(value=str() as text) if _DURATION.search(text) and len(text) < 60:
                yield node, repr(_DURATION.sub(lambda found: f"{2 * int(found[1])}{found[2]}", text))
            case ast.Attribute(value=ast.Attribute(attr="Severity") | ast.Name(id="Severity"), attr=name):
                if name in _SEVERITIES:
                    yield node, f"{ast.unparse(node.value)}.{_SEVERITIES[name]}"


def _other_number(number: float) -> float:
    """A tenth more, of a whole number at least one; of a share that would be more than all of it a tenth less."""
    if isinstance(number, int):
        return number + max(1, number // 10)
    more = round(number * 1.1, 6)
    return more if number > 1 or more <= 1 else round(number * 0.9, 6)


def _changed(change: SourceChange) -> ast.Module:
    tree = ast.parse(_path(change.module).read_text())
    target, text = list(_constants(tree))[change.number]
    replacement = ast.parse(text, mode="eval").body

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return ast.copy_location(replacement, node) if node is target else super().generic_visit(node)

    changed = Replace().visit(tree)
    assert isinstance(changed, ast.Module)
    return ast.fix_missing_locations(changed)


# -- one change, in its process ----------------------------------------------------------------------------------------


class _Loader(importlib.abc.Loader):
    """Loads one module from a changed tree."""

    def __init__(self, change: SourceChange) -> None:
        self._change = change

    def exec_module(self, module: ModuleType) -> None:
        code = compile(_changed(self._change), str(_path(self._change.module)), "exec")
        exec(code, module.__dict__)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds that module before anybody else does."""

    def __init__(self, change: SourceChange) -> None:
        self._change = change

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != f"gw_alerts.{self._change.module}":
            return None
        where = _path(self._change.module)
        folders = [str(where.parent)] if where.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            fullname, where, loader=_Loader(self._change), submodule_search_locations=folders
        )


def _prepare() -> None:
    sys.path.insert(0, str(ROOT / "tests"))


def _try(change: SourceChange) -> Outcome:
    sys.meta_path.insert(0, _Finder(change))
    try:
        return Outcome(change, "", tuple(failures(_TESTS)), tuple(_drifted()))
    except Exception as problem:
        return Outcome(change, f"{type(problem).__name__}: {problem}")


def _drifted() -> Iterator[str]:
    """Those that are cheap to render; promtool's tests and the other forms of the rules follow from the same."""
    rules = importlib.import_module("gw_alerts.rules")
    alertmanager = importlib.import_module("gw_alerts.alertmanager")
    values = importlib.import_module("gw_alerts.values").load_values(_FOLDER / "values.example.yaml")
    if read_yaml(RULES.read_text()) != {"groups": rules.rule_groups()}:
        yield RULES.name
    if alertmanager.render_alertmanager(values) not in (RULES.parent / "alertmanager.example.yaml").read_text():
        yield "alertmanager.example.yaml"
    yield from importlib.import_module("gw_alerts.pages").outdated_pages()
    yield from importlib.import_module("gw_alerts.readme").outdated()


def failures(paths: Sequence[str]) -> Iterator[str]:
    """The tests of these modules below `tests/` that do not hold, each with all its parameters."""
    for name in paths:
        path = ROOT / "tests" / name
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for test, function in vars(module).items():
            if test.startswith("test_") and not _holds(function):
                yield f"{path.stem}.{test}"


def _holds(function: Any) -> bool:
    """Whether a test holds with all its parameters."""
    try:
        for arguments in _arguments(function):
            function(**arguments)
    except Exception:
        return False
    return True


def _arguments(function: Any) -> Iterator[dict[str, Any]]:
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        yield {}
        return
    (mark,) = marks
    names, cases = mark.args
    names = [names] if isinstance(names, str) else list(names)
    for case in cases:
        values = getattr(case, "values", None) if type(case).__name__ == "ParameterSet" else None
        values = (case,) if values is None and len(names) == 1 else values if values is not None else case
        yield dict(zip(names, values, strict=True))
