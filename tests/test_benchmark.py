import json
import time
from collections import Counter
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from ablations import ABLATIONS, ALL_LAYERS, DROPOUT, FUSED_ATTENTION, PADDED, WHOLE_LAST_LAYER
from benchmark import Measurements
from conftest import run_script
from figures import draw_picture, print_results
from methods import measure, settings_of, train_ours
from mfu import Encoder, forward_flops, training_flops
from request import SAMPLING, SCORING, TRAINING, Request
from synthetic import synthetic_rankings

from preference.data.rankings import read_rankings, write_rankings

MAX_LENGTH = 64  # what the tiny DistilBERT takes


def test_synthetic_rankings_have_realistic_lengths_that_say_nothing_about_the_rank():
    from preference.evaluation.metrics import answer_lengths, count_pairs

    rankings = synthetic_rankings(200, seed=0)
    words = sorted(len(answer.split()) for ranking in rankings for answer in ranking.answers)
    assert 100 < words[len(words) // 2] < 200 and max(words) > 400
    assert abs(count_pairs(rankings, answer_lengths(rankings)).accuracy() - 0.5) < 0.1
    assert Counter(tuple(sorted(r.ranks)) for r in rankings) == {(1, 2, 3, 4): 200}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmark") / "data.csv"
    write_rankings(path, synthetic_rankings(9, seed=0, median_words=20))
    return str(path)


@pytest.fixture(scope="module")
def tiny_request(data, tiny_distilbert):
    return Request("regression", data, base_model=str(tiny_distilbert), max_length=MAX_LENGTH)


# ---- rates ----


def test_the_timer_counts_the_steps_after_the_first_two_and_stops_when_the_time_is_up():
    from step_timer import StepTimer

    timer, control = StepTimer(seconds=0.1), SimpleNamespace(should_training_stop=False)
    step, started = 0, 0.0
    while not control.should_training_stop:
        time.sleep(0.2 if step < 2 else 0.03)  # a slow start does not count
        step += 1
        started = time.perf_counter() if step == 2 else started
        timer.on_step_end(None, SimpleNamespace(global_step=step), control)
    seconds = time.perf_counter() - started
    assert timer.steps == step - 2 and 0.1 < timer.elapsed <= seconds
    assert timer.steps * 8 / seconds <= timer.rate(8) <= 8 / 0.03


def test_a_rate_follows_from_the_steps_and_the_seconds_they_took(tiny_request):
    start = time.perf_counter()
    result = measure(replace(tiny_request, seconds=0.2))
    assert 0.2 < result["step_seconds"] < time.perf_counter() - start
    assert result["steps"] >= 1 and result["answers_per_step"] == 8
    assert result["rate"] == pytest.approx(result["steps"] * 8 / result["step_seconds"])


def test_scoring_is_rated_by_the_answers_scored(data, tiny_distilbert):
    result = measure(Request("score", data, base_model=str(tiny_distilbert)))
    assert result["answers"] == 36 and result["rate"] == pytest.approx(36 / result["seconds"])


def test_a_peer_is_charged_for_encoding_an_answer_in_every_pair():
    from peers import count_answers_per_pair

    answers = [[1, 7], [2, 7], [3, 7], [4, 7]]
    pairs = [(a, b) for i, a in enumerate(answers) for b in answers[i + 1 :]]
    assert count_answers_per_pair(*zip(*pairs, strict=True)) == pytest.approx(4 / 6)


def test_a_usual_training_is_the_trainer_on_padded_answers(tiny_request):
    result = measure(replace(tiny_request, method="usual", epochs=1))
    # 6 of the 9 prompts, 24 answers: 3 steps of 8, of which the first two are not timed
    assert (result["training_prompts"], result["steps"], result["answers_per_step"]) == (6, 1, 8)
    assert result["metrics"]["answers"] == 12


def test_a_method_trained_to_the_end_is_evaluated_on_unseen_prompts(tiny_request):
    result = measure(replace(tiny_request, method="bradley-terry", epochs=1))
    assert result["training_prompts"] == 6 and result["metrics"]["prompts"] == 3
    assert result["steps"] == 1  # 24 answers are 3 steps of 8, of which the first two are not timed


def test_the_yield_trains_on_some_of_the_prompts_with_the_settings_of_the_trainer(tiny_request, monkeypatch):
    import methods

    trained_on, train = [], methods.train_ours
    monkeypatch.setattr(methods, "train_ours", lambda rankings, *rest: trained_on.append(rankings) or train(rankings, *rest))
    some = replace(tiny_request, prompts=4, settings={"validation_fraction": 0.25, "max_steps": 3})
    result = measure(some)
    assert result["training_prompts"] == len(trained_on[0]) == 4 and result["metrics"]["prompts"] == 3
    assert result["epochs"] == 1.5  # 3 steps of 2 rankings on the 3 that are left of 4 for training: 2 steps are an epoch
    measure(replace(some, seed=1))
    assert [r.prompt for r in trained_on[1]] != [r.prompt for r in trained_on[0]]  # each seed draws its own


def test_the_yield_is_one_command(data, tiny_distilbert, tmp_path, monkeypatch, capsys):
    import benchmark

    monkeypatch.setattr(benchmark, "HERE", tmp_path)
    monkeypatch.setattr(benchmark, "ROOT", tmp_path)
    monkeypatch.setattr(benchmark, "YIELD_PROMPTS", [3, 100])
    asked = []

    def measure_tiny(self, request):
        asked.append(request)
        settings = request.settings | {"max_steps": 2} | ({"freeze_layers": 1} if request.settings.get("freeze_layers") else {})  # of its 2 layers
        return measure(replace(request, base_model=str(tiny_distilbert), max_length=MAX_LENGTH, settings=settings))

    monkeypatch.setattr(Measurements, "measure", measure_tiny)
    assert benchmark.main(["--data", data, "--yield"]) == 0
    assert [request.prompts for request in asked] == [3] * 4 + [6] * 4  # of the 9 prompts 3 are held out
    assert [request.settings for request in asked[:4]] == list(benchmark.YIELD_WAYS.values())
    printed = capsys.readouterr().out
    assert "on 3 unseen prompts; the longest answer is best: " in printed and "results/results.json" in printed
    measured = json.loads((tmp_path / "results" / "results.json").read_text())["yield"]["ways"]
    assert list(measured) == list(benchmark.YIELD_WAYS) and all(list(way) == ["3", "6"] for way in measured.values())
    first = measured["trained on all of them"]["3"][0]["metrics"]
    assert f"{first['pairwise_accuracy']:.3f} (" in printed and first["prompts"] == 3


def test_the_benchmark_trains_with_the_defaults_of_the_trainer():
    from preference.training.settings import TrainingSettings

    changed = {"epochs": 50, "min_steps": 1, "validation_fraction": 0.0}
    assert asdict(settings_of(Request("regression", "data.csv", epochs=50))) == asdict(TrainingSettings()) | changed


def test_the_median_of_the_rounds_counts_and_is_kept_after_every_measurement(tmp_path, monkeypatch):
    measurements, rates, kept = Measurements(tmp_path / "results.json", "synthetic"), iter([1.0, 10.0, 9.0, 30.0, 2.0, 20.0]), []
    monkeypatch.setattr(measurements, "measure", lambda request: kept.append(measurements.results.get("scoring")) or {"rate": next(rates)})
    medians = dict(zip(SCORING, (2.0, 20.0), strict=True))
    assert measurements.measure_rates({method: Request(method, "data.csv") for method in SCORING}, 3, "scoring") == medians
    assert kept[1] == {SCORING[0]: 1.0}
    assert json.loads((tmp_path / "results.json").read_text())["scoring"] == medians


def test_the_operations_of_a_small_encoder_by_hand():
    encoder = Encoder(layers=3, width=2, inner=8)
    # Weights of a layer: 4 x 2 x 2 + 2 x 2 x 8 = 48; keys and values of the last one: 2 x 2 x 2 = 8; attention of 5 tokens: 4 x 25 x 2 = 200.
    assert forward_flops(encoder, 5, layers=3) == 2 * 5 * (48 + 48 + 8) + 2 * 200
    assert forward_flops(encoder, 5, layers=1) == 2 * 5 * 8
    assert training_flops(encoder, 5, frozen_layers=1) == forward_flops(encoder, 5, 3) + 2 * forward_flops(encoder, 5, 2)


# ---- ablations ----

FULL = {"dropout": {0.0}, "unpadded": True, "fused_attention": False, "whole_last_layer": False, "frozen_layers": 0}
CHANGED = {
    None: {},
    PADDED: {"unpadded": False, "fused_attention": True, "whole_last_layer": True},  # all by transformers' own layers
    DROPOUT: {"dropout": {0.1}},
    ALL_LAYERS: {"frozen_layers": -1},
    FUSED_ATTENTION: {"fused_attention": True},
    WHOLE_LAST_LAYER: {"whole_last_layer": True},
}


@pytest.mark.parametrize("ablation", [None, *ABLATIONS])
def test_an_ablation_changes_what_it_names_and_nothing_else(tiny_request, tmp_path, monkeypatch, ablation):
    import torch
    from torch import nn
    from transformers import TrainerCallback

    from preference.model import unpadding

    calls, in_training = Counter(), Counter()
    attention, layer = torch.nn.functional.scaled_dot_product_attention, unpadding.EncoderLayer.__call__

    def count_attention(*args, **kwargs):
        calls["fused attention"] += 1
        return attention(*args, **kwargs)

    def count_layer(self, tokens, lengths, read=None):
        calls["layer for the tokens read"] += read is not None
        return layer(self, tokens, lengths, read)

    class KeepCalls(TrainerCallback):
        def on_train_begin(self, *args, **kwargs):  # neither what came before counts …
            calls.clear()

        def on_train_end(self, *args, **kwargs):  # … nor the scoring afterwards
            in_training.update(calls)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", count_attention)
    monkeypatch.setattr(unpadding.EncoderLayer, "__call__", count_layer)
    request = replace(tiny_request, epochs=0.5, ablation=ablation)
    settings = replace(settings_of(request), precision="bf16")  # in which attention is by matrix products
    trained = train_ours(read_rankings(request.data).rankings, tmp_path, request.base_model, settings, ablation, [KeepCalls()])
    model = trained.reward_model.model
    observed = {
        "dropout": {module.p for module in model.modules() if isinstance(module, nn.Dropout)},
        "unpadded": unpadding.runs_unpadded(model),
        "fused_attention": in_training["fused attention"] > 0,
        "whole_last_layer": in_training["layer for the tokens read"] == 0,
        "frozen_layers": trained.frozen_layers,
    }
    assert trained.steps == 2 and observed == FULL | CHANGED[ablation]


def test_an_ablation_ends_with_its_training(tiny_request, tmp_path):
    from ablations import ablated

    from preference.model import attention
    from preference.training import ranking_trainer, train

    originals = (train.load_base_model, attention.run_layers, attention.attend_by_matmul, ranking_trainer.chunk_cost_of)
    for ablation in ABLATIONS:
        with ablated(ablation):
            pass
    assert (train.load_base_model, attention.run_layers, attention.attend_by_matmul, ranking_trainer.chunk_cost_of) == originals


def test_padded_together_means_one_forward_pass_per_step(tiny_request):
    from ablations import ablated

    from preference.model.encoding import plan_chunks
    from preference.model.fine_tuning import load_base_model
    from preference.training import ranking_trainer

    lengths = [5, 500, 5, 500]
    with ablated(PADDED):
        model, _ = load_base_model(tiny_request.base_model, seed=0)
        assert len(plan_chunks(lengths, ranking_trainer.chunk_cost_of(model, "cpu"))) == 1
    assert len(plan_chunks(lengths, ranking_trainer.chunk_cost_of(model, "cpu"))) == 2  # padded, one chunk would cost more


# ---- what is shown ----


@pytest.fixture(scope="module")
def results():
    metrics = {
        "pairwise_accuracy": 0.8, "pairwise_accuracy_95": [0.75, 0.85], "accuracy_where_shorter_is_better": None,
        "length_controlled_accuracy": None, "kendall_tau": 0.6,
    }  # fmt: skip
    scale = {"rows": 2000, "read_seconds": 0.1, "encode_seconds": 1.0, "gib_before_training": 0.5, "gib": 1.5, "rate": 20.0}
    return {
        "date": "2026-01-01", "machine": "a processor, 2 cores", "data": "synthetic",
        "training": {"a model": dict(zip(TRAINING, (2.0, 4.0, 5.0, 20.0, 20.0, 20.0), strict=True))},
        "mfu": {"a model": {"mfu": 0.61, "precision": "bf16", "matmul_gflops": 400.0, "tokens_per_answer": 200.0}},
        "scoring": dict(zip(SCORING, (10.0, 30.0), strict=True)),
        "sampling": dict(zip(SAMPLING, (1.5, 0.25), strict=True)),
        "ablations": {"all measures": 20.0, DROPOUT: 10.0},
        "seeds": {"without padding": {"0": 0.7, "1": 0.8}, PADDED: {"0": 0.71, "1": 0.81}},
        "quality": {"trl": {"epochs": 1.0, "seconds": 600.0, "metrics": metrics}},
        "scale": {"2000": scale},
        "yield": {
            "unseen_prompts": 205, "longest": {"pairwise_accuracy": 0.78},
            "ways": {"one way": {"25": [{"metrics": metrics, "seconds": 30.0}] * 2}, "another": {}},
        },
    }  # fmt: skip


def test_every_figure_is_printed_with_its_ratio(results, capsys):
    print_results(results)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["regression", "20.00", "10.0", "5.0", "4.0"] in rows
    assert ["a", "model", "61%", "bf16", "400", "GFLOP/s", "200"] in rows
    assert ["score", "30.0", "3.0"] in rows and [*SAMPLING[0].split(), "1.50", "6.0"] in rows
    assert [*DROPOUT.split(), "10.00", "0.50"] in rows and [*PADDED.split(), "0.710", "0.810"] in rows
    assert ["trl", "1", "10", "0.800", "[0.750,", "0.850]", "–", "–", "0.600"] in rows
    assert ["25", "0.800", "(–;", "0.5),", "0.800", "(–;", "0.5)", "–"] in rows
    assert ["2,000", "0.1", "s", "1.0", "s", "0.50", "GiB", "1.50", "GiB", "20.00"] in rows


def test_the_picture_is_written(results, tmp_path):
    draw_picture(results, tmp_path / "results.png")
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_data_that_cannot_be_read_ends_in_one_plain_line(tmp_path):
    assert run_script("benchmark.py", "--data", "nope.csv", cwd=tmp_path, status=2).stderr.startswith("error: nope.csv: no such file")
