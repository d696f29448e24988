"""How every script runs: what is expected to go wrong becomes one line and a status, and Ctrl-C ends it cleanly."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from preference.console import filled, lose_output, output_lost, width
from preference.errors import InputError
from preference.wording import plain

Main = Callable[[Sequence[str] | None], int]

FAILED, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # the last two as shells count what a signal ended

_pressed: list[int] = []  # the Ctrl-C of the script that runs


def interrupted() -> bool:
    """Whether Ctrl-C was pressed: the import of a library can make another error of the KeyboardInterrupt."""
    return bool(_pressed)


def run_script(main: Main) -> NoReturn:
    """Run a script with the arguments of this process, and end the process with its status.

    After Ctrl-C it ends at once: Python takes seconds to take a loaded model and its libraries apart.
    """
    status = call(main)
    if status == INTERRUPTED:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    raise SystemExit(status)


def call(main: Main, argv: Sequence[str] | None = None) -> int:
    """Call a script's `main` and return its exit status.

    An InputError or an OSError becomes `error: ...` on standard error and status 2, Ctrl-C `stopped` (with what the
    KeyboardInterrupt says) and 130. A reader of standard output that has gone away is no error: status 141, silently. Other
    errors are ours, and show their traceback.
    """
    _open_streams()
    output_lost()
    with _interrupts():
        try:
            status = main(argv)
            sys.stdout.flush()
        except BrokenPipeError as error:
            lose_output(error)
            status = BROKEN_PIPE
        except InputError as error:
            status = fail(f"error: {error}")
        except KeyboardInterrupt as stop:
            status = _interrupted(stop)
        except Exception as error:
            if interrupted():
                status = _interrupted(error.__cause__ or KeyboardInterrupt())
            elif isinstance(error, OSError):
                status = fail(f"error: {_place(error)}: {error.strerror or error}")
            else:
                raise
    lost = output_lost()
    if lost and status == 0:
        return BROKEN_PIPE if isinstance(lost, BrokenPipeError) else fail(f"error: standard output: {lost.strerror}")
    return status


def _place(error: OSError) -> str:
    name = error.filename
    return (
        os.fsdecode(name)
        if isinstance(name, (str, bytes))
        else "standard output"
        if error.errno in (errno.ENOSPC, errno.EBADF)
        else "error"
    )


def fail(message: str, status: int = FAILED) -> int:
    """Print `message` on standard error, broken to the width of a terminal but one line in a pipe; return `status`."""
    text = plain(message)
    with contextlib.suppress(OSError):
        print(filled(text, width(sys.stderr)) if sys.stderr.isatty() else text, file=sys.stderr, flush=True)
    return status


def _interrupted(stop: BaseException) -> int:
    text, _, command = (str(stop) if isinstance(stop, KeyboardInterrupt) else "").partition("\n")
    status = fail(f"\nstopped; {text}" if text else "\nstopped", INTERRUPTED)
    if command:  # to be copied: it is not broken
        with contextlib.suppress(OSError):
            print(plain(command), file=sys.stderr, flush=True)
    return status


def _open_streams() -> None:
    """Open what was closed (`>&-`), so that printing fails nowhere and no file gets the number of a standard stream.

    A character that the terminal's encoding lacks becomes a question mark.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt within this, and note it.

    Also if it was ignored at the start, as in a job that a shell script runs in the background, but only if a person can
    type Ctrl-C: with standard input at a terminal.
    """
    _pressed.clear()

    def press(number, frame) -> None:
        _pressed.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    try:
        if before != signal.SIG_IGN or sys.stdin.isatty():
            signal.signal(signal.SIGINT, press)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
