"""Run the benchmark on its own servers and print each figure with its goal.

    python -m tests.bench [--quick] [--only url save ...]

Ratios are medians of rounds in which the versions run in random order. The control is the other version
against itself: a difference smaller than its distance from 1.00 is not significant.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from storekit import Settings, Store
from storekit.embedded import down
from tests.bench.figures import Figure, NotRun, Scenario, Sides
from tests.bench.managed import strip
from tests.bench.naive import Naive, create_tables
from tests.bench.naive_rows import create_row_tables
from tests.bench.ours import Ours, OursAsync
from tests.bench.proxy import delayed
from tests.bench.records import ENTITIES
from tests.bench.scenarios import LOCAL, REMOTE
from tests.bench.tickets import CLASSES, Queue

_DELAYS = {"postgres_url": 0.0024, "mongo_url": 0.0024, "s3_endpoint_url": 0.0117}
"""Seconds added to each round trip."""

_ROUNDS = {(False, False): 11, (False, True): 5, (True, False): 3, (True, True): 2}
"""The number of rounds, by (quick, delayed)."""


def main() -> None:
    arguments = _arguments()
    with (
        tempfile.TemporaryDirectory(prefix="storekit-bench-") as directory,
        _stopped_at_end(Path(directory)),
        Store.embedded(directory, entities=[*ENTITIES, Queue, *CLASSES]) as store,
    ):
        create_tables(store.settings)
        create_row_tables(store.settings)
        strip(store.settings)
        with _sides(store.settings, quick=arguments.quick, delay=False) as sides:
            _run("CPU, imports, memory and lists", _chosen(LOCAL, arguments.only), sides)
            _run("loopback", _chosen(REMOTE, arguments.only), sides)
        with (
            _delayed(store.settings) as settings,
            _sides(settings, quick=arguments.quick, delay=True) as sides,
        ):
            _run("a trip takes 2.4 ms more, to S3 11.7 ms", _chosen(REMOTE, arguments.only), sides)


@contextmanager
def _stopped_at_end(directory: Path) -> Iterator[None]:
    """Stop the servers of the directory at the end, so that no process writes to it any more."""
    yield
    down(directory)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="storekit against a naive version"
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds: the shape, not the figures")
    parser.add_argument("--only", nargs="+", choices=[*LOCAL, *REMOTE], help="measure only these")
    return parser.parse_args()


def _chosen(scenarios: Mapping[str, Scenario], only: list[str] | None) -> list[Scenario]:
    return [scenario for name, scenario in scenarios.items() if not only or name in only]


def _run(title: str, scenarios: Iterable[Scenario], sides: Sides) -> None:
    print(f"\n{title:44} {'figure':>9}  {'goal':>8}  {'A/A':>5}  ")
    for scenario in scenarios:
        try:
            for figure in scenario(sides):
                print(_line(figure), flush=True)
        except NotRun as why:
            print(why, flush=True)


def _line(figure: Figure) -> str:
    value = f"{figure.value:.2f}" if figure.unit == "x" else f"{figure.value:.0f}"
    bound = "<=" if figure.most else ">="
    goal = "" if figure.goal is None else f"{bound} {figure.goal:g}"
    control = "" if figure.control is None else f"{figure.control:.2f}"
    line = f"{figure.what:44} {value:>6} {figure.unit:2}  {goal:>8}  {control:>5}  {figure.verdict:5}  "
    return (line + figure.note).rstrip()


@contextmanager
def _sides(settings: Settings, *, quick: bool, delay: bool) -> Iterator[Sides]:
    rounds = _ROUNDS[quick, delay]
    with (
        closing(Naive(settings)) as naive,
        closing(Ours(settings)) as ours,
        closing(OursAsync(settings)) as ours_async,
    ):
        yield Sides(naive, ours, ours_async, rounds, quick, delay)


@contextmanager
def _delayed(settings: Settings) -> Iterator[Settings]:
    """Start a proxy with a delay in front of each server."""
    with ExitStack() as proxies:
        urls = {}
        for name, delay in _DELAYS.items():
            value = getattr(settings, name)
            url = value.get_secret_value() if isinstance(value, SecretStr) else value
            parts = urlsplit(url)
            port = proxies.enter_context(delayed(str(parts.hostname), int(parts.port or 0), delay))
            changed = url.replace(f":{parts.port}", f":{port}", 1)
            urls[name] = SecretStr(changed) if isinstance(value, SecretStr) else changed
        yield settings.model_copy(update=urls)


main()
