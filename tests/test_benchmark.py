"""benchmarks/, end to end with tiny models: every option once."""

import json
import random
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import peers
import pexpect
import pytest
from benchmark import HELD_OUT_SEED, build_parser, draw, plan_rows, possible_sizes
from conftest import ROOT, run_script, write_rankings
from tables import layers_in_words

from preference.data.rankings import Ranking, read_rankings
from preference.data.splits import split_by_prompt
from preference.evaluation.metrics import answer_lengths, count_pairs

MAX_LENGTH = 64  # what the tiny models take
GOOD = ["honest", "fresh", "kindly", "solar", "truth", "words"]  # which the tiny tokenizer knows
BAD = ["maybe", "stuff", "guess", "probably", "cousin", "things"]
WAYS = {
    "scoring": ["CrossEncoder.predict", "score_answers.py"],
    "sampling": ["one call of generate each", "generate_data.py"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """24 ranked prompts, easy for a model: the better an answer, the fewer of its words are vague. Lengths say
    nothing."""
    generator = random.Random(1)

    def answer(vague: float) -> str:
        return " ".join(
            generator.choice(BAD if generator.random() < vague else GOOD) for _ in range(generator.randint(12, 24))
        )

    rankings = [Ranking(f"Reading number {i}", [answer(0), answer(0.5), answer(1)], [1, 2, 3]) for i in range(24)]
    path = tmp_path_factory.mktemp("benchmark") / "data.csv"
    write_rankings(path, rankings)
    return path


def measure(folder: Path, data: Path, *arguments, status: int = 0):
    """Run the benchmark; return what it printed, and results.json."""
    done = run_script(
        "benchmark.py", "--data", data, "--results", "kept/results.json", *arguments, cwd=folder, status=status
    )
    results = folder / "kept" / "results.json"
    return done, json.loads(results.read_text()) if results.exists() else {}


# ---- what is trained on ----


def test_each_draw_has_its_own_prompts_and_a_larger_one_contains_a_smaller_one(data):
    rankings = read_rankings(data).rankings
    small, large, other = ({r.key for r in draw(rankings, *how)} for how in ((6, 0), (12, 0), (12, 1)))
    assert (len(small), len(large)) == (6, 12) and small < large != other
    twice = [*rankings, *(Ranking(r.prompt, r.answers, r.ranks, group="b") for r in rankings)]
    assert [r.key for r in draw(twice, 6, 0)].count(next(iter(small))) == 2  # all rankings of a prompt


def test_the_largest_size_is_all_prompts_where_they_are_fewer():
    assert possible_sizes([25, 100, 600], 400) == [25, 100, 400] and possible_sizes([600, 25, 100], 800) == [
        25,
        100,
        600,
    ]
    assert possible_sizes([100], 7) == [7]


def test_peers_train_the_same_base_on_as_many_prompts():
    rows = plan_rows("peers", [("tiny", "folder")], [5, 9])
    assert [(row.method, row.base, row.rankings) for row in rows] == [
        (method, "folder", size) for size in (5, 9) for method in (peers.OURS, peers.CROSS_ENCODER, peers.TRL)
    ]


def test_the_documented_options_are_parsed():
    args = build_parser().parse_args(["--data", "x.csv", "--bases", "--yield", "--rankings", "25", "100"])
    assert args.bases == [] and args.parts == ["yield"] and args.rankings == [25, 100]


# ---- whole runs ----


@pytest.mark.faults
def test_the_trainer_beside_the_peers(data, tiny_distilbert, tmp_path):
    done, results = measure(
        tmp_path, data, "--base-model", tiny_distilbert, "--max-length", MAX_LENGTH, "--rankings", 12, "--draws", 1
    )
    part = results["peers"]
    rankings = read_rankings(data).rankings
    unseen = [rankings[i] for i in split_by_prompt(rankings, 1 / 3, HELD_OUT_SEED).validation]
    assert part["unseen_prompts"] == len(unseen) == 8 and part["data"] == "data.csv"
    assert part["longest_answer"]["accuracy"] == count_pairs(unseen, answer_lengths(unseen)).accuracy()
    assert f"{part['date']}, {part['machine']}" in done.stdout
    figures = {row["method"]: row["draws"][0] for row in part["rows"]}
    assert list(figures) == [peers.OURS, peers.CROSS_ENCODER, peers.TRL]
    assert figures[peers.OURS]["accuracy"] > 0.9  # an easy task, and rewards in the right order
    for method, one in figures.items():
        assert (
            0 <= one["accuracy"] <= 1
            and one["seconds"] > 1
            and one["cpu_seconds"] > 1
            and one["answers_per_second"] > 0
        )
        ratio = one["seconds"] / figures[peers.OURS]["seconds"]
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f" {method}")]
        assert line.split()[-5:] == [f"{one[key]:.3f}" for key in ("accuracy", "length_controlled")] + [
            f"{one['seconds']:.1f}", f"{one['cpu_seconds']:.1f}", f"{ratio:.1f}",
        ]  # fmt: skip


@pytest.mark.faults
def test_the_yield_and_the_bases_are_kept_beside_each_other(data, tiny_distilbert, tmp_path):
    how = ["--max-length", MAX_LENGTH]
    done, _ = measure(
        tmp_path, data, "--yield", "--base-model", tiny_distilbert, "--rankings", 4, 100, "--draws", 1, *how
    )
    assert done.stdout.count("1, head alone") == 2
    done, results = measure(tmp_path, data, "--bases", tiny_distilbert, "--rankings", 6, "--draws", 2, *how)
    assert [row["rankings"] for row in results["yield"]["rows"]] == [4, 16]  # of 24 prompts 8 are unseen
    [row] = results["bases"]["rows"]
    assert row["label"] == tiny_distilbert.name and [one["seed"] for one in row["draws"]] == [0, 1]
    weights = (tiny_distilbert / "model.safetensors").stat().st_size / 1e6
    assert all(
        one["layers"] == one["frozen_layers"] == 1 and weights / 2 < one["megabytes"] < 10 for one in row["draws"]
    )
    accuracies = [one["accuracy"] for one in row["draws"]]
    assert f"{np.mean(accuracies):.3f} ± {np.std(accuracies, ddof=1):.3f}" in done.stdout


@pytest.mark.faults
def test_a_training_that_fails_ends_in_its_message(data, tiny_distilbert, tmp_path):
    done, results = measure(tmp_path, data, "--yield", "--base-model", tiny_distilbert, "--max-length", 65, status=2)
    assert (
        "error: distilbert, 16 ranked prompts: the training failed" in done.stderr
        and "takes at most 64 tokens" in done.stderr
    )
    assert results == {}


@pytest.mark.faults
def test_rates_of_scoring_and_sampling(data, tiny_distilbert, tiny_gpt2, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    longer = shutil.copytree(tiny_gpt2, tmp_path / "gpt2")  # for the sample's prompts and 80 tokens
    GPT2LMHeadModel(GPT2Config.from_pretrained(longer, n_positions=256)).save_pretrained(longer)
    done, results = measure(
        tmp_path,
        data,
        "--scoring",
        "--sampling",
        "--generator",
        longer,
        "--base-model",
        tiny_distilbert,
        "--max-length",
        MAX_LENGTH,
    )
    for part, ways in WAYS.items():
        rates = results[part]["rates"]
        assert list(rates) == ways and min(rates.values()) > 0
        assert f"{rates[ways[1]]:.2f} {rates[ways[1]] / rates[ways[0]]:>5.1f}" in done.stdout


def test_what_cannot_be_measured_ends_in_one_plain_line(data, tmp_path):
    done = run_script("benchmark.py", "--data", "nope.csv", cwd=tmp_path, status=2)
    assert done.stderr.splitlines()[-1].startswith("error: nope.csv: no such file")
    done, _ = measure(tmp_path, data, "--held-out", 0.01, status=2)
    assert re.search(
        r"^error: .*data.csv: 24 ranked prompts are too few to keep --held-out 0.01 of them unseen$", done.stderr, re.M
    )


# ---- the peers are judged as they were trained ----


@pytest.fixture
def few(data, tmp_path, monkeypatch) -> list[Ranking]:
    monkeypatch.chdir(tmp_path)  # where the peers write
    return read_rankings(data).rankings[:4]


@pytest.mark.faults
def test_the_cross_encoder_gets_the_rewards_that_it_predicts(few, tiny_distilbert):
    import torch
    from sentence_transformers import CrossEncoder

    trainer = peers.train_cross_encoder(few, str(tiny_distilbert), 0, MAX_LENGTH)
    assert trainer.state.global_step == 2 and trainer.state.epoch == 1  # two prompts, six answers a step
    rewards, _ = peers.score(peers.CROSS_ENCODER, Path(peers.MODEL), few)
    pairs = [(r.prompt, answer) for r in few for answer in r.answers]
    theirs = CrossEncoder(peers.MODEL, device="cpu").predict(pairs, activation_fn=torch.nn.Identity())
    assert np.ptp(theirs) > 0
    tolerance = 0.02 if peers.common_arguments(0)["bf16"] else 1e-4
    np.testing.assert_allclose(rewards, theirs, atol=tolerance)


@pytest.mark.faults
def test_trl_is_given_the_tokens_that_it_trained_on(few, tiny_distilbert):
    from transformers import AutoTokenizer

    trainer = peers.train_trl(few, str(tiny_distilbert), 0, MAX_LENGTH)
    assert len(trainer.train_dataset) == 3 * len(few) and trainer.state.epoch == 1
    seen = {tuple(ids) for key in ("chosen_ids", "rejected_ids") for ids in trainer.train_dataset[key]}
    judged = peers.joined(AutoTokenizer.from_pretrained(peers.MODEL), few)
    assert {tuple(pair["input_ids"]) for pair in judged} == seen and len(seen) == 3 * len(few)
    assert len(peers.score(peers.TRL, Path(peers.MODEL), few)[0]) == 3 * len(few)


# ---- the tables ----


def test_layers_in_words():
    assert [layers_in_words(figures)
            for figures in ({"layers": 2, "frozen_layers": 2}, {"layers": 4, "frozen_layers": -1}, {})] == [
        "2, head alone", "4, 4 trained", "–",
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["peers", "yield", "bases"])
def test_no_number_gives_way_on_80_columns(part):
    one = {
        "accuracy": 0.8123,
        "length_controlled": 0.7123,
        "seconds": 1234.5,
        "cpu_seconds": 2345.6,
        "answers_per_second": 432.1,
        "megabytes": 271.2,
    }
    other = one | {"accuracy": 0.8223, "length_controlled": None, "layers": 4, "frozen_layers": 0}
    rows = [
        {"label": name, "method": name, "rankings": 400, "draws": [one | other, other]}
        for name in (peers.OURS, "SmolLM2-135M-Instruct")
    ]
    about = {"date": "2026-01-01", "machine": "a processor", "data": "x.csv", "unseen_prompts": 205, "rows": rows}
    program = (
        f"import tables; tables.print_part({part!r}, "
        f"{about | {'longest_answer': {'accuracy': 0.735, 'length_controlled': 0.5}}!r})"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    child = pexpect.spawn(
        sys.executable, ["-c", program], env=environment, dimensions=(24, 80), encoding="utf-8", timeout=120
    )
    child.expect(pexpect.EOF)
    lines = child.before.splitlines()
    assert max(map(len, lines)) <= 80
    expected = {
        "peers": "400 0.822 ± 0.000 – 1234.5 2345.6 1.0",
        "yield": "400 0.822 ± 0.000 – 4, 4 trained",
        "bases": "400 0.822 ± 0.000 – 1234.5 432 271",
    }
    found = [" ".join(line.split()) for line in lines]
    assert sum(line.endswith(expected[part]) for line in found) == len(rows)
    assert sum("0.735 0.500" in line for line in found) == 1
