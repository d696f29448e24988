import hashlib

import pytest
from conftest import run_script
from known_formats import KNOWN, SCORED, write

from preference.data.answers import read_answers
from preference.data.tables import read_table
from preference.evaluation.judging import Judge


def judge(tmp_path, records, rewards):
    """Judge rewards, one for each answer in order."""
    judge, rewards = Judge(), list(rewards)
    write(tmp_path / "data.jsonl", records)
    for item in read_answers(read_table(tmp_path / "data.jsonl")).items:
        judge.add(item, [rewards.pop(0) for _ in item.answers])
    return judge


def test_rows_of_one_prompt_group_and_rater_are_a_ranking(tmp_path):
    rows = [("p", "a", "1", "x"), ("p", "b", "2.0", "x"), ("q", "a", "1", ""), ("p", "a", "2", "y"), ("p", "c", "1", "y"), ("q", "b", "", "")]
    records = [dict(zip(("prompt", "answer", "rank", "annotator"), row, strict=True)) for row in rows]
    evaluation, notes = judge(tmp_path, records, [0.9, 0.1, 0.0, 0.9, 0.5, 0.3]).evaluate(lambda prompt: False)
    assert [(r.prompt, r.rater, r.answers, r.ranks) for r in evaluation.rankings] == [("p", "x", ["a", "b"], [1, 2]), ("p", "y", ["a", "c"], [2, 1])]
    assert evaluation.metrics.pairwise_accuracy == 0.5 and evaluation.part == "test"
    assert notes == ["not judged, though scored: 1 ranking with only one answer", "not judged, though scored: 1 answer without a rank"]


def test_each_pair_is_a_ranking_and_prompts_trained_on_are_not_judged(tmp_path):
    pairs = [{"prompt": prompt, "chosen": "a", "rejected": "b"} for prompt in ("p", "p", "q")]
    judged = judge(tmp_path, pairs, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
    evaluation, notes = judged.evaluate(lambda prompt: prompt == "q")
    assert evaluation.metrics.pairs == 2 and evaluation.metrics.prompts == 1
    assert notes == ["not judged, though scored: 1 prompt that the model was trained on"]
    assert judged.evaluate(lambda prompt: True)[0] is None


def test_many_answers_to_one_prompt_are_judged_by_some_of_them(tmp_path):
    records = [{"prompt": "p", "answer": f"a{i}", "rank": i + 1} for i in range(20_000)]
    evaluation, notes = judge(tmp_path, records, [-float(i) for i in range(20_000)]).evaluate(lambda prompt: False)
    assert evaluation.metrics.pairwise_accuracy == 1 and evaluation.metrics.answers == 2_000
    assert notes == ["judged by 2,000 of the 20,000 answers to 'p', drawn at random"]


def judge_file(path, score=None):
    """Judge a model whose rewards are those of chance, but the same for the same texts."""
    judge = Judge()
    for item in read_answers(read_table(path), {"score": score} if score else None).items:
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
