"""Sphinx configuration: `make docs` builds the pages and the reference as HTML; a warning is an error."""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import storekit
import storekit.agency
import storekit.testing

sys.path.insert(0, str(Path(__file__).parent / "_tools"))

project = "storekit"
version = release = version_of("storekit")
copyright = "the authors of storekit"  # noqa: A001 the name that Sphinx reads

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_tools"]
html_theme = "furo"
html_title = f"storekit {version}"

myst_heading_anchors = 3
default_role = "code"
smartquotes_action = "D"  # dashes, but no curly quotes: docstrings quote code
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

napoleon_custom_sections = [("Class keywords", "params_style")]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True

# Annotations name these: no inventory of other projects is downloaded, and a type variable has no page.
nitpick_ignore_regex = [
    ("py:class", r"storekit\..*\.([A-Z]|BaseCursor|HasTable)|OnDelete|Traversable"),
    ("py:.*", r"(collections|datetime|decimal|enum|os|pathlib|typing|uuid|importlib|types)\..*"),
    ("py:.*", r"(psycopg|pydantic|annotated_types)\..*"),
    (
        "py:.*",
        r"(str|int|float|bool|bytes|dict|list|tuple|object|type|None|UUID|Path|PathLike|timedelta|\.\.\.)",
    ),
]

CONSTRUCTED_BY_STOREKIT = {
    f"storekit.{prefix}{name}"
    for prefix in ("", "Async")
    for name in ("Store", "Scope", "Relay", "Repository", "Transaction", "Cursor", "BlobStream", "Page")
}
MIXINS = {"storekit.Entity", "storekit.Mutable", "storekit.SoftDelete"}

# Users import everything from these packages, so annotations that name the place of definition lead there.
PUBLIC_NAMES = {
    f"{thing.__module__}.{thing.__qualname__}": f"{package.__name__}.{name}"
    for package in (storekit, storekit.testing, storekit.agency)
    for name in package.__all__
    if inspect.isclass(thing := getattr(package, name))
}


def link_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Link a class by the name under which users import it."""
    name = PUBLIC_NAMES.get(node.get("reftarget", ""))
    if name is None or node.get("refdomain") != "py":
        return None
    return env.domains["py"].resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], name, node, content
    )


def hide_constructor(
    app: Sphinx,
    what: str,
    name: str,
    thing: object,
    options: object,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None]:
    """Leave out the parameters of classes that users do not construct."""
    if what == "class" and name in CONSTRUCTED_BY_STOREKIT | MIXINS:
        return "", None
    return signature, result


def show_example_as_code(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Show the block below "Example:" as code, unless it is a doctest, which docutils recognises."""
    heading = next((place for place, line in enumerate(lines) if line.strip() == "Example:"), None)
    if heading is not None and ">>> " not in "".join(lines[heading:]):
        lines[heading : heading + 1] = [f"{lines[heading]}:", ""]


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("autodoc-process-docstring", show_example_as_code, priority=400)  # before napoleon's
    app.connect("missing-reference", link_public_name)
    app.connect("autodoc-process-signature", hide_constructor)
