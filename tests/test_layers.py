"""Who may import whom, and who may touch the world: the architecture as tables.

A new module of `bundle` or `compiler` fails here until it has a row: put it below what it imports, and think twice
before a row grows.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGES = ("bundle", "compiler", "applier", "lab")

# Each module with what it may import of its own package, which must stand above it; "" is the package itself.
BUNDLE = {
    "": "",
    "names": "",
    "checkup": "",
    "style": "",
    "text": "",
    "values": "",
    "codec": "text",
    "model": "values",
    "ruleset": "",
    "delta": "",
    "directory": "codec delta model names ruleset text",
    "disk": "",
    "signature": "codec directory model text",
}
COMPILER = {
    "": "",
    # values, and text to values
    "diagnostics": "",
    "model": "diagnostics",
    "patterns": "",
    "outputs": "",
    "simulate": "",
    "simulate.outputs": "outputs",
    "progress": "",
    "addresses": "model",
    "text": "addresses model patterns",
    "gates": "text",
    "findings": "diagnostics model text",
    "intervals": "model",
    "strays": "intervals model",
    "selectors": "model patterns",
    "balance": "",
    "members": "model",
    "suitability": "members model",
    "hints": "diagnostics model patterns selectors text",
    "naming": "",
    "nodeplan": "model",
    "resources": "",
    # what users write
    "inputs": "",
    "inputs.constraints": "patterns",
    "inputs.base": "inputs.constraints",
    "inputs.egress": "inputs.base inputs.constraints patterns",
    "inputs.kubernetes": "inputs.base",
    "inputs.pods": "",
    "inputs.cases": "inputs.base inputs.constraints inputs.egress",
    # what others may know of it and of what we write
    "schema.classes": "",
    "schema.models": "inputs.base inputs.constraints",
    "schema.crd": "inputs.egress schema.models",
    "schema.reference": "inputs.base inputs.constraints inputs.cases inputs.egress inputs.kubernetes schema.models",
    "schema": "inputs.cases inputs.egress outputs schema.classes schema.crd schema.models schema.reference "
    "simulate.outputs",
    # the stages
    "source": "diagnostics",
    "fastjson": "source",
    "load": "diagnostics fastjson findings source text",
    "shape": "diagnostics findings load text source",
    "ranges": "findings intervals model suitability",
    "nodes": "diagnostics findings inputs.kubernetes load model shape text",
    "workloads": "diagnostics fastjson findings inputs.kubernetes inputs.pods load model shape text",
    "snapshot": "findings inputs.kubernetes load model nodes ranges shape text workloads",
    "validate": "diagnostics findings inputs.egress load model patterns shape snapshot text",
    "matching": "model selectors",
    "tables": "diagnostics intervals model",
    "resolve": "matching model ranges suitability tables",
    "review": "diagnostics findings hints intervals matching model ranges resolve selectors suitability tables",
    "salvage": "diagnostics load model validate",
    "elect": "balance model suitability",
    "links": "diagnostics findings model suitability",
    "routes": "links model nodeplan suitability",
    "peers": "model suitability",
    "verdicts": "",
    "residents": "model naming nodeplan ranges resolve tables",
    "ground": "elect links model naming nodeplan ranges residents resolve strays suitability tables",
    "blocks": "intervals model naming nodeplan residents resolve tables verdicts",
    "plan": "blocks diagnostics elect findings ground model naming nodeplan peers ranges residents resolve routes "
    "suitability verdicts",
    "render": "model naming nodeplan resources",
    "account": "elect model peers resolve suitability",
    "pack": "account nodeplan render",
    # the edge to the disk, and the stages in their order
    "files": "diagnostics",
    "pipeline": "account balance diagnostics elect files load model nodeplan pack plan progress resolve review salvage "
    "validate",
    "population": "findings inputs.kubernetes load model shape workloads",
    "recompile": "account blocks diagnostics elect findings ground load matching members model nodeplan nodes pack "
    "pipeline plan population resolve snapshot suitability tables text validate workloads",
    # findings and results as text
    "positions": "diagnostics source",
    "report": "balance diagnostics positions source text",
    # questions about a bundle
    "lookup": "",
    "evaluate": "lookup model",
    "trace": "evaluate model",
    "explain": "evaluate model outputs text trace",
    "verify": "",
    "verify.failure": "model",
    "verify.intervals": "",
    "verify.forms": "model",
    "verify.decisions": "model",
    "verify.claims": "model naming ranges verify.decisions verify.failure",
    "verify.specs": "",
    "verify.skeleton": "evaluate model verify.specs",
    "verify.written": "nodeplan render verify.skeleton",
    "verify.scope": "naming verify.claims verify.failure verify.forms",
    "verify.marks": "model naming verify.claims verify.failure verify.forms verify.scope",
    "verify.classes": "model naming verify.claims verify.decisions verify.failure verify.forms verify.intervals "
    "verify.scope",
    "verify.ruleset": "model verify.claims verify.classes verify.decisions verify.failure verify.forms "
    "verify.intervals verify.marks verify.scope verify.skeleton verify.specs verify.written",
    "verify.routing": "model naming verify.claims verify.failure verify.marks",
    "verify.account": "model ranges source verify.failure",
    "verify.verify": "account evaluate progress source trace verify.account verify.claims verify.failure "
    "verify.routing verify.ruleset",
    "verify.report": "outputs verify.failure verify.verify",
    "outcomes": "account intervals model naming verify.claims verify.decisions",
    "sides": "account diagnostics elect files model pipeline progress report verify.verify",
    "destinations": "model",
    "wording": "outcomes",
    "testing": "",
    "testing.cases": "diagnostics findings inputs.cases load model selectors shape source text validate",
    "testing.selection": "testing.cases hints model selectors text",
    "testing.examine": "account destinations diagnostics explain intervals model outcomes testing.cases "
    "testing.selection text",
    "testing.verdicts": "testing.cases diagnostics testing.examine outputs text",
    "testing.junit": "testing.examine testing.verdicts",
    "sarif": "diagnostics report source",
    "github": "diagnostics report source",
    # pictures of a bundle
    "graph": "",
    "graph.lanes": "account",
    "graph.boxes": "graph.lanes model",
    "graph.picture": "account graph.boxes graph.lanes",
    "graph.style": "graph.boxes graph.picture",
    "graph.dot": "graph.boxes graph.picture graph.style",
    "graph.mermaid": "graph.boxes graph.picture graph.style",
    "page": "",
    "page.data": "model outcomes",
    "page.notes": "diagnostics outcomes page.data report source",
    "page.html": "page.data resources",
    # what a change does
    "diff": "",
    "diff.change": "",
    "diff.meaning": "diff.change naming verify.decisions verify.intervals",
    "diff.compare": "diff.change diff.meaning intervals verify.intervals",
    "diff.nodes": "diff.change diff.compare diff.meaning",
    "diff.groups": "diff.change",
    "markdown": "",
    "diff.nodeforms": "diff.change diff.groups markdown outputs",
    "diff.traffic": "destinations model outcomes",
    "diff.gateways": "account destinations model verify.intervals",
    "diff.difference": "destinations diff.change diff.gateways diff.nodes diff.traffic gates model outcomes "
    "progress sides",
    "diff.sections": "destinations diff.difference diff.gateways diff.traffic text wording",
    "diff.forms": "diff.difference diff.groups diff.nodeforms diff.sections gates markdown",
    "diff.output": "destinations diff.difference diff.groups diff.nodeforms diff.traffic gates model outcomes outputs",
    "diff.live": "diff.change diff.compare diff.meaning diff.nodeforms markdown outputs",
    # what a lost node does
    "simulate.refusals": "diagnostics links model plan resolve",
    "simulate.present": "account diagnostics elect model outcomes resolve simulate.refusals",
    "simulate.whatif": "account diagnostics elect gates model outcomes simulate.present suitability",
    "simulate.sweep": "gates progress simulate.present simulate.whatif",
    "simulate.story": "outcomes simulate.sweep simulate.whatif text wording",
    "simulate.text": "simulate.story",
    "simulate.markdown": "gates markdown simulate.story",
    "simulate.output": "diff.output gates simulate.outputs simulate.present simulate.sweep simulate.whatif",
    # the command line
    "console": "progress",
    "telling": "console diagnostics pipeline report sides",
    "sign": "",
    "commands": "console diagnostics elect explain files github pipeline report resources sarif schema sides telling "
    "text verify.report verify.verify",
    "testing.command": "console diagnostics explain files model pipeline positions progress telling testing.cases "
    "testing.examine testing.junit testing.verdicts",
    "diff.command": "console diff.difference diff.forms diff.live diff.nodeforms diff.output elect files gates "
    "progress sides telling",
    "simulate.command": "console diagnostics elect gates pipeline progress report sides simulate.markdown "
    "simulate.output simulate.outputs simulate.present simulate.story simulate.sweep simulate.text simulate.whatif "
    "telling text",
    "graph.command": "console files graph.dot graph.mermaid graph.picture sides telling",
    "page.command": "console elect files outcomes page.data page.html page.notes progress sides telling",
    "cli": "gates",
    # what is made of it
    "usage": "cli",
    "completion": "cli usage",
    "manual": "cli usage",
}
TABLES = {"bundle": BUNDLE, "compiler": COMPILER}

# What each package may import of the others and of what is installed, and the exceptions by module.
OUTSIDE = {
    "bundle": set[str](),
    "compiler": {"bundle", "msgspec", "pydantic", "pydantic_core", "jinja2", "yaml"},
    "applier": {"bundle", "pyroute2", "nftables"},
}
EXCEPTIONS = {
    "compiler.cli": {"lab.cli", "applier.arguments", "applier.program"},
    # How the kernel is read, and when it is as planned, is said once.
    "compiler.diff.live": {
        f"applier.{name}"
        for name in ("delivery", "difference", "errors", "live", "lock", "model", "script", "session", "want")
    },
}

EDGES = {
    "bundle.directory", "bundle.disk", "bundle.signature", "compiler.console", "compiler.files", "compiler.sign",
    "compiler.commands", "compiler.cli", "compiler.completion", "compiler.resources", "compiler.sides",
    "compiler.telling", "compiler.testing.command",
    "compiler.diff.command", "compiler.simulate.command", "compiler.graph.command", "compiler.page.command",
}  # fmt: skip
IMPURE_MODULES = {
    "builtins", "ctypes", "fileinput", "getpass", "glob", "importlib", "io", "locale", "logging",
    "multiprocessing", "os", "platform", "random", "secrets", "shutil", "signal", "socket", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
PURE_PARTS = {"compiler.addresses": {"socket"}}
"""Of an impure module: `inet_pton` makes bytes of a text, and knows no network."""
IMPURE_BUILTINS = {"open", "print", "input", "hash", "exec", "eval", "__import__", "breakpoint"}
IMPURE_CALLS = {
    "now", "today", "utcnow",  # of datetime, whose other functions are pure
    "chmod", "exists", "expanduser", "glob", "is_dir", "is_file", "iterdir", "lstat", "mkdir", "read_bytes",
    "read_text", "readlink", "resolve", "rglob", "rmdir", "samefile", "stat", "symlink_to", "touch", "unlink",
    "write_bytes", "write_text",
}  # fmt: skip


def files_of(package: str) -> Iterator[tuple[str, Path]]:
    """Every module of a package by its full name, the package itself included."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = {name: path for package in PACKAGES for name, path in files_of(package)}


def imports_of(text: str, module: str, known: set[str], *, is_package: bool = False) -> set[str]:
    """Full names of all that the text of a module imports, inside of functions too; `import a.b` imports `a.b`."""
    found: set[str] = set()
    for item in ast.walk(ast.parse(text)):
        if isinstance(item, ast.Import):
            found.update(alias.name for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            base = item.module or ""
            if item.level:
                drop = item.level - is_package
                parents = module.split(".")[: -drop or None]
                base = ".".join([*parents, *([item.module] if item.module else [])])
            for alias in item.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in known else base)
    return found


def imports(module: str) -> set[str]:
    path = MODULES[module]
    text = path.read_text(encoding="utf-8")
    return imports_of(text, module, set(MODULES), is_package=path.name == "__init__.py")


def top(name: str) -> str:
    return name.partition(".")[0]


def inside(module: str) -> str:
    return module.partition(".")[2]


@pytest.mark.parametrize(
    ("text", "module", "expected"),
    [
        ("import compiler.plan as p", "compiler.cli", {"compiler.plan"}),
        ("from compiler import plan, resolve", "compiler.cli", {"compiler.plan", "compiler.resolve"}),
        ("from compiler.plan import plan", "compiler.cli", {"compiler.plan"}),
        ("from . import plan", "compiler.cli", {"compiler.plan"}),
        ("from .plan import plan", "compiler.cli", {"compiler.plan"}),
        ("from .. import plan", "compiler.inputs.base", {"compiler.plan"}),
        ("from ..plan import plan", "compiler.inputs.base", {"compiler.plan"}),
        ("from .inputs import base", "compiler.cli", {"compiler.inputs.base"}),
        ("def f():\n    import os.path\n    from applier import nft", "compiler.cli", {"os.path", "applier.nft"}),
    ],
)
def test_the_guard_sees_every_form_of_import(text: str, module: str, expected: set[str]) -> None:
    assert expected == imports_of(text, module, set(MODULES))


def test_the_guard_sees_relative_imports_of_a_package_itself() -> None:
    found = imports_of("from . import base\nfrom .. import plan", "compiler.inputs", set(MODULES), is_package=True)

    assert {"compiler.inputs.base", "compiler.plan"} == found


@pytest.mark.parametrize("package", TABLES)
def test_every_module_has_a_row(package: str) -> None:
    assert set(TABLES[package]) == {inside(name) for name in MODULES if top(name) == package}


@pytest.mark.parametrize("package", TABLES)
def test_rows_name_only_modules_above_them(package: str) -> None:
    above: set[str] = set()
    for name, allowed in TABLES[package].items():
        assert set(allowed.split()) - above == set(), name
        above.add(name)


@pytest.mark.parametrize("module", [name for name in MODULES if top(name) in TABLES])
def test_module_imports_only_what_its_row_allows(module: str) -> None:
    package = top(module)

    own = {inside(name) for name in imports(module) if top(name) == package}

    assert own - set(TABLES[package].get(inside(module), "").split()) - {""} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if top(name) in OUTSIDE])
def test_package_imports_only_the_packages_below_it(module: str) -> None:
    package = top(module)
    others = {name for name in imports(module) if top(name) not in {package, *sys.stdlib_module_names}}

    foreign = {name for name in others if top(name) not in OUTSIDE[package]}

    assert foreign == EXCEPTIONS.get(module, set())


def test_nftables_is_imported_in_one_place() -> None:
    assert [name for name in MODULES if any(top(found) == "nftables" for found in imports(name))] == ["applier.nft"]


@pytest.mark.parametrize("package", ["jinja2", "msgspec", "yaml"])
def test_parsers_and_templates_stay_in_their_stages(package: str) -> None:
    yaml = {"compiler.source", "compiler.positions", "compiler.pack", "compiler.schema.crd"}
    msgspec = {"compiler.fastjson", "compiler.inputs.pods", "compiler.workloads"}
    expected = {"jinja2": {"compiler.render", "compiler.page.html"}, "msgspec": msgspec, "yaml": yaml}[package]
    compiler = [name for name in MODULES if top(name) == "compiler"]

    assert expected == {name for name in compiler if any(top(found) == package for found in imports(name))}


@pytest.mark.parametrize(
    ("start", "unwanted"),
    [
        ("import bundle.directory", ("pydantic", "jinja2", "yaml", "pyroute2", "nftables", "compiler", "applier")),
        ("import applier.cli", ("pydantic", "jinja2", "yaml", "compiler", "lab")),
        ("import compiler.sign", ("pydantic", "jinja2", "yaml", "pyroute2", "nftables", "applier")),
        ("import compiler.cli", ("pydantic", "jinja2", "yaml", "pyroute2", "ctypes", "applier.cli", "applier.kernel")),
        ("import compiler.commands", ("pyroute2", "nftables", "applier", "lab")),
    ],
)
def test_importing_loads_only_what_is_needed(start: str, unwanted: tuple[str, ...]) -> None:
    script = f"{start}; import sys; print(*sorted(set({unwanted!r}) & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.strip() == ""


PURE = [name for name in MODULES if top(name) in TABLES and name not in EDGES]


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_have_no_way_to_the_world(module: str) -> None:
    found = {name for name in imports(module) - PURE_PARTS.get(module, set()) if top(name) in IMPURE_MODULES}
    for item in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(item, ast.Name) and item.id in IMPURE_BUILTINS:
            found.add(f"{item.id}, line {item.lineno}")
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr in IMPURE_CALLS:
            found.add(f"{item.func.attr}, line {item.lineno}")

    assert found == set()


def test_edges_are_modules() -> None:
    assert set() == EDGES - set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_longer_than_500_lines(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 500
