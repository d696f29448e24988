import contextlib
import io
import os
import pty
import re
import termios
import threading

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import evaluate
from preference.evaluation.metrics import Agreement
from preference.evaluation.tables import agreement_table, print_answers, print_disputes, print_report, print_reversed

RANKINGS = [Ranking("p [bold]", ["worst", "best\x1b[31m"], [2, 1]), Ranking("q", ["x", "y"], [1, 2])]
REWARDS = np.array([-1.0, 1.0, 0.25, 0.5])
LONG = [
    Ranking(f"{i} {'字 prompt ' * 30}", ["one " * 50, "two\n" * 50, "字" * 90], [1, 2, 12], f"group {i}")
    for i in range(3)
]


AGAIN = Agreement(prompts=7, pairs=16, share=0.8125, interval=(0.7, 0.9), alpha=None)


def text_of(table) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def printed_at(columns: int, print_it, *arguments, **options) -> list[str]:
    """The lines that a function prints on a terminal of so many columns."""
    ours, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    parts: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end was closed
            while part := os.read(ours, 4096):
                parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    with open(terminal, "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        print_it(*arguments, **options)
    reader.join()
    os.close(ours)
    return re.sub(r"\x1b\[[\d;]*m", "", b"".join(parts).decode("utf-8")).replace("\r", "").splitlines()


def test_answers_stand_best_first_with_both_ranks(capsys):
    print_answers(evaluate("test", RANKINGS, REWARDS), most=10)
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[6:]] == [
        ["p", "[bold]"], ["1", "1", "+1.000", "best␛[31m"], ["2", "2", "-1.000", "worst"],
        ["q"], ["1", "2", "+0.250", "x"], ["2", "1", "+0.500", "y"],
    ]  # fmt: skip
    assert "\x1b" not in out


def test_many_answers_are_left_out_whole_prompts_at_a_time(capsys):
    print_answers(evaluate("test", RANKINGS, REWARDS), most=1)
    out = capsys.readouterr().out
    assert "worst" in out and "+0.250" not in out and "(2 more answers are in rewards.csv)" in out


@pytest.mark.parametrize("part, seen", [("validation", "unseen"), ("training", "seen")])
def test_the_report_says_whether_the_answers_were_unseen_and_where_their_scores_lie(capsys, part, seen):
    print_report([evaluate(part, RANKINGS, REWARDS)])
    out = capsys.readouterr().out
    assert out.startswith(f"\nRewards of the {part} answers ({seen} prompts)\n")
    assert f"\n{part} scores: range -1.00 to +1.00, mean +0.19, standard deviation 0.74\n" in out


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_numbers_never_give_way_to_texts(columns):
    rewards = np.array([1.25, -0.5, -111.125, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0])
    answers = printed_at(columns, print_answers, evaluate("test", LONG, rewards), most=9)
    assert [line.split()[:3] for line in answers if re.match(" +[0-9]", line)] == [
        ["1", "1", "+1.250"], ["2", "2", "-0.500"], ["12", "3", "-111.125"], ["1", "3", "+0.000"], ["2", "2", "+1.000"],
        ["12", "1", "+2.000"], ["1", "1", "+3.000"], ["2", "2", "+2.000"], ["12", "3", "+1.000"],
    ]  # fmt: skip
    disputes = printed_at(columns, print_disputes, LONG, rewards, np.array([0.5, 12.25, 1.0]), 2)
    assert [line.split()[0] for line in disputes if line.startswith("  ")] == [
        "12.25",
        "[1]",
        "[12]",
        "1.00",
        "[1]",
        "[2]",
    ]
    parts = [evaluate("test", LONG, rewards), evaluate("validation", LONG, -rewards)]
    report = printed_at(columns, print_report, parts, answers=False, again=AGAIN)
    figures = [(e.metrics.pairwise_accuracy, *e.metrics.pairwise_accuracy_95) for e in parts]
    expected = ["{:.3f} [{:.3f}, {:.3f}]".format(*three) for three in figures]
    assert all(any(one in line for line in report) for one in expected)
    assert sum(line.count("0.812 [0.700, 0.900]") for line in report) == 2
    assert max(cell_len(line) for line in [*answers, *disputes, *report]) <= min(columns, 120)


def test_the_agreement_table_holds_the_numbers_beside_the_baselines():
    text = text_of(agreement_table([evaluate("test", RANKINGS, REWARDS)]))
    assert "test (2 prompts)" in text and "validation" not in text
    assert "0.500 [0.000, 1.000]" in text and "longest answer is best" in text and "shortest answer is best" in text
    both = printed_at(100, print_report, [evaluate(part, RANKINGS, REWARDS) for part in ("test", "validation")])
    assert any(re.search(r"validation \(2 prompts\) +test \(2 prompts\)", line) for line in both)


def test_what_people_reach_stands_beside_the_accuracy():
    raters = [Ranking("p", ["x", "y"], [1, 2], rater="ann"), Ranking("p", ["x", "y"], [1, 2], rater="bob")]
    evaluations = [evaluate("validation", RANKINGS, REWARDS), evaluate("test", raters, np.array([1.0, 0.0] * 2))]
    lines = [line.split() for line in text_of(agreement_table(evaluations, again=AGAIN)).splitlines()]
    assert [
        "yourself,",
        "shown",
        "7",
        "prompts",
        "again",
        "0.812",
        "[0.700,",
        "0.900]",
        "0.812",
        "[0.700,",
        "0.900]",
    ] in lines
    assert ["two", "raters", "agree", "–", "1.000"] in lines  # one prompt has no interval
    assert ["Krippendorff's", "alpha", "–", "1.000"] in lines
    assert "raters" not in text_of(agreement_table([evaluate("test", RANKINGS, REWARDS)]))


def test_rankings_that_look_reversed_are_named(capsys):
    print_reversed(RANKINGS, [])
    assert capsys.readouterr().out == ""
    print_reversed([*RANKINGS, Ranking("r\x1b[2J", ["x", "y"], [1, 2], "bob")], [2, 1])
    out = capsys.readouterr().out
    assert out.startswith(
        "warning: 2 of 3 rankings look reversed (1 must be the best answer): 'r"
    ) and "(group 'bob'), 'q'" in " ".join(out.split())
    assert "\x1b" not in out
