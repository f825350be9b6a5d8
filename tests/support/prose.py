"""Texts and error messages of the tracked files, as the prose tests read them."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain

from tests.support.workflow import ROOT

TEXT_FILES = re.compile(
    r"(README|CHANGELOG|CONTRIBUTING)\.md|docs/.*\.md|report/.*\.rst|Makefile|Snakefile"
    r"|(config|studies/.*|profiles/.*|envs/.*|synscale/.*|tests/.*)\.yaml|rules/.*\.smk"
    r"|envs/(Dockerfile|.*\.def)|\.ci/run|\.github/.*|pyproject\.toml"
)
PYTHON_FILES = re.compile(r"(synscale|scripts|benchmarks|envs|tests)/.*\.py")


@dataclass(frozen=True)
class Passage:
    """A paragraph, docstring, block of comments, string or name of a test, on one line."""

    path: str
    line: int
    text: str


@dataclass(frozen=True)
class Message:
    """An error message; `{}` stands for each inserted value."""

    path: str
    line: int
    text: str


@cache
def tracked_files(pattern: re.Pattern) -> tuple[str, ...]:
    """Return the tracked files whose complete path matches, relative to the project."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    names = [name for name in listing.split("\0") if pattern.fullmatch(name)]
    return tuple(name for name in names if (ROOT / name).is_file())


@cache
def syntax_tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def paragraphs(path: str) -> Iterator[Passage]:
    """Yield the paragraphs of a text file, without the marks of its comments."""
    line = 1
    for part in re.split(r"(\n\s*\n)", (ROOT / path).read_text(encoding="utf-8")):
        if part.strip():
            words = re.sub(r"^[ \t]*#+", "", part, flags=re.M)
            yield Passage(path, line, one_line(words))
        line += part.count("\n")


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment; neighbouring lines with only comments are one."""
    start, previous, words = 0, 0, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, is_alone_there = token.start[0], token.line.lstrip().startswith("#")
        if words and not (is_alone_there and line == previous + 1):
            yield start, "# " + " ".join(words)
            words = []
        start = line if not words else start
        previous = line if is_alone_there else 0
        words.append(token.string.lstrip("#: "))
    if words:
        yield start, "# " + " ".join(words)


def literal_text(node: ast.expr) -> str:
    """Return the text of a string expression, with `{}` in place of other values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(literal_text, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal_text(node.left) + literal_text(node.right)
    return "{}"


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string with several words, docstrings included."""
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inner:
            text = one_line(literal_text(node))
            if " " in text:
                yield node.lineno, text


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def tests_of(path: str) -> list[ast.FunctionDef]:
    return [node for node in functions(syntax_tree(path)) if node.name.startswith("test_")]


@cache
def passages(files: re.Pattern) -> tuple[Passage, ...]:
    """Return every text of these files that a person reads: PYTHON_FILES or TEXT_FILES."""
    by_file = (
        passages_of_python(path) if path.endswith(".py") else paragraphs(path)
        for path in tracked_files(files)
    )
    return tuple(chain.from_iterable(by_file))


def passages_of_python(path: str) -> Iterator[Passage]:
    tree = syntax_tree(path)
    names = ((test.lineno, test.name.replace("_", " ")) for test in tests_of(path))
    source = (ROOT / path).read_text(encoding="utf-8")
    for line, text in [*comments(source), *strings(tree), *names]:
        yield Passage(path, line, text)


def assigned_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of each variable, argument, function and class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


# Functions and methods that end a job with the message that is their last argument.
REPORTING = ("exit", "SystemExit", "parser.error", "note")


def error_messages() -> Iterator[Message]:
    """Yield the messages that the library and the scripts raise, print at exit or collect.

    A message in a variable is that of its assignments in the function.
    """
    for path in tracked_files(re.compile(r"(synscale|scripts)/.*\.py")):
        tree = syntax_tree(path)
        messages = set()
        for scope in [tree, *functions(tree)]:
            messages |= set(messages_of(scope, path.startswith("synscale/study/checks/")))
        for line, text in sorted(messages):
            yield Message(path, line, one_line(text))


def messages_of(scope: ast.AST, is_check: bool) -> Iterator[tuple[int, str]]:
    """Yield line and text of each message of a function. Checks of a study yield messages."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(scope):
        argument = message_argument(node, is_check)
        if isinstance(argument, ast.Name) and not isinstance(scope, ast.Module):
            for value in values.get(argument.id, []):
                yield from texts_with_words(value)
        elif argument is not None:
            yield from texts_with_words(argument)


def texts_with_words(node: ast.expr) -> Iterator[tuple[int, str]]:
    choices = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    for choice in choices:
        text = literal_text(choice)
        if re.search(r"[a-z]{2}", text):
            yield choice.lineno, text


def message_argument(node: ast.AST, is_check: bool) -> ast.expr | None:
    """Return the expression of the message that a statement or call reports."""
    if is_check and isinstance(node, ast.Yield):
        return node.value
    call = node.exc if isinstance(node, ast.Raise) else node
    if not isinstance(call, ast.Call) or not call.args:
        return None
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "error":
        name = ast.unparse(call.func)
    is_error = isinstance(node, ast.Raise) or name in REPORTING or name.endswith("Error")
    return call.args[-1] if is_error else None
