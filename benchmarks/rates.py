"""Rates of scoring and of sampling, beside the usual way of each."""

import tempfile
import time
from collections.abc import Callable, Sequence

from preference.data.rankings import Ranking


def measure_scoring(base: str, rankings: Sequence[Ranking], max_length: int) -> dict[str, float]:
    """Score the same answers with the same model in both libraries, twice each; return answers per second, of the
    faster time."""
    from sentence_transformers import CrossEncoder

    from preference.model.loading import load_base_model
    from preference.model.reward_model import RewardModel

    prompts, answers = (
        [r.prompt for r in rankings for _ in r.answers],
        [answer for r in rankings for answer in r.answers],
    )
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer, _ = load_base_model(base, seed=1)
        tokenizer.model_max_length = max_length
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        theirs, ours = CrossEncoder(folder, device="cpu"), RewardModel.load(folder, precision="auto")
        pairs = list(zip(prompts, answers, strict=True))
        ways: dict[str, Callable] = {
            "CrossEncoder.predict": lambda: len(theirs.predict(pairs)),
            "score_answers.py": lambda: len(ours.score(prompts, answers)),
        }
        return {way: max(_rate(run) for _ in range(2)) for way, run in ways.items()}


def measure_sampling(name: str) -> dict[str, float]:
    """Sample four candidates for each prompt of the sample, with a call of `generate` each and all together; return
    candidates per second."""
    import torch

    from preference.data.candidates import SamplingSettings, read_prompts
    from preference.data.rankings import SAMPLES
    from preference.model.base_models import find_base_model
    from preference.model.generator import Generator

    generator, settings, prompts = Generator(find_base_model(name)), SamplingSettings(), read_prompts(SAMPLES[0])

    def one_by_one() -> int:
        torch.manual_seed(settings.seed)
        for prompt in prompts * settings.num_candidates:
            ids = torch.tensor([generator.encode(prompt)])
            generator.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=settings.max_new_tokens,
                do_sample=True, temperature=settings.temperature, top_p=settings.top_p,
                pad_token_id=generator.tokenizer.pad_token_id,
            )  # fmt: skip
        return len(prompts) * settings.num_candidates

    ways = {
        "one call of generate each": one_by_one,
        "generate_data.py": lambda: sum(map(len, generator.sample(prompts, settings))),
    }
    return {way: _rate(run) for way, run in ways.items()}


def _rate(run: Callable[[], int]) -> float:
    """Return how many per second of what `run` makes and counts."""
    start = time.perf_counter()
    made = run()
    return made / (time.perf_counter() - start)
