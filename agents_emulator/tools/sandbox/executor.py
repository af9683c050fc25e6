"""Executes code inside the locked child process; loaded by `supervisor.py`, never imported by the service.

Variables live from one execution to the next: those that can be pickled are kept in the state folder, each
by itself, so that one that cannot (an open file, a generator) is lost alone. Figures of matplotlib that are
open at the end and were not saved by the code count as shown and are left in the state folder as PNG files.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import linecache
import os
import pickle
import sys
import traceback
import warnings
from types import ModuleType
from typing import Any

FILE = "<code>"


def _load(path: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    if not os.path.exists(path):
        return namespace
    try:
        with open(path, "rb") as file:
            kept = dict(pickle.load(file))  # noqa: S301 - written here, read here
    except Exception as error:
        print(f"[the variables of earlier calls could not be restored: {error}]")
        return namespace
    for name, pickled in kept.items():
        try:
            namespace[name] = pickle.loads(pickled)  # noqa: S301
        except Exception as error:
            print(f"[the variable {name} could not be restored: {error}]")
    return namespace


def _save(path: str, namespace: dict[str, Any]) -> None:
    import cloudpickle

    kept: dict[str, bytes] = {}
    for name, value in namespace.items():
        if name.startswith("__"):
            continue
        try:
            kept[name] = cloudpickle.dumps(value)
        except Exception:
            print(f"[the variable {name} of type {type(value).__name__} is not kept for later calls]")
    with open(path + ".new", "wb") as file:
        pickle.dump(kept, file)
    os.replace(path + ".new", path)


class _WatchFigures(importlib.abc.MetaPathFinder):
    """Notes which figures the code saves itself, from the moment on that it imports matplotlib."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        if name != "matplotlib.figure":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_watch(module: ModuleType) -> None:
            load(module)
            original = module.Figure.savefig

            def savefig(figure: Any, *arguments: Any, **options: Any) -> Any:
                result = original(figure, *arguments, **options)
                figure.saved_by_code = True
                return result

            module.Figure.savefig = savefig

        spec.loader.exec_module = load_and_watch  # type: ignore[method-assign]
        return spec


def _show_figures(folder: str) -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    os.makedirs(folder, exist_ok=True)
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        if not getattr(figure, "saved_by_code", False):
            figure.savefig(os.path.join(folder, f"{number:04}.png"))


def _print_error(error: BaseException) -> None:
    # The frames of this module are nobody's concern.
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != FILE:
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def execute(code: str, data: str, state: str) -> None:
    """Execute `code` with the variables of earlier calls; the value of a last expression is printed."""
    variables = os.path.join(state, "variables.pickle")
    sys.meta_path.insert(0, _WatchFigures())
    warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
    sys.argv, sys.path[:] = [""], [path for path in sys.path if os.path.isdir(path)]
    namespace = _load(variables)
    namespace.update({"__name__": "__main__", "__builtins__": __builtins__})
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    try:
        tree = ast.parse(code, FILE)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, FILE, "exec"), namespace)  # noqa: S102 - what this module is for
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), FILE, "eval"), namespace)  # noqa: S307
            if value is not None:
                print(repr(value))
    except SystemExit:
        print("[the code left by sys.exit]")
    except BaseException as error:
        _print_error(error)
    try:
        _show_figures(os.path.join(state, "shown"))
        _save(variables, namespace)
    except Exception as error:
        print(f"[figures or variables could not be kept: {type(error).__name__}: {error}]")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
