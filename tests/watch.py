"""Runs scripts in one process of their own, and reports whom they called, what was unpickled, and what Python warned
of.

    python -X warn_default_encoding watch.py REPORT.json '[["score_answers", "--prompt", …], …]'

A call to the network fails, as if there were none.
"""

import importlib
import json
import sys
import warnings
from pathlib import Path

NETWORK = {
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
}


def main(report: str, runs: str) -> None:
    seen: dict = {"calls": [], "unpickled": [], "warnings": [], "statuses": []}

    def watch(event: str, arguments: tuple) -> None:
        if event in NETWORK:
            seen["calls"].append(f"{event} {arguments}")
            raise OSError("no network here")
        if event == "pickle.find_class":
            seen["unpickled"].append(f"{arguments}")

    def note(message, category, filename, line, *rest) -> None:
        seen["warnings"].append([str(filename), line, category.__name__, str(message)])

    sys.addaudithook(watch)
    warnings.showwarning = note
    warnings.simplefilter("always")
    for script, *arguments in json.loads(runs):
        seen["statuses"].append([script, importlib.import_module(script).main(arguments)])
    Path(report).write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main(*sys.argv[1:])
