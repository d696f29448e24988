#!/usr/bin/env python3
"""Measure reward models on your rankings: beside other libraries, with more rankings, and from other base models.

    pip install -r requirements.txt -r benchmarks/requirements.txt
    python benchmarks/benchmark.py --data my_rankings.csv            # accuracy and time at equal data, beside two peers
    python benchmarks/benchmark.py --data my_rankings.csv --yield    # what more rankings bring
    python benchmarks/benchmark.py --data my_rankings.csv --bases    # which base model

Each training is a process of its own, timed whole; where times are shown, it finds nothing in the cache that another
one left there. All models are judged on the same prompts, which none was trained on. Each figure is in
benchmarks/results/results.json before the next is measured; tables are printed at the end.
"""

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peers import CROSS_ENCODER, MODEL, OURS, TRL
from tables import print_part

from preference.console import say
from preference.data.conversion import Target, write_target
from preference.data.rankings import Ranking, read_rankings
from preference.data.splits import split_by_prompt
from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.machine import BUSY_CORES, busy_cores
from preference.model.base_models import MINILM, SMOLLM2, find_base_model
from preference.scripts import Parser, at_least, from_to, run_script
from preference.training.settings import TrainingSettings

HERE = Path(__file__).resolve().parent
RESULTS = Path("benchmarks") / "results" / "results.json"  # in the project
HELD_OUT_SEED = 2024  # decides which prompts are held out
SIZES = {"peers": [100], "yield": [25, 50, 100, 200, 400], "bases": [25, 100, 600]}  # ranked prompts to train on


@dataclass(frozen=True)
class Row:
    """A row of a table: `method` (OURS, CROSS_ENCODER or TRL) trains `base`, a folder, on so many ranked prompts."""

    label: str
    method: str
    base: str
    rankings: int


def plan_rows(part: str, bases: Sequence[tuple[str, str]], sizes: Sequence[int]) -> list[Row]:
    """Return the rows of a part, smallest training first; `bases` are pairs of a name and a folder."""
    if part == "peers":
        return [
            Row(method, method, base, size)
            for size in sizes
            for _, base in bases
            for method in (OURS, CROSS_ENCODER, TRL)
        ]
    return [Row(name, OURS, base, size) for name, base in bases for size in sizes]


def possible_sizes(asked: Sequence[int], prompts: int) -> list[int]:
    """Return the sizes that `prompts` allow, smallest first; the largest becomes all prompts where they are fewer.

    >>> possible_sizes([25, 100, 600], 400), possible_sizes([25, 100, 600], 800)
    ([25, 100, 400], [25, 100, 600])
    """
    return [*sorted(size for size in set(asked) if size < min(prompts, max(asked))), min(prompts, max(asked))]


def draw(rankings: Sequence[Ranking], prompts: int, seed: int) -> list[Ranking]:
    """Return the rankings of some random prompts; a larger number of prompts contains a smaller one of the same
    seed."""
    keys = sorted({ranking.key for ranking in rankings})
    random.Random(seed).shuffle(keys)
    drawn = set(keys[:prompts])
    return [ranking for ranking in rankings if ranking.key in drawn]


def measure_training(
    row: Row,
    training: Sequence[Ranking],
    unseen: Sequence[Ranking],
    flags: Sequence,
    ours: Sequence,
    cache: Path | None,
) -> dict:
    """Train in a process of its own, and judge the model that it wrote.

    Args:
        flags, ours: arguments of every training, and of our trainer alone.
        cache: where states are kept from one training to the next; None: each training computes its own.

    Returns:
        Accuracy on `unseen`, seconds and CPU seconds of the whole process, answers scored per second, and megabytes of
        the folder; of our trainer also how many layers the model has, and how many of them were not trained.
    """
    from peers import score

    from preference.evaluation.metrics import measure_agreement

    with tempfile.TemporaryDirectory() as folder:
        write_target(training, Target(f"{folder}/rankings.csv", "csv", "csv"))
        program = [HERE.parent / "reward_model_trainer.py"] if row.method == OURS else [HERE / "peers.py", row.method]
        arguments = ["--data", "rankings.csv", "--base-model", row.base, *flags, *(ours if row.method == OURS else [])]
        environment = os.environ | {"XDG_CACHE_HOME": str(cache or folder), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        before, start = os.times(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, *map(str, program + arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        seconds, after = time.perf_counter() - start, os.times()
        if done.returncode != 0:
            raise InputError(
                f"{row.label}, {row.rankings} ranked prompts: the training failed:\n{done.stderr[-2000:].strip()}"
            )
        model = Path(folder) / MODEL
        rewards, rate = score(row.method, model, unseen)
        agreement = measure_agreement(unseen, rewards)
        result = {
            "accuracy": agreement.pairwise_accuracy,
            "length_controlled": agreement.length_controlled_accuracy,
            "seconds": seconds,
            "cpu_seconds": after.children_user + after.children_system - before.children_user - before.children_system,
            "answers_per_second": rate,
            "megabytes": sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6,
        }
        if row.method == OURS:
            trained = json.loads((model / "metrics.json").read_text(encoding="utf-8"))["training"]
            result |= {"layers": trained["layers"], "frozen_layers": trained["frozen_layers"]}
        return result


class Results:
    """results.json: what was measured, by part. Parts that are not measured now stay as they are."""

    def __init__(self, path: Path):
        self.path = path
        self.parts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def keep(self, name: str, part: dict) -> None:
        self.parts[name] = part
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(self.parts, indent=2) + "\n")


def run(args: argparse.Namespace, parts: Sequence[str]) -> None:
    """Measure all parts that were asked for, and print their tables."""
    from rates import measure_sampling, measure_scoring

    from preference.evaluation.metrics import answer_lengths, measure_agreement

    rankings = read_rankings(args.data).rankings
    training, unseen = ([rankings[i] for i in some] for some in split_by_prompt(rankings, args.held_out, HELD_OUT_SEED))
    prompts = len({ranking.key for ranking in training})
    if not unseen:
        raise InputError(
            f"{args.data}: {prompts} ranked prompts are too few to keep --held-out {args.held_out:g} of them unseen"
        )
    longest = measure_agreement(unseen, answer_lengths(unseen))
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "data": Path(args.data).name,
        "unseen_prompts": longest.prompts,
        "longest_answer": {
            "accuracy": longest.pairwise_accuracy,
            "length_controlled": longest.length_controlled_accuracy,
        },
    }
    results = Results(args.results or HERE.parent / RESULTS)
    for part in parts:
        if part == "scoring":
            results.keep(
                part, about | {"rates": measure_scoring(base_folder(args.base_model), unseen, args.max_length)}
            )
        elif part == "sampling":
            results.keep(part, about | {"rates": measure_sampling(args.generator)})
        else:
            names = (args.bases or default_bases()) if part == "bases" else [args.base_model]
            bases = [(name.rstrip("/").split("/")[-1], base_folder(name)) for name in names]
            rows = plan_rows(part, bases, possible_sizes(args.rankings or SIZES[part], prompts))
            measured: dict[Row, list[dict]] = {row: [] for row in rows}
            ours = ["--freeze-layers", 99] if args.head_only else []
            cache = Path(tempfile.mkdtemp()) if part == "yield" else None  # its table shows no times
            for seed in range(args.draws):  # outside: what slows the machine for a while slows all rows alike
                for row in rows:
                    say(f"{row.label}: {row.rankings} ranked prompts, draw {seed + 1} of {args.draws} …", to=sys.stderr)
                    drawn = draw(training, row.rankings, seed)
                    flags = ["--seed", seed, "--max-length", args.max_length]
                    measured[row].append({"seed": seed} | measure_training(row, drawn, unseen, flags, ours, cache))
                    results.keep(
                        part, about | {"rows": [vars(row) | {"draws": figures} for row, figures in measured.items()]}
                    )
        print_part(part, results.parts[part])
    say(f"figures  {results.path}", wrap=False)


def default_bases() -> list[str]:
    """Return the names of the packaged models that are installed."""
    return [packaged.hub_name for packaged in (MINILM, SMOLLM2) if importlib.util.find_spec(packaged.distribution)]


def base_folder(name: str) -> str:
    """Return the folder of a base model; a GGUF file is converted now, so that no training is charged with it."""
    from preference.model.loading import converted_gguf

    base = find_base_model(name)
    if base.note:
        say(base.note)
    return str((converted_gguf(base.path, "name another base model") if base.path.is_file() else base.path).resolve())


def describe_machine() -> str:
    from preference.training.report import machine_record

    facts = machine_record("cpu")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    bf16 = " with bf16" * bool(facts["bf16_instructions"])
    return f"{facts['processor']}, {cores} cores, {facts['vector_instructions']}{bf16}"


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "benchmark.py",
        "Measure reward models on your rankings: beside others, with more of them, from other bases.",
    )
    parser.add_argument("--data", required=True, help="ranked answers")
    what = parser.add_argument_group("what to measure (default: accuracy and time beside two peers)")
    what.add_argument("--yield", dest="parts", action="append_const", const="yield", help="what more rankings bring")
    what.add_argument(
        "--bases", nargs="*", metavar="FOLDER_OR_NAME",
        help="which base model: accuracy, time, rate of scoring and size (without a name: the packaged ones)",
    )  # fmt: skip
    what.add_argument(
        "--scoring",
        dest="parts",
        action="append_const",
        const="scoring",
        help="answers per second, beside CrossEncoder.predict",
    )
    what.add_argument(
        "--sampling",
        dest="parts",
        action="append_const",
        const="sampling",
        help="candidates per second, beside one call of generate each",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--rankings", type=at_least(2), nargs="+", metavar="N",
        help=f"ranked prompts to train on (default: {', '.join(f'{part} {sizes}' for part, sizes in SIZES.items())})",
    )  # fmt: skip
    how.add_argument(
        "--draws", type=at_least(1), default=3, help="trainings for each figure; each draws its own prompts"
    )
    how.add_argument(
        "--held-out", type=from_to(0, 1, below=True), default=1 / 3, help="share of the prompts that stay unseen"
    )
    how.add_argument(
        "--head-only",
        action="store_true",
        help="train our head alone, also where the default is to train the layers too",
    )
    how.add_argument("--base-model", default=MINILM.hub_name, help="what all methods start from, but with --bases")
    how.add_argument("--generator", default=SMOLLM2.hub_name, help="what --sampling samples from")
    how.add_argument(
        "--max-length",
        type=at_least(8),
        default=TrainingSettings().max_length,
        help="tokens of prompt and answer together",
    )
    how.add_argument(
        "--results",
        type=Path,
        help=f"where the figures are kept; parts measured earlier stay in it (default: {RESULTS})",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    parts = list(dict.fromkeys([*(args.parts or []), *["bases"] * (args.bases is not None)])) or ["peers"]
    missing = [package for package in ("trl", "sentence_transformers") if not importlib.util.find_spec(package)]
    if missing and {"peers", "scoring"} & set(parts):
        raise InputError(f"{' and '.join(missing)} not installed; run pip install -r benchmarks/requirements.txt")
    if (busy := busy_cores(0.5)) >= BUSY_CORES:
        say(f"warning: other programs use {busy:.1f} cores; seconds and rates will be off", to=sys.stderr)
    run(args, parts)
    return 0


if __name__ == "__main__":
    run_script(main)
