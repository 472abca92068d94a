"""Draw docs/explanation/architecture.svg: the layers of the code, and the path of a save.

The layers are read from `[tool.importlinter]` in pyproject.toml, so the picture shows what CI enforces.

    python docs/_tools/architecture.py            write the picture
    python docs/_tools/architecture.py --check    exit with code 1 if the file is out of date
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "explanation" / "architecture.svg"

KINDS = {  # fill, edge, meaning
    "public": ("#e3ecfd", "#4a7bd0", "imported by users"),
    "io": ("#fdebd6", "#cf8a33", "performs I/O"),
    "pure": ("#e1f3e5", "#459a60", "no I/O of its own"),
    "base": ("#f0f1f4", "#8d95a3", "shared"),
}
PACKAGES = {
    "cli": ("io", "the storekit command"),
    "demo": ("io", "storekit demo"),
    "testing": ("public", "in-memory stores, faults"),
    "agency": ("public", "reference entities of a marketing agency"),
    "api": ("public", "Store, Scope, Repository, Transaction; sync and async"),
    "assembly": ("io", "connects flows and drivers"),
    "deploy": ("io", "migrations, embedded start"),
    "flows": ("pure", "the steps of each call"),
    "drivers": ("io", "Postgres, MongoDB, S3"),
    "embedded": ("io", "servers from wheels"),
    "schema": ("pure", "SQL of classes and migrations: render, diff, lint"),
    "model": ("pure", "entities, values, plans, filters, pages"),
    "ports": ("pure", "what flows can ask of the stores"),
    "bridge": ("base", "sync from async"),
    "trace": ("base", "observed steps"),
    "settings": ("base", "environment"),
    "ids": ("base", "UUIDs and ULIDs"),
    "errors": ("base", "every error that storekit raises"),
}

CALLER, STOREKIT, POSTGRES, MONGODB, S3 = LIFELINES = ["your code", "storekit", "Postgres", "MongoDB", "S3"]
MESSAGES = [  # y, from, to, name, content
    (158, CALLER, STOREKIT, "save(record)", ""),
    (308, STOREKIT, POSTGRES, "3  stage", "write, lease, parts"),
    (404, STOREKIT, MONGODB, "", "documents"),
    (442, STOREKIT, S3, "", "blobs"),
    (524, STOREKIT, POSTGRES, "5  commit", "rows, refs, events"),
    (628, STOREKIT, CALLER, "saved record", ""),
]
NOTES = [  # y, step, what storekit does without a store
    (176, "1  plan", "find changes, check limits"),
    (226, "2  measure", "size and SHA-256 of blobs"),
]
WAVE, VISIBLE = (348, 466), 576

WIDTH, HEIGHT, TOP, BOTTOM = 1180, 700, 88, 650
LEFT, COLUMN, ROW = 44, 460, 52
FIRST, STEP = 614, 126

STYLE = """<style>
text { font-family: Inter, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #1f2733; }
.title { font-size: 19px; font-weight: 700; }
.small { font-size: 12.5px; fill: #55606f; }
.name { font-size: 13px; font-weight: 700; }
.what { font-size: 11.5px; fill: #4a5462; }
.halo, .wave { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; }
.wave { stroke: #f7f8fa; }
.strong { font-size: 11.5px; font-weight: 700; fill: #2f7d49; }
.line { stroke: #1f2733; stroke-width: 1.4; fill: none; }
.lifeline { stroke: #b4bbc6; stroke-width: 1.2; }
.visible { stroke: #459a60; stroke-width: 1.4; stroke-dasharray: 6 5; }
</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L10 5 L0 10 z" fill="#1f2733"/></marker></defs>"""


def layers() -> list[list[str]]:
    """Return the packages of each layer of the import contract, top first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    contract = next(each for each in contracts if each["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def text(x: float, y: float, content: str, style: str, anchor: str = "start") -> str:
    """Return one line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}">{escape(content)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str, radius: int = 6) -> str:
    """Return a rounded box with the fill and edge of its kind."""
    fill, edge = KINDS[kind][:2] if kind in KINDS else ("#f7f8fa", "#c9cfd8")
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" '
        f'fill="{fill}" stroke="{edge}"/>'
    )


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return an arrow."""
    return f'<path d="M{x:g} {y:g} L{to_x:g} {to_y:g}" class="line" marker-end="url(#tip)"/>'


def layer_panel() -> Iterator[str]:
    """Draw the layers as rows of boxes, top first."""
    yield text(LEFT, 44, "Layers", "title")
    yield text(LEFT, 66, "A package imports only from the rows below it.", "small")
    gap, y = 8.0, TOP
    for row in layers():
        width = (COLUMN - gap * (len(row) - 1)) / len(row)
        for place, name in enumerate(row):
            kind, what = PACKAGES[name]
            x = LEFT + place * (width + gap)
            yield box(x, y, width, ROW - gap, kind)
            yield text(x + width / 2, y + 17, name, "name", "middle")
            yield text(x + width / 2, y + 33, what, "what", "middle")
        y += ROW
    yield arrow(LEFT - 16, TOP + 4, LEFT - 16, y - gap - 4)
    x = LEFT
    for kind, (_, _, meaning) in KINDS.items():
        yield box(x, y + 10, 14, 14, kind, radius=3)
        yield text(x + 20, y + 21, meaning, "small")
        x += 38 + 6.2 * len(meaning)


def place_of(lifeline: str) -> int:
    """Return the x coordinate of a lifeline."""
    return FIRST + STEP * LIFELINES.index(lifeline)


def save_panel() -> Iterator[str]:
    """Draw the path of a save as messages between the caller, storekit and the stores."""
    left, right = FIRST - 50, place_of(S3) + 50
    yield text(left, 44, "The path of a save", "title")
    yield text(left, 66, "One Postgres round trip, a wave of uploads, one Postgres round trip.", "small")
    yield box(place_of(STOREKIT) - 14, WAVE[0], right - place_of(STOREKIT) + 14, WAVE[1] - WAVE[0], "wave")
    for name in LIFELINES:
        x = place_of(name)
        yield f'<path d="M{x} {TOP + 34} V{BOTTOM}" class="lifeline"/>'
        yield box(x - 46, TOP, 92, 34, "public" if name == CALLER else "io" if name != STOREKIT else "pure")
        yield text(x, TOP + 22, name, "name", "middle")
    yield from visible(left, right)
    for y, title, what in NOTES:
        x = place_of(STOREKIT) - 14
        yield box(x, y, 300, 38, "pure")
        yield text(x + 14, y + 24, title, "name")
        yield text(x + 104, y + 24, what, "what")
    yield text(place_of(STOREKIT) + 14, WAVE[0] + 24, "4  wave", "name")
    yield text(place_of(STOREKIT) + 90, WAVE[0] + 24, "all uploads in parallel", "what wave")
    for y, sender, receiver, title, what in MESSAGES:
        yield from message(y, place_of(sender), place_of(receiver), title, what)
    yield text(left, BOTTOM + 31, "A save without new parts needs only steps 1 and 5.", "small")


def visible(left: int, right: int) -> Iterator[str]:
    """Draw the line at which the record becomes visible."""
    yield f'<path d="M{left} {VISIBLE} H{right}" class="visible"/>'
    yield text(right, VISIBLE - 9, "until here, readers see nothing of this save", "what halo", "end")
    yield text(right, VISIBLE + 19, "from here on, readers see the whole record", "strong halo", "end")


def message(y: int, start: int, end: int, title: str, what: str) -> Iterator[str]:
    """Draw one message: an arrow, its name above and its content below."""
    edge = 6 if end > start else -6
    yield arrow(start + edge, y, end - edge, y)
    x = start + 14 if end > start else end + 14
    yield text(x, y - 8, title, "name")
    if what:
        yield text(x, y + 16 if title else y - 6, what, "what")


def picture() -> str:
    """Return the whole picture as SVG."""
    body = "\n".join([*layer_panel(), *save_panel()])
    label = "The layers of storekit and the path of a save"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">\n'
        f"<!-- Written by docs/_tools/architecture.py; edit that file. -->\n{STYLE}\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def main() -> None:
    """Write the picture, or check that the file is up to date."""
    if "--check" not in sys.argv:
        PICTURE.write_text(picture(), encoding="utf-8")
    elif PICTURE.read_text(encoding="utf-8") != picture():
        sys.exit(f"{PICTURE} is out of date; run python docs/_tools/architecture.py")


if __name__ == "__main__":
    main()
