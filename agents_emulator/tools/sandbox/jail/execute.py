"""Executes code with the variables of earlier calls; runs in the jail only.

Variables live from one execution to the next: those that can be pickled are kept, each by itself, so that one
that cannot (an open file, a generator) is lost alone. They are unpickled here and nowhere else. Figures of
matplotlib that are open at the end and were not saved by the code count as shown.
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
            kept = dict(pickle.load(file))  # noqa: S301 - in the jail
    except Exception as error:
        print(f"[the variables of earlier calls could not be restored: {error}]")
        return namespace
    for name, pickled in kept.items():
        try:
            namespace[name] = pickle.loads(pickled)  # noqa: S301 - in the jail
        except Exception as error:
            print(f"[the variable {name} could not be restored: {error}]")
    return namespace


def _save(path: str, namespace: dict[str, Any]) -> None:
    values = {name: value for name, value in namespace.items() if not name.startswith("__")}
    if not values:
        if os.path.exists(path):
            os.unlink(path)
        return
    import cloudpickle  # takes longer than most code, which leaves nothing to keep

    kept: dict[str, bytes] = {}
    for name, value in values.items():
        try:
            kept[name] = cloudpickle.dumps(value)
        except Exception:
            print(f"[the variable {name} of type {type(value).__name__} is not kept for later calls]")
    partial = path + ".new"
    try:
        with open(partial, "wb") as file:
            pickle.dump(kept, file)
    except OSError:  # no room; those of the call before stay
        os.unlink(partial)
        raise
    os.replace(partial, path)


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
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        if not getattr(figure, "saved_by_code", False):
            figure.savefig(os.path.join(folder, f"{number:04}.png"))


def _print_error(error: BaseException) -> None:
    sys.stdout.flush()  # what was printed before comes before
    # The frames of this module are nobody's concern.
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != FILE:
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def execute(code: str, variables: str, shown: str) -> None:
    """Execute `code` in the current folder; the value of a last expression is printed.

    Args:
        code: Python, as a model wrote it.
        variables: the file of the variables, read before and written afterwards.
        shown: an empty folder for figures.
    """
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
        _show_figures(shown)
        _save(variables, namespace)
    except Exception as error:
        print(f"[figures or variables could not be kept: {type(error).__name__}: {error}]")
