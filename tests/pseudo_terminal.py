"""generate_data.py in a real pseudo-terminal, and the files that it reads and writes."""

import json
import os
import re
import signal
import sys

import pexpect
import pyte
from conftest import ROOT, read_csv

PROMPTS = [f"Prompt number {i}" for i in range(6)]
PASTE_MARK = "\x1b\\[[?]2004h"  # the terminal is told to mark what is pasted: a question follows
SCRIPT = str(ROOT / "generate_data.py")


def write_candidates(folder, prompts, answers=("alpha", "beta", "gamma", "delta")) -> None:
    with open(folder / "c.jsonl", "w", encoding="utf-8") as file:
        for prompt in prompts:
            file.write(json.dumps({"prompt": prompt, "answers": list(answers)}) + "\n")


def prompts_and_answers(tmp_path):
    """Write six prompts with four answers each as c.jsonl; return the folder. A test file makes a fixture of it."""
    write_candidates(tmp_path, PROMPTS)
    return tmp_path


class Terminal:
    """The script in a real pseudo-terminal, and the screen that a person would see."""

    def __init__(self, folder, *arguments, columns=80, lines=60, ignore_interrupts=False, model=False, **environment):
        arguments = [*arguments, *["--no-model"] * (not model)]
        files = [] if {"--candidates", "--again"} & set(arguments) else ["--candidates", "c.jsonl"]
        env = os.environ | {"TERM": "xterm-256color", "EDITOR": "true"} | environment
        env.pop("PYTHONUNBUFFERED", None)  # Python then loses the rest of a line whose writing a signal interrupts
        for size in ("COLUMNS", "LINES"):  # pytest-xdist's own, which would count for more than the terminal's
            env.pop(size, None)
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.Stream(self.screen)
        self.child = pexpect.spawn(
            sys.executable, [SCRIPT, *files, *map(str, arguments)],
            cwd=folder, env=env, dimensions=(lines, columns), encoding="utf-8", codec_errors="replace", timeout=30,
            preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignore_interrupts else None,
        )  # fmt: skip
        self.child.delaybeforesend = 0
        self.raw, self.dumb = "", env["TERM"] == "dumb"

    def wait_for(self, text: str) -> str:
        """Wait until this is printed; return what was printed until then, without the marks around a question."""
        return self._expect(re.escape(text).replace("\\\n", f"\\\n(?:{PASTE_MARK})?"))

    def _expect(self, pattern: str) -> str:
        self.child.expect(pattern)
        seen = self.child.before + self.child.after
        self.raw += seen
        self.stream.feed(seen)
        return seen.replace("\x1b[?2004h", "").replace("\x1b[?2004l\r", "")

    def type(self, line: str) -> None:
        """Type a line when it is asked for: what is typed before the question is thrown away."""
        begun = re.search(f"{PASTE_MARK}([^\x1b]*)$", self.raw)
        if not self.dumb and not (begun and re.search("> |: ", begun[1])):
            self._expect(f"{'' if begun else PASTE_MARK}[^\x1b]*?(> |: )")
        self.child.send(line + "\r")
        self.raw += "\x1b"  # not asked any more

    def rank(self, line: str) -> None:
        self.wait_for("\n> ")
        self.type(line)
        self.wait_for("or n to cancel: ")
        self.type("")

    def rest(self) -> str:
        self.child.expect(pexpect.EOF)
        self.stream.feed(self.child.before)
        self.child.close()
        return self.child.before

    def summary(self) -> str:
        """What was printed at the end, its lines joined."""
        return " ".join(self.rest().split())

    def shown(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)


def ranks_of(folder, name="training_data.csv") -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in read_csv(folder / name):
        found.setdefault(row["prompt"], {})[row["answer"]] = int(row["rank"])
    return found


def shown_answers(folder, prompt) -> list[str]:
    events = [json.loads(line) for line in (folder / "ranking_log.jsonl").read_text().splitlines()]
    return [event["answers"] for event in events if event["event"] == "shown" and event["prompt"] == prompt][-1]
