"""The examples in docstrings are correct, and each public name of the model has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import storekit

ROOT = Path(storekit.__file__).parents[1]
PUBLIC = {name: getattr(storekit, name) for name in storekit.__all__}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


STORE_EXAMPLES = ("storekit.api.", "storekit.ports.", "storekit.testing.memory")
"""Modules whose examples need an open store: tests/unit/test_api_docs.py runs them."""

RETURNED = {"BlobMark", "DocumentMark", "Index", "LookupMark", "Migration", "MovesMark", "ReferenceMark"}
"""Classes that a function of storekit returns and that users never construct."""


def modules() -> list[str]:
    """Return the names of the modules that contain examples which need no store."""
    files = sorted((ROOT / "storekit").rglob("*.py"))
    paths = [file.relative_to(ROOT) for file in files if ">>> " in file.read_text(encoding="utf-8")]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    names = [name for name in names if not name.startswith(STORE_EXAMPLES)]
    # `__module__` of an error is the package that exports it
    return [
        *dict.fromkeys("storekit.errors" if name.startswith("storekit.errors.") else name for name in names)
    ]


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_are_correct(name: str) -> None:
    """Each example prints what its docstring shows; public names of storekit are already imported."""
    module = importlib.import_module(name)
    names = {**vars(module), **PUBLIC}
    names.pop("annotations", None)  # examples evaluate their annotations, as the code of users does
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in doctest.DocTestFinder().find(module, name, globs=names):
        runner.run(test, out=report.append)
    assert runner.tries
    assert not report, "".join(report)


def declared() -> dict[str, Any]:
    """Return the public functions and classes of the model, its schema and its errors."""
    homes = ("storekit.model.", "storekit.schema.", "storekit.errors")
    documented = {
        name: each for name, each in PUBLIC.items() if inspect.isroutine(each) or inspect.isclass(each)
    }
    return {
        name: each
        for name, each in documented.items()
        if each.__module__.startswith(homes) and name not in RETURNED
    }


@pytest.mark.parametrize("name", declared())
def test_a_public_name_of_the_model_has_an_example(name: str) -> None:
    """`help()` of a function, an error or a class of a declaration shows an example."""
    assert ">>> " in (PUBLIC[name].__doc__ or "")
