"""`storekit relay` and `storekit doctor`: move events to the log, and look at how that goes."""

from __future__ import annotations

import signal
import sys

from storekit.assembly import Assembly
from storekit.bridge import run
from storekit.cli.message import message
from storekit.errors import StorekitError
from storekit.flows import doctor as flows
from storekit.flows.context import NIL, Actor, Context
from storekit.settings import Login, Settings


def relay() -> None:
    """Move committed events to the log until SIGTERM or Ctrl-C; needs POSTGRES_WORKER_URL.

    Several relays may run: one works, and another takes over if it dies.
    """
    from storekit.api.store import Store

    settings = Settings.from_env()
    examine(settings)  # reports a wrong setting now
    with Store.open(settings) as store, store.relay():
        sys.stdout.write("moving events; press Ctrl-C to stop\n")
        sys.stdout.flush()
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            return


def examine(settings: Settings) -> list[flows.Check]:
    """Look at the sequencer of the database in the settings."""
    assembly = Assembly(settings, asynchronous=False)
    try:
        return run(flows.examine(Context(assembly.acting_as(Login.WORKER), Actor(NIL, "doctor"))))
    finally:
        run(assembly.close())


def doctor() -> None:
    """Look at the sequencer. The exit code is 1 if somebody must act, and 2 if it could not look."""
    try:
        found = examine(Settings.from_env())
    except StorekitError as error:
        sys.stderr.write(message(error))
        sys.exit(2)
    for check in found:
        sys.stdout.write(f"{'wrong' if check.wrong else 'ok':<6} {check.subject:<17} {check.text}\n")
    sys.exit(any(check.wrong for check in found))
