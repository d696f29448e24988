#!/usr/bin/env python3
"""How others train a reward model: each method as its users have it, on the same rankings.

    python benchmarks/peers.py trl --data my_rankings.csv --base-model FOLDER

Trains for one epoch in this process, and writes the model to reward_model_final/.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from preference.data.rankings import Ranking, read_rankings

OURS, CROSS_ENCODER, TRL = "this project", "CrossEncoder, RankNet", "TRL RewardTrainer"
MODEL = "reward_model_final"  # the folder that each method writes
BATCH_SIZE = 8  # answers, where the method lets us choose


def train_trl(rankings: Sequence[Ranking], base: str, seed: int, max_length: int):
    """Train with TRL's RewardTrainer and its defaults, on every pair of a prompt; it leaves out pairs with an answer
    above the maximum length."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    pairs = [
        {"prompt": f"{r.prompt}\n", "chosen": r.answers[i], "rejected": r.answers[j]}
        for r in rankings for i in range(len(r.ranks)) for j in range(len(r.ranks)) if r.ranks[i] < r.ranks[j]
    ]  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = tokenizer.eos_token or tokenizer.sep_token
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    arguments = RewardConfig(**common_arguments(seed), max_length=max_length)
    trainer = RewardTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer
    )
    trainer.train()
    tokenizer.model_max_length = max_length
    model.save_pretrained(MODEL)
    tokenizer.save_pretrained(MODEL)
    return trainer


def train_cross_encoder(rankings: Sequence[Ranking], base: str, seed: int, max_length: int):
    """Train sentence-transformers' CrossEncoder with its defaults and the RankNet loss; each prompt's answers form one
    list."""
    from datasets import Dataset
    from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import RankNetLoss

    rows = [
        {"query": r.prompt, "docs": r.answers, "labels": [float(max(r.ranks) - rank) for rank in r.ranks]}
        for r in rankings
    ]
    model = CrossEncoder(base, num_labels=1, max_length=max_length, device="cpu")
    prompts_per_step = max(1, round(BATCH_SIZE * len(rankings) / sum(len(r.answers) for r in rankings)))
    arguments = CrossEncoderTrainingArguments(**common_arguments(seed), per_device_train_batch_size=prompts_per_step)
    trainer = CrossEncoderTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(rows), loss=RankNetLoss(model)
    )
    trainer.train()
    model.save_pretrained(MODEL)
    return trainer


def common_arguments(seed: int) -> dict:
    """Return what both trainers are told; they too get bf16 where this processor is faster in it."""
    from preference.machine import choose_precision

    return {
        "output_dir": "checkpoints", "num_train_epochs": 1, "seed": seed, "use_cpu": True, "report_to": "none",
        "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False,
        "bf16": choose_precision("auto", "cpu", 384) == "bf16",
    }  # fmt: skip


def score(method: str, folder: Path, rankings: Sequence[Ranking]) -> tuple[np.ndarray, float]:
    """Return the rewards of all answers by the model in `folder`, in order, and how many answers were scored per
    second.

    TRL trained on one text, prompt and answer joined, so its model is given one text.
    """
    from preference.model.reward_model import RewardModel

    model = RewardModel.load(folder, precision="auto")
    start = time.perf_counter()
    if method == TRL:
        pairs = joined(model.tokenizer, rankings)
        rewards = model.score_encoded(pairs)
    else:
        rewards = model.score_rankings(rankings)
    return rewards, len(rewards) / (time.perf_counter() - start)


def joined(tokenizer, rankings: Sequence[Ranking]) -> list[dict]:
    """Return the token ids of each prompt joined with each of its answers, as TRL joins them."""
    texts = [f"{r.prompt}\n{answer}{tokenizer.eos_token}" for r in rankings for answer in r.answers]
    encoded = tokenizer(texts, truncation=True, max_length=tokenizer.model_max_length, return_attention_mask=False)
    return [dict(zip(encoded.keys(), values, strict=True)) for values in zip(*encoded.values(), strict=True)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("method", choices=[CROSS_ENCODER, TRL])
    parser.add_argument("--data", required=True)
    parser.add_argument("--base-model", required=True)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--max-length", type=int, default=512)
    args = parser.parse_args()
    {TRL: train_trl, CROSS_ENCODER: train_cross_encoder}[args.method](
        read_rankings(args.data).rankings, args.base_model, args.seed, args.max_length
    )
