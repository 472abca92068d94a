"""`Blob`: content on its way to S3, or what the ledger knows of content that is there."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from storekit.errors import UsageError, ValidationError
from storekit.model.values.source import CHUNK, Content, MeasuredSource, opener, seekable, spooled

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue


_CONSUMED: Content = iter(())


class Blob:
    """Content of a field kept in S3.

    A `str` is content, encoded as UTF-8; a `Path` is a file. Files and file objects are streamed, an
    iterator is spooled to disk first: nothing is read whole into memory.

    >>> Blob("# hi", media_type="text/markdown")
    Blob(media_type='text/markdown')
    """

    __slots__ = ("_content", "_start", "filename", "media_type", "rereadable", "sha256", "size")

    def __init__(
        self, content: Content, *, media_type: str | None = None, filename: str | None = None
    ) -> None:
        if not isinstance(content, str | bytes | PathLike | Iterable) and not hasattr(content, "read"):
            raise UsageError(f"a Blob takes str, bytes, a path, a file or an iterator, not {type(content)}")
        for name, given in (("media_type", media_type), ("filename", filename)):
            if given is not None and not isinstance(given, str):
                raise UsageError(f"a Blob's {name} is a str, not {type(given).__name__}")
        self._content: Content | None = content
        file = seekable(content)
        self._start = cast(IO[bytes], content).tell() if file else 0
        self.rereadable = file or isinstance(content, str | bytes | PathLike)
        """Whether another process could send the same bytes again; an iterator is read once."""
        self.media_type = media_type
        self.filename = Path(content).name if isinstance(content, PathLike) and not filename else filename
        self.size: int | None = None
        """Bytes; None until it is saved."""
        self.sha256: str | None = None
        """Hex digest; None until it is saved."""

    @classmethod
    def stored(cls, size: int, sha256: str, media_type: str | None, filename: str | None) -> Blob:
        """Describe content that is in S3 already."""
        blob = cls(b"", media_type=media_type, filename=filename)
        blob._content, blob.size, blob.sha256 = None, size, sha256
        return blob

    @property
    def cheap(self) -> bool:
        """Whether measuring it needs no disk and little time."""
        return isinstance(self._content, str | bytes) and len(self._content) <= CHUNK

    def measure(self, where: str) -> MeasuredSource:
        """Read the content once for its size and SHA-256 (blocking); `where` names the field in errors.

        Raises:
            ValidationError: the file cannot be read, or is larger than 5 GiB.
            UsageError: the content is not here, because this Blob was loaded.
        """
        if self._content is None:
            raise UsageError(
                f"{where}: this Blob was loaded, its content is in S3; read() it, save new content"
            )
        if self._content is _CONSUMED:
            raise ValidationError("its iterator was consumed; give new content", field=where)
        try:
            if not self.rereadable and not seekable(self._content):
                # one that fails half-way cannot give its first half again
                once, self._content = self._content, _CONSUMED
                self._content = spooled(cast(Iterable[bytes], once))
            source = MeasuredSource(opener(self._content, self._start))
        except (OSError, ValueError, ValidationError) as error:
            raise ValidationError(f"its content cannot be read: {error}", field=where) from error
        self.size, self.sha256 = source.size, source.sha256.hex()
        return source

    def __repr__(self) -> str:
        facts = {"size": self.size, "sha256": self.sha256, "media_type": self.media_type}
        return f"Blob({', '.join(f'{k}={v!r}' for k, v in facts.items() if v is not None)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blob) or self.sha256 is None or other.sha256 is None:
            return self is other
        return (self.sha256, self.media_type) == (other.sha256, other.media_type)

    __hash__ = None  # type: ignore[assignment]  # it is compared by content, which a save fills in

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        facts = core_schema.plain_serializer_function_ser_schema(_facts, when_used="always")
        return core_schema.is_instance_schema(cls, serialization=facts)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds = {"size": "integer", "sha256": "string", "media_type": "string"}
        return {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}


def _facts(blob: Blob) -> dict[str, Any]:
    return {"size": blob.size, "sha256": blob.sha256, "media_type": blob.media_type}
