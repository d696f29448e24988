import csv
import io
import json
import shutil

import numpy as np
import pytest
from conftest import read_csv, rewards_of, run_script
from known_formats import write

from preference.data.table_writing import write_table
from preference.data.tables import read_table

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


def test_rows_and_columns_come_back_in_order_with_three_more(answers, measured_model, tmp_path):
    done = run_script("score_answers.py", "--model", measured_model, answers, cwd=tmp_path)
    rows = list(csv.reader(io.StringIO(done.stdout, newline="")))
    assert rows[0] == ["id", "prompt", "answer", "reward", "rank_in_prompt", "percentile"]
    assert [row[:3] for row in rows[1:]] == ROWS and done.stderr == ""
    rewards = [float(row[3]) for row in rows[1:]]
    assert rewards == pytest.approx(rewards_of(measured_model, [row[1:] for row in ROWS]), abs=1e-5)
    assert [int(row[5]) for row in rows[1:]] == [min(max(round((reward + 3) / 6 * 100), 0), 100) for reward in rewards]
    ranks = [int(row[4]) for row in rows[1:]]
    assert ranks[1] == 1  # alone
    coffee = [0, 2, 3]  # they stand apart
    assert sorted(coffee, key=lambda i: -rewards[i]) == sorted(coffee, key=lambda i: ranks[i])


def test_equal_rewards_share_a_rank_and_an_answer_that_stands_there_twice_counts_once(tiny_reward_model, tmp_path):
    answers = ["Zyx", "books", "Zyx", "", "Xyz"]  # the first and the last are one unknown word to the model
    (tmp_path / "a.csv").write_text("prompt,answer\n" + "".join(f"read,{answer}\n" for answer in answers))
    for flags, count in (([], 5), (["--best"], 1)):
        arguments = ["--model", tiny_reward_model, "a.csv", *flags, "--output", f"{count}.csv"]
        run_script("score_answers.py", *arguments, cwd=tmp_path)
    rows, [best] = read_csv(tmp_path / "5.csv"), read_csv(tmp_path / "1.csv")
    assert rows[0]["reward"] == rows[2]["reward"] == rows[4]["reward"] and rows[3]["rank_in_prompt"] == ""
    first = float(rows[0]["reward"]) > float(rows[1]["reward"])
    assert [row["rank_in_prompt"] for row in rows if row["answer"]] == (list("1311") if first else list("2122"))
    assert best["answer"] == ("Zyx" if first else "books")


def test_an_output_file_gets_the_same_and_is_not_overwritten(answers, tiny_reward_model, tmp_path):
    arguments = ["score_answers.py", "--model", tiny_reward_model, answers, "--output", "scored.csv"]
    assert run_script(*arguments, cwd=tmp_path).stdout.endswith(
        "scored.csv: 4 rows with reward, rank_in_prompt, percentile\n"
    )
    assert [row["id"] for row in read_csv(tmp_path / "scored.csv")] == ["7", "8", "9", "10"]
    done = run_script(*arguments, cwd=tmp_path, status=2)
    assert done.stderr == "error: scored.csv: exists; choose another --output, or replace it with --force\n"
    run_script(*arguments, "--force", cwd=tmp_path)


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_other_formats_come_back_in_their_own_or_in_the_one_that_is_named(measured_model, tmp_path, ending):
    given = [{"id": int(i), "prompt": prompt, "answer": answer} for i, prompt, answer in ROWS]
    write_table(tmp_path / f"a.{ending}", ending, list(given[0]), given)
    run_script("score_answers.py", "--model", measured_model, f"a.{ending}", "--output", f"b.{ending}", cwd=tmp_path)
    run_script("score_answers.py", "--model", measured_model, f"a.{ending}", "--output", "b.csv", cwd=tmp_path)
    scored = read_table(tmp_path / f"b.{ending}").records
    added = ["reward", "rank_in_prompt", "percentile"]
    assert [{name: row[name] for name in row if name not in added} for row in scored] == given
    assert [row["reward"] for row in scored] == pytest.approx(
        rewards_of(measured_model, [row[1:] for row in ROWS]), abs=1e-5
    )
    assert [{name: str(value) for name, value in row.items()} for row in scored] == read_csv(tmp_path / "b.csv")


def test_candidates_come_back_with_lists_and_as_rows_in_a_csv(measured_model, tmp_path):
    given = [
        {"prompt": "make good coffee", "answers": ["grind fresh beans", "Coffee hot."], "generator": "g", "seed": 1},
        {"prompt": "read", "answers": ["books"], "generator": "g", "seed": 1},
        {"prompt": "make good coffee", "answers": ["Coffee."], "generator": "g", "seed": 2},
    ]
    (tmp_path / "candidates.jsonl").write_text("".join(json.dumps(record) + "\n" for record in given))
    done = run_script("score_answers.py", "--model", measured_model, "candidates.jsonl", cwd=tmp_path)
    scored = [json.loads(line) for line in done.stdout.splitlines()]
    assert [{name: row[name] for name in given[0]} for row in scored] == given
    assert list(scored[0]) == [*given[0], "rewards", "ranks_in_prompt", "percentiles"]
    rewards = rewards_of(measured_model, [(row["prompt"], answer) for row in given for answer in row["answers"]])
    assert [reward for row in scored for reward in row["rewards"]] == pytest.approx(rewards, abs=1e-5)
    coffee = [*scored[0]["ranks_in_prompt"], *scored[2]["ranks_in_prompt"]]
    assert sorted(coffee) == [1, 2, 3] and scored[1]["ranks_in_prompt"] == [1]

    run_script("score_answers.py", "--model", measured_model, "candidates.jsonl", "--output", "rows.csv", cwd=tmp_path)
    rows = read_csv(tmp_path / "rows.csv")
    assert [(row["prompt"], row["answer"]) for row in rows] == [
        (record["prompt"], answer) for record in given for answer in record["answers"]
    ]
    assert [row["rank_in_prompt"] for row in rows] == [str(rank) for row in scored for rank in row["ranks_in_prompt"]]

    done = run_script("score_answers.py", "--model", measured_model, "candidates.jsonl", "--best", cwd=tmp_path)
    best = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(row["prompt"] for row in best) == ["make good coffee", "read"]
    texts = [answer for record in given for answer in record["answers"]]
    coffee_rewards = {text: reward for text, reward in zip(texts, rewards, strict=True) if text != "books"}
    chosen = next(row for row in best if row["prompt"] != "read")
    assert (
        chosen["answer"] == max(coffee_rewards, key=coffee_rewards.get)
        and chosen["rank_in_prompt"] == 1
        and "answers" not in chosen
    )


def test_pairs_get_margins_and_probabilities_and_judge_the_model(measured_model, tmp_path):
    pairs = [["make good coffee", "grind fresh beans", "Coffee hot."], ["why reading matters", "books", "N/A"]]
    with open(tmp_path / "pairs.csv", "w", newline="") as file:
        csv.writer(file).writerows([["prompt", "chosen", "rejected"], *pairs])
    done = run_script("score_answers.py", "--model", measured_model, "pairs.csv", cwd=tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    for row, (prompt, chosen, rejected) in zip(rows, pairs, strict=True):
        rewards = rewards_of(measured_model, [(prompt, chosen), (prompt, rejected)])
        assert [float(row["reward_chosen"]), float(row["reward_rejected"])] == pytest.approx(rewards, abs=1e-5)
        margin = rewards[0] - rewards[1]
        assert float(row["margin"]) == pytest.approx(margin, abs=1e-5)
        assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(-margin / 0.5)), abs=1e-4)
    right = sum(float(row["margin"]) > 0 for row in rows) / 2
    assert f"pairwise accuracy [95 % interval]   {right:.3f}" in done.stderr and "test (2 prompts)" in done.stderr
    done = run_script("score_answers.py", "--model", measured_model, "pairs.csv", "--best", cwd=tmp_path, status=2)
    assert done.stderr == "error: --best needs answers to choose from, not pairs of chosen and rejected\n"


def test_ranks_judge_the_model_on_the_prompts_that_it_was_not_trained_on(
    tiny_reward_model, bare_model, sample_folder, tmp_path
):
    arguments = [
        "--model",
        tiny_reward_model,
        sample_folder / "test_data.csv",
        "--output",
        "scored.csv",
        "--precision",
        "fp32",
    ]
    done = run_script("score_answers.py", *arguments, cwd=tmp_path)
    expected = json.loads((tiny_reward_model / "metrics.json").read_text())["test"]["pairwise_accuracy"]
    assert f"pairwise accuracy [95 % interval]   {expected:.3f}" in done.stdout and "test (3 prompts)" in done.stdout
    done = run_script(
        "score_answers.py", "--model", tiny_reward_model, sample_folder / "training_data.csv", cwd=tmp_path
    )
    assert (
        "scored, but not judged: 5 prompts that the model was trained on" in done.stderr
        and "no agreement table" in done.stderr
    )
    done = run_script("score_answers.py", "--model", bare_model, sample_folder / "training_data.csv", cwd=tmp_path)
    assert "test (5 prompts)" in done.stderr and "does not say which prompts the model was trained on" in done.stderr
    (tmp_path / "odd.csv").write_text("prompt,answer,rank\np,a,n/a\np,b,\n")
    done = run_script("score_answers.py", "--model", tiny_reward_model, "odd.csv", cwd=tmp_path)
    assert "2 answers without a rank or score" in done.stderr and "no agreement table" in done.stderr


def test_another_format_gets_its_scores_and_the_table(measured_model, tmp_path):
    coffee = {
        "context": [{"role": "user", "content": "make good coffee"}],
        "response1": "Coffee hot.",
        "response2": "grind fresh beans",
    }
    votes = [coffee | {"overall_preference": 2, "domain": "stem"}, coffee | {"overall_preference": 0, "domain": "code"}]
    write(tmp_path / "votes.jsonl", votes)
    done = run_script("score_answers.py", "--model", measured_model, "votes.jsonl", cwd=tmp_path)
    expected = rewards_of(
        measured_model, [("make good coffee", "Coffee hot."), ("make good coffee", "grind fresh beans")]
    )
    scored = [json.loads(line) for line in done.stdout.splitlines()]
    for vote, record in zip(votes, scored, strict=True):
        assert record.pop("rewards") == pytest.approx(expected, abs=1e-5) and len(record.pop("percentiles")) == 2
        assert sorted(record.pop("ranks_in_prompt")) == [1, 2] and record == vote
    assert f"pairwise accuracy [95 % interval] {float(expected[1] > expected[0]):.3f}" in " ".join(done.stderr.split())
    done = run_script(
        "score_answers.py", "--model", measured_model, "votes.jsonl", "--output", "rows.csv", "--best", cwd=tmp_path
    )
    (row,) = read_csv(tmp_path / "rows.csv")
    assert list(row) == ["prompt", "answer", "rank", "domain", "reward", "rank_in_prompt", "percentile"]
    assert (row["prompt"], row["rank_in_prompt"]) == ("make good coffee", "1") and row["answer"] == [
        "Coffee hot.",
        "grind fresh beans",
    ][expected[1] > expected[0]]


def test_what_several_people_ranked_is_ranked_once(measured_model, tmp_path):
    rows = [
        ["make good coffee", answer, "1", who]
        for who in "ab"
        for answer in ("Coffee hot.", "grind fresh beans", "books")
    ]
    with open(tmp_path / "raters.csv", "w", newline="") as file:
        csv.writer(file).writerows([["prompt", "answer", "rank", "annotator"], *rows])
    for source in ("raters.csv", "-"):
        done = run_script(
            "score_answers.py",
            "--model",
            measured_model,
            source,
            cwd=tmp_path,
            stdin=(tmp_path / "raters.csv").read_text(),
        )
        ranks = [int(row["rank_in_prompt"]) for row in csv.DictReader(io.StringIO(done.stdout))]
        assert ranks[:3] == ranks[3:] and sorted(ranks[:3]) == [1, 2, 3]


def test_lists_and_messages_in_the_cells_of_a_csv_are_read(measured_model, tmp_path):
    write(
        tmp_path / "lists.csv",
        [{"prompt": "make good coffee", "answers": ["Coffee hot.", "grind fresh beans"], "ranks": [2, 1]}],
    )
    write(
        tmp_path / "pairs.csv",
        [
            {
                "prompt": [{"role": "user", "content": "make good coffee"}],
                "chosen": "grind fresh beans",
                "rejected": "Coffee hot.",
            }
        ],
    )
    hot, fresh = rewards_of(
        measured_model, [("make good coffee", "Coffee hot."), ("make good coffee", "grind fresh beans")]
    )
    done = run_script("score_answers.py", "--model", measured_model, "lists.csv", cwd=tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["answer"], row["rank"]) for row in rows] == [("Coffee hot.", "2"), ("grind fresh beans", "1")]
    assert [float(row["reward"]) for row in rows] == pytest.approx([hot, fresh], abs=1e-5)
    done = run_script("score_answers.py", "--model", measured_model, "pairs.csv", cwd=tmp_path)
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert (
        float(row["margin"]) == pytest.approx(fresh - hot, abs=1e-5) and json.loads(row["prompt"])[0]["role"] == "user"
    )


def test_a_pair_that_compares_nothing_is_scored_and_not_judged(measured_model, tmp_path):
    same = "\n\nHuman: make good coffee\n\nAssistant: grind fresh beans"
    write(tmp_path / "hh.csv", [{"chosen": same, "rejected": same}, {"chosen": same, "rejected": same + " slowly"}])
    done = run_script("score_answers.py", "--model", measured_model, "hh.csv", cwd=tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert float(rows[0]["margin"]) == 0 != float(rows[1]["margin"]) and rows[0]["chosen"] == same
    assert "scored, but not judged: 1 with identical answers" in done.stderr and "test (1 prompt)" in done.stderr


@pytest.mark.parametrize(
    "record, expected",
    [
        ({"prompt": "read", "response": "books"}, [("read", "books")]),
        ({"instruction": "read", "output": "books"}, [("read", "books")]),
        ({"prompt": "read", "responses": ["books", "N/A"]}, [("read", "books"), ("read", "N/A")]),
        ({"prompt": [{"role": "user", "content": "read"}], "answer": "books"}, [("read", "books")]),
        (
            {"prompt": [{"role": "user", "content": "read"}], "answers": ["books", "N/A"]},
            [("read", "books"), ("read", "N/A")],
        ),
        (
            {"messages": [{"role": "user", "content": "read"}, {"role": "assistant", "content": "books"}]},
            [("read", "books")],
        ),
    ],
)
def test_other_names_and_chats_are_scored(measured_model, tmp_path, record, expected):
    write(tmp_path / "data.jsonl", [record])
    scored = json.loads(run_script("score_answers.py", "--model", measured_model, "data.jsonl", cwd=tmp_path).stdout)
    assert {name: scored[name] for name in record} == record
    assert scored.get("rewards", [scored.get("reward")]) == pytest.approx(
        rewards_of(measured_model, expected), abs=1e-5
    )


def test_a_column_reward_that_is_there_already_must_be_renamed(measured_model, tmp_path):
    (tmp_path / "gold.csv").write_text("prompt;answer;reward\nread;books;1,5\nread;N/A;-0,5\n")
    arguments = ["score_answers.py", "--model", measured_model, "gold.csv", "--output", "once.csv"]
    done = run_script(*arguments, cwd=tmp_path, status=2)
    assert done.stderr.endswith("error: gold.csv:1: a column 'reward' exists already; rename or delete it\n")
    (tmp_path / "gold.csv").write_text("prompt;answer;score\nread;books;1,5\nread;N/A;-0,5\n")
    done = run_script(*arguments, cwd=tmp_path)
    assert "scores, higher is better: score" in " ".join(done.stdout.split()) and "pairwise accuracy" in done.stdout
    assert (
        (tmp_path / "once.csv")
        .read_text()
        .startswith("prompt;answer;score;reward;rank_in_prompt;percentile\nread;books;1,5;")
    )


def test_an_empty_answer_is_named_and_not_scored(measured_model, tmp_path):
    (tmp_path / "a.csv").write_text("prompt,answer\nread,books\nread,\nread,N/A\n")
    done = run_script("score_answers.py", "--model", measured_model, "a.csv", cwd=tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [bool(row["reward"]) for row in rows] == [True, False, True] and {
        rows[0]["rank_in_prompt"],
        rows[2]["rank_in_prompt"],
    } == {"1", "2"}
    assert done.stderr == "not scored: 1 empty answer (a.csv:3)\n"
    write(tmp_path / "a.jsonl", [{"prompt": "read", "answers": ["books", "", "N/A"]}])
    scored = json.loads(run_script("score_answers.py", "--model", measured_model, "a.jsonl", cwd=tmp_path).stdout)
    assert [reward is None for reward in scored["rewards"]] == [False, True, False] and scored["ranks_in_prompt"][
        1
    ] is None


def test_a_prompt_that_comes_back_in_a_pipe_gets_right_ranks(measured_model, tmp_path):
    text = "prompt,answer\nread,books\nmake good coffee,beans\nread,N/A\n"
    done = run_script("score_answers.py", "--model", measured_model, "-", cwd=tmp_path, stdin=text)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {rows[0]["rank_in_prompt"], rows[2]["rank_in_prompt"]} == {"1", "2"} and rows[1]["rank_in_prompt"] == "1"


def test_what_was_cut_is_counted_and_what_became_identical_is_named(measured_model, tmp_path):
    long = "books " * 100
    (tmp_path / "a.csv").write_text(f"prompt,answer\nread,{long}good\nread,{long}bad\nread,books\n")
    done = run_script("score_answers.py", "--model", measured_model, "a.csv", "--output", "b.csv", cwd=tmp_path)
    assert "2 answers of 3 cut at the model's length of 64 tokens" in done.stdout
    assert "warning: answers that became identical when cut get the same reward: a.csv:2 = a.csv:3" in " ".join(
        done.stdout.split()
    )
    rows = read_csv(tmp_path / "b.csv")
    assert rows[0]["reward"] == rows[1]["reward"] and rows[0]["rank_in_prompt"] == rows[1]["rank_in_prompt"]


def test_what_an_answer_is_rated_by_in_words_stops_no_scoring(measured_model, tmp_path):
    (tmp_path / "a.csv").write_text("prompt,response,label\nread,books,safe\nread,N/A,unsafe\n")
    done = run_script("score_answers.py", "--model", measured_model, "a.csv", cwd=tmp_path)
    assert all(row["reward"] and row["label"] for row in csv.DictReader(io.StringIO(done.stdout)))
    assert done.stderr.startswith("labels ignored: ") and "'label' is not a number: 'safe'" in " ".join(
        done.stderr.split()
    )


def test_columns_of_new_names_are_named_by_flags(measured_model, tmp_path):
    (tmp_path / "a.csv").write_text("frage,antwort\nread,books\n")
    arguments = ["--model", measured_model, "a.csv", "--prompt", "frage", "--answers", "antwort"]
    (row,) = csv.DictReader(io.StringIO(run_script("score_answers.py", *arguments, cwd=tmp_path).stdout))
    assert float(row["reward"]) == pytest.approx(rewards_of(measured_model, [("read", "books")])[0], abs=1e-5)


def test_scoring_by_hand_prints_the_best_first_and_the_odds(measured_model, tmp_path):
    texts = ["grind fresh beans", "Coffee \x1b[31mhot."]
    given = [part for text in texts for part in ("--answer", text)]
    done = run_script(
        "score_answers.py", "--model", measured_model, "--prompt", "make good coffee", *given, cwd=tmp_path
    )
    header, *lines, empty, odds = done.stdout.splitlines()
    assert header.split() == ["rank", "reward", "percentile", "answer"]
    cells = [line.split(maxsplit=3) for line in lines]
    assert [line[0] for line in cells] == ["1", "2"]
    rewards = [float(line[1]) for line in cells]
    assert rewards[0] >= rewards[1]
    assert [int(line[2]) for line in cells] == [min(max(round((reward + 3) / 6 * 100), 0), 100) for reward in rewards]
    assert {line[3] for line in cells} == {texts[0], "Coffee ␛[31mhot."}
    probability = 1 / (1 + np.exp(-(rewards[0] - rewards[1]) / 0.5))
    assert odds.startswith(
        f"A person is expected to prefer '{cells[0][3]}' to '{cells[1][3]}' {probability:.0%} of the time."
    )


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[1]", '{"reward_quantiles": [1, "x"], "calibration": {"temperature": -1}, "seen_prompts": 3}'],
)
def test_a_damaged_record_of_the_model_stops_nothing(bare_model, answers, tmp_path, content):
    model = shutil.copytree(bare_model, tmp_path / "model")
    if content is not None:
        (model / "metrics.json").write_text(content)
    done = run_script(
        "score_answers.py", "--model", model, "--prompt", "read", "--answer", "books", "--answer", "N/A", cwd=tmp_path
    )
    assert len(done.stdout.splitlines()) == 3 and "percentile" not in done.stdout
    assert (
        " ".join(done.stderr.split())
        == f"{model}: its metrics.json has no rewards of the training answers; no percentile is given"
    )


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.csv", "prompt,answer\np,a\np,b\n ,b\n", "a.csv:4: empty prompt: ' '; write the text or delete the row"),
        ("a.csv", "", "a.csv:1: the file is empty; its first line must name the columns"),
        ("a.jsonl", "", "a.jsonl: has no records; write one per prompt or per answer"),
        ("a.csv", "prompt,answer\n", "a.csv: has no records; write one per prompt or per answer"),
        ("a.csv", "id,date\n1,2\n",
         "a.csv: no answers were found in the columns 'id, date'; name them: --chosen NAME --rejected NAME, or"
         " --answers NAME,NAME --vote NAME, or --answers NAME --score NAME (or --rank NAME)"),
        ("a.csv", 'prompt,chosen,rejected\n"[{\'role\': \'user\', \'content\': \'Hi\'}]",a,b\n',
         "a.csv:2: a list in Python's notation, not in JSON:"
         " \"[{'role': 'user', 'content': 'Hi'}]\"; write the data as JSONL or Parquet instead"),
        ("a.jsonl", '{"query": "q", "docs": ["a", "b"], "labels": [1, 0], "answer": "gold"}\n',
         "a.jsonl: a column 'answer' exists already; rename or delete it"),
        ("a.jsonl", '{"prompt": "\\ud83d", "answer": "a"}\n',
         "a.jsonl:1: half of a surrogate pair in '\\ud83d'; remove it"),
        ("a.jsonl", '\n{"prompt": "p',
         "a.jsonl:2: not JSON: '{\"prompt\": \"p'; write one object per line, or delete the line"),
        ("a.jsonl", '{"prompt": "p", "answer": "a"}\n{"prompt": "p", "answer": "b",}',
         "a.jsonl:2: not JSON: '{\"prompt\": \"p\", \"answer\":"
         " \"b\",}'; write one object per line, or delete the line"),
    ],
)  # fmt: skip
def test_a_wrong_file_gets_plain_messages_and_nothing_is_written(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    assert (
        run_script("score_answers.py", name, "--output", "b.csv", cwd=tmp_path, status=2).stderr
        == f"error: {message}\n"
    )
    assert not (tmp_path / "b.csv").exists()


def test_places_that_cannot_be_read_or_written(answers, tmp_path):
    (tmp_path / "folder").mkdir()
    for arguments, message in (
        (["none.csv"], "none.csv: no such file; check the name"),
        (["folder"], "folder: cannot be read: Is a directory; check its name and permissions"),
        (["answers.csv", "--output", "folder"], "folder: a folder, not a file; choose another --output"),
        (
            ["answers.csv", "--output", "answers.csv/b.csv"],
            "answers.csv/b.csv: cannot be written (File exists); choose another --output",
        ),
    ):
        assert run_script("score_answers.py", *arguments, cwd=tmp_path, status=2).stderr == f"error: {message}\n"


def test_a_folder_that_is_no_reward_model(answers, tmp_path):
    done = run_script("score_answers.py", "--model", "nowhere", answers, cwd=tmp_path, status=2)
    assert (
        done.stderr.strip()
        == "error: nowhere: no such folder; check the name, or train one with `python reward_model_trainer.py`"
    )


def test_arguments_that_do_not_fit_together(tmp_path):
    for arguments in ([], ["--prompt", "p"], ["a.csv", "--prompt", "p", "--answer", "a"], ["a.csv", "--answer", "a"]):
        assert "usage: score_answers.py" in run_script("score_answers.py", *arguments, cwd=tmp_path, status=2).stderr


def test_a_model_without_odds_says_what_gives_them(tiny_reward_model, tmp_path):
    by_hand = ["score_answers.py", "--model", tiny_reward_model, "--prompt", "make good coffee", "--answer", "beans"]
    done = run_script(*by_hand, "--answer", "water", cwd=tmp_path)
    assert "is expected to prefer" not in done.stdout
    note = "no odds between answers: need at least 10 prompts, have 5"
    assert done.stderr == f"{tiny_reward_model}: {note}\n"
    assert run_script(*by_hand, cwd=tmp_path).stderr == ""  # one answer needs none
