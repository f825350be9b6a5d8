"""Structure of the tree: torch-free packages, import cycles, sizes, rules, and paths in texts."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.workflow import ROOT

TORCH_PACKAGES = ("models", "training", "evaluation", "timing")
TORCH_LIBRARIES = ("torch", "torchvision", "timm", "diffusers", "open_clip", "transformers")
# Modules of torch-free packages that start torch for the others.
STARTERS = ("synscale.runtime.lazy_compiler", "synscale.runtime.torch_setup")

LARGEST_FILE = 300
LARGEST_FUNCTION = 60
LARGEST_COMMON = 60
MOST_LAMBDAS = 8


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


LIBRARY = {module_name(path): path for path in python_files("synscale")}


def torch_free_modules() -> list[str]:
    return [
        name
        for name in LIBRARY
        if name.split(".")[1:2] not in [[package] for package in TORCH_PACKAGES]
        and name not in STARTERS
    ]


def test_torch_free_packages_import_no_torch():
    """A process imports all their modules; imports inside functions do not count."""
    program = (
        "import importlib, json, sys\n"
        "found = {}\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    before = set(sys.modules)\n"
        "    importlib.import_module(name)\n"
        "    new = {module.split('.')[0] for module in set(sys.modules) - before}\n"
        "    found[name] = sorted(new & set(json.loads(sys.argv[2])))\n"
        "print(json.dumps({name: new for name, new in found.items() if new}))\n"
    )
    arguments = [json.dumps(torch_free_modules()), json.dumps(TORCH_LIBRARIES)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


# In this order: scripts of the most jobs, and what they and those before them do not import.
# sympy is imported by torch's compiler.
LIGHT_SCRIPTS = {
    "index_shards": ("pandas", "torch"),
    "train_classifiers": ("sympy", "pandas", "scipy", "transformers", "diffusers", "open_clip"),
    "score": ("sympy", "pandas", "scipy", "transformers", "diffusers", "open_clip"),
    "evaluate": ("sympy", "scipy", "transformers", "diffusers", "open_clip"),
    "train_clip": ("sympy", "scipy", "diffusers"),
}
LIGHT_FIGURES = {"fit_laws": ("torch", "statsmodels"), "plot_teaser": ("torch",)}


@pytest.mark.parametrize("scripts", [LIGHT_SCRIPTS, LIGHT_FIGURES])
def test_scripts_of_many_jobs_import_no_heavy_library(scripts):
    """Imports take seconds in each of a hundred jobs. One process imports the scripts in order."""
    program = (
        "import importlib, json, sys\n"
        "heavy = {}\n"
        "for name, libraries in json.loads(sys.argv[1]).items():\n"
        "    importlib.import_module(f'scripts.{name}')\n"
        "    heavy[name] = [library for library in libraries if library in sys.modules]\n"
        "print(json.dumps({name: found for name, found in heavy.items() if found}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(scripts)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_diffusers_imports_no_compiler():
    program = (
        "import sys\n"
        "import scripts.train_generator, scripts.generate\n"
        "from diffusers.utils.torch_utils import is_compiled_module\n"
        "import torch\n"
        "assert not is_compiled_module(torch.nn.Linear(1, 1))\n"
        "print('torch._dynamo.convert_frame' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


def test_torch_free_packages_import_no_torch_package():
    """Imports inside functions count here."""
    offenders = []
    for name in torch_free_modules():
        for node in ast.walk(tree(LIBRARY[name])):
            for target in imported_names(node):
                if target.startswith(tuple(f"synscale.{p}" for p in TORCH_PACKAGES)):
                    offenders.append(f"{name} imports {target}")
    assert offenders == []


def test_torch_setup_is_imported_once_in_each_torch_package():
    offenders = []
    for name, path in LIBRARY.items():
        package = name.split(".")[1] if "." in name else ""
        if package in TORCH_PACKAGES:
            starts = "\nimport synscale.runtime.torch_setup" in path.read_text()
            offenders += [name] if starts != (name == f"synscale.{package}") else []
    assert offenders == []


def imported_names(node: ast.AST) -> list[str]:
    """Return the modules and names that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def imports_at_start(name: str) -> set[str]:
    """Return the modules of the library that a module imports when it is imported."""
    targets = set()
    for node in tree(LIBRARY[name]).body:
        for target in imported_names(node):
            module = target if target in LIBRARY else target.rpartition(".")[0]
            targets |= {module} if module in LIBRARY else set()
    return targets - {name}


def test_library_has_no_import_cycles():
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in sorted(imports_at_start(name)):
                visit(target, (*path, name))
            done.add(name)

    for name in LIBRARY:
        visit(name, ())


def test_library_imports_no_script():
    offenders = []
    for name, path in LIBRARY.items():
        for node in ast.walk(tree(path)):
            targets = [t for t in imported_names(node) if t.split(".")[0] == "scripts"]
            offenders += [f"{name} imports {target}" for target in targets]
    assert offenders == []


def test_files_are_short():
    lengths = {
        path: len(path.read_text().splitlines()) for path in python_files("synscale", "scripts")
    }
    long = {path.name: length for path, length in lengths.items() if length > LARGEST_FILE}
    assert long == {}


def test_functions_are_short():
    long = {}
    for path in python_files("synscale", "scripts"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > LARGEST_FUNCTION:
                    long[f"{path.relative_to(ROOT)}: {node.name}"] = lines
    assert long == {}


def rule_files() -> list[Path]:
    return [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


def without_comments(path: Path) -> str:
    return re.sub(r"#.*", "", path.read_text())


def test_rules_use_named_functions():
    text = "".join(map(without_comments, rule_files()))
    assert text.count("lambda") <= MOST_LAMBDAS
    assert "partial" not in re.findall(r"\w+", text)


def test_common_rules_are_short():
    assert len((ROOT / "rules/common.smk").read_text().splitlines()) <= LARGEST_COMMON


def test_each_rule_has_a_script_of_its_name():
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    rules = {
        name
        for path in rule_files()
        for name in re.findall(
            r"^(?:use rule \w+ as|rule) (\w+)(?::| with:)", path.read_text(), re.M
        )
    }
    assert rules - {"all"} <= scripts


def test_tests_import_no_other_test():
    offenders = []
    for path in python_files("tests"):
        for node in ast.walk(tree(path)):
            for target in imported_names(node):
                if re.match(r"tests\.(unit|workflow|slurm)\b", target):
                    offenders.append(f"{path.relative_to(ROOT)} imports {target}")
    assert offenders == []


def text_files() -> list[Path]:
    files = [ROOT / "README.md", ROOT / "Makefile", ROOT / "config.yaml", ROOT / "pyproject.toml"]
    files += [*rule_files(), *python_files("synscale", "scripts", "benchmarks", "envs")]
    for pattern in (
        "docs/**/*.md",
        "report/*.rst",
        "studies/*.yaml",
        "envs/*.yaml",
        "profiles/**/*.yaml",
    ):
        files += sorted(ROOT.glob(pattern))
    return files


def test_named_files_exist():
    pattern = r"(?<![\w./{-])(?:synscale|scripts|benchmarks|envs|tests)/[\w/]+\.(?:py|lock|in)\b"
    missing = {}
    for path in text_files():
        names = set(re.findall(pattern, path.read_text(encoding="utf-8")))
        if absent := sorted(name for name in names if not (ROOT / name).exists()):
            missing[str(path.relative_to(ROOT))] = absent
    assert missing == {}
