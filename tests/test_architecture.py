"""The directions of imports, and what pure files must not know, read from the source: it holds of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("raft_impl", "checkers", "harness")
AGENT = ROOT / "harness" / "agent"
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

PURE = [
    *(
        ROOT / "raft_impl" / f"{name}.py"
        for name in (
            *("core", "log", "progress", "quorum", "readonly", "register", "sessions", "node", "service"),
            *("clock", "codec", "types", "ready", "parts"),
        )
    ),
    *(ROOT / "raft_impl" / "storage" / f"{name}.py" for name in ("wal", "memory")),
    *(ROOT / "raft_impl" / "mutants").glob("*.py"),
    *(ROOT / "harness" / f"{name}.py" for name in ("generator", "interpreter", "bound", "signature")),
    *(
        ROOT / "harness" / "campaign" / f"{name}.py"
        for name in ("cells", "expand", "gate", "thresholds", "compare", "row")
    ),
    *(ROOT / "harness" / "nemesis").glob("*.py"),
    *(ROOT / "harness" / "environments" / "sim").glob("*.py"),
    *(AGENT / f"{name}.py" for name in ("traffic", "rules")),
    *(
        path
        for path in (ROOT / "checkers").rglob("*.py")
        if path.name not in ("budget.py", "shared_graphs.py", "files.py")
    ),
]
"""Files that neither wait, nor send, nor look at a clock; what happens in them follows from their arguments."""

IMPURE_MODULES = {"time", "datetime", "asyncio", "socket", "threading", "subprocess", "multiprocessing", "selectors"}
IMPURE_MODULES |= {"secrets", "uuid", "select", "signal", "concurrent"}
GLOBAL_RANDOM = {"random", "randrange", "randint", "choice", "choices", "shuffle", "sample", "uniform", "seed"}
IDENTITY = {"id", "hash"}
"""What differs from one process to the next."""
HARMLESS = {
    "checkers/values.py": "hash(value) only asks whether the value has one",
    "checkers/windows.py": "id(group) is looked up in a dict that keeps the order of insertion",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(nodes: Iterator[ast.AST], path: Path) -> Iterator[str]:
    """The names of imported modules, and of what is imported from them, which may be modules as well."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= (path.parent == AGENT), "imports are absolute, except in the agent"
            home = path.relative_to(ROOT).parts[:-1] if node.level else ()
            module = ".".join([*home, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imported(path: Path) -> list[str]:
    return list(imports(ast.walk(tree_of(path)), path))


def packages_imported(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)
every_pure_file = pytest.mark.parametrize("path", PURE, ids=name_of)


# -- directions


@every_file
def test_imports_go_in_one_direction(path):
    package = path.relative_to(ROOT).parts[0]
    forbidden = {"raft_impl": {"checkers", "harness"}, "checkers": {"raft_impl", "harness"}, "harness": set()}[package]
    if package == "harness" and (ROOT / "harness" / "environments" / "sim") not in path.parents:
        forbidden = {"raft_impl"}
    assert not packages_imported(path) & forbidden


def test_the_agent_needs_the_standard_library_alone():
    """It is copied to machines that have nothing else, and there it has another name."""
    for path in AGENT.glob("*.py"):
        for name in imported(path):
            assert name.startswith("harness.agent.") or name.split(".")[0] in sys.stdlib_module_names
        absolute = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom) and not node.level]
        assert not [node.module for node in absolute if str(node.module).startswith("harness")]


def module_graph() -> nx.DiGraph:
    """Which module imports which when it is loaded itself; what is imported inside of functions comes later."""
    modules = {module_of(path): path for path in FILES}
    graph = nx.DiGraph()
    for module, path in modules.items():
        graph.add_node(module)
        for name in imports(iter(tree_of(path).body), path):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != module:
                graph.add_edge(module, target)
    return graph


def test_no_module_needs_itself():
    assert list(nx.simple_cycles(module_graph())) == []


def test_the_entrance_is_imported_by_nobody():
    graph = module_graph()
    assert list(graph.predecessors("harness.cli")) == ["harness.__main__"]
    assert list(graph.predecessors("harness.__main__")) == []


def test_commands_are_imported_by_the_entrance_and_by_each_other_only():
    users = {user for command, user in _imports_of("harness.commands.")}
    assert all(user == "harness.cli" or user.startswith("harness.commands.") for user in users)


def test_reports_are_imported_by_commands_and_by_each_other_only():
    """Also inside of functions."""
    users = {module_of(path) for path in FILES if any(name.startswith("harness.report") for name in imported(path))}
    assert all(user.startswith(("harness.commands.", "harness.report.")) for user in users)


def test_one_run_knows_nothing_of_campaigns():
    """A campaign is made of runs: what makes one, or replays it, must not need what makes many."""
    for module in ("harness.runner", "harness.replay"):
        needed = nx.descendants(module_graph(), module)
        assert not [name for name in needed if name.split(".")[:2] == ["harness", "campaign"]]


def _imports_of(prefix: str) -> list[tuple[str, str]]:
    graph = module_graph()
    return [(module, user) for module in graph if module.startswith(prefix) for user in graph.predecessors(module)]


@pytest.mark.parametrize("pure", ["generator", "interpreter", "nemesis.grudges", "nemesis.targets"])
def test_who_acts_when_knows_no_environment_that_exists(pure):
    needed = nx.descendants(module_graph(), f"harness.{pure}")
    real = {"docker", "local", "realtime", "namespace", "engine", "containers", "sim"}
    assert not [module for module in needed if set(module.split(".")) & real]


# -- purity


def test_the_list_of_pure_files_is_up_to_date():
    assert [path for path in PURE if not path.exists()] == []


@every_pure_file
def test_a_pure_file_imports_nothing_that_waits_or_looks_at_a_clock(path):
    assert not packages_imported(path) & IMPURE_MODULES


def called(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What is called by a plain name or by the name of a module, and where."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


@every_pure_file
def test_a_pure_file_draws_only_from_streams_that_it_is_given(path):
    module_level = {f"random.{name}" for name in GLOBAL_RANDOM}
    assert not [name for name in imported(path) if name in module_level]
    # An argument may be called `random`; then it is not the module.
    if "random" in imported(path):
        assert not [(name, line) for name, line in called(tree_of(path)) if name in module_level]


@every_pure_file
def test_a_pure_file_does_not_depend_on_identities(path):
    if reason := HARMLESS.get(name_of(path)):
        assert [name for name, _ in called(tree_of(path)) if name in IDENTITY], f"no longer: {reason}"
        return
    assert not [(name, line) for name, line in called(tree_of(path)) if name in IDENTITY]


@every_pure_file
def test_a_pure_file_seeds_every_stream(path):
    assert not [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Random", "random.Random") and not node.args
    ]


# -- house rules


@every_file
def test_a_file_says_what_lives_in_it(path):
    if path.name == "__init__.py" and not path.read_text().strip():
        return  # only marks a package
    assert ast.get_docstring(tree_of(path))


@every_file
def test_nothing_is_left_to_be_done(path):
    text = path.read_text()
    assert not [word for word in ("TODO", "FIXME", "XXX", "NotImplementedError") if word in text]


@every_file
def test_no_exception_is_swallowed(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno}: a bare except"


@every_file
def test_a_file_has_one_idea(path):
    lines = path.read_text().count("\n")
    assert lines <= 520, f"{lines} lines: look for the second idea"


@every_file
def test_a_function_does_one_thing(path):
    long = [
        (node.name, node.end_lineno - node.lineno + 1)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.body[0].lineno + 1 > 60
    ]
    assert long == []


def test_the_command_line_loads_no_engine_before_it_needs_one():
    program = "import sys, harness.cli; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"numba", "numpy", "docker", "requests", "paramiko", "uvloop", "pytest"}
