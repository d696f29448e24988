#!/usr/bin/env python3
"""Draw candidate answers from a language model and rank them at the terminal.

    python generate_data.py
    python generate_data.py --prompts my_prompts.txt --data my_rankings.csv

Reads prompts (default: the five of the sample). Writes candidates.jsonl (what was drawn), training_data.csv (what you
ranked: prompt, answer, rank; 1 is best) and ranking_log.jsonl (what was shown when). Stop at any time: what you
confirmed is saved, and the next start goes on from there.
"""

import argparse
import contextlib
import sys
import time
from pathlib import Path

from preference.arguments import above, at_least, from_to
from preference.data.candidates import Candidates, append_candidates, distinct, read_candidates, read_prompts
from preference.data.sample import TRAINING_SAMPLE
from preference.errors import InputError
from preference.model.base_models import GENERATOR_DEFAULT, find_base_model
from preference.wording import counted

DEFAULT_CANDIDATES = Path("candidates.jsonl")
PROMPTS_AT_ONCE = 8

GUIDELINES = """\
Rank by what you would rather get as an answer to the prompt: right before wrong, to the point before rambling,
clear before clever. Length is no merit. Tie what you cannot tell apart."""

KEYS = """\
2 1 4 3   best first; 2143 is the same
2 1=4 3   1 and 4 tie
2         only the best is sure, the rest tie below it
u         take back the last ranking; again: the one before
s         skip for later
x         discard the prompt for good
e N       edit answer N in your editor ($EDITOR)
w         write an answer of your own
r         draw new answers; what you wrote or edited stays
?         this help
q         save and quit, as Ctrl-C and Ctrl-D do"""


class LazyGenerator:
    """Loads the model at its first use: ranking what was drawn before needs none."""

    def __init__(self, name: str, device: str):
        self.name, self.device, self._loaded = name, device, None

    def get(self):
        if self._loaded is None:
            base = find_base_model(self.name)
            print(base.note or f"generator: {base.used} ({base.source})", flush=True)
            from preference.machine import check_device
            from preference.model.generator import Generator

            check_device(self.device)
            self._loaded = Generator(base, self.device)
        return self._loaded


def draw_candidates(prompts: list[str], path: Path, generator: LazyGenerator, settings: dict) -> None:
    """Draw candidates for the prompts that the file `path` has none for, a batch at a time, and save each batch as it comes."""
    known = {one.prompt for one in read_candidates(path)} if path.exists() else set()
    missing = [prompt for prompt in prompts if prompt not in known]
    if not missing:
        return
    model = generator.get()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from preference.model.generator import SamplingSettings, as_record

    chosen = SamplingSettings(**settings)
    start, drawn = time.perf_counter(), 0
    terminal = Console(stderr=True)
    count = TextColumn("{task.fields[saved]} of {task.fields[prompts]} prompts")
    columns = [TextColumn("drawing candidates"), BarColumn(), count, TimeElapsedColumn()]
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        steps = -(-len(missing) // PROMPTS_AT_ONCE) * chosen.max_new_tokens
        task = progress.add_task("", total=steps, saved=0, prompts=len(missing))
        for first in range(0, len(missing), PROMPTS_AT_ONCE):
            some = missing[first : first + PROMPTS_AT_ONCE]
            for prompt, answers in zip(some, model.sample(some, chosen, on_token=lambda: progress.advance(task)), strict=True):
                append_candidates(path, Candidates(prompt, answers, {"generator": model.name, **as_record(chosen)}))
                drawn += len(answers)
                if len(answers) < chosen.num_candidates:
                    progress.console.print(
                        f"warning: only {counted(len(answers), 'distinct candidate')} for {prompt!r}", markup=False, highlight=False
                    )
            progress.update(task, saved=first + len(some), completed=(first // PROMPTS_AT_ONCE + 1) * chosen.max_new_tokens)
    print(f"{path}: {counted(drawn, 'candidate')} for {counted(len(missing), 'prompt')} in {time.perf_counter() - start:.0f} s", flush=True)


def rank(session, generator: LazyGenerator, settings: dict, guidelines: str) -> None:
    """Show one prompt after the other and carry out what the person types, until all is ranked or they quit."""
    from preference.ranking import terminal

    console = terminal.make_console()

    def show() -> None:
        terminal.draw(console, session.current, session.progress())
        for line in notices:
            console.print(line, width=terminal.width_of(console))

    notices = ["Type the numbers best first, like 2 1 4 3, or ? for help."]
    redraws = 0
    while True:
        if session.current is None:
            if terminal.ask("All done. Enter ends, u takes back the last ranking: ").strip() != "u":
                return
            notices = [session.undo()]
            continue
        show()
        notices = []
        while True:  # until something changes what is on the screen
            shown = session.current
            line = terminal.ask("> ", on_resize=show).strip()
            command, _, argument = line.partition(" ")
            if line == "?":
                console.print(f"\n{guidelines}\n\n{KEYS}\n")
            elif line == "q":
                raise terminal.EndOfInput
            elif line == "u":
                notices.append(session.undo())
                break
            elif line == "s":
                session.skip()
                break
            elif line == "x":
                if terminal.ask("Discard this prompt for good? Enter = yes, anything else = no: ") == "":
                    session.discard()
                break
            elif command == "e":
                problem = edit_answer(session, argument)
                notices += [problem] if problem else []
                break
            elif line == "w":
                written = terminal.ask("Your answer (empty to cancel): ")
                if len(distinct([*shown.answers, written])) == len(shown.answers) + 1:
                    session.change([*shown.answers, written.strip()])
                elif written.strip():
                    notices.append("that answer is there already")
                break
            elif line == "r":
                redraws += 1
                try:
                    notices += draw_again(session, generator, settings, redraws)
                except InputError as error:
                    notices.append(f"no new answers: {error}")
                break
            elif line and confirm_ranking(session, line, console, show):
                break


def confirm_ranking(session, line: str, console, show) -> bool:
    """Say how `line` was understood and save it on Enter; another line is taken as a new try. True when saved."""
    from preference.ranking import terminal
    from preference.ranking.order import OrderError, parse_order

    shown = session.current
    while True:
        try:
            if len(shown.answers) < 2:
                raise OrderError("one answer cannot be ranked: write another with w, draw new ones with r, or discard the prompt with x")
            ranks = parse_order(line, len(shown.answers))
        except OrderError as error:
            console.print(str(error))
            return False

        def say_order(ranks=ranks) -> None:
            terminal.draw_order(console, shown.answers, ranks)

        say_order()
        question = "Enter saves this; or type another ranking, or n for none: "
        line = terminal.ask(question, on_resize=lambda: (show(), say_order())).strip()
        if line == "":
            session.confirm(ranks)
            console.print("saved")
            return True
        if line == "n":
            return False


def edit_answer(session, argument: str) -> str | None:
    """Let the person edit one answer of the prompt on the screen; return what went wrong, if anything."""
    from preference.ranking import terminal

    answers = list(session.current.answers)
    if not argument.strip().isascii() or not argument.strip().isdigit() or not 1 <= int(argument) <= len(answers):
        return f"e wants the number of an answer, 1 to {len(answers)}, like e 2"
    number = int(argument) - 1
    text = terminal.edit_text(answers[number])
    if text is None:
        return "the editor could not be run; set $EDITOR to one that is installed"
    if not text:
        return "an answer must not be empty; nothing was changed"
    others = answers[:number] + answers[number + 1 :]
    if len(distinct([*others, text])) != len(answers):
        return "another answer says the same; nothing was changed"
    answers[number] = text
    session.change(answers)
    return None


def draw_again(session, generator: LazyGenerator, settings: dict, attempt: int) -> list[str]:
    """Replace the drawn answers on the screen by newly drawn ones; return what is to be said."""
    from preference.model.generator import SamplingSettings

    prompt = session.current.prompt
    print("drawing new answers …", flush=True)
    drawn = generator.get().sample([prompt], SamplingSettings(**settings), attempt=int(time.time()) + attempt)[0]
    if not drawn:
        return ["the model gave no answer; the old ones stay"]
    own = session.redraw(drawn)
    return ["new answers" + ("; what you wrote or edited stays" if own else "")]


def print_summary(session, data: Path, seconds: float) -> None:
    """Say what was done in this sitting, how well the person agrees with themselves, and what to type next."""
    from preference.ranking.terminal import make_console

    console = make_console()
    progress = session.progress()
    count, left = max(session.confirmed, 0), progress.left + progress.skipped
    skipped = f" ({progress.skipped} skipped: they come again at the next start)" if progress.skipped else ""
    console.print(f"\n{counted(count, 'ranking')} in {seconds / 60:.1f} min; {progress.done} done, {left} left{skipped}")
    agreement = session.agreement() if session.log.standing() else None
    if agreement and agreement.rechecked:
        console.print(
            f"shown twice: {agreement.rechecked}; ranked exactly alike: {agreement.exact};"
            f" agreement with yourself: Kendall tau {agreement.kendall_tau:.2f} (1 = always the same order)"
        )
    if agreement and agreement.rankings:
        line = (
            f"position: the answer shown first was ranked best in {agreement.first_position_best:.0%} of {counted(agreement.rankings, 'ranking')}"
            f" ({agreement.first_position_expected:.0%} by chance)"
        )
        if agreement.position_tau_95:
            low, high = agreement.position_tau_95
            mattered = "position mattered" if low > 0 or high < 0 else "no sign that position mattered"
            line += f"; {mattered} (tau {agreement.position_tau:+.2f}, 95 % interval {low:+.2f} to {high:+.2f})"
        else:
            line += "; too few to tell whether position mattered"
        console.print(line)
    flags = "" if str(data) == "training_data.csv" else f" --data {data}"
    if left:
        console.print(f"go on:  python generate_data.py{flags}")
    if progress.done:
        console.print(f"train:  python reward_model_trainer.py{flags}")


def run(
    *,
    prompts: Path | None,
    candidates: Path | None,
    data: Path,
    log: Path | None,
    guidelines: Path | None,
    generator: str,
    device: str,
    generate_only: bool,
    recheck: float,
    **settings,
) -> None:
    """The whole job: draw what is missing, then rank what is not ranked."""
    model = LazyGenerator(generator, device)
    path = candidates or DEFAULT_CANDIDATES
    if prompts is not None:
        wanted = read_prompts(prompts)
    elif candidates is None:
        wanted = list(TRAINING_SAMPLE)
    elif not candidates.exists():
        raise InputError(f"{candidates}: no such file; draw candidates into it by naming --prompts too")
    else:
        wanted = [one.prompt for one in read_candidates(candidates)]
    if generate_only:
        draw_candidates(wanted, path, model, settings)
        print(f"rank them:  python generate_data.py --candidates {path}")
        return

    from preference.ranking.session import RankingSession
    from preference.ranking.store import RankingFile, RankingLog
    from preference.ranking.terminal import EndOfInput

    text = GUIDELINES if guidelines is None else _read_guidelines(guidelines)
    file = RankingFile(data)
    try:
        ranked = file.prompts()
        draw_candidates([prompt for prompt in wanted if prompt not in ranked], path, model, settings)
        chosen = set(wanted)
        found = [one for one in read_candidates(path) if one.prompt in chosen] if path.exists() else []
        found += [Candidates(prompt, []) for prompt in wanted if prompt not in {one.prompt for one in found}]  # ranked elsewhere
        record = RankingLog(log or data.with_name("ranking_log.jsonl"), data)
        session = RankingSession(found, file, record, seed=settings["seed"], recheck=recheck)
        if session.current is None:
            print(f"Every prompt is ranked in {data} or discarded. Give others with --prompts FILE, or rank into another file with --data FILE.")
            if not (session.log.standing() and sys.stdin.isatty()):
                return
        start = time.monotonic()
        with contextlib.suppress(EndOfInput):
            rank(session, model, settings, text)
        print_summary(session, data, time.monotonic() - start)
    finally:
        file.close()


def _read_guidelines(path: Path) -> str:
    from preference.ranking.terminal import safe_text

    try:
        return safe_text(path.read_text(encoding="utf-8-sig")).rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Draw candidate answers from a language model and rank them at the terminal.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--prompts", type=Path, default=argparse.SUPPRESS,
        help="one prompt a line, or a CSV or JSONL with a prompt column (default: the five of the sample)",
    )  # fmt: skip
    files.add_argument("--data", type=Path, default=Path("training_data.csv"), help="where the rankings go; what stands there stays")
    files.add_argument(
        "--candidates", type=Path, default=argparse.SUPPRESS,
        help=f"drawn answers, JSONL with prompt and answers; also another program's, which are then ranked (default: {DEFAULT_CANDIDATES})",
    )  # fmt: skip
    files.add_argument("--log", type=Path, default=argparse.SUPPRESS, help="what was shown when (default: ranking_log.jsonl beside --data)")
    drawing = parser.add_argument_group("drawing candidates")
    drawing.add_argument(
        "--generator", default=GENERATOR_DEFAULT, help="a causal language model: a folder, a GGUF file, or a name on the Hugging Face Hub"
    )
    drawing.add_argument("--num-candidates", type=at_least(2), default=4, help="answers for each prompt")
    drawing.add_argument("--max-new-tokens", type=at_least(1), default=80, help="longest answer")
    drawing.add_argument("--temperature", type=above(0), default=0.9, help="higher: more varied answers")
    drawing.add_argument("--top-p", type=from_to(1e-6, 1), default=0.95, help="draw from the likeliest tokens with this total probability")
    drawing.add_argument("--seed", type=int, default=42, help="of the drawing and of the order on the screen")
    drawing.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    drawing.add_argument("--generate-only", action="store_true", help="draw and stop; rank later")
    ranking = parser.add_argument_group("ranking")
    ranking.add_argument("--guidelines", type=Path, default=argparse.SUPPRESS, help="a text file shown by ? instead of the built-in guidelines")
    ranking.add_argument(
        "--recheck", type=from_to(0, 1), default=0.0, help="show this share of the prompts a second time, reshuffled, to measure agreement"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = vars(build_parser().parse_args(argv))
    for name in ("prompts", "candidates", "log", "guidelines"):
        args.setdefault(name, None)
    try:
        run(**args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # while candidates are drawn: those of finished batches are saved
        print("\nstopped; what was drawn so far is saved, and the next start goes on from there", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
