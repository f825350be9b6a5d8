"""Public functions with several parameters, or with arrays, describe them."""

import ast
import re
from collections.abc import Iterator

from tests.support import prose

LIBRARY = re.compile(r"synscale/.*\.py")
SECTION = "Parameters\n----------"
# The docstring names a function with the same parameters, or a class that describes them.
REFERENCE = re.compile(r"[Pp]arameters\s+(as\s+of|of|are\s+those\s+of)\s+`?\w")
# Names from a study, which synscale/workflow/__init__.py describes.
STUDY_NAMES = {"architecture", "checkpoint", "experiments", "generator", "group", "law", "laws"}
STUDY_NAMES |= {"name", "recipe", "shard", "source", "sources", "split"}


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    others = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    names = [argument.arg for argument in [*named, *others]]
    return [name for name in names if name not in ("self", "cls")]


def needs_description(function: ast.FunctionDef) -> bool:
    has_arrays = re.search(r"\b(ndarray|Tensor)\b", ast.unparse(function.args))
    return len(parameters(function)) > 1 or has_arrays is not None


def documented_methods() -> dict[str, set[str]]:
    """Return the methods with a description of their parameters, by class."""
    methods: dict[str, set[str]] = {}
    for path in prose.tracked_files(LIBRARY):
        for node in ast.walk(prose.syntax_tree(path)):
            if isinstance(node, ast.ClassDef):
                functions = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                names = {item.name for item in functions if SECTION in (doc(item) or "")}
                methods.setdefault(node.name, set()).update(names)
    return methods


def doc(node: ast.FunctionDef | ast.ClassDef) -> str:
    return ast.get_docstring(node) or ""


def public_functions() -> Iterator[tuple[str, ast.FunctionDef, ast.ClassDef | None]]:
    """Yield file and name, function, and class of each public function and method."""
    for path in prose.tracked_files(LIBRARY):
        for node in prose.syntax_tree(path).body:
            items = node.body if isinstance(node, ast.ClassDef) else [node]
            for item in items:
                names = [part.name for part in {node: 0, item: 0} if hasattr(part, "name")]
                is_public = not any(name.startswith("_") for name in names)
                if isinstance(item, ast.FunctionDef) and is_public:
                    owner = node if isinstance(node, ast.ClassDef) else None
                    yield f"{path}: {'.'.join(names)}", item, owner


def has_shared_description(name: str, function: ast.FunctionDef, owner, methods) -> bool:
    """Whether the parameters are those of many functions, which are described together."""
    first, *others = parameters(function)
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    bases = [ast.unparse(base).rpartition(".")[2] for base in owner.bases] if owner else []
    return (
        first == "wildcards"  # Snakemake passes them to functions that rules name
        or "study_input" in decorators  # study and wildcards, synscale/workflow/studies.py
        or (first == "study" and set(others) <= STUDY_NAMES)
        or (name.startswith("synscale/study/checks/") and function.name.startswith("check_"))
        or any(function.name in methods.get(base, ()) for base in bases)
        or (owner is not None and "Methods take" in doc(owner))
    )


def test_public_functions_describe_their_parameters():
    methods = documented_methods()
    lacking = {
        name
        for name, function, owner in public_functions()
        if needs_description(function)
        and SECTION not in doc(function)
        and not REFERENCE.search(doc(function))
        and not has_shared_description(name, function, owner, methods)
    }
    assert not lacking


def test_parameters_sections_name_the_parameters():
    """Names in a section are parameters, and no parameter is left out."""
    wrong = {}
    for name, function, _ in public_functions():
        section = re.search(rf"{SECTION}\n(.*?)(\n\n[A-Z]\w+\n-+\n|\Z)", doc(function), re.S)
        if section:
            heads = re.findall(r"^([*\w][*\w, ]*?)(?: : .*)?$", section[1], re.M)
            names = [part.strip().lstrip("*") for head in heads for part in head.split(",")]
            if set(names) != set(parameters(function)):
                wrong[name] = sorted(set(names) ^ set(parameters(function)))
    assert wrong == {}
