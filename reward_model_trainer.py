#!/usr/bin/env python3
"""Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.

    python reward_model_trainer.py
    python reward_model_trainer.py --data my_rankings.csv --objective bradley-terry

Reads training_data.csv (columns prompt, answer, rank; 1 is best) and test_data.csv where it exists. Writes
reward_model_final/ (model, tokenizer, model card, metrics.json, test_rewards.csv), reward_scores_plot.png and logs/
for TensorBoard. Several processes: torchrun --nproc-per-node 2 reward_model_trainer.py …
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from preference.base_models import REWARD_MODEL_DEFAULT, BaseModel, find_base_model
from preference.errors import InputError
from preference.rankings import Ranking, Rankings, read_rankings, split_by_prompt

EVALUATE_EVERY = 20  # steps
TABLE_ROWS = 200  # answers printed; all of them stand in test_rewards.csv
# Set by torchrun and `accelerate launch`; process 0 speaks and writes.
PROCESS, PROCESSES = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def say(text: str = "") -> None:
    if PROCESS == 0:
        print(text, flush=True)


def read_data(data: str, test_data: str | None) -> tuple[Rankings, Rankings | None, int]:
    """Read the training and the test CSV; return them and how many training prompts the test CSV also holds.

    Those are left out of training, so that the test prompts are unseen.
    """
    rankings = read_rankings(data)
    tests = read_rankings(test_data) if test_data else None
    for warning in rankings.warnings() + (tests.warnings() if tests else []):
        say(f"warning: {warning}")
    shared = {r.prompt for r in rankings.rankings} & {r.prompt for r in tests.rankings} if tests else set()
    if shared:
        say(f"warning: {len(shared)} prompts of {data} also stand in {test_data}: left out of training, so that the test prompts are unseen")
        if len(shared) == len(rankings):
            raise InputError(f"{data}: every prompt also stands in {test_data}; nothing is left to train on")
    return rankings, tests, len(shared)


def train(
    *,
    rankings: list[Ranking],
    train_part: list[int],
    validation_part: list[int],
    digest: str,
    base: BaseModel,
    objective: str,
    checkpoints: Path,
    log_folder: Path,
    epochs: float,
    min_steps: int,
    max_steps: int | None,
    batch_size: int,
    learning_rate: float,
    head_learning_rate: float,
    freeze_embeddings: bool,
    max_length: int,
    device: str,
    precision: str,
    seed: int,
    resume: bool,
):
    """Fine-tune `base` on the rankings of `train_part`; return the model, its tokenizer, the encoded table, and figures of the run."""
    from transformers import TrainingArguments

    from preference.encoding import encode_rankings
    from preference.objectives import OBJECTIVES
    from preference.precision import choose_precision
    from preference.ranking_trainer import RankingTrainer, last_checkpoint
    from preference.reward_model import load_base_model, quiet_transformers

    # 1. the base model with one new output
    model, tokenizer = load_base_model(base.path, seed=seed, freeze_embeddings=freeze_embeddings)
    longest = getattr(model.config, "max_position_embeddings", max_length)
    if max_length > longest:
        raise InputError(f"--max-length {max_length}: {base.used} takes at most {longest} tokens")
    tokenizer.model_max_length = max_length  # saved with the model, so that every loader cuts where training did

    # 2. how long, how often to evaluate
    train_answers = sum(len(rankings[i].answers) for i in train_part)
    validation_answers = sum(len(rankings[i].answers) for i in validation_part)
    steps_an_epoch = max(1, round(train_answers / batch_size))
    steps = max(round(epochs * steps_an_epoch), min_steps)
    if max_steps is not None:
        steps = min(steps, max_steps)
    # An answer evaluated costs a third of one trained on: stay below about a tenth of the training time.
    affordable = round(10 * validation_answers / (3 * batch_size))
    evaluate_every = min(steps_an_epoch, max(EVALUATE_EVERY, affordable), steps)
    save_every = evaluate_every * -(-EVALUATE_EVERY // evaluate_every)

    # 3. go on from a checkpoint, or start anew
    checkpoint = last_checkpoint(checkpoints) if resume else None
    if resume and checkpoint is None:
        say(f"{checkpoints} holds no checkpoint: starting from the beginning")
    settings = {
        "data": digest, "train_part": train_part, "base_model": base.used, "objective": objective, "steps": steps,
        "batch_size": batch_size, "learning_rate": learning_rate, "head_learning_rate": head_learning_rate,
        "freeze_embeddings": freeze_embeddings, "max_length": max_length, "seed": seed, "asked_precision": precision,
    }  # fmt: skip
    if checkpoint is not None:
        precision = _check_settings(checkpoints / "run.json", settings)
    else:
        precision = choose_precision(precision, device, model.config.hidden_size)
        if PROCESS == 0:
            if last_checkpoint(checkpoints):
                say(f"{checkpoints}: an unfinished run is replaced (--resume would go on with it)")
            shutil.rmtree(checkpoints, ignore_errors=True)
            checkpoints.mkdir(parents=True)
            (checkpoints / "run.json").write_text(json.dumps(settings | {"precision": precision}), encoding="utf-8")
    args = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=steps,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, round(0.1 * steps)),
        weight_decay=0.01,
        max_grad_norm=1.0,
        eval_strategy="steps" if validation_part else "no",
        eval_steps=evaluate_every,
        save_steps=save_every,
        save_total_limit=2,
        logging_steps=max(1, min(10, steps // 6)),
        disable_tqdm=True,
        seed=seed,
        use_cpu=device == "cpu",
        bf16=precision == "bf16",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        ddp_backend="gloo" if device == "cpu" and PROCESSES > 1 else None,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # a step encodes several chunks before its one backward pass
        log_level="error",
    )

    # 4. token ids, made by one process for all
    with args.main_process_first(local=False):
        table = encode_rankings(rankings, tokenizer, max_length, digest=digest)
    cut, answers = sum(table["truncated"]), sum(len(ranking.answers) for ranking in rankings)
    if cut:
        say(f"warning: {cut} of {answers} answers were cut at {max_length} tokens, the longer of prompt and answer first")

    # 5. train
    say(
        f"training: {len(train_part)} prompts, {train_answers} answers, {steps} steps of {batch_size} answers,"
        f" {objective}, {precision} on {device}" + (f", {PROCESSES} processes" if PROCESSES > 1 else "")
    )
    trainer = RankingTrainer(
        model,
        args,
        tokenizer=tokenizer,
        objective=OBJECTIVES[objective],
        train_table=table.select(train_part),
        validation_table=table.select(validation_part),
        validation_rankings=[rankings[i] for i in validation_part],
        answers_per_step=batch_size,
        head_learning_rate=head_learning_rate,
        callbacks=_callbacks(log_folder, steps),
    )
    start = time.perf_counter()
    with quiet_transformers():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.perf_counter() - start
    done = steps - (int(checkpoint.name.split("-")[1]) if checkpoint else 0)
    best_step = trainer.restore_best()
    return model, tokenizer, table, {
        "steps": steps,
        "best_step": best_step,
        "epochs": steps / steps_an_epoch,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_length": max_length,
        "truncated_answers": cut,
        "seconds": round(seconds, 2),
        "ranked_answers_per_second": round(done * train_answers / steps_an_epoch / seconds, 2),
        "precision": precision,
        "device": device,
        "processes": PROCESSES,
        "seed": seed,
        "evaluations": trainer.history,
    }  # fmt: skip


def evaluate(rankings: list[Ranking], rewards, seed: int) -> tuple[dict, dict]:
    """Return the metrics of `rewards` and those of the two length baselines on the same pairs."""
    from preference.metrics import evaluate_rewards, length_baselines

    return evaluate_rewards(rankings, rewards, seed=seed), length_baselines(rankings, seed=seed)


def save_and_verify(model, tokenizer, metrics: dict, tests: list[Ranking], rewards, output_dir: Path) -> None:
    """Write the model folder, load it in a fresh process, and take its name only when it gives the same rewards.

    Raises:
        RuntimeError: the saved model's rewards differ; it is left in `OUTPUT_DIR.unverified`.
    """
    import numpy as np

    from preference.metrics import predicted_ranks, split_rewards
    from preference.rankings import format_rows
    from preference.report import model_card
    from preference.reward_model import TOLERANCE, quiet_transformers, rewards_in_fresh_process

    new = output_dir.with_name(output_dir.name + ".unverified")
    shutil.rmtree(new, ignore_errors=True)
    with quiet_transformers():
        model.save_pretrained(new)
        tokenizer.save_pretrained(new)
    config = json.loads((new / "config.json").read_text(encoding="utf-8"))
    config["num_labels"] = 1  # transformers leaves it out where id2label tells; other readers look for it
    (new / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (new / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (new / "README.md").write_text(model_card(metrics), encoding="utf-8")

    prompts = [ranking.prompt for ranking in tests for _ in ranking.answers]
    answers = [answer for ranking in tests for answer in ranking.answers]
    some = min(len(answers), 64)
    for way, values in rewards_in_fresh_process(new, prompts[:some], answers[:some]).items():
        worst = float(np.abs(values - rewards[:some]).max())
        if not worst <= TOLERANCE:
            raise RuntimeError(f"{new}: loaded again, the model's rewards ({way}) differ by {worst:.2e}, more than {TOLERANCE:.0e}")

    rows = [
        [ranking.prompt, answer, rank, f"{reward:.6f}", predicted]
        for ranking, values in zip(tests, split_rewards(tests, rewards), strict=True)
        for answer, rank, reward, predicted in zip(ranking.answers, ranking.ranks, values, predicted_ranks(values), strict=True)
    ]
    text = format_rows([["prompt", "answer", "rank", "reward", "predicted_rank"], *rows])
    (new / "test_rewards.csv").write_text(text, encoding="utf-8")
    old = output_dir.with_name(output_dir.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if output_dir.exists():
        output_dir.rename(old)
    new.rename(output_dir)
    shutil.rmtree(old, ignore_errors=True)


def print_report(metrics: dict, tests: list[Ranking], rewards) -> None:
    """Print the table of test answers, the metrics beside the baselines, the checks and the closing sentence."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from preference.metrics import predicted_ranks, split_rewards

    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=120)
    table = Table(title="Rewards of the answers to unseen prompts", box=box.SIMPLE_HEAD, title_justify="left")
    for name, options in (
        ("prompt", {"max_width": 32}), ("answer", {"max_width": 48}), ("true rank", {"justify": "right"}),
        ("reward", {"justify": "right"}), ("predicted rank", {"justify": "right"}),
    ):  # fmt: skip
        table.add_column(name, no_wrap=name in ("prompt", "answer"), overflow="ellipsis", **options)
    printed = 0
    for ranking, values in zip(tests, split_rewards(tests, rewards), strict=True):
        if printed >= TABLE_ROWS:
            break
        predicted = predicted_ranks(values)
        for i in sorted(range(len(values)), key=lambda i: ranking.ranks[i]):
            cells = [_one_line(ranking.prompt), _one_line(ranking.answers[i]), str(ranking.ranks[i]), f"{values[i]:+.3f}", str(predicted[i])]
            table.add_row(*map(Text, cells), end_section=i == max(range(len(values)), key=lambda i: ranking.ranks[i]))
            printed += 1
    console.print(table)
    if printed < len(rewards):
        console.print(f"({len(rewards) - printed} more answers are in test_rewards.csv)\n")

    parts = [part for part in ("validation", "test") if metrics[part]]
    table = Table(title="Agreement with the rankings", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for part in parts:
        count = metrics[part]["prompts"]
        table.add_column(f"{part} ({count} prompt{'' if count == 1 else 's'})", justify="right")

    def row(name: str, value) -> None:
        table.add_row(name, *(value(part) for part in parts))

    def accuracy(values: dict) -> str:
        low, high = values["pairwise_accuracy_95"]
        return f"{values['pairwise_accuracy']:.3f} [{low:.3f}, {high:.3f}]".replace("[", r"\[")

    def number(key: str, form: str = ".3f"):
        return lambda part: "–" if metrics[part][key] is None else format(metrics[part][key], form)

    row("pairwise accuracy [95 % interval]".replace("[", r"\["), lambda part: accuracy(metrics[part]))
    row("  longest answer is best", lambda part: accuracy(metrics["baselines"][part]["longest_answer"]))
    row("  shortest answer is best", lambda part: accuracy(metrics["baselines"][part]["shortest_answer"]))
    row("length-controlled accuracy", number("length_controlled_accuracy"))
    row("Kendall tau", number("kendall_tau"))
    row("Spearman rho", number("spearman_rho"))
    row("best-of-n hit rate", number("best_of_n_hit_rate"))
    row("reward range", lambda part: f"{metrics[part]['reward_min']:+.2f} to {metrics[part]['reward_max']:+.2f}")
    row("reward mean, standard deviation", lambda part: f"{metrics[part]['reward_mean']:+.2f}, {metrics[part]['reward_std']:.2f}")
    if parts:
        console.print(table)
    for check in metrics["checks"]:
        console.print(f"{check['result']:>12}  {check['name']}: {check['evidence']}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n{metrics['verdict']}", markup=False, highlight=False)


def run(
    *,
    data: str,
    test_data: str | None,
    base_model: str,
    objective: str,
    output_dir: Path,
    plot: Path,
    log_dir: Path,
    validation_fraction: float,
    device: str,
    seed: int,
    **settings,
) -> None:
    """The whole job: read, split, encode, train, scale, evaluate, save, verify, plot, report."""
    _check_output_dir(output_dir)
    rankings, tests, shared = read_data(data, test_data)
    test_rankings = tests.rankings if tests else []
    test_prompts = {ranking.prompt for ranking in test_rankings}
    usable = [ranking for ranking in rankings.rankings if ranking.prompt not in test_prompts]
    base = find_base_model(base_model)
    say(base.note or f"base model: {base.used} ({base.source})")

    train_part, validation_part = split_by_prompt(len(usable), validation_fraction, seed)
    if not validation_part and validation_fraction > 0:
        say(f"{len(usable)} prompts are too few for a validation part of {validation_fraction:.0%}: training on all of them")

    from preference.reward_model import check_device

    check_device(device)
    checkpoints = output_dir.with_name(output_dir.name + "_checkpoints")
    model, tokenizer, table, training = train(
        rankings=usable, train_part=train_part, validation_part=validation_part, digest=rankings.sha256 + str(shared),
        base=base, objective=objective, checkpoints=checkpoints, log_folder=log_dir / time.strftime("%Y%m%d-%H%M%S"),
        device=device, seed=seed, **settings,
    )  # fmt: skip
    if PROCESS != 0:
        return

    import numpy as np

    from preference.batching import split_answers
    from preference.report import check_reward_model, verdict
    from preference.reward_model import RewardModel, score_encoded, standardise_rewards

    scored = random_part(train_part, 500, seed)
    pairs = [pair for i in scored for pair in split_answers(table[i])]
    standardise_rewards(model, score_encoded(model, tokenizer, pairs, device=device, precision=training["precision"]))
    reward_model = RewardModel(model, tokenizer, device=device, precision="fp32")

    def rewards_of(some: list[Ranking]) -> np.ndarray:
        return reward_model.score([r.prompt for r in some for _ in r.answers], [a for r in some for a in r.answers])

    parts = {"validation": [usable[i] for i in validation_part], "test": test_rankings}
    rewards = {part: rewards_of(some) for part, some in parts.items()}
    evaluated = {part: evaluate(some, rewards[part], seed) if some else (None, None) for part, some in parts.items()}
    unseen = "test" if test_rankings else "validation"
    shown = parts[unseen] or [usable[i] for i in train_part]  # where nothing is unseen, show the training answers
    shown_rewards = rewards[unseen] if parts[unseen] else rewards_of(shown)
    checks = check_reward_model(parts[unseen], rewards[unseen], seed=seed) if parts[unseen] else []
    metrics = {
        "data": {
            "path": data, "rows": rankings.rows, "prompts": len(rankings), "training_prompts": len(train_part),
            "left_out": len(rankings.left_out_prompts) + shared, "duplicate_rows": len(rankings.duplicate_rows),
            "sha256": rankings.sha256, "test_path": test_data, "test_sha256": tests.sha256 if tests else None,
        },
        "base_model": {"asked": base.asked, "used": base.used, "source": base.source},
        "objective": objective,
        "training": training | {"scaled_on_answers": len(pairs)},
        "validation": evaluated["validation"][0],
        "test": evaluated["test"][0],
        "baselines": {part: baselines for part, (_, baselines) in evaluated.items()},
        "checks": [{"name": c.name, "passed": c.passed, "result": c.word, "evidence": c.evidence} for c in checks],
        "verdict": verdict(checks, evaluated[unseen][0]),
        "versions": _versions(),
    }  # fmt: skip
    save_and_verify(model, tokenizer, metrics, shown, shown_rewards, output_dir)
    shutil.rmtree(checkpoints, ignore_errors=True)

    from preference.plots import plot_rewards

    plot_rewards(shown, shown_rewards, plot, title=f"{base.used}, {objective}, {len(train_part)} training prompts")
    if not parts[unseen]:
        say("no unseen prompts: the table shows the answers that it was trained on")
    print_report(metrics, shown, shown_rewards)
    rate = training["ranked_answers_per_second"]
    say(f"\n{training['steps']} steps in {training['seconds']:.1f} s, {rate:.1f} ranked answers/s; saved, loaded again, same rewards")
    say(f"model   {output_dir}/\nplot    {plot}\nlogs    {log_dir}/")


def random_part(items: list[int], most: int, seed: int) -> list[int]:
    """Return at most `most` of `items`, drawn with `seed`."""
    import random

    return items if len(items) <= most else sorted(random.Random(seed).sample(items, most))


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _callbacks(log_folder: Path, steps: int) -> list:
    """The progress bar on standard error and the TensorBoard log, of process 0."""
    if PROCESS != 0:
        return []
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from torch.utils.tensorboard import SummaryWriter
    from transformers import TrainerCallback
    from transformers.integrations import TensorBoardCallback

    class ShowProgress(TrainerCallback):
        def __init__(self):
            terminal = Console(stderr=True)
            self.bar = Progress(
                TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
                console=terminal, transient=True, disable=not terminal.is_terminal,
            )  # fmt: skip
            self.task = self.bar.add_task("", total=steps)
            self.loss = self.accuracy = ""

        def on_train_begin(self, args, state, control, **kwargs):
            self.bar.start()

        def on_step_end(self, args, state, control, **kwargs):
            self.bar.update(self.task, completed=state.global_step, description=f"{self.loss} {self.accuracy}")

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.loss = f"loss {logs['loss']:.3f}" if "loss" in logs else self.loss
            self.accuracy = f"validation accuracy {logs['eval_pairwise_accuracy']:.3f}" if "eval_pairwise_accuracy" in logs else self.accuracy

        def on_train_end(self, args, state, control, **kwargs):
            self.bar.stop()

    return [ShowProgress(), TensorBoardCallback(SummaryWriter(log_dir=str(log_folder)))]


def _check_settings(path: Path, settings: dict) -> str:
    """Refuse to resume a run with other settings; return the precision that it was started with."""
    started = json.loads(path.read_text(encoding="utf-8"))
    differing = [name for name, value in settings.items() if started.get(name) != value]
    if differing:
        raise InputError(
            f"--resume: the unfinished run in {path.parent} had another {', '.join(differing)}; give the same arguments and"
            " the same CSV, or leave out --resume to start anew"
        )
    return started["precision"]


def _check_output_dir(output_dir: Path) -> None:
    """Refuse to replace a folder or file that no trainer wrote."""
    if not output_dir.exists() or (output_dir.is_dir() and not any(output_dir.iterdir())):
        return
    if not (output_dir / "metrics.json").exists():
        raise InputError(f"{output_dir}: exists and is no model of this trainer; choose another --output-dir")


def _versions() -> dict[str, str]:
    import importlib.metadata
    import platform

    packages = ("torch", "transformers", "datasets", "accelerate", "pandas", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def build_parser() -> argparse.ArgumentParser:
    def positive(text: str) -> int:
        if (number := int(text)) < 1:
            raise argparse.ArgumentTypeError(f"{text} is not at least 1")
        return number

    def positive_float(text: str) -> float:
        if not (number := float(text)) > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return number

    def fraction(text: str) -> float:
        if not 0 <= (number := float(text)) < 1:
            raise argparse.ArgumentTypeError(f"{text} is not from 0 to below 1")
        return number

    parser = argparse.ArgumentParser(
        description="Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument("--data", default="training_data.csv", help="ranked answers to train on")
    files.add_argument(
        "--test-data", default=argparse.SUPPRESS, help="ranked answers to unseen prompts (default: test_data.csv where it exists)"
    )
    files.add_argument("--output-dir", type=Path, default=Path("reward_model_final"), help="the model's folder; an earlier model there is replaced")
    files.add_argument("--plot", type=Path, default=Path("reward_scores_plot.png"), help="the picture of the rewards")
    files.add_argument("--log-dir", type=Path, default=Path("logs"), help="for TensorBoard")
    what = parser.add_argument_group("model")
    what.add_argument("--base-model", default=REWARD_MODEL_DEFAULT, help="a folder, or a name on the Hugging Face Hub")
    what.add_argument(
        "--objective", choices=["regression", "bradley-terry", "plackett-luce"], default="regression",
        help="what to minimise; all compare the answers to one prompt with each other",
    )  # fmt: skip
    what.add_argument("--max-length", type=positive, default=512, help="tokens of prompt and answer together")
    how = parser.add_argument_group("training")
    how.add_argument("--epochs", type=positive_float, default=3.0, help="passes over the training part")
    how.add_argument("--min-steps", type=int, default=60, help="train at least so many steps, however few the rows")
    how.add_argument("--max-steps", type=positive, default=None, help="stop after so many steps")
    how.add_argument("--batch-size", type=positive, default=8, help="answers per step, over all processes; a prompt's answers stay together")
    how.add_argument("--learning-rate", type=positive_float, default=1e-4, help="of the pretrained layers")
    how.add_argument("--head-learning-rate", type=positive_float, default=1e-3, help="of the new output layer")
    how.add_argument(
        "--freeze-embeddings", action=argparse.BooleanOptionalAction, default=True,
        help="keep the word vectors as they are, which is faster",
    )  # fmt: skip
    how.add_argument("--validation-fraction", type=fraction, default=0.2, help="share of the prompts held out to choose the best weights")
    how.add_argument("--seed", type=int, default=42, help="of the split, the order and the new layer")
    how.add_argument("--resume", action="store_true", help="go on from the last checkpoint of a run that was stopped")
    where = parser.add_argument_group("machine")
    where.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    where.add_argument("--precision", choices=["auto", "bf16", "fp32"], default="auto", help="auto: bf16 where the processor is faster in it")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = vars(build_parser().parse_args(argv))
    args.setdefault("test_data", "test_data.csv" if Path("test_data.csv").exists() else None)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        run(**args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
