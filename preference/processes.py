"""This process: which of several it is, as `torchrun` and `accelerate launch` tell by their environment, and what Ctrl-C does to it.

Ctrl-C ends a script silently while nothing is to be saved, and raises KeyboardInterrupt from then on.
"""

import _signal as signal  # what `signal` wraps: importing that takes milliseconds, in which Ctrl-C would show a traceback
import os
import sys

PROCESS, PROCESSES = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))  # process 0 speaks and writes


def end_silently() -> None:
    """Let Ctrl-C end the process without a word (status 130 in a shell); scripts call this before they import anything else."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on, so that the script can say what was done and how to continue.

    Also if it was ignored at the start, as in a job that a shell script runs in the background, but only if a person
    can type Ctrl-C: with standard input at a terminal.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN or sys.stdin.isatty():
        signal.signal(signal.SIGINT, signal.default_int_handler)
