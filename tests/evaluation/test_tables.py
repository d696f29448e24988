import io
from typing import NamedTuple

import numpy as np
from rich.console import Console

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import evaluate
from preference.evaluation.tables import agreement_table, answers_table, print_reversed

RANKINGS = [Ranking("p [bold]", ["worst", "best\x1b[31m"], [2, 1]), Ranking("q", ["x", "y"], [1, 2])]
REWARDS = np.array([-1.0, 1.0, 0.25, 0.5])


class Repeated(NamedTuple):
    prompts: int
    share: float
    interval: tuple[float, float]


def text_of(table) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_answers_stand_best_first_with_both_ranks():
    table, left_out = answers_table(evaluate("test", RANKINGS, REWARDS), most=10)
    lines = [line.split() for line in text_of(table).splitlines() if line.strip().startswith(("p [bold]", "q"))]
    assert left_out == 0
    assert [line[-3:] for line in lines] == [["1", "+1.000", "1"], ["2", "-1.000", "2"], ["1", "+0.250", "2"], ["2", "+0.500", "1"]]
    assert "\x1b" not in text_of(table)


def test_many_answers_are_left_out_whole_prompts_at_a_time():
    table, left_out = answers_table(evaluate("test", RANKINGS, REWARDS), most=1)
    assert left_out == 2 and table.row_count == 2


def test_the_title_says_whether_the_answers_were_unseen():
    tables = {part: answers_table(evaluate(part, RANKINGS, REWARDS), most=10)[0] for part in ("validation", "training")}
    titles = {part: text_of(table).splitlines()[0].strip() for part, table in tables.items()}
    assert titles == {
        "validation": "Rewards of the validation answers (unseen prompts)",
        "training": "Rewards of the training answers (seen prompts)",
    }


def test_the_agreement_table_holds_the_numbers_beside_the_baselines():
    text = text_of(agreement_table([evaluate("test", RANKINGS, REWARDS)]))
    assert "test (2 prompts)" in text and "validation" not in text
    assert "0.500 [0.000, 1.000]" in text and "longest answer is best" in text and "shortest answer is best" in text
    both = text_of(agreement_table([evaluate(part, RANKINGS, REWARDS) for part in ("test", "validation")]))
    assert both.index("validation (2 prompts)") < both.index("test (2 prompts)")
    assert agreement_table([evaluate("training", RANKINGS, REWARDS)]) is None


def test_what_people_reach_stands_beside_the_accuracy():
    raters = [Ranking("p", ["x", "y"], [1, 2], "ann"), Ranking("p", ["x", "y"], [1, 2], "bob")]
    evaluations = [evaluate("test", raters, np.array([1.0, 0.0] * 2)), evaluate("validation", RANKINGS, REWARDS)]
    lines = [line.split() for line in text_of(agreement_table(evaluations, again=Repeated(7, 0.8125, (0.7, 0.9)))).splitlines()]
    assert ["yourself,", "shown", "7", "prompts", "again", "0.812", "[0.700,", "0.900]", "0.812", "[0.700,", "0.900]"] in lines
    assert ["two", "raters", "agree", "–", "1.000"] in lines  # one prompt has no interval
    assert ["Krippendorff's", "alpha", "–", "1.000"] in lines
    assert "raters" not in text_of(agreement_table([evaluate("test", RANKINGS, REWARDS)]))


def test_rankings_that_look_reversed_are_named(capsys):
    print_reversed(RANKINGS, [])
    assert capsys.readouterr().out == ""
    print_reversed([*RANKINGS, Ranking("r\x1b[2J", ["x", "y"], [1, 2], "bob")], [2, 1])
    out = capsys.readouterr().out
    assert out.startswith("warning: 2 of 3 rankings look reversed (1 must be the best answer): 'r") and "(group 'bob'), 'q'" in out
    assert "\x1b" not in out
