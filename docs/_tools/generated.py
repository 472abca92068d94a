"""A Sphinx extension: tables of errors and commands, read from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import storekit
from storekit import StorekitError
from storekit.cli import app

_OPTION = re.compile(r"--[a-z][a-z-]*")


def cell(content: object) -> str:
    """Return text that stays within one cell of a table."""
    return " ".join(str(content).replace("|", "\\|").split())


def table(heads: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    for row in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(row)} |"
    yield ""


def errors(root: type[StorekitError] = StorekitError, depth: int = 0) -> Iterator[str]:
    """Yield a nested list of every error: its meaning, and whether a retry can help."""
    meaning = cell(inspect.getdoc(root) or "").partition(". ")[0].rstrip(".")
    retryable = " *Retryable.*" if root.retryable else ""
    yield f"{'  ' * depth}- {{py:class}}`~storekit.{root.__name__}`: {meaning}.{retryable}"
    for each in root.__subclasses__():
        if each.__name__ in storekit.__all__:
            yield from errors(each, depth + 1)


def commands() -> Iterator[str]:
    """Yield a section for each command of the command line."""
    yield from command("storekit", typer.main.get_command(app))


def command(path: str, found: Any) -> Iterator[str]:
    """Yield a command's usage, help and options, then its subcommands."""
    parameters = [each for each in found.params if getattr(each, "help", None)]
    # A literal block: Markdown would drop <rule> as a tag, and turn two hyphens into a dash.
    yield from (f"## {path}", "", "```text", *(found.help or "").splitlines(), "```", "")
    if parameters:
        yield from table(["argument or option", "default", "meaning"], [*map(described, parameters)])
    for name, each in getattr(found, "commands", {}).items():
        yield from command(f"{path} {name}", each)


def described(parameter: Any) -> list[str]:
    """Return the row of one argument or option: its name, default and meaning."""
    meaning = _OPTION.sub(r"`\g<0>`", cell(parameter.help))
    if parameter.param_type_name == "argument":
        return [f"`{parameter.name.upper()}`", preset(parameter), meaning]
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return [f"`{', '.join(parameter.opts)}{value}`", preset(parameter), meaning]


def preset(parameter: Any) -> str:
    """Return the text of a parameter's default."""
    if parameter.required:
        return "required"
    return "" if parameter.is_flag or parameter.default is None else f"`{parameter.default}`"


class Generated(SphinxDirective):
    """Insert the lines that one of the functions above yields: `{generated} errors`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lines = {"errors": errors, "commands": commands}[self.arguments[0]]()
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True}
