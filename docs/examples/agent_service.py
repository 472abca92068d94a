"""An AI agent saves its deliverable. A retry with the same idempotency key creates no second record."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

from pydantic import BaseModel

from storekit import AsyncStore, Blob, Entity, Expired, StorekitError, blob, document


class Trace(BaseModel):
    tokens: int


class Deliverable(Entity, table="deliverables"):
    title: str
    trace: Annotated[Trace | Expired, document(collection="traces", ttl=timedelta(days=30))]
    content: Annotated[Blob, blob(media_type="text/markdown")]


def generate() -> Iterator[bytes]:
    return (f"## Section {i}\n\nText of an agent.\n\n".encode() for i in range(1000))


async def main(directory: str) -> None:
    async with AsyncStore.embedded(directory, entities=[Deliverable]) as store:
        deliverables = store.scope(tenant=uuid4(), actor="agent:writer").repository(Deliverable)
        made = Deliverable(title="Plan", trace=Trace(tokens=9000), content=Blob(generate()))
        try:
            saved = await deliverables.save(made, idempotency_key="task-17")
        except StorekitError as error:
            sys.exit(f"{'try again' if error.retryable else 'give up'}: {error}")
        print(saved.ref_id, saved.content.size, "bytes")


asyncio.run(main(sys.argv[1]))
