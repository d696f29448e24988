"""How every script runs: what is expected to go wrong becomes one line and a status, and Ctrl-C ends it cleanly."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from preference.console import filled, lose_output, output_lost, width
from preference.errors import InputError
from preference.wording import plain

FAILED, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # the last two as shells count what a signal ended
Main = Callable[[Sequence[str] | None], int]


def run_script(main: Main) -> NoReturn:
    """Run a script with the arguments of this process, and end the process with its status.

    After Ctrl-C it ends at once: Python takes seconds to take a loaded model and its libraries apart.
    """
    if sys.stdin and sys.stdin.isatty():  # even where Ctrl-C was ignored by what started it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status = call(main)
    if status == INTERRUPTED:
        os._exit(status)
    raise SystemExit(status)


def call(main: Main, argv: Sequence[str] | None = None) -> int:
    """Call a script's `main` and return its exit status.

    An InputError or an OSError becomes `error: ...` on standard error and status 2, Ctrl-C `stopped` (with what the
    KeyboardInterrupt says) and 130. A reader of standard output that has gone away is no error: status 141, silently.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # what the terminal's encoding lacks becomes a question mark
    output_lost()
    try:
        status = main(argv)
        sys.stdout.flush()
    except BrokenPipeError as error:
        lose_output(error)
        status = BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        if stop := interrupt_in(error):
            return _say_stopped(str(stop))
        if isinstance(error, InputError):
            status = fail(f"error: {error}")
        elif isinstance(error, OSError):
            full = "standard output" if error.errno == errno.ENOSPC else "error"
            status = fail(f"error: {full if error.filename is None else error.filename}: {error.strerror or error}")
        else:
            raise
    lost = output_lost()
    if lost and status == 0:
        return BROKEN_PIPE if isinstance(lost, BrokenPipeError) else fail(f"error: standard output: {lost.strerror}")
    return status


def interrupt_in(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the Ctrl-C that `error` is, or that a library made `error` of, as in the middle of an import."""
    while error:
        if isinstance(error, KeyboardInterrupt):
            return error
        error = error.__cause__ or error.__context__
    return None


def fail(message: str, status: int = FAILED) -> int:
    """Print `message` on standard error, broken to the width of a terminal but one line in a pipe; return `status`."""
    text = plain(message)
    with contextlib.suppress(OSError):
        print(filled(text, width(sys.stderr)) if sys.stderr.isatty() else text, file=sys.stderr, flush=True)
    return status


def _say_stopped(why: str) -> int:
    text, _, command = why.partition("\n")
    fail(f"\nstopped; {text}" if text else "\nstopped")
    if command:
        print(plain(command), file=sys.stderr)  # to be copied: it is not broken
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    return INTERRUPTED
