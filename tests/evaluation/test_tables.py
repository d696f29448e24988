import io

import numpy as np
from rich.console import Console

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import evaluate
from preference.evaluation.tables import agreement_table, answers_table

RANKINGS = [Ranking("p [bold]", ["worst", "best\x1b[31m"], [2, 1]), Ranking("q", ["x", "y"], [1, 2])]
REWARDS = np.array([-1.0, 1.0, 0.25, 0.5])


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
