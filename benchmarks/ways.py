"""The ways of training, scoring and drawing that are compared. Each is measured in a process of its own.

    python benchmarks/ways.py '{"way": "trl", "data": "my_rankings.csv", "seconds": 20}'

prints one line of JSON; the keys are those of `Request`.
"""

import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from preference.data.rankings import Ranking, read_rankings  # noqa: E402

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
OBJECTIVES = ["regression", "bradley-terry", "plackett-luce"]
TRAINING = ["usual", "trl", "cross-encoder", *OBJECTIVES]
UNPADDED = "layers without padding"
LEVERS = ["dropout off", UNPADDED, "attention by matrix products in bf16", "last layer only where it is read", "frozen lower layers"]
PREDICTION = ["cross-encoder predict", "score"]
DRAWING = ["candidates together", "candidates one by one"]


@dataclass(frozen=True)
class Request:
    """What one process measures.

    Attributes:
        seconds: time the steps after the first two for so long. Without it, train to the end and evaluate.
        epochs, held_out, seed: of training to the end; `held_out` is the share of the prompts that stay unseen.
        without: a lever of LEVERS that is left out of this project's own training.
    """

    way: str
    data: str
    base_model: str = MINILM
    seconds: float | None = None
    epochs: float = 1.0
    held_out: float = 1 / 3
    seed: int = 42
    without: str | None = None


def measure(request: Request) -> dict:
    """Run one way and return its figures: `rate` (ranked answers a second) and, trained to the end, `metrics`."""
    rankings = read_rankings(request.data).rankings
    if request.way in DRAWING:
        return {"rate": draw_candidates(request.way)}
    if request.way in PREDICTION:
        return {"rate": predict(request.way, rankings, request.base_model)}
    train = {"usual": train_usual, "trl": train_trl, "cross-encoder": train_cross_encoder}.get(request.way, train_ours)
    with tempfile.TemporaryDirectory() as folder:
        if request.seconds is not None:
            rate, _ = train(rankings, folder, request, epochs=50)
            return {"rate": rate}
        seen, unseen = hold_out(rankings, request.held_out)
        start = time.perf_counter()
        rate, model = train(seen, folder, request, epochs=request.epochs)
        seconds = time.perf_counter() - start
    from preference.evaluation.metrics import evaluate_rewards

    metrics = evaluate_rewards(unseen, rewards_of(request.way, model, unseen))
    return {
        "rate": rate, "seconds": seconds, "epochs": request.epochs, "seed": request.seed,
        "training_prompts": len(seen), "metrics": metrics,
    }  # fmt: skip


def hold_out(rankings: list[Ranking], share: float) -> tuple[list[Ranking], list[Ranking]]:
    """Return the rankings to train on and the unseen ones, always the same."""
    order = list(range(len(rankings)))
    random.Random(2024).shuffle(order)
    cut = round(share * len(order))
    return [rankings[i] for i in sorted(order[cut:])], [rankings[i] for i in sorted(order[:cut])]


def base_folder(base: str) -> str:
    from preference.model.base_models import find_base_model

    return str(find_base_model(base).path)


# ---- training: each takes (rankings, folder, request, epochs) and returns ranked answers a second, and what it trained ----


def stop_after(seconds: float | None):
    """Return a Trainer callback that times the steps after the first two, and stops after `seconds` where given."""
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        started, steps, elapsed = None, 0, 0.0

        def on_step_end(self, args, state, control, **kwargs):
            now = time.perf_counter()
            if state.global_step <= 2:
                self.started = now
            else:
                self.steps, self.elapsed = state.global_step - 2, now - self.started
                control.should_training_stop |= self.elapsed > (math.inf if seconds is None else seconds)

        def rate(self, answers_per_step: float) -> float:
            return self.steps * answers_per_step / self.elapsed if self.steps else math.nan

    return Stop()


def common_arguments(folder: str, request: Request, epochs: float) -> dict:
    return {
        "output_dir": folder, "num_train_epochs": epochs, "seed": request.seed, "use_cpu": True, "report_to": "none",
        "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False,
    }  # fmt: skip


def faster_precision() -> dict:
    """Give the peers bf16 too where this processor is faster in it."""
    from preference.machine import choose_precision

    return {"bf16": choose_precision("auto", "cpu", 384) == "bf16"}


def train_usual(rankings: list[Ranking], folder: str, request: Request, epochs: float):
    """The Trainer as in most tutorials: fp32, dropout as configured, every answer padded to 512, eight a batch."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    base = base_folder(request.base_model)
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = [(r.prompt, a, (4 - k) / 3) for r in rankings for a, k in zip(r.answers, r.ranks, strict=True)]
    encoded = tokenizer([r[0] for r in rows], [r[1] for r in rows], padding="max_length", truncation=True, max_length=512)
    data = Dataset.from_dict({**encoded, "labels": [r[2] for r in rows]})
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    stop = stop_after(request.seconds)
    arguments = TrainingArguments(**common_arguments(folder, request, epochs), per_device_train_batch_size=8)
    Trainer(model=model, args=arguments, train_dataset=data, callbacks=[stop]).train()
    return stop.rate(8), (model, tokenizer)


def train_trl(rankings: list[Ranking], folder: str, request: Request, epochs: float):
    """TRL's RewardTrainer with its defaults, 512 tokens, every pair of a prompt. It leaves out pairs that hold a longer answer."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    pairs = [
        {"prompt": r.prompt + "\n", "chosen": r.answers[i], "rejected": r.answers[j]}
        for r in rankings for i in range(len(r.ranks)) for j in range(len(r.ranks)) if r.ranks[i] < r.ranks[j]
    ]  # fmt: skip
    base = base_folder(request.base_model)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = tokenizer.sep_token
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    stop = stop_after(request.seconds)
    arguments = RewardConfig(**common_arguments(folder, request, epochs), **faster_precision(), max_length=512)
    trainer = RewardTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer, callbacks=[stop])
    trainer.train()
    # An answer is encoded once for each pair that it stands in, so a ranked answer costs more than one encoded.
    kept = trainer.train_dataset
    answers = len({tuple(ids) for side in ("chosen_ids", "rejected_ids") for ids in kept[side]})
    return stop.rate(arguments.per_device_train_batch_size * answers / len(kept)), (model, tokenizer)


def train_cross_encoder(rankings: list[Ranking], folder: str, request: Request, epochs: float):
    """sentence-transformers' CrossEncoder with its defaults and the RankNet loss, 512 tokens, a prompt's answers as one list."""
    from datasets import Dataset
    from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import RankNetLoss

    rows = [{"query": r.prompt, "docs": r.answers, "labels": [float(max(r.ranks) - k) for k in r.ranks]} for r in rankings]
    model = CrossEncoder(base_folder(request.base_model), num_labels=1, max_length=512, device="cpu")
    stop = stop_after(request.seconds)
    arguments = CrossEncoderTrainingArguments(
        **common_arguments(folder, request, epochs), **faster_precision(),
        per_device_train_batch_size=2,  # prompts: 8 answers, as the other ways have
    )  # fmt: skip
    CrossEncoderTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows), loss=RankNetLoss(model), callbacks=[stop]).train()
    return stop.rate(8), model


def train_ours(rankings: list[Ranking], folder: str, request: Request, epochs: float):
    """reward_model_trainer.py's own training with its defaults, less the lever that the request leaves out."""
    from preference.model.base_models import find_base_model
    from reward_model_trainer import build_parser, train

    stop = stop_after(request.seconds)
    names = ("batch_size", "learning_rate", "head_learning_rate", "max_length", "precision", "device")
    settings = {name: build_parser().get_default(name) for name in names}
    settings["freeze_layers"] = -1 if request.without == "frozen lower layers" else None
    with ExitStack() as stack:
        for target, replacement in patches_without(request.without):
            stack.enter_context(patch(target, replacement))
        model, tokenizer, _, training = train(
            rankings=rankings, train_part=list(range(len(rankings))), validation_part=[],
            base=find_base_model(request.base_model), objective=request.way, checkpoints=Path(folder) / "checkpoints",
            log_folder=Path(folder) / "logs", epochs=epochs, min_steps=1, max_steps=None, resume=False, seed=request.seed,
            callbacks=[stop], **settings,
        )  # fmt: skip
    return stop.rate(training["batch_size"]), (model, tokenizer)


def patches_without(lever: str | None) -> list[tuple[str, Callable]]:
    """Return what to replace in this project to train without `lever`."""
    if lever == UNPADDED:  # one padded chunk a step
        return [
            ("preference.model.fine_tuning.unpad_layers", lambda model: False),
            ("preference.training.ranking_trainer.chunk_cost_of", lambda model, device: None),
        ]
    if lever == "attention by matrix products in bf16":
        return [("preference.model.unpadding.attend_by_matmul", fused_attention)]
    if lever == "last layer only where it is read":
        return [("preference.model.unpadding.run_layers", run_layers_whole)]
    if lever == "dropout off":
        from torch import nn

        from preference.model.fine_tuning import load_base_model

        def with_dropout(*arguments, **options):
            model, tokenizer = load_base_model(*arguments, **options)
            for module in model.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.1
            return model, tokenizer

        return [("preference.model.fine_tuning.load_base_model", with_dropout)]
    return []


def fused_attention(query, key, value, tokens: int, dropout: float):
    """PyTorch's own attention in place of `attend_by_matmul`."""
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(query[:, :tokens], key[:, :tokens], value[:, :tokens], dropout_p=dropout, scale=1.0)


def run_layers_whole(layers, tokens, lengths: list[int]):
    """`run_layers` with the last layer computed for all tokens."""
    from preference.model.unpadding import first_tokens

    for layer in layers:
        tokens = layer(tokens, lengths)
    return tokens[first_tokens(lengths)]


# ---- scoring ----


def rewards_of(way: str, model, unseen: list[Ranking]):
    """Return the rewards that a trained way gives to the answers of `unseen`: shape (answers,)."""
    import torch

    pairs = [(r.prompt, a) for r in unseen for a in r.answers]
    if way == "cross-encoder":
        return model.predict(pairs, activation_fn=torch.nn.Identity())
    from preference.model.encoding import encode_pairs
    from preference.model.reward_model import score_encoded

    model, tokenizer = model
    if way == "trl":  # it was trained on one text, not on a pair
        encoded = tokenizer([f"{p}\n{a}{tokenizer.eos_token}" for p, a in pairs], truncation=True, max_length=512, return_attention_mask=False)
        encoded = [dict(zip(encoded.keys(), values, strict=True)) for values in zip(*encoded.values(), strict=True)]
    else:
        encoded, _ = encode_pairs(tokenizer, *zip(*pairs, strict=True), 512)
    return score_encoded(model, tokenizer, encoded, device="cpu")


def predict(way: str, rankings: list[Ranking], base: str) -> float:
    """Score the same answers with the same model; return answers per second, the best of two."""
    from preference.model.fine_tuning import load_base_model
    from preference.model.reward_model import RewardModel

    prompts, answers = [r.prompt for r in rankings for _ in r.answers], [a for r in rankings for a in r.answers]
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = load_base_model(base_folder(base), seed=1)
        tokenizer.model_max_length = 512
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
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


# ---- drawing ----


def draw_candidates(way: str) -> float:
    """Draw the default run's 20 candidates together, or with one call of `generate` each; return candidates a second."""
    import torch

    from preference.data.sample import TRAINING_SAMPLE
    from preference.model.base_models import SMOLLM2, find_base_model
    from preference.model.generator import Generator, SamplingSettings

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
    return drawn / (time.perf_counter() - start)


if __name__ == "__main__":
    print(json.dumps(measure(Request(**json.loads(sys.argv[1])))))
