"""The code that a rule depends on: its script and every module of the project that the script imports.

Snakemake reruns a job when one of its input files changes, but it does not know what a script imports. Cheap rules (fits, figures and
tables) list their code as inputs, so that an edit of any of these modules makes them run again. Expensive rules do not: a comment in a
training script must not retrain a thousand models.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path


def code_of(script: str) -> Callable[..., list[str]]:
    """Return the input function of a rule that runs `python -m scripts.{script}`.

    The files are found when the first job of the rule is planned, so that no other job spends time on it.
    """

    @cache
    def modules() -> list[str]:
        return sorted(map(str, imports(Path("scripts", f"{script}.py"))[0]))

    def files(wildcards) -> list[str]:
        return modules()

    return files


def imports(script: Path, root: Path = Path()) -> tuple[set[Path], set[str]]:
    """Return what a script imports, itself or through modules of the project.

    Imports inside functions count, except those of a package that is only on the way to one of its modules: its functions are not called.

    Parameters
    ----------
    script : Path
    root : Path
        Folder that has the package `scripts`.

    Returns
    -------
    modules : set of Path
        The script and the project's modules, packages on the way included.
    packages : set of str
        Top-level names of everything else.
    """
    seen, ahead, packages = set(), [(script, True)], set()
    while ahead:
        path, called = ahead.pop()
        if (path, called) in seen:
            continue
        seen.add((path, called))
        for name, members, in_function in _statements(path, path.stat().st_mtime_ns, root):
            if in_function and not called:
                continue
            if name.partition(".")[0] != "scripts":
                packages.add(name.partition(".")[0])
                continue
            within = [module for member in members if (module := _module(f"{name}.{member}", root))]
            *above, module = [_module(package, root) for package in _with_parents(name)]
            found = [(package, False) for package in above]
            found += [(module, called and not (members and len(within) == len(members)))]
            found += [(member, called) for member in within]
            ahead += [(path, called) for path, called in found if path]
    return {path for path, _ in seen}, packages


@cache
def _statements(path: Path, modified: int, root: Path) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
    """Import statements of a file as of its time of modification: module, names taken from it, whether inside a function."""
    package = ".".join(path.relative_to(root).parent.parts)
    found = []
    for node, in_function in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, (), in_function) for alias in node.names]
        else:
            name = resolve_name("." * node.level + (node.module or ""), package)
            found.append((name, tuple(alias.name for alias in node.names), in_function))
    return tuple(found)


def _nodes(parent: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Import statements below a node, and whether each is inside a function."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, in_function
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _nodes(node, in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _with_parents(name: str) -> list[str]:
    """A dotted name after the packages that it is in: `a`, `a.b`, `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _module(name: str, root: Path) -> Path | None:
    """File of a module or package of the project; None if there is none of this name."""
    place = root / name.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
