"""How others train a reward model: each method as its users have it, on the same rankings.

Each function takes (rankings, folder for files, request, timer), trains, and returns a `TrainedMethod`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import Dataset
from request import Request, base_folder
from step_timer import StepTimer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

from preference.data.rankings import Ranking
from preference.machine import choose_precision
from preference.model.encoding import encode_pairs
from preference.model.reward_model import score_encoded

BATCH_SIZE = 8  # answers, where the method lets us choose


class TrainedMethod(NamedTuple):
    """What a method trained.

    Attributes:
        answers_per_step: ranked answers per step, each counted once per epoch.
        score: gives the rewards of all answers to some rankings, in order: shape (answers,).
    """

    answers_per_step: float
    score: Callable[[Sequence[Ranking]], np.ndarray]


def train_usual(rankings: Sequence[Ranking], folder: Path, request: Request, timer: StepTimer) -> TrainedMethod:
    """The Trainer as in most tutorials: fp32, dropout as configured, every answer padded to the maximum length, 8 per batch."""
    base = base_folder(request.base_model)
    tokenizer = AutoTokenizer.from_pretrained(base)
    prompts, answers = texts_of(rankings)
    labels = [(max(r.ranks) - rank) / (max(r.ranks) - 1) for r in rankings for rank in r.ranks]
    encoded = tokenizer(prompts, answers, padding="max_length", truncation=True, max_length=request.max_length)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    Trainer(
        model=model,
        args=TrainingArguments(**common_arguments(folder, request), per_device_train_batch_size=BATCH_SIZE),
        train_dataset=Dataset.from_dict({**encoded, "labels": labels}),
        callbacks=[timer],
    ).train()

    def score(unseen: Sequence[Ranking]) -> np.ndarray:
        pairs, _ = encode_pairs(tokenizer, *texts_of(unseen), request.max_length)
        return score_encoded(model, tokenizer, pairs, device="cpu")

    return TrainedMethod(BATCH_SIZE, score)


def train_trl(rankings: Sequence[Ranking], folder: Path, request: Request, timer: StepTimer) -> TrainedMethod:
    """TRL's RewardTrainer with its defaults, on every pair of a prompt. It leaves out pairs with an answer above the maximum length."""
    from trl import RewardConfig, RewardTrainer

    pairs = [
        {"prompt": r.prompt + "\n", "chosen": r.answers[i], "rejected": r.answers[j]}
        for r in rankings for i in range(len(r.ranks)) for j in range(len(r.ranks)) if r.ranks[i] < r.ranks[j]
    ]  # fmt: skip
    base = base_folder(request.base_model)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = tokenizer.sep_token
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    arguments = RewardConfig(**common_arguments(folder, request), **faster_precision(), max_length=request.max_length)
    trainer = RewardTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer, callbacks=[timer])
    trainer.train()
    kept = trainer.train_dataset
    answers_per_pair = count_answers_per_pair(kept["chosen_ids"], kept["rejected_ids"])

    def score(unseen: Sequence[Ranking]) -> np.ndarray:
        """It was trained on one text, prompt and answer joined, so it is given one text here."""
        texts = [f"{prompt}\n{answer}{tokenizer.eos_token}" for prompt, answer in zip(*texts_of(unseen), strict=True)]
        encoded = tokenizer(texts, truncation=True, max_length=request.max_length, return_attention_mask=False)
        rows = [dict(zip(encoded.keys(), values, strict=True)) for values in zip(*encoded.values(), strict=True)]
        return score_encoded(model, tokenizer, rows, device="cpu")

    return TrainedMethod(arguments.per_device_train_batch_size * answers_per_pair, score)


def train_cross_encoder(rankings: Sequence[Ranking], folder: Path, request: Request, timer: StepTimer) -> TrainedMethod:
    """sentence-transformers' CrossEncoder with its defaults and the RankNet loss; each prompt's answers form one list."""
    import torch
    from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import RankNetLoss

    rows = [{"query": r.prompt, "docs": r.answers, "labels": [float(max(r.ranks) - rank) for rank in r.ranks]} for r in rankings]
    model = CrossEncoder(base_folder(request.base_model), num_labels=1, max_length=request.max_length, device="cpu")
    answers_per_prompt = sum(len(r.answers) for r in rankings) / len(rankings)
    prompts_per_step = max(1, round(BATCH_SIZE / answers_per_prompt))
    arguments = CrossEncoderTrainingArguments(**common_arguments(folder, request), **faster_precision(), per_device_train_batch_size=prompts_per_step)
    CrossEncoderTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows), loss=RankNetLoss(model), callbacks=[timer]).train()

    def score(unseen: Sequence[Ranking]) -> np.ndarray:
        return model.predict(list(zip(*texts_of(unseen), strict=True)), activation_fn=torch.nn.Identity())

    return TrainedMethod(prompts_per_step * answers_per_prompt, score)


def count_answers_per_pair(chosen: Sequence[Sequence[int]], rejected: Sequence[Sequence[int]]) -> float:
    """Return the number of distinct answers per pair.

    An answer is encoded once for each pair that it is part of: the six pairs of four answers count as four ranked
    answers, not as twelve.

    >>> count_answers_per_pair([[1], [1], [2]], [[2], [3], [3]])
    1.0
    """
    return len({tuple(ids) for ids in (*chosen, *rejected)}) / len(chosen)


def texts_of(rankings: Sequence[Ranking]) -> tuple[list[str], list[str]]:
    """Return the prompts and answers of all ranked answers, in order."""
    return [r.prompt for r in rankings for _ in r.answers], [answer for r in rankings for answer in r.answers]


def common_arguments(folder: Path, request: Request) -> dict:
    return {
        "output_dir": str(folder), "num_train_epochs": request.epochs, "seed": request.seed, "use_cpu": True, "report_to": "none",
        "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False,
    }  # fmt: skip


def faster_precision() -> dict:
    """Return the peers' argument for bf16, which they too get where this processor is faster in it."""
    return {"bf16": choose_precision("auto", "cpu", 384) == "bf16"}
