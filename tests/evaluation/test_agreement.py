import hashlib

import numpy as np
import pytest
from conftest import run_script
from known_formats import KNOWN, write

from preference.data.answers import read_answers
from preference.data.rankings import Ranking
from preference.data.tables import read_table
from preference.evaluation.evaluation import evaluate
from preference.evaluation.metrics import ordinal_alpha, rankings_to_judge_by, rater_agreement


def test_rankings_without_shared_answers_say_nothing():
    assert rater_agreement([Ranking("p", ["a", "b"], [1, 2]), Ranking("q", ["a", "b"], [2, 1])]) is None
    assert (
        rater_agreement([Ranking("p", ["a", "b"], [1, 2], rater="ann"), Ranking("p", ["c", "d"], [1, 2], rater="bob")])
        is None
    )
    assert (
        rater_agreement([Ranking("p", ["a", "b"], [1, 2], rater="ann"), Ranking("p", ["b", "c"], [1, 2], rater="bob")])
        is None
    )  # one answer, no pair


def test_the_share_counts_pairs_that_neither_ties():
    ann = Ranking("p", ["a", "b", "c"], [1, 2, 3], rater="ann")
    bob = Ranking("p", ["c", "b", "a"], [2, 2, 1], rater="bob")  # a above b and c, which tie
    found = rater_agreement([ann, bob, Ranking("q", ["a", "b"], [1, 2])])
    assert (found.prompts, found.pairs, found.share, found.interval[1]) == (1, 2, 1.0, 1.0)
    cleo = Ranking(
        "p", ["a", "c", "d"], [2, 1, 3], rater="cleo"
    )  # the other way round for a and c, the only pair with each of them
    found = rater_agreement([ann, bob, cleo])
    assert (found.pairs, found.share) == (4, 0.5)


def test_alpha_is_that_of_the_published_example():
    """Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: 12 units, 4 observers, values
    missing."""
    observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    counts = np.array([[unit.count(value) for value in "12345"] for unit in zip(*observers, strict=True)])
    assert ordinal_alpha(counts) == pytest.approx(0.815, abs=5e-4)


def test_alpha_is_of_the_places_among_the_shared_answers():
    raters = (("ann", [1, 2, 3, 4]), ("bob", [2, 1, 3, 4]))
    rankings = [Ranking(f"p{i}", list("abcd"), ranks, rater=rater) for i in range(3) for rater, ranks in raters]
    counts = 3 * [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    assert rater_agreement(rankings).alpha == ordinal_alpha(np.array(counts))


def test_prompts_that_differ_in_case_only_are_one_and_one_group_is_no_two_raters():
    ann, bob = (
        Ranking("name a prime", ["7", "8"], [1, 2], rater="ann"),
        Ranking("Name a prime", ["8", "7"], [1, 2], rater="bob"),
    )
    assert rater_agreement([ann, bob]).share == 0
    assert rater_agreement([ann, Ranking("Name a prime", ["7", "8"], [1, 2], rater="ann")]) is None


def test_only_the_order_of_the_shared_answers_counts():
    left = Ranking("p", ["a", "x", "b", "c"], [1, 2, 3, 4], rater="ann")
    right = Ranking("p", ["a", "b", "c"], [10, 20, 30], rater="bob")
    found = rater_agreement([left, right])
    assert (found.share, found.alpha) == (1.0, 1.0)
    assert rater_agreement([left, Ranking("p", ["a", "b", "c"], [3, 2, 1], rater="bob")]).alpha < 0


def test_what_a_group_keeps_apart_is_no_rater():
    pairs = [Ranking("p", ["a", "b"], [1, 2], group) for group in ("1", "2")]
    assert rater_agreement(pairs) is None
    assert (
        rater_agreement([Ranking("p", ["a", "b"], [1, 2], group, "ann") for group in ("1", "2")]) is None
    )  # she herself


def judge(items, roles, rewards, was_seen):
    texts = [(item.prompt.strip(), answer.strip()) for item in items for answer in item.answers]
    reward_of = dict(zip(texts, rewards, strict=True))
    rankings, notes = rankings_to_judge_by(items, roles, was_seen)
    of_rankings = np.array([reward_of[ranking.prompt, answer] for ranking in rankings for answer in ranking.answers])
    return evaluate("test", rankings, of_rankings) if rankings else None, notes


def judge_records(tmp_path, records, rewards, was_seen=lambda prompt: False):
    """Judge rewards, one for each answer in order."""
    write(tmp_path / "data.jsonl", records)
    answers = read_answers(read_table(tmp_path / "data.jsonl"))
    return judge(answers.items, answers.roles, rewards, was_seen)


def test_rows_of_one_prompt_group_and_rater_are_a_ranking(tmp_path):
    rows = [
        ("p", "a", "1", "x"),
        ("p", "b", "2.0", "x"),
        ("q", "a", "1", ""),
        ("p", "a", "2", "y"),
        ("p", "c", "1", "y"),
        ("q", "b", "", ""),
    ]
    records = [dict(zip(("prompt", "answer", "rank", "annotator"), row, strict=True)) for row in rows]
    evaluation, notes = judge_records(tmp_path, records, [0.9, 0.1, 0.0, 0.9, 0.5, 0.3])
    assert [(r.prompt, r.rater, r.answers, r.ranks) for r in evaluation.rankings] == [
        ("p", "x", ["a", "b"], [1, 2]),
        ("p", "y", ["a", "c"], [2, 1]),
    ]
    assert evaluation.metrics.pairwise_accuracy == 0.5 and evaluation.part == "test"
    assert notes == ["scored, but not judged: 1 answer without a rank or score, 1 with only one answer"]


def test_each_pair_is_a_ranking_and_prompts_trained_on_are_not_judged(tmp_path):
    pairs = [{"prompt": prompt, "chosen": "a", "rejected": "b"} for prompt in ("p", "p", "q")]
    pairs[1] |= {"chosen": "b", "rejected": "a"}
    evaluation, notes = judge_records(tmp_path, pairs, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0], lambda prompt: prompt == "q")
    assert (evaluation.metrics.pairs, evaluation.metrics.prompts, evaluation.metrics.pairwise_accuracy) == (2, 1, 0.5)
    assert notes == ["scored, but not judged: 1 prompt that the model was trained on"]
    assert judge_records(tmp_path, pairs, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0], lambda prompt: True)[0] is None


def test_many_answers_to_one_prompt_are_judged_by_some_of_them(tmp_path):
    records = [{"prompt": "p", "answer": f"a{i}", "rank": i + 1} for i in range(20_000)]
    evaluation, notes = judge_records(tmp_path, records, [-float(i) for i in range(20_000)])
    assert evaluation.metrics.pairwise_accuracy == 1 and evaluation.metrics.answers == 2_000
    assert notes == ["judged by 2,000 of the 20,000 answers to 'p', drawn at random"]


def test_one_best_of_many_answers_is_among_those_that_judge(tmp_path):
    for best in (0, 1, 2_999):
        records = [{"prompt": "p", "answer": f"a{i}", "rank": 2 - (i == best)} for i in range(3_000)]
        evaluation, _ = judge_records(tmp_path, records, [float(i == best) for i in range(3_000)])
        assert (evaluation.metrics.pairwise_accuracy, evaluation.metrics.pairs) == (1, 1_999)


def judge_file(path, named=None):
    """Judge a model whose rewards are those of chance, but the same for the same texts."""
    answers = read_answers(read_table(path), named or {})
    texts = [f"{item.prompt.strip()}\n{answer.strip()}" for item in answers.items for answer in item.answers]
    return judge(
        answers.items,
        answers.roles,
        [hashlib.sha256(text.encode()).digest()[0] / 256 for text in texts],
        lambda prompt: False,
    )


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("name", ["TRL, conversational", "HH-RLHF", "RewardBench"])
def test_other_formats_are_judged_as_if_they_had_been_converted(tmp_path, name, kind):
    write(source := tmp_path / f"data.{kind}", KNOWN[name][0])
    run_script("convert_rankings.py", source, "rankings.csv", cwd=tmp_path)
    evaluation, _ = judge_file(source)
    assert evaluation.metrics.pairs > 0 and evaluation.metrics == judge_file(tmp_path / "rankings.csv")[0].metrics


def test_what_converting_leaves_out_is_no_evidence_here_either(tmp_path):
    pairs = [("p", "a", "b"), ("p", "a", "a "), ("q", "a", ""), ("q", "c", "d"), ("p", "a", "b")]
    write(tmp_path / "pairs.jsonl", [dict(zip(("prompt", "chosen", "rejected"), pair, strict=True)) for pair in pairs])
    evaluation, (note,) = judge_file(tmp_path / "pairs.jsonl")
    assert evaluation.metrics.pairs == 2 and evaluation.raters is None  # the same pair twice is no second rater
    assert note == ("scored, but not judged: 1 with identical answers, 1 with an exact duplicate, 1 with an empty text")


def test_raters_of_ranked_answers_keep_apart(tmp_path):
    rows = [("p", "a", 1, "Ann"), ("p", "b", 2, "Ann"), ("p", "a", 2, "Bo"), ("p", "b", 1, "Bo")]
    write(
        tmp_path / "ranked.csv",
        [dict(zip(("prompt", "answer", "rank", "annotator"), row, strict=True)) for row in rows],
    )
    assert judge_file(tmp_path / "ranked.csv")[0].metrics.pairwise_accuracy == 0.5
    run_script("convert_rankings.py", "ranked.csv", "rankings.csv", cwd=tmp_path)
    assert judge_file(tmp_path / "rankings.csv")[0].metrics == judge_file(tmp_path / "ranked.csv")[0].metrics
