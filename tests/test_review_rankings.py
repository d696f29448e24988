import json
import re
import shlex
from dataclasses import fields

import numpy as np
import pytest
from conftest import ROOT, counting_texts, read_csv, run_script

import review_rankings
import reward_model_trainer
from preference.data.roles import COLUMNS
from preference.data.table_writing import format_rows
from preference.jobs.review import MIN_DISPUTE
from preference.scripts import settings_from
from preference.training.settings import TrainingSettings

TINY = ["--precision", "fp32", "--max-length", 64]


@pytest.fixture
def folder(tmp_path, sample_folder):
    rows = read_csv(sample_folder / "training_data.csv") + read_csv(sample_folder / "test_data.csv")
    cells = [[row["prompt"], row["answer"], row["rank"], f"note {i}"] for i, row in enumerate(rows)]
    (tmp_path / "data.csv").write_text(format_rows([[*COLUMNS, "note"], *cells]))
    return tmp_path


def review(folder, tiny_distilbert, *arguments, status=0):
    return run_script(
        "review_rankings.py",
        "--data",
        "data.csv",
        "--base-model",
        tiny_distilbert,
        *TINY,
        *arguments,
        cwd=folder,
        status=status,
    )


def told(done, word: str) -> list[str]:
    """The words after `python` of the command that a line of the report tells to type."""
    [line] = [line for line in done.stdout.splitlines() if line.startswith(word)]
    python, *words = shlex.split(line.removeprefix(word))
    assert python == "python"
    return words


def test_every_ranking_comes_back_most_disputed_first(folder, tiny_distilbert):
    before = (folder / "data.csv").read_bytes()
    done = review(folder, tiny_distilbert)
    assert done.stdout.count(" answers were cut at 64 tokens, ") == 1 and "scored by one of 8 models" in done.stdout
    assert "cross-validation (8 prompts)" in done.stdout and "is, if anything, an underestimate" in done.stdout
    assert "generalisation: accuracy " in done.stdout and "Most disputed of 8 rankings (" in done.stdout
    assert "\nNo odds: need at least 10 prompts, have 8.\n" in done.stdout
    assert "P(preferred)" not in done.stdout
    assert told(done, "look again") == [str(ROOT / "generate_data.py"), "--data", "data.csv", "--again", "review.csv"]
    given_flags = ["--base-model", str(tiny_distilbert), "--max-length", "64", "--precision", "fp32"]
    assert told(done, "train") == [str(ROOT / "reward_model_trainer.py"), "--data", "data.csv", *given_flags]
    assert (folder / "data.csv").read_bytes() == before
    given, rows = read_csv(folder / "data.csv"), read_csv(folder / "review.csv")
    assert list(rows[0]) == [*COLUMNS, "note", "reward", "predicted_rank", "dispute"]
    assert sorted(row["note"] for row in rows) == sorted(row["note"] for row in given)
    disputes = [float(row["dispute"]) for row in rows]
    assert disputes == sorted(disputes, reverse=True) and disputes[0] > 0
    for prompt in {row["prompt"] for row in rows}:
        some = sorted((row for row in rows if row["prompt"] == prompt), key=lambda row: int(row["rank"]))
        rewards = [float(row["reward"]) for row in some]
        wrong = sum(max(0.0, rewards[j] - rewards[i]) for i in range(4) for j in range(i + 1, 4))
        assert float(some[0]["dispute"]) == pytest.approx(wrong, abs=1e-3)
        predicted = sorted(some, key=lambda row: int(row["predicted_rank"]))
        assert [float(row["reward"]) for row in predicted] == sorted(rewards, reverse=True)


def ranked_by_length(folder, prompts: int) -> None:
    """Rankings that a model of the words can learn, up to a tenth of the prompts, which are turned."""
    rows = []
    for i in range(prompts):
        ranks = [1, 2, 3, 4] if i % 10 else [4, 3, 2, 1]
        rows += [
            [f"prompt {i}", " ".join(["code"] * (4 - j) + ["coffee"] * j + ["water"] * (i % 7)), rank]
            for j, rank in enumerate(ranks)
        ]
    (folder / "data.csv").write_text(format_rows([COLUMNS, *rows]))


def test_ten_prompts_give_odds(folder, tiny_distilbert):
    ranked_by_length(folder, 20)
    done = review(folder, tiny_distilbert)
    assert "P(preferred) = sigmoid(margin / " in done.stdout
    rows = read_csv(folder / "review.csv")
    least = MIN_DISPUTE * np.std([float(row["reward"]) for row in rows])
    disputed = r"^ +\d+\.\d\d  prompt"
    assert len(re.findall(disputed, done.stdout, re.M)) == sum(float(row["dispute"]) > least for row in rows) / 4
    assert {row["prompt"] for row in rows[:8]} == {"prompt 0", "prompt 10"}  # the turned ones
    done = review(folder, tiny_distilbert, "--top", 1)
    assert len(re.findall(disputed, done.stdout, re.M)) == 1


def test_answers_are_read_once_and_after_more_rankings_only_the_new_ones(folder, tiny_distilbert):
    rows = (folder / "data.csv").read_text().splitlines(keepends=True)
    (folder / "data.csv").write_text("".join(rows[:13]))
    counts, reviews = [], []
    for lines in (13, 13, 33, 33):
        (folder / "data.csv").write_text("".join(rows[:lines]))
        with counting_texts() as counted:
            review(folder, tiny_distilbert, "--max-length", 58, "--learning-curve")
        counts.append(counted[0] - 1)  # the base model is tried out on one text
        reviews.append((folder / "review.csv").read_bytes())
    assert counts == [12, 0, 20, 0]
    assert reviews[0] == reviews[1] and reviews[2] == reviews[3]


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_states_that_were_damaged_are_read_again(folder, tiny_distilbert, damage, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    review(folder, tiny_distilbert)
    before = (folder / "review.csv").read_bytes()
    [kept] = (folder / "cache").rglob("states/*.npz")
    kept.write_bytes(kept.read_bytes()[:-1000] if damage is None else damage)
    review(folder, tiny_distilbert)
    assert (folder / "review.csv").read_bytes() == before


def test_rankings_in_groups_are_reviewed_group_by_group(folder, tiny_distilbert):
    rows = read_csv(folder / "data.csv")
    grouped = [
        [r["prompt"], r["answer"], rank, rater]
        for rater in ("ann", "bob")
        for r in rows
        for rank in [5 - int(r["rank"]) if rater == "bob" and r["prompt"] == rows[0]["prompt"] else r["rank"]]
    ]
    (folder / "data.csv").write_text(format_rows([[*COLUMNS, "rater"], *grouped]))
    printed = review(folder, tiny_distilbert).stdout
    assert "two raters agree" in printed and re.search(
        r"^ +\d\.\d\d  [^[]*\b(ann|bob)\b[^[]*\[\d\] [^[]*\[\d\] ", printed, re.M
    )
    reviewed = read_csv(folder / "review.csv")
    assert len(reviewed) == 64
    disputes = {(row["prompt"], row["rater"]): float(row["dispute"]) for row in reviewed}
    assert len(disputes) == 16
    rewards = {(row["prompt"], row["rater"], row["answer"]): row["reward"] for row in reviewed}
    assert all(rewards[prompt, "ann", answer] == rewards[prompt, "bob", answer] for prompt, _, answer in rewards)
    assert any(disputes[prompt, "ann"] != disputes[prompt, "bob"] for prompt, _ in disputes)


def test_answers_that_are_cut_are_counted_as_the_trainer_counts_them(folder, tiny_distilbert):
    trained = run_script(
        "reward_model_trainer.py",
        "--data",
        "data.csv",
        "--base-model",
        tiny_distilbert,
        *TINY,
        "--max-steps",
        1,
        "--no-plot",
        cwd=folder,
    )
    [warning] = [
        line
        for line in trained.stdout.splitlines()
        if " answers were cut at 64 tokens, the longer of prompt and answer first; to" in line
    ]
    assert review(folder, tiny_distilbert).stdout.splitlines().count(warning) == 1


def test_what_is_not_a_review_is_not_overwritten(folder, tiny_distilbert):
    (folder / "mine.csv").write_text("a,b\n1,2\n")
    for output in ("mine.csv", "data.csv"):
        done = review(folder, tiny_distilbert, "--output", output, status=2)
        assert done.stderr == f"error: {output}: exists and is not a review; choose another --output\n"
    assert (folder / "mine.csv").read_text() == "a,b\n1,2\n"
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\xff")
    assert "exists and is not a review" in review(folder, tiny_distilbert, "--output", "picture.png", status=2).stderr


def test_an_output_that_cannot_be_written_is_refused_before_any_work_and_its_folder_is_made(folder, tiny_distilbert):
    (folder / "folder").mkdir()
    with counting_texts() as counted:
        for output, problem in (
            ("data.csv/review.csv", "cannot be written (File exists); choose another --output"),
            ("folder", "a folder, not a file; choose another --output"),
            *((f"review.{end}", "a review is written as CSV; choose another --output")
              for end in ("xlsx", "jsonl", "parquet", "csv.gz")),
        ):  # fmt: skip
            assert (
                review(folder, tiny_distilbert, "--output", output, status=2).stderr == f"error: {output}: {problem}\n"
            )
    assert counted == [0]
    done = review(folder, tiny_distilbert, "--output", "new/review.csv", "--top", 0)
    assert (folder / "new" / "review.csv").exists()
    assert "Most disputed" not in done.stdout and told(done, "look again")[-2:] == ["--again", "new/review.csv"]


def test_a_base_model_that_has_seen_the_prompts_is_refused_before_any_work(folder, tiny_distilbert, tiny_reward_model):
    with counting_texts() as counted:
        done = review(folder, tiny_distilbert, "--base-model", tiny_reward_model, status=2)
    assert done.stderr == (
        f"error: --base-model {tiny_reward_model}: was trained on 5 of the 8 prompts of these rankings, "
        "so none of these prompts is unseen to it;"
        " review with the base model that it started from, or review rankings that it has not seen\n"
    )
    assert counted == [0] and not (folder / "review.csv").exists()


def test_a_reward_model_can_be_the_base_where_it_has_not_seen_the_prompts(
    folder, tiny_distilbert, tiny_reward_model, sample_folder
):
    (folder / "data.csv").write_text((sample_folder / "test_data.csv").read_text())
    assert "cross-validation (3 prompts)" in review(folder, tiny_distilbert, "--base-model", tiny_reward_model).stdout


def test_an_architecture_of_which_no_probe_is_known_is_refused(folder, tiny_distilbert, tiny_deberta):
    done = review(folder, tiny_distilbert, "--base-model", tiny_deberta, status=2)
    said = "a review reads the middle layers of BERT and its relatives or of decoders; use another base model"
    assert done.stderr == f"error: --base-model {tiny_deberta}: {said}\n" and not (folder / "review.csv").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [(["--layers", 3], "--layers 3: "), (["--device", "cuda:0"], "--device cuda:0: name the kind alone")],
)
def test_what_does_not_fit_is_one_line(folder, tiny_distilbert, arguments, message):
    done = review(folder, tiny_distilbert, *arguments, status=2)
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1


def test_one_prompt_cannot_be_reviewed(folder, tiny_distilbert):
    (folder / "data.csv").write_text("prompt,answer,rank\np,a,1\np,b,2\n")
    done = review(folder, tiny_distilbert, status=2)
    assert done.stderr == "error: data.csv: only one prompt with a ranking; rank at least two to review them\n"


def test_a_learning_curve_says_whether_more_would_help(folder, tiny_distilbert):
    ranked_by_length(folder, 16)
    log = [
        {
            "event": "ranked",
            "data": "data.csv",
            "prompt": "prompt 3",
            "answers": ["a", "b"],
            "ranks": ranks,
            "recheck": again,
        }
        for again, ranks in ((False, [1, 2]), (True, [2, 1]))
    ]
    (folder / "ranking_log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in log))
    done = review(folder, tiny_distilbert, "--learning-curve")
    assert re.search(
        r"ore rankings .*: accuracy \d\.\d\d now \(average over random splits\), \d\.\d\d with twice as many \(32; "
        r"80 % interval \d",
        " ".join(done.stdout.split()),
    )
    assert re.search(r"yourself, shown 1 prompt again +0\.000 *\n", done.stdout)  # one prompt has no interval


def test_few_prompts_give_no_learning_curve(folder, tiny_distilbert):
    done = review(folder, tiny_distilbert, "--learning-curve")
    assert "warning: no learning curve: need at least 10 prompts, have 8\n" in done.stdout


def test_a_review_can_be_reviewed_and_its_columns_are_not_doubled(folder, tiny_distilbert):
    review(folder, tiny_distilbert)
    done = review(folder, tiny_distilbert, "--data", "review.csv", "--output", "second.csv")
    assert list(read_csv(folder / "second.csv")[0]) == [*COLUMNS, "note", "reward", "predicted_rank", "dispute"]
    assert told(done, "train")[1:3] == ["--data", "review.csv"]


def test_an_edit_while_the_answers_are_read_does_not_change_the_review(folder, tiny_distilbert, monkeypatch):
    import preference.jobs.review as job

    real = job.start_from

    def edit(*arguments, **options):
        (folder / "data.csv").write_text("prompt,answer,rank\np,a,1\np,b,2\n")
        return real(*arguments, **options)

    before = read_csv(folder / "data.csv")
    monkeypatch.setattr(job, "start_from", edit)
    review(folder, tiny_distilbert)
    assert sorted(row["note"] for row in read_csv(folder / "review.csv")) == sorted(row["note"] for row in before)


def test_the_log_that_was_given_is_given_again(folder, tiny_distilbert):
    done = review(folder, tiny_distilbert, "--log=-my log.jsonl")
    assert told(done, "look again")[1:] == ["--data", "data.csv", "--again", "review.csv", "--log=-my log.jsonl"]


def test_every_setting_of_a_review_is_one_of_the_trainer_and_reaches_the_command_that_trains():
    reviews, trains = review_rankings.build_parser(), reward_model_trainer.build_parser()
    words = shlex.split(
        "--data d.csv --base-model b --objective bradley-terry --layers 3 --max-length 9 --seed 3 --device mps "
        "--precision fp32"
    )
    args = reviews.parse_args(words)
    settings = settings_from(TrainingSettings, args)
    flags = {action.dest for action in reviews._actions}
    assert all(
        getattr(settings, field.name) != field.default for field in fields(TrainingSettings) if field.name in flags
    )
    of_model = ["base_model", *(field.name for field in fields(TrainingSettings) if field.name in flags)]
    again = trains.parse_args(reviews.given(args, *of_model))
    assert settings_from(TrainingSettings, again) == settings and again.base_model == "b"
    said = [{action.dest: action.help for action in parser._actions} for parser in (reviews, trains)]
    assert all(said[0][name] == said[1][name] for name in of_model)
