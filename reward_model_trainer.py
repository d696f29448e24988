#!/usr/bin/env python3
"""Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.

    python reward_model_trainer.py
    python reward_model_trainer.py --data my_rankings.csv --objective bradley-terry

Reads training_data.csv (columns prompt, answer, rank; 1 is best) and test_data.csv where it exists. Writes
reward_model_final/ (model, tokenizer, model card, metrics.json, test_rewards.csv), reward_scores_plot.png and logs/
for TensorBoard. Several processes: torchrun --nproc-per-node 2 reward_model_trainer.py …
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from preference.arguments import above, at_least, from_to
from preference.data.rankings import Ranking, Rankings, read_rankings
from preference.data.splits import split_by_prompt
from preference.errors import InputError
from preference.model.base_models import REWARD_MODEL_DEFAULT, BaseModel, find_base_model
from preference.wording import counted, name_some, shorten

PICTURES = (".png", ".pdf", ".svg", ".jpg", ".webp")  # what matplotlib draws
EVALUATE_EVERY = 20  # steps
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
        say(f"warning: {data} shares {counted(len(shared), 'prompt')} with {test_data}: left out of training, so that the test prompts are unseen")
        if len(shared) == len(rankings):
            raise InputError(f"{data}: every prompt also stands in {test_data}; nothing is left to train on")
    return rankings, tests, len(shared)


def train(
    *,
    rankings: list[Ranking],
    train_part: list[int],
    validation_part: list[int],
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
    freeze_layers: int | None,
    max_length: int,
    device: str,
    precision: str,
    seed: int,
    resume: bool,
    callbacks: Sequence = (),
):
    """Fine-tune `base` on the rankings of `train_part`; return the model, its tokenizer, the encoded table, and figures of the run."""
    from transformers import TrainingArguments

    from preference.machine import choose_precision
    from preference.model.base_models import quiet_transformers
    from preference.model.fine_tuning import freeze_lower_layers, load_base_model
    from preference.training.encoded_table import digest_of, encode_rankings
    from preference.training.objectives import OBJECTIVES
    from preference.training.progress import ShowProgress, tensorboard_log
    from preference.training.ranking_trainer import RankingTrainer
    from preference.training.resuming import begin_run, last_checkpoint, started_settings, steps_done

    # 1. the base model with one new output
    model, tokenizer = load_base_model(base.path, seed=seed)
    frozen_layers = freeze_lower_layers(model, freeze_layers)
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
        "data": digest_of(rankings), "train_part": train_part, "base_model": base.used, "objective": objective, "steps": steps,
        "batch_size": batch_size, "learning_rate": learning_rate, "head_learning_rate": head_learning_rate,
        "frozen_layers": frozen_layers, "max_length": max_length, "seed": seed, "asked_precision": precision,
    }  # fmt: skip
    if checkpoint is not None:
        precision = started_settings(checkpoints, settings)["precision"]
    else:
        precision = choose_precision(precision, device, model.config.hidden_size)
        if PROCESS == 0:
            if last_checkpoint(checkpoints):
                say(f"{checkpoints}: an unfinished run is replaced (--resume would go on with it)")
            begin_run(checkpoints, settings | {"precision": precision})
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

    args._n_gpu = min(args.n_gpu, 1)  # several GPUs are torchrun's matter: DataParallel would cut prompts apart

    # 4. token ids, made by one process for all
    with args.main_process_first(local=False):
        table = encode_rankings(rankings, tokenizer, max_length)
    cut, answers = sum(table["truncated"]), sum(len(ranking.answers) for ranking in rankings)
    if cut:
        prompts = name_some([shorten(ranking.prompt) for ranking, count in zip(rankings, table["truncated"], strict=True) if count])
        say(f"warning: {cut} of {answers} answers were cut at {max_length} tokens, the longer of prompt and answer first; to {prompts}")

    # 5. train
    say(
        f"training: {counted(len(train_part), 'prompt')}, {train_answers} answers, {counted(steps, 'step')} of {counted(batch_size, 'answer')},"
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
        callbacks=[*callbacks, *([ShowProgress(steps), tensorboard_log(log_folder)] if PROCESS == 0 else [])],
    )
    start = time.perf_counter()
    with quiet_transformers():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.perf_counter() - start
    done = steps - steps_done(checkpoint)
    best_step = trainer.restore_best()
    return model, tokenizer, table, {
        "steps": steps,
        "best_step": best_step,
        "epochs": steps / steps_an_epoch,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "frozen_layers": frozen_layers,
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
    from preference.evaluation.metrics import evaluate_rewards, length_baselines

    return evaluate_rewards(rankings, rewards, seed=seed), length_baselines(rankings, seed=seed)


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
    _check_outputs(output_dir, plot)
    rankings, tests, shared = read_data(data, test_data)
    test_rankings = tests.rankings if tests else []
    test_prompts = {ranking.prompt for ranking in test_rankings}
    usable = [ranking for ranking in rankings.rankings if ranking.prompt not in test_prompts]
    base = find_base_model(base_model)
    say(base.note or f"base model: {base.used} ({base.source})")

    train_part, validation_part = split_by_prompt(usable, validation_fraction, seed)
    if not validation_part and validation_fraction > 0:
        say(f"too few prompts ({len(usable)}) for a validation part of {validation_fraction:.0%}: training on all of them")

    from preference.machine import check_device

    check_device(device)
    checkpoints = output_dir.with_name(output_dir.name + "_checkpoints")
    model, tokenizer, table, training = train(
        rankings=usable, train_part=train_part, validation_part=validation_part,
        base=base, objective=objective, checkpoints=checkpoints, log_folder=log_dir / time.strftime("%Y%m%d-%H%M%S"),
        device=device, seed=seed, **settings,
    )  # fmt: skip
    if PROCESS != 0:
        return

    import numpy as np

    from preference.evaluation.report import check_reward_model, verdict
    from preference.evaluation.tables import print_report
    from preference.model.head import standardise_rewards
    from preference.model.reward_model import RewardModel, score_encoded
    from preference.training.encoded_table import split_answers
    from preference.training.saving import save_and_verify

    scored = random_part(train_part, 500, seed)
    pairs = [pair for i in scored for pair in split_answers(table[i])]
    standardise_rewards(model, score_encoded(model, tokenizer, pairs, device=device, precision=training["precision"]))
    reward_model = RewardModel(model, tokenizer, device=device, precision="fp32")

    def rewards_of(some: list[Ranking]) -> np.ndarray:
        return reward_model.score([r.prompt for r in some for _ in r.answers], [a for r in some for a in r.answers])

    parts = {
        "test": test_rankings,
        "validation": [usable[i] for i in validation_part],
        "training": [usable[i] for i in train_part],  # shown where nothing is unseen
    }
    shown_part = next(part for part, some in parts.items() if some)
    shown = parts[shown_part]
    rewards = {part: rewards_of(parts[part]) for part in {"test", "validation", shown_part} if parts[part]}
    evaluated = {part: evaluate(parts[part], rewards[part], seed) if parts[part] else (None, None) for part in ("validation", "test")}
    unseen_metrics, _ = evaluated.get(shown_part, (None, None))
    checks = check_reward_model(shown, rewards[shown_part], seed=seed) if unseen_metrics else []
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
        "verdict": verdict(checks, unseen_metrics),
        "versions": _versions(),
    }  # fmt: skip

    from concurrent.futures import ThreadPoolExecutor

    from preference.evaluation.plots import plot_rewards

    with ThreadPoolExecutor(1) as pool:  # saving mostly waits for the process that checks the saved model
        saving = pool.submit(save_and_verify, model, tokenizer, metrics, shown, rewards[shown_part], output_dir)
        try:
            title = f"{base.used}, {objective}, {counted(len(train_part), 'training prompt')}"
            plot_rewards(shown, rewards[shown_part], plot, title=title, part=shown_part)
        except OSError as error:
            say(f"warning: {plot}: the picture could not be written ({error.strerror})")
    saving.result()
    shutil.rmtree(checkpoints, ignore_errors=True)
    print_report(metrics, shown, rewards[shown_part], shown_part)
    rate = training["ranked_answers_per_second"]
    say(f"\n{counted(training['steps'], 'step')} in {training['seconds']:.1f} s, {rate:.1f} ranked answers/s; saved, loaded again, same rewards")
    say(f"model   {output_dir}/\nplot    {plot}\nlogs    {log_dir}/")


def random_part(items: list[int], most: int, seed: int) -> list[int]:
    """Return at most `most` of `items`, drawn with `seed`."""
    import random

    return items if len(items) <= most else sorted(random.Random(seed).sample(items, most))


def _check_outputs(output_dir: Path, plot: Path) -> None:
    """Refuse, before any work, a picture that cannot be drawn, and to replace a folder or file that no trainer wrote."""
    if plot.suffix.lower() not in PICTURES or plot.is_dir():
        raise InputError(f"--plot {plot}: no name of a picture; end it in one of {' '.join(PICTURES)}")
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())) and not (output_dir / "metrics.json").exists():
        raise InputError(f"{output_dir}: exists and is no model of this trainer; choose another --output-dir")
    try:
        plot.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--plot {plot}: its folder cannot be made ({error.strerror})") from error


def _versions() -> dict[str, str]:
    import importlib.metadata
    import platform

    packages = ("torch", "transformers", "datasets", "accelerate", "pandas", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument("--data", default="training_data.csv", help="ranked answers to train on")
    files.add_argument("--test-data", default=argparse.SUPPRESS, help="ranked answers to unseen prompts (default: test_data.csv where it exists)")
    files.add_argument("--output-dir", type=Path, default=Path("reward_model_final"), help="the model's folder; an earlier model there is replaced")
    files.add_argument("--plot", type=Path, default=Path("reward_scores_plot.png"), help="the picture of the rewards")
    files.add_argument("--log-dir", type=Path, default=Path("logs"), help="for TensorBoard")
    what = parser.add_argument_group("model")
    what.add_argument("--base-model", default=REWARD_MODEL_DEFAULT, help="a folder, or a name on the Hugging Face Hub")
    what.add_argument(
        "--objective", choices=["regression", "bradley-terry", "plackett-luce"], default="regression",
        help="what to minimise; all compare the answers to one prompt. none did better than regression where measured;"
        " bradley-terry did as well, with two and four answers a prompt and with 5 to 400 prompts; plackett-luce takes the"
        " likelihood of the whole order",
    )  # fmt: skip
    what.add_argument("--max-length", type=at_least(1), default=512, help="tokens of prompt and answer together")
    how = parser.add_argument_group("training")
    how.add_argument("--epochs", type=above(0), default=3.0, help="passes over the training part")
    how.add_argument("--min-steps", type=at_least(0), default=60, help="train at least so many steps, however few the rows")
    how.add_argument("--max-steps", type=at_least(1), default=None, help="stop after so many steps")
    how.add_argument("--batch-size", type=at_least(1), default=8, help="answers per step, over all processes; a prompt's answers stay together")
    how.add_argument("--learning-rate", type=above(0), default=1e-4, help="of the pretrained layers")
    how.add_argument("--head-learning-rate", type=above(0), default=1e-3, help="of the new output layer")
    how.add_argument(
        "--freeze-layers", type=at_least(-1), default=argparse.SUPPRESS, metavar="N",
        help="keep the embeddings and the N lowest layers as they were pretrained; -1 trains everything (default: a third of the layers)",
    )  # fmt: skip
    how.add_argument(
        "--validation-fraction", type=from_to(0, 1, below=True), default=0.2, help="share of the prompts held out to choose the best weights"
    )
    how.add_argument("--seed", type=int, default=42, help="of the split, the order and the new layer")
    how.add_argument("--resume", action="store_true", help="go on from the last checkpoint of a run that was stopped")
    where = parser.add_argument_group("machine")
    where.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    where.add_argument("--precision", choices=["auto", "bf16", "fp32"], default="auto", help="auto: bf16 where the processor is faster in it")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = vars(build_parser().parse_args(argv))
    args.setdefault("freeze_layers", None)
    args.setdefault("test_data", "test_data.csv" if Path("test_data.csv").exists() else None)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        run(**args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command with --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
