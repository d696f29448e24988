"""The methods of training, scoring and sampling that are compared. Each is measured in a process of its own.

    python benchmarks/methods.py '{"method": "trl", "data": "my_rankings.csv", "seconds": 20}'

Prints one line of JSON. The keys of the argument are the attributes of `Request`.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import checkout  # noqa: F401
from ablations import ablate_settings, ablated
from request import HELD_OUT_SEED, PEERS, SAMPLING, SCORING, TOGETHER, Request, base_folder

from preference.data.rankings import Ranking, read_rankings
from preference.data.splits import split_by_prompt
from preference.training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from preference.training.train import Trained

TIMED_EPOCHS = 50  # more than a timing needs: the time is what ends it


def measure(request: Request) -> dict:
    """Run one method; return its `rate` per second (ranked answers, scored answers or candidates) and what it follows from.

    Training to the end also returns `metrics` on the prompts held out.
    """
    rankings = read_rankings(request.data).rankings
    if request.method in SAMPLING:
        return sample_candidates(request.method)
    if request.method in SCORING:
        return score_answers(request.method, rankings, request.base_model)
    if request.seconds is not None:
        return measure_training(rankings, [], replace(request, epochs=TIMED_EPOCHS))
    parts = split_by_prompt(rankings, request.held_out, seed=HELD_OUT_SEED)
    seen, unseen = ([rankings[i] for i in part] for part in parts)
    if request.prompts is not None:
        chosen = set(random.Random(request.seed).sample(sorted({ranking.prompt for ranking in seen}), request.prompts))
        seen = [ranking for ranking in seen if ranking.prompt in chosen]
    return measure_training(seen, unseen, request)


def measure_training(rankings: Sequence[Ranking], unseen: Sequence[Ranking], request: Request) -> dict:
    """Train on `rankings`, and evaluate on `unseen` if there are any."""
    import peers
    from step_timer import StepTimer

    timer = StepTimer(request.seconds)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if request.method in PEERS:
            train = {"usual": peers.train_usual, "trl": peers.train_trl, "cross-encoder": peers.train_cross_encoder}[request.method]
            answers_per_step, score = train(rankings, Path(folder), request, timer)
        else:
            trained = train_ours(rankings, Path(folder), request.base_model, settings_of(request), request.ablation, [timer])
            answers_per_step, score = trained.settings.batch_size, trained.reward_model.score_rankings
            request = replace(request, epochs=trained.epochs)
    result = {
        "rate": timer.rate(answers_per_step), "answers_per_step": answers_per_step, "steps": timer.steps, "step_seconds": timer.elapsed,
    }  # fmt: skip
    if not unseen:
        return result
    from preference.evaluation.metrics import measure_agreement

    result |= {"seconds": time.perf_counter() - start, "epochs": request.epochs, "seed": request.seed, "training_prompts": len(rankings)}
    return result | {"metrics": asdict(measure_agreement(unseen, score(unseen)))}


def settings_of(request: Request) -> TrainingSettings:
    """Return the trainer's defaults, changed only where the request says so; without `settings`, nothing is held out for validation."""
    if request.settings is not None:
        return replace(TrainingSettings(), objective=request.method, max_length=request.max_length, seed=request.seed, **request.settings)
    settings = replace(
        TrainingSettings(), objective=request.method, epochs=request.epochs, min_steps=1, max_length=request.max_length,
        validation_fraction=0.0, seed=request.seed,
    )  # fmt: skip
    return ablate_settings(settings, request.ablation)


def train_ours(
    rankings: Sequence[Ranking],
    folder: Path,
    base_model: str,
    settings: TrainingSettings,
    ablation: str | None = None,
    callbacks: Sequence["TrainerCallback"] = (),
) -> "Trained":
    """Train on `rankings` as reward_model_trainer.py does, less what `ablation` leaves out."""
    from preference.model.base_models import find_base_model
    from preference.training.train import train

    parts = split_by_prompt(rankings, settings.validation_fraction, settings.seed)
    with ablated(ablation):
        return train(rankings, parts, find_base_model(base_model), settings, checkpoints=folder / "checkpoints", callbacks=callbacks)


def score_answers(method: str, rankings: Sequence[Ranking], base_model: str) -> dict:
    """Score the same answers with the same model twice; return answers per second of the faster time."""
    from preference.model.fine_tuning import load_base_model
    from preference.model.reward_model import RewardModel

    prompts, answers = [r.prompt for r in rankings for _ in r.answers], [answer for r in rankings for answer in r.answers]
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = load_base_model(base_folder(base_model), seed=1)
        tokenizer.model_max_length = min(TrainingSettings().max_length, model.config.max_position_embeddings)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if method == "score":
            reward_model = RewardModel.load(folder, precision="auto")
            score = lambda: reward_model.score(prompts, answers)
        else:
            from sentence_transformers import CrossEncoder

            cross_encoder = CrossEncoder(folder, device="cpu")
            score = lambda: cross_encoder.predict(list(zip(prompts, answers, strict=True)))
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            score()
            seconds.append(time.perf_counter() - start)
    return {"rate": len(answers) / min(seconds), "answers": len(answers), "seconds": min(seconds)}


def sample_candidates(method: str) -> dict:
    """Sample the default run's 20 candidates, all together or with one call of `generate` each; return candidates per second."""
    import torch

    from preference.data.candidates import SamplingSettings
    from preference.data.sample import TRAINING_SAMPLE
    from preference.model.base_models import SMOLLM2, find_base_model
    from preference.model.generator import Generator

    generator, settings = Generator(find_base_model(SMOLLM2.hub_name)), SamplingSettings()
    prompts = list(TRAINING_SAMPLE)
    start = time.perf_counter()
    if method == TOGETHER:
        candidates = sum(map(len, generator.sample(prompts, settings)))
    else:
        torch.manual_seed(settings.seed)
        candidates = 0
        for prompt in prompts:
            for _ in range(settings.num_candidates):
                ids = torch.tensor([generator.encode(prompt)])
                generator.model.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=settings.max_new_tokens, do_sample=True,
                    temperature=settings.temperature, top_p=settings.top_p, pad_token_id=generator.tokenizer.pad_token_id,
                )  # fmt: skip
                candidates += 1
    seconds = time.perf_counter() - start
    return {"rate": candidates / seconds, "candidates": candidates, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(measure(Request(**json.loads(sys.argv[1])))))
