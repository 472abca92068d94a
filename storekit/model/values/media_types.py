"""The media type of a file by the extension of its name: the same on every machine, unlike `mimetypes`."""

from __future__ import annotations

UNKNOWN = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
_BY_EXTENSION = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "gif": "image/gif",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "odp": f"{_OPEN}.presentation",
    "ods": f"{_OPEN}.spreadsheet",
    "odt": f"{_OPEN}.text",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}


def by_name(filename: str | None) -> str:
    """Return the media type of a file name; UNKNOWN if its extension is not in the list.

    >>> by_name("Offer.DOCX").rpartition(".")[2], by_name("offer")
    ('document', 'application/octet-stream')
    """
    return _BY_EXTENSION.get((filename or "").rpartition(".")[2].lower(), UNKNOWN)


def with_charset(media_type: str) -> str:
    """Return the media type of a text with its charset, without which browsers guess; UTF-8 if none is given.

    >>> with_charset("text/csv"), with_charset("text/csv; charset=latin-1"), with_charset("image/png")
    ('text/csv; charset=utf-8', 'text/csv; charset=latin-1', 'image/png')
    """
    text = media_type.lower().startswith("text/") and "charset" not in media_type.lower()
    return f"{media_type}; charset=utf-8" if text else media_type
