"""The Content-Disposition header (RFC 6266): whether a browser shows or saves content, and its file name."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from os import PathLike
from typing import Any
from urllib.parse import quote

from storekit.errors import ValidationError

LONGEST = 255
"""Maximum number of characters of a file name; common file systems allow 255 bytes."""

# Control characters, line separators and lone surrogates would break the header. Characters that override the
# writing direction could make "gpj.exe" look like "exe.jpg".
_HOSTILE = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Browsers differ in how they read quotes, backslashes and percent signs in the plain form.
_NOT_PLAIN = re.compile(r"[^ !#-$&-\[\]-~]")


def disposition(filename: str | None, inline: bool) -> str:
    """Return the value of the header; a name that is not plain ASCII is added in the form of RFC 5987.

    >>> disposition("report.pdf", inline=False)
    'attachment; filename="report.pdf"'
    >>> disposition("Übersicht.pdf", inline=True)
    'inline; filename="_bersicht.pdf"; filename*=UTF-8\\'\\'%C3%9Cbersicht.pdf'

    Raises:
        ValidationError: the name contains a control character or is longer than 255 characters.
    """
    kind = "inline" if inline else "attachment"
    if not filename:
        return kind
    if len(filename) > LONGEST:
        raise ValidationError(f"the file name has {len(filename)} characters; the limit is {LONGEST}")
    if found := _HOSTILE.search(filename):
        raise ValidationError(f"a file name may not contain U+{ord(found[0]):04X}; remove that character")
    filename = filename.replace("/", "_").replace("\\", "_")  # some programs take them for directories
    plain = _NOT_PLAIN.sub("_", filename)
    if plain == filename:
        return f'{kind}; filename="{filename}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='!#$&+-.^_`|~')}"


def name_of(path: PathLike[Any]) -> str:
    """Return the file name of a path in a form that can be stored: it was not chosen for a download.

    >>> from pathlib import Path
    >>> name_of(Path("reports/q\\n1.pdf"))
    'q_1.pdf'
    """
    name = _HOSTILE.sub("_", os.path.basename(os.fsdecode(path)))
    stem, extension = os.path.splitext(name)
    return stem[: LONGEST - len(extension)] + extension if len(name) > LONGEST else name


# the types of Office documents contain "xml", but browsers download them
_ACTIVE = re.compile(r"html|xml(?!formats-officedocument\.)|svg|script|ecma|wasm", re.IGNORECASE)
_INERT = re.compile(
    r"(?:(?:image|audio|video)/[\w.+-]+|text/(?:plain|markdown|csv)|application/(?:pdf|json))\s*(?:;|$)",
    re.IGNORECASE | re.ASCII,
)


@lru_cache(maxsize=1024)
def is_active(media_type: str) -> bool:
    """Return whether a browser might execute content of this type, which is never served with it."""
    return bool(_ACTIVE.search(media_type))


@lru_cache(maxsize=1024)
def is_inert(media_type: str) -> bool:
    """Return whether browsers are known to display content of this type without executing it.

    Only such content may be served inline. A type that is not in the list counts as unsafe.

    >>> is_inert("application/pdf"), is_inert("image/svg+xml"), is_inert("multipart/x-mixed-replace")
    (True, False, False)
    """
    return not is_active(media_type) and bool(_INERT.match(media_type))
