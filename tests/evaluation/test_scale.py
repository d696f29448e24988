import json

import numpy as np

from preference.evaluation.metrics import predicted_ranks
from preference.evaluation.scale import RewardScale, rank_within, read_scale


def test_ranks_are_those_of_each_prompt_alone():
    rng = np.random.default_rng(0)
    prompts, rewards = rng.integers(0, 40, 300), rng.integers(0, 5, 300) / 4  # many ties
    ranks, best = rank_within(prompts, rewards)
    for prompt in set(prompts.tolist()):
        own = prompts == prompt
        assert ranks[own].tolist() == predicted_ranks(rewards[own])
        assert best[own].tolist() == [i == rewards[own].argmax() for i in range(own.sum())]
    assert [part.shape for part in rank_within(prompts[:0], rewards[:0])] == [(0,), (0,)]


def test_what_metrics_json_knows_is_read_and_the_rest_is_none(tmp_path):
    quantiles = np.linspace(0, 1, 101).tolist()
    known = {"reward_quantiles": quantiles, "calibration": {"temperature": 0.8}, "seen_prompts": ["ab"]}
    (tmp_path / "metrics.json").write_text(json.dumps(known))
    scale = read_scale(tmp_path)
    assert (scale.temperature, scale.seen_prompts, scale.percentiles([0.25])) == (0.8, {"ab"}, [25])
    assert round(scale.probability(1.0), 2) == 0.78
    for broken in (
        {"reward_quantiles": quantiles[::-1]},
        {"reward_quantiles": quantiles[:5]},
        {"reward_quantiles": [None] * 101},
    ):
        (tmp_path / "metrics.json").write_text(json.dumps(known | broken))
        scale = read_scale(tmp_path)
        assert scale.quantiles is None and scale.temperature == 0.8 and scale.percentiles([0.0]) is None
    for broken in (None, {}, {"temperature": "x"}, {"temperature": 0}, {"temperature": float("nan")}):
        (tmp_path / "metrics.json").write_text(json.dumps(known | {"calibration": broken}))
        assert read_scale(tmp_path).probability(1.0) is None
    assert read_scale(tmp_path / "none") == RewardScale()
