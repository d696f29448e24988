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
    assert notes == ["left out: 1 answer without a rank, which must be a positive whole number"]


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


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize("name", [*KNOWN, "scored answers"])
def test_other_formats_are_judged_as_if_they_had_been_converted(tmp_path, name, kind):
    records, score = (SCORED, "helpfulness") if name == "scored answers" else (KNOWN[name][0], None)
    write(source := tmp_path / f"data.{kind}", records)
    run_script("convert_rankings.py", source, "rankings.csv", *(["--score", score] if score else []), cwd=tmp_path)
    evaluation, _ = judge_file(source, score)
    converted, _ = judge_file(tmp_path / "rankings.csv")
    assert evaluation.metrics.pairs > 0
    assert evaluation.metrics == converted.metrics
