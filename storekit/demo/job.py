"""The records of an agent's run, saved to the three stores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storekit import ids
from storekit.agency import (
    ActivityOutput,
    ActivityOutputStatus,
    ActivityRun,
    ActivityRunStatus,
    BlogPost,
    Contract,
    OutputMetadata,
    ToolCall,
    ToolCallStatus,
    ToolPayload,
)
from storekit.api.scope import Scope
from storekit.demo.inputs import Document
from storekit.model.declare.entity import Entity
from storekit.model.values.blob import Blob


@dataclass(frozen=True, slots=True)
class Saved:
    """The records of one run, and the input that each content came from."""

    run: ActivityRun
    call: ToolCall
    outputs: list[tuple[Document, ActivityOutput]]
    posts: list[BlogPost]
    contracts: list[tuple[Document, Contract]]

    @property
    def records(self) -> list[Entity]:
        outputs = (output for _, output in self.outputs)
        contracts = (contract for _, contract in self.contracts)
        return [self.run, self.call, *outputs, *self.posts, *contracts]

    def contents(self) -> Iterator[tuple[type[Entity], str, str, Document]]:
        """Yield class, ref_id and field of every content, with the input it must equal."""
        for document, output in self.outputs:
            yield ActivityOutput, output.ref_id, "content", document
        for document, contract in self.contracts:
            yield Contract, contract.ref_id, "pdf", document


def save(scope: Scope, documents: Sequence[Document]) -> Saved:
    """Save a run with its tool call, an output and a post for each article, a contract for each PDF."""
    articles = [document for document in documents if not document.is_contract]
    papers = [document for document in documents if document.is_contract]
    runs = scope.repository(ActivityRun)
    run = runs.save(start())
    call = scope.repository(ToolCall).save(_call(run, documents))
    outputs = scope.repository(ActivityOutput).save_many(output_of(run, each) for each in articles)
    posts = scope.repository(BlogPost).save_many(map(_post, articles, outputs))
    contracts = scope.repository(Contract).save_many(map(_contract, papers))
    run.status, run.finished_on = ActivityRunStatus.SUCCEEDED, ids.now()
    runs.save(run)
    pairs = list(zip(articles, outputs, strict=True)), list(zip(papers, contracts, strict=True))
    return Saved(run, call, pairs[0], posts, pairs[1])


def start() -> ActivityRun:
    """Return a new run of the demo's agent."""
    return ActivityRun(
        activity="publish documents", agent="demo", status=ActivityRunStatus.RUNNING, started_on=ids.now()
    )


def output_of(run: ActivityRun, document: Document) -> ActivityOutput:
    """Return the output of a document; equal documents make equal requests."""
    media_type = "application/pdf" if document.is_contract else "text/markdown"
    return ActivityOutput(
        run_id=run.id,
        status=ActivityOutputStatus.IN_REVIEW,
        metadata=OutputMetadata(title=document.name, language="en", details={"source": document.name}),
        content=Blob(document.content, media_type=media_type, filename=document.name.rpartition("/")[2]),
    )


def _call(run: ActivityRun, documents: Sequence[Document]) -> ToolCall:
    begun = time.monotonic()
    found = [{"name": each.name, "bytes": len(each.read())} for each in documents]
    return ToolCall(
        run_id=run.id,
        name="read_files",
        method="list",
        status=ToolCallStatus.SUCCEEDED,
        duration_ms=round((time.monotonic() - begun) * 1000),
        payload=ToolPayload(request={"suffixes": ["md", "pdf"]}, response={"files": found}),
    )


def _post(document: Document, output: ActivityOutput) -> BlogPost:
    words = len(document.read().split())
    return BlogPost(output_id=output.id, title=document.name, channel="documentation", word_count=words)


def _contract(document: Document) -> Contract:
    content = Blob(document.content, filename=document.name.rpartition("/")[2])
    return Contract(title=document.name, accepted_by="user:demo", accepted_on=ids.now(), pdf=content)
