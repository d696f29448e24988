import csv
import io
import shutil

import pytest
from conftest import read_csv, run_script

ROWS = [
    ["7", "make good coffee", "grind fresh beans, slowly"],
    ["8", "read", "N/A"],
    ["9", "make good coffee", "Coffee hot."],
    ["10", "make good coffee", 'two\nlines, and "quotes"'],
]


@pytest.fixture
def answers(tmp_path):
    with open(tmp_path / "answers.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "prompt", "answer"], *ROWS])
    return tmp_path / "answers.csv"


def test_rows_and_columns_come_back_in_order_with_two_more(answers, tiny_reward_model, tmp_path):
    from preference.model.reward_model import RewardModel

    done = run_script("score_answers.py", "--model", tiny_reward_model, answers, cwd=tmp_path)
    rows = list(csv.reader(io.StringIO(done.stdout, newline="")))
    assert rows[0] == ["id", "prompt", "answer", "reward", "rank_in_prompt"]
    assert [row[:3] for row in rows[1:]] == ROWS
    rewards = [float(row[3]) for row in rows[1:]]
    expected = RewardModel.load(tiny_reward_model).score([row[1] for row in ROWS], [row[2] for row in ROWS])
    assert rewards == pytest.approx(expected.tolist(), abs=1e-5)
    ranks = [int(row[4]) for row in rows[1:]]
    assert ranks[1] == 1  # alone
    coffee = [0, 2, 3]
    assert sorted(coffee, key=lambda i: -rewards[i]) == sorted(coffee, key=lambda i: ranks[i])


def test_an_output_file_gets_the_same_and_is_not_overwritten(answers, tiny_reward_model, tmp_path):
    arguments = ["score_answers.py", "--model", tiny_reward_model, answers, "--output", "scored.csv"]
    assert run_script(*arguments, cwd=tmp_path).stdout == ""
    assert [row["id"] for row in read_csv(tmp_path / "scored.csv")] == ["7", "8", "9", "10"]
    done = run_script(*arguments, cwd=tmp_path, status=2)
    assert done.stderr == "error: scored.csv: exists; choose another --output, or replace it with --force\n"
    run_script(*arguments, "--force", cwd=tmp_path)


def test_scoring_by_hand_prints_the_best_first(tiny_reward_model, tmp_path):
    texts = ["grind fresh beans", "Coffee hot."]
    given = [part for text in texts for part in ("--answer", text)]
    done = run_script("score_answers.py", "--model", tiny_reward_model, "--prompt", "make good coffee", *given, cwd=tmp_path)
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["1", "2"]
    assert float(lines[0][1]) >= float(lines[1][1])
    assert {line[2] for line in lines} == set(texts)


@pytest.mark.parametrize(
    "text, message",
    [
        ("prompt,text\np,a\n", "answers.csv:1: no column 'answer' in the header 'prompt,text'; it must name prompt, answer"),
        ("prompt,answer\np,a\np,\n", "answers.csv:3: empty answer: ''; write the text or delete the row"),
        ("prompt,answer,reward\np,a,1\n", "answers.csv:1: the column 'reward' exists already; rename or delete it"),
    ],
)
def test_a_wrong_csv_gets_one_plain_message(tmp_path, text, message):
    (tmp_path / "answers.csv").write_text(text)
    assert run_script("score_answers.py", "answers.csv", cwd=tmp_path, status=2).stderr == f"error: {message}\n"


def test_a_folder_that_is_no_reward_model(answers, tmp_path):
    done = run_script("score_answers.py", "--model", "nowhere", answers, cwd=tmp_path, status=2)
    assert done.stderr.strip() == "error: nowhere: no such folder; train one with `python reward_model_trainer.py`"


def test_a_model_whose_saving_was_cut_short_between_two_renames_is_found(tiny_reward_model, tmp_path):
    shutil.copytree(tiny_reward_model, tmp_path / "reward_model_final.old")
    assert "7" in run_script("score_answers.py", "--prompt", "Name a prime number", "--answer", "7", cwd=tmp_path).stdout
    assert [path.name for path in tmp_path.iterdir()] == ["reward_model_final"]


def test_arguments_that_do_not_fit_together(tmp_path):
    for arguments in ([], ["--prompt", "p"], ["a.csv", "--prompt", "p", "--answer", "a"], ["a.csv", "--answer", "a"]):
        assert "usage: score_answers.py" in run_script("score_answers.py", *arguments, cwd=tmp_path, status=2).stderr
