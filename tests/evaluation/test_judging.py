import hashlib

import pytest
from conftest import run_script
from known_formats import KNOWN, SCORED, write

from preference.data.answers import Answers, scorable
from preference.evaluation.judging import Judge


def judge(layout, records, rewards):
    judge = Judge()
    for record, some in zip(records, rewards, strict=True):
        judge.add(scorable(record, layout, "here"), some)
    return judge


def test_rows_of_one_prompt_and_group_are_a_ranking():
    rows = [("p", "a", "1", "x"), ("p", "b", "2.0", "x"), ("q", "a", "1", ""), ("p", "a", "2", "y"), ("p", "c", "1", "y"), ("q", "b", "", "")]
    records = [dict(zip(("prompt", "answer", "rank", "group"), row, strict=True)) for row in rows]
    evaluation, notes = judge("rows", records, [[0.9], [0.1], [0.0], [0.9], [0.5], [0.3]]).evaluate(lambda prompt: False)
    assert [(r.prompt, r.group, r.answers, r.ranks) for r in evaluation.rankings] == [("p", "x", ["a", "b"], [1, 2]), ("p", "y", ["a", "c"], [2, 1])]
    assert evaluation.metrics.pairwise_accuracy == 0.5 and evaluation.part == "test"
    assert notes == ["left out: 1 ranking with only one answer", "left out: 1 answer without a rank, which must be a positive whole number"]


def test_each_pair_is_a_ranking_and_prompts_trained_on_are_left_out():
    pairs = [{"prompt": prompt, "chosen": "a", "rejected": "b"} for prompt in ("p", "p", "q")]
    judged = judge("pairs", pairs, [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    evaluation, notes = judged.evaluate(lambda prompt: prompt == "q")
    assert evaluation.metrics.pairs == 2 and evaluation.metrics.prompts == 1
    assert notes == ["left out: 1 prompt that the model was trained on"]
    assert judged.evaluate(lambda prompt: True)[0] is None


@pytest.mark.parametrize("ranks, judged", [([2, 1], True), ([1, 1], False), ([1], False), ("12", False), ([True, 2], False), (None, False)])
def test_lists_have_ranks_beside_them(ranks, judged):
    evaluation, notes = judge("lists", [{"prompt": "p", "answers": ["a", "b"], "ranks": ranks}], [[0.1, 0.2]]).evaluate(lambda prompt: False)
    assert (evaluation is not None) == judged and bool(notes) != judged


def judge_file(path, score=None):
    """Judge a model whose rewards are those of chance, but the same for the same texts."""
    judge = Judge()
    for item in Answers(path, score):
        judge.add(item, [hashlib.sha256(f"{item.prompt.strip()}\n{answer.strip()}".encode()).digest()[0] / 256 for answer in item.answers])
    return judge.evaluate(lambda prompt: False)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("name", [*KNOWN, "scored answers"])
def test_other_formats_are_judged_as_if_they_had_been_converted(tmp_path, name, kind):
    records, score = (SCORED, "helpfulness") if name == "scored answers" else (KNOWN[name][0], None)
    write(source := tmp_path / f"data.{kind}", records)
    run_script("convert_rankings.py", source, "rankings.csv", *(["--score", score] if score else []), cwd=tmp_path)
    evaluation, _ = judge_file(source, score)
    converted, _ = judge_file(tmp_path / "rankings.csv")
    assert evaluation.metrics.pairs > 0
    assert evaluation.metrics == converted.metrics


def test_what_converting_leaves_out_is_no_evidence_here_either(tmp_path):
    pairs = [("p", "a", "b"), ("p", "a", "a "), ("q", "a", ""), ("q", "c", "d")]
    write(tmp_path / "pairs.jsonl", [dict(zip(("prompt", "chosen", "rejected"), pair, strict=True)) for pair in pairs])
    evaluation, notes = judge_file(tmp_path / "pairs.jsonl")
    assert evaluation.metrics.pairs == 2
    assert notes == ["left out: 1 record with an empty text", "left out: 1 ranking with answers listed twice with different ranks"]
    twice = [("p", "a", 3), ("p", "b", 1), ("p", "a", 2), ("p", "c", 2), ("q", "e", 1), ("q", "f", 1)]
    write(tmp_path / "scored.csv", [dict(zip(("prompt", "response", "score"), row, strict=True)) for row in twice])
    evaluation, notes = judge_file(tmp_path / "scored.csv", "score")
    assert evaluation.metrics.pairs == 1 and len(notes) == 2  # b against c


def test_raters_of_ranked_answers_keep_apart(tmp_path):
    rows = [("p", "a", 1, "Ann"), ("p", "b", 2, "Ann"), ("p", "a", 2, "Bo"), ("p", "b", 1, "Bo")]
    write(tmp_path / "ranked.csv", [dict(zip(("prompt", "answer", "rank", "annotator"), row, strict=True)) for row in rows])
    assert judge_file(tmp_path / "ranked.csv")[0].metrics.pairwise_accuracy == 0.5
    run_script("convert_rankings.py", "ranked.csv", "rankings.csv", cwd=tmp_path)
    assert judge_file(tmp_path / "rankings.csv")[0].metrics == judge_file(tmp_path / "ranked.csv")[0].metrics
