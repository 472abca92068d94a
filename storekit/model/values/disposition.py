"""How a browser treats what a URL answers: the Content-Disposition of RFC 6266."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

from storekit.errors import ValidationError

LONGEST = 255
"""Characters; no file system takes more."""

# Controls, line separators and lone surrogates break the header; directional overrides make
# "gpj.exe" read as "exe.jpg".
_HOSTILE = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# A quote, backslash or percent sign in the plain form is read differently by different browsers.
_NOT_PLAIN = re.compile(r"[^ !#-$&-\[\]-~]")


def disposition(filename: str | None, inline: bool) -> str:
    """Write the header's value; a name beyond plain ASCII is sent in the form of RFC 5987 as well.

    >>> disposition("report.pdf", inline=False)
    'attachment; filename="report.pdf"'
    >>> disposition("Übersicht.pdf", inline=True)
    'inline; filename="_bersicht.pdf"; filename*=UTF-8\\'\\'%C3%9Cbersicht.pdf'

    Raises:
        ValidationError: the name holds a control character or is longer than 255 characters.
    """
    kind = "inline" if inline else "attachment"
    if not filename:
        return kind
    if len(filename) > LONGEST:
        raise ValidationError(f"a file name of {len(filename)} characters is over the limit of {LONGEST}")
    if found := _HOSTILE.search(filename):
        raise ValidationError(f"a file name may not hold U+{ord(found[0]):04X}; remove that character")
    plain = _NOT_PLAIN.sub("_", filename)
    if plain == filename:
        return f'{kind}; filename="{filename}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='!#$&+-.^_`|~')}"


_ACTIVE = re.compile(r"html|xml|svg|script|ecma|wasm", re.IGNORECASE)
_INERT = re.compile(
    r"(?:(?:image|audio|video)/[\w.+-]+|text/(?:plain|markdown|csv)|application/(?:pdf|json))\s*(?:;|$)",
    re.IGNORECASE | re.ASCII,
)


@lru_cache(maxsize=1024)
def is_active(media_type: str) -> bool:
    """Tell whether a browser would run what it shows: its type is hidden from browsers."""
    return bool(_ACTIVE.search(media_type))


@lru_cache(maxsize=1024)
def is_inert(media_type: str) -> bool:
    """Tell whether a browser is known to show it and nothing more: nothing else is served inline.

    >>> is_inert("application/pdf"), is_inert("image/svg+xml"), is_inert("multipart/x-mixed-replace")
    (True, False, False)
    """
    return not is_active(media_type) and bool(_INERT.match(media_type))
