import json
from collections import Counter
from contextlib import ExitStack
from unittest.mock import patch

import pytest
from benchmark import Run
from made_rankings import make_rankings
from torch import nn
from ways import LEVERS, MINILM, PREDICTION, Request, base_folder, fused_attention, measure, patches_without, run_layers_whole

from preference.data.rankings import write_rankings
from preference.model.encoding import plan_chunks


def test_made_rows_have_realistic_lengths_and_an_order_that_length_does_not_tell():
    from preference.evaluation.metrics import length_baselines

    rankings = make_rankings(200, seed=0)
    lengths = [len(answer.split()) for ranking in rankings for answer in ranking.answers]
    assert 100 < sorted(lengths)[len(lengths) // 2] < 200 and max(lengths) > 400
    assert abs(length_baselines(rankings)["longest_answer"]["pairwise_accuracy"] - 0.5) < 0.1
    assert Counter(tuple(sorted(r.ranks)) for r in rankings) == {(1, 2, 3, 4): 200}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmark") / "data.csv"
    write_rankings(path, make_rankings(9, seed=0))
    return str(path)


def test_a_way_runs_and_gives_its_rate(data):
    assert measure(Request("regression", data, seconds=1))["rate"] > 0.1


def test_a_way_trained_to_the_end_is_judged_on_prompts_that_it_did_not_see(data):
    figures = measure(Request("bradley-terry", data, epochs=0.5))
    assert figures["training_prompts"] == 6 and figures["metrics"]["prompts"] == 3


@pytest.mark.parametrize("lever", LEVERS)
def test_each_lever_can_be_left_out(data, lever):
    assert measure(Request("regression", data, seconds=0.1, without=lever))["rate"] > 0.1


def test_a_rate_is_the_median_of_its_rounds_and_kept_after_each(tmp_path, monkeypatch):
    run, timed, kept = Run(tmp_path / "results.json", "made"), iter([1.0, 10.0, 9.0, 30.0, 2.0, 20.0]), []
    monkeypatch.setattr(run, "way", lambda request: kept.append(run.results.get("scoring")) or {"rate": next(timed)})
    requests = {way: Request(way, "data.csv") for way in PREDICTION}
    assert run.rates(requests, 3, "scoring") == dict(zip(PREDICTION, (2.0, 20.0), strict=True))
    assert kept[1] == {PREDICTION[0]: 1.0}
    assert json.loads((tmp_path / "results.json").read_text())["scoring"] == dict(zip(PREDICTION, (2.0, 20.0), strict=True))


def test_a_lever_left_out_is_really_gone():
    import preference.model.fine_tuning as fine_tuning
    import preference.training.ranking_trainer as trainer
    from preference.model import unpadding

    base = base_folder(MINILM)
    with ExitStack() as stack:
        for lever in LEVERS:
            for target, replacement in patches_without(lever):
                stack.enter_context(patch(target, replacement))
        model, _ = fine_tuning.load_base_model(base, seed=0)
        assert {module.p for module in model.modules() if isinstance(module, nn.Dropout)} == {0.1}
        assert "forward" not in vars(model.bert.encoder)
        assert len(plan_chunks([5, 500], trainer.chunk_cost_of(model, "cpu"))) == 1
        assert unpadding.attend_by_matmul is fused_attention and unpadding.run_layers is run_layers_whole
    model, _ = fine_tuning.load_base_model(base, seed=0)
    assert {module.p for module in model.modules() if isinstance(module, nn.Dropout)} == {0.0}
    assert "forward" in vars(model.bert.encoder)
    assert unpadding.attend_by_matmul is not fused_attention and unpadding.run_layers is not run_layers_whole
