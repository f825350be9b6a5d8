"""The code that a rule depends on: its script and all modules of the project that it imports.

Snakemake reruns a job when one of its input files changes, but it does not know what a script
imports. Cheap rules (fits, figures and tables) list their code as inputs, so that an edit of any of
these modules makes them run again. Expensive rules do not: a comment in a training script must not
retrain a thousand models.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from pathlib import Path


@dataclass(frozen=True)
class Script:
    """A script of scripts/, by the name of its rule.

    A method is what `code` has to be: Snakemake does not tell an input function for which rule it
    is called, and calls it when the first job of the rule is planned, so that no other job spends
    time on it.
    """

    name: str

    def code(self, wildcards) -> list[str]:
        """Return the script and the modules that it imports, as inputs of its rule."""
        return _code(self.name)


@cache
def _code(name: str) -> list[str]:
    modules, _ = imports(Path("scripts", f"{name}.py"))
    return sorted(map(str, modules))


def imports(script: Path, root: Path = Path()) -> tuple[set[Path], set[str]]:
    """Return what a script imports, itself or through modules of the project.

    Imports inside functions count, except those of a package that is only on the way to one of its
    modules: its functions are not called.

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
        for in_function, package, targets in _statements(path, path.stat().st_mtime_ns, root):
            if in_function and not called:
                continue
            if package:
                packages.add(package)
            ahead += [(module, called and calls) for module, calls in targets]
    return {path for path, _ in seen}, packages


@cache
def _statements(
    path: Path, modified: int, root: Path
) -> tuple[tuple[bool, str, tuple[tuple[Path, bool], ...]], ...]:
    """Each import of a file as of its time of modification.

    That is: whether it is inside a function; the package, if it is not the project's; the project's
    modules, each with whether its functions may be called.
    """
    here = ".".join(path.relative_to(root).parent.parts)
    imported: list[tuple[bool, str, list[str]]] = []
    for node, in_function in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported += [(in_function, alias.name, []) for alias in node.names]
        else:
            name = resolve_name("." * node.level + (node.module or ""), here)
            imported.append((in_function, name, [f"{name}.{alias.name}" for alias in node.names]))
    statements: list[tuple[bool, str, tuple[tuple[Path, bool], ...]]] = []
    for in_function, name, members in imported:
        package = name.partition(".")[0]
        if package not in ("scripts", "synscale"):
            statements.append((in_function, package, ()))
            continue
        submodules = [_module(member, root) for member in members]
        *parents, module = [_module(parent, root) for parent in _with_parents(name)]
        targets = [(parent, False) for parent in parents]
        targets.append((module, not submodules or None in submodules))
        targets += [(submodule, True) for submodule in submodules]
        existing = tuple((path, calls) for path, calls in targets if path)
        statements.append((in_function, "", existing))
    return tuple(statements)


def _nodes(
    parent: ast.AST, in_function: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Import statements below a node, and whether each is inside a function."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, in_function
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _nodes(
                node, in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            )


def _with_parents(name: str) -> list[str]:
    """Return a dotted name after the packages that it is in: `a`, `a.b`, `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _module(name: str, root: Path) -> Path | None:
    """File of a module or package of the project; None if there is none of this name."""
    path = root / name.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None
