"""Postpone the import of torch's compiler until a model is compiled.

torch._dynamo with sympy takes as long to import as torch itself, and most jobs compile nothing.
Still, torch's optimizers, torchvision, diffusers and transformers import it. This module registers
stand-ins that answer those few calls as torch does without compilation. Any other use, such as
torch.compile, replaces the stand-ins by the real modules first.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

import torch

COMPILER = "torch._dynamo"


class StandIn(ModuleType):
    """Module that loads the real compiler when an attribute is used that it does not have."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks every module for some of these
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        load()
        return getattr(importlib.import_module(self.__name__), name)


class LoadedModule(Loader):
    """Loader of a module that was imported while its specification was looked up.

    Parameters
    ----------
    module : module
    """

    def __init__(self, module: ModuleType):
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's specification, which the import system has replaced."""
        module.__spec__ = self.spec


class CompilerFinder(MetaPathFinder):
    """Load the real compiler when one of its modules without a stand-in is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a module of the compiler, None for other modules.

        Parameters are those of importlib.abc.MetaPathFinder.find_spec.
        """
        if not name.startswith(COMPILER + "."):
            return None
        load()
        module = sys.modules.get(name) or importlib.import_module(name)
        return ModuleSpec(name, LoadedModule(module), is_package=hasattr(module, "__path__"))


class Untraced:
    """A function that the compiler shall not trace, as of `torch.compiler.disable`.

    Parameters
    ----------
    function : callable
    recursive : bool
        Whether it may not trace what the function calls either.
    """

    def __init__(self, function: Callable, recursive: bool):
        self.function = function
        self.recursive = recursive

    def wrapper(self) -> Callable:
        """Return a function that calls this one, disabled once the compiler is loaded."""

        @wraps(self.function)
        def call(*arguments: Any, **options: Any) -> Any:
            return self.function(*arguments, **options)

        return call


_FINDER = CompilerFinder()
_stand_ins: dict[str, StandIn] = {}
_untraced: list[Untraced] = []
_marked: list[tuple[str, Any]] = []


def _disable(function: Callable | None = None, recursive: bool = True, **options: Any) -> Callable:
    """Return a function that the compiler shall not trace."""
    if function is None:
        return partial(_disable, recursive=recursive, **options)
    if not isinstance(function, FunctionType):
        return load().disable(function, recursive, **options)
    _untraced.append(Untraced(function, recursive))
    return _untraced[-1].wrapper()


def _marker(name: str) -> Callable:
    """Return a function that remembers what it marks, and returns it unchanged as torch's does."""

    def mark(target: Any) -> Any:
        _marked.append((name, target))
        return target

    return mark


def _graph_break(*arguments: Any, **options: Any) -> None:
    """Do nothing, as outside of a compiled function."""


def _deferred(module: str, name: str) -> Callable:
    """Return a function that calls the one of the real module."""

    def call(*arguments: Any, **options: Any) -> Any:
        load()
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    return call


def install() -> None:
    """Register the stand-ins, unless the compiler is imported already."""
    if COMPILER in sys.modules:
        return
    compiler = StandIn(COMPILER)
    compiler.__path__ = []
    eval_frame = StandIn(f"{COMPILER}.eval_frame")
    vars(eval_frame)["OptimizedModule"] = type("OptimizedModule", (), {})
    # diffusers asks by the attribute eval_frame whether a model is compiled.
    vars(compiler).update(disable=_disable, graph_break=_graph_break, eval_frame=eval_frame)
    for name in ("allow_in_graph", "assume_constant_result"):
        setattr(compiler, name, _marker(name))
    _stand_ins[COMPILER] = compiler
    used = {"utils": "is_compile_supported"}  # by torchvision
    used |= {"_trace_wrapped_higher_order_op": "TransformGetItemToIndex"}  # by transformers
    for child, name in used.items():
        module = StandIn(f"{COMPILER}.{child}")
        setattr(module, name, _deferred(module.__name__, name))
        _stand_ins[module.__name__] = module
    sys.modules.update(_stand_ins)
    sys.meta_path.insert(0, _FINDER)
    torch._dynamo = compiler


def load() -> ModuleType:
    """Replace the stand-ins by the real compiler, and report to it what they were called with."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
        for name, stand_in in _stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
            for attribute in [key for key in vars(stand_in) if not key.startswith("__")]:
                delattr(stand_in, attribute)  # from now on, the real module's
        del torch._dynamo
        compiler = importlib.import_module(COMPILER)
        for untraced in _untraced:
            untraced.function = compiler.disable(untraced.function, untraced.recursive)
        for name, target in _marked:
            getattr(compiler, name)(target)
    return importlib.import_module(COMPILER)
