import contextlib
import io
import json
import os
import re
import shlex
import shutil
from dataclasses import fields

import numpy as np
import pytest
from conftest import ROOT, read_csv, run_script

import review_rankings
import reward_model_trainer
from preference.arguments import settings_from
from preference.cache import cache_folder
from preference.data.tables import COLUMNS, format_rows
from preference.training.settings import TrainingSettings
from preference.training.training_arguments import kept_words, training_words
from review_rankings import LEAST_DISPUTE

TINY = ["--precision", "fp32", "--max-length", 64, "--max-steps", 6]


@pytest.fixture
def folder(tmp_path, sample_folder):
    rows = read_csv(sample_folder / "training_data.csv") + read_csv(sample_folder / "test_data.csv")
    cells = [[row["prompt"], row["answer"], row["rank"], f"note {i}"] for i, row in enumerate(rows)]
    (tmp_path / "data.csv").write_text(format_rows([[*COLUMNS, "note"], *cells]))
    return tmp_path


def review(folder, tiny_distilbert, *arguments, status=0):
    return run_script("review_rankings.py", "--data", "data.csv", "--base-model", tiny_distilbert, *TINY, *arguments, cwd=folder, status=status)


def told(done, word: str) -> list[str]:
    """The words after `python` of the command that a line of the report tells to type."""
    [line] = [line for line in done.stdout.splitlines() if line.startswith(word)]
    python, *words = shlex.split(line.removeprefix(word))
    assert python == "python"
    return words


def kept_folds() -> dict[str, int]:
    """The files of the folds that are known: a fold that is trained again is another file of the same name."""
    return {path.name: path.stat().st_ino for path in (cache_folder() / "folds").glob("*.json")}


def test_every_ranking_comes_back_most_disputed_first(folder, tiny_distilbert):
    before = (folder / "data.csv").read_bytes()
    done = review(folder, tiny_distilbert)
    assert "cross-validation: 8 folds by prompt, about " in done.stdout and done.stdout.count(" answers were cut at 64 tokens, ") == 1
    assert "estimating" not in done.stdout
    assert "cross-validation (8 prompts)" in done.stdout and "is, if anything, an underestimate" in done.stdout
    assert "generalisation: accuracy " in done.stdout and "Most disputed of 8 rankings" in done.stdout
    assert "\nNo odds: at least 10 prompts are needed, and there were 8.\n" in done.stdout
    assert "P(preferred)" not in done.stdout and "chance alone" not in done.stdout
    assert told(done, "look again") == [str(ROOT / "generate_data.py"), "--data", "data.csv", "--again", "review.csv"]
    given_flags = ["--base-model", str(tiny_distilbert), "--max-steps", "6", "--max-length", "64", "--precision", "fp32"]
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


def know_folds(path, tiny_distilbert, **changed) -> None:
    """Keep rewards for all folds of a review of `path`, as if models had been trained: minus the rank, with noise."""
    from preference.training.cross_validation import fold_key

    from preference.data.folds import folds_by_prompt
    from preference.data.rankings import read_rankings
    from preference.model.base_models import find_base_model

    rankings, settings = read_rankings(path).rankings, TrainingSettings(precision="fp32", max_length=64, max_steps=6, **changed)
    generator = np.random.default_rng(0)
    for fold in folds_by_prompt(rankings, settings.validation_fraction, settings.seed):
        ranks = np.concatenate([rankings[i].ranks for i in fold.held_out])
        kept = cache_folder("folds") / f"{fold_key(rankings, fold, find_base_model(str(tiny_distilbert)), settings)}.json"
        kept.write_text(json.dumps((generator.normal(0, 1.5, len(ranks)) - ranks).tolist()))


def test_ten_prompts_give_odds_and_say_how_many_disputes_chance_alone_would_give(folder, tiny_distilbert):
    rows = [[f"prompt {i}", f"answer {rank}", rank] for i in range(10) for rank in range(1, 5)]
    (folder / "data.csv").write_text(format_rows([COLUMNS, *rows]))
    know_folds(folder / "data.csv", tiny_distilbert)
    done = review(folder, tiny_distilbert)
    assert "P(preferred) = sigmoid(margin / " in done.stdout
    strong, disputes, first = re.search(
        r"chance alone would give about (\d+) disputes as strong as these (\d+), and about (\d\.\d) as strong as the first\.", done.stdout
    ).groups()
    rows = read_csv(folder / "review.csv")
    least = LEAST_DISPUTE * np.std([float(row["reward"]) for row in rows])
    assert float(first) <= int(strong) and int(disputes) == sum(float(row["dispute"]) > least for row in rows) / 4
    assert told(done, "train")[-2:] == ["--validation-fraction", "0"]  # all rankings: the review is the evidence
    done = review(folder, tiny_distilbert, "--top", 1)
    assert re.search(r"as strong as these 1\.\n", done.stdout)


def test_a_review_with_a_validation_fraction_of_its_own_gives_it_on(folder, tiny_distilbert):
    rows = [[f"prompt {i}", f"answer {rank}", rank] for i in range(10) for rank in range(1, 5)]
    (folder / "data.csv").write_text(format_rows([COLUMNS, *rows]))
    know_folds(folder / "data.csv", tiny_distilbert, validation_fraction=0.3)
    done = review(folder, tiny_distilbert, "--validation-fraction", 0.3)
    assert "10 prompts" in done.stdout and told(done, "train").count("--validation-fraction") == 1 and "0.3" in told(done, "train")


def test_known_folds_are_not_trained_again_and_an_edit_trains_only_what_it_touches(folder, tiny_distilbert):
    review(folder, tiny_distilbert, "--seed", 7)
    before, first = kept_folds(), (folder / "review.csv").read_bytes()
    assert "8 of them known from earlier" in review(folder, tiny_distilbert, "--seed", 7).stdout
    assert kept_folds() == before and (folder / "review.csv").read_bytes() == first
    rows = read_csv(folder / "data.csv")
    swapped = {"1": "2", "2": "1"}
    for row in rows[:4]:  # the first prompt's
        row["rank"] = swapped.get(row["rank"], row["rank"])
    (folder / "data.csv").write_text(format_rows([list(rows[0]), *(list(row.values()) for row in rows)]))
    done = review(folder, tiny_distilbert, "--seed", 7)
    assert "1 of them known from earlier" in done.stdout  # the one that holds the edited prompt out; the others trained on it
    assert len(kept_folds()) == len(before) + 7


@contextlib.contextmanager
def stopped_in_fold(number: int, monkeypatch):
    """Inside this context, Ctrl-C comes when the training of this fold begins."""
    from preference.training import cross_validation

    real, calls = cross_validation.train, []

    def stop(*arguments, **options):
        calls.append(arguments)
        if len(calls) == number + 1:  # the first times a few steps
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(cross_validation, "train", stop)
        yield


def test_a_stopped_review_continues_with_the_folds_that_are_left(folder, tiny_distilbert, monkeypatch):
    with stopped_in_fold(4, monkeypatch):
        done = review(folder, tiny_distilbert, "--seed", 8, status=130)
    assert done.stderr == "\nstopped; the folds that are done are kept, and the same command continues\n"
    assert not (folder / "review.csv").exists()
    assert "8 folds by prompt; 3 of them known from earlier" in review(folder, tiny_distilbert, "--seed", 8).stdout


def test_rankings_in_groups_are_reviewed_group_by_group(folder, tiny_distilbert):
    rows = read_csv(folder / "data.csv")
    grouped = [
        [r["prompt"], r["answer"], rank, rater]
        for rater in ("ann", "bob")
        for r in rows
        for rank in [r["rank"] if rater == "ann" else 5 - int(r["rank"])]
    ]
    (folder / "data.csv").write_text(format_rows([[*COLUMNS, "group"], *grouped]))
    printed = review(folder, tiny_distilbert).stdout
    assert "two raters agree" in printed and re.search(r"^ +\d\.\d\d  .* \(group (ann|bob)\)\n +\[\d\] .*\n +\[\d\] ", printed, re.M)
    reviewed = read_csv(folder / "review.csv")
    assert len(reviewed) == 64
    disputes = {(row["prompt"], row["group"]): float(row["dispute"]) for row in reviewed}
    assert len(disputes) == 16
    rewards = {(row["prompt"], row["group"], row["answer"]): row["reward"] for row in reviewed}
    assert all(rewards[prompt, "ann", answer] == rewards[prompt, "bob", answer] for prompt, _, answer in rewards)
    assert any(disputes[prompt, "ann"] != disputes[prompt, "bob"] for prompt, _ in disputes)


def test_answers_that_are_cut_are_counted_as_the_trainer_counts_them_also_where_no_fold_is_left_to_train(folder, tiny_distilbert):
    know_folds(folder / "data.csv", tiny_distilbert)
    trained = run_script("reward_model_trainer.py", "--data", "data.csv", "--base-model", tiny_distilbert, *TINY, cwd=folder)
    [warning] = [line for line in trained.stdout.splitlines() if " answers were cut at 64 tokens, the longer of prompt and answer first; to " in line]
    reviewed = review(folder, tiny_distilbert).stdout
    assert "8 of them known" in reviewed and reviewed.splitlines().count(warning) == 1


def test_what_is_not_a_review_is_not_overwritten(folder, tiny_distilbert):
    (folder / "mine.csv").write_text("a,b\n1,2\n")
    for output in ("mine.csv", "data.csv"):
        done = review(folder, tiny_distilbert, "--output", output, status=2)
        assert done.stderr == f"error: {output}: exists and is not a review; choose another --output\n"
    assert (folder / "mine.csv").read_text() == "a,b\n1,2\n"
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\xff")
    assert "exists and is not a review" in review(folder, tiny_distilbert, "--output", "picture.png", status=2).stderr
    done = review(folder, tiny_distilbert, "--output", "nowhere/review.csv", status=2)
    assert done.stderr == "error: --output nowhere/review.csv: no folder nowhere; create it, or choose another --output\n"


def test_a_base_model_that_has_seen_the_prompts_is_refused_before_any_training(folder, tiny_distilbert, tiny_reward_model, tmp_path):
    before = kept_folds()
    done = review(folder, tiny_distilbert, "--base-model", tiny_reward_model, status=2)
    assert done.stderr == (
        f"error: --base-model {tiny_reward_model}: was trained on 4 of the 8 prompts of these rankings, so no model that starts from it can be asked"
        f" about prompts that it never saw; review with the base model that it started from ({tiny_distilbert}), or review rankings that it has"
        " not seen\n"
    )
    assert kept_folds() == before and not (folder / "review.csv").exists()
    shutil.copytree(tiny_reward_model, tmp_path / "model")
    record = json.loads((tmp_path / "model" / "metrics.json").read_text())
    (tmp_path / "model" / "metrics.json").write_text(json.dumps({"seen_prompts": record["seen_prompts"], "base_model": []}))
    assert "that it started from, or review" in review(folder, tiny_distilbert, "--base-model", "model", status=2).stderr


def test_a_reward_model_can_be_the_base_where_it_has_not_seen_the_prompts(folder, tiny_distilbert, tiny_reward_model, sample_folder):
    (folder / "data.csv").write_text((sample_folder / "test_data.csv").read_text())
    assert "cross-validation (3 prompts)" in review(folder, tiny_distilbert, "--base-model", tiny_reward_model, "--max-steps", 1).stdout


def test_a_person_at_a_terminal_is_told_why_nothing_happens_yet(folder, tiny_distilbert, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    (folder / "data.csv").write_text("prompt,answer,rank\np,mode,1\np,light,2\nq,light,1\nq,blue,2\n")
    monkeypatch.chdir(folder)
    arguments = ["--data", "data.csv", "--base-model", str(tiny_distilbert), "--max-steps", "1", "--max-length", "64"]
    with contextlib.redirect_stdout(Terminal()) as screen:
        assert review_rankings.main(arguments) == 0
    assert "estimating the time …\ncross-validation: 2 folds by prompt, about " in screen.getvalue()
    with contextlib.redirect_stdout(Terminal()) as screen:
        assert review_rankings.main(arguments) == 0
    assert "estimating" not in screen.getvalue()  # nothing is trained


def test_one_prompt_cannot_be_reviewed(folder, tiny_distilbert):
    (folder / "data.csv").write_text("prompt,answer,rank\np,a,1\np,b,2\n")
    done = review(folder, tiny_distilbert, status=2)
    assert done.stderr == "error: data.csv: only one prompt with a ranking; rank at least two to review them\n"


@pytest.fixture
def four_prompts(folder):
    rows = read_csv(folder / "data.csv")[:16]
    (folder / "data.csv").write_text(format_rows([list(rows[0]), *(list(row.values()) for row in rows)]))
    return folder


def test_a_learning_curve_says_whether_more_would_help_and_continues_where_it_was_stopped(four_prompts, tiny_distilbert, monkeypatch):
    log = [
        {"event": "ranked", "data": "data.csv", "prompt": row["prompt"], "answers": ["a", "b"], "ranks": ranks, "recheck": again}
        for row in read_csv(four_prompts / "data.csv")[:1]
        for again, ranks in ((False, [1, 2]), (True, [2, 1]))
    ]
    (four_prompts / "ranking_log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in log))
    with stopped_in_fold(6, monkeypatch):
        review(four_prompts, tiny_distilbert, "--learning-curve", "--seed", 9, status=130)
    done = review(four_prompts, tiny_distilbert, "--learning-curve", "--seed", 9)
    assert "cross-validation: 8 folds by prompt, 4 of them with fewer rankings; 5 of them known from earlier, about " in done.stdout
    assert re.search(r"More rankings .*, of twice as many \(8\) \d\.\d\d, 80 % interval \d", " ".join(done.stdout.split()))
    assert "picture     learning_curve.png\n" in done.stdout and (four_prompts / "learning_curve.png").stat().st_size > 20_000
    assert re.search(r"yourself, shown 1 prompt again +0\.000 *\n", done.stdout)  # one prompt has no interval
    assert "4 folds by prompt; 4 of them known" in review(four_prompts, tiny_distilbert, "--seed", 9).stdout  # without the curve


def test_three_prompts_give_no_learning_curve(folder, tiny_distilbert, sample_folder):
    shutil.copy(sample_folder / "test_data.csv", folder / "data.csv")
    know_folds(folder / "data.csv", tiny_distilbert)
    done = review(folder, tiny_distilbert, "--learning-curve")
    assert "warning: a learning curve takes at least 4 prompts, and there are 3; it is left out\n" in done.stdout
    assert "ore rankings" not in done.stdout and "picture" not in done.stdout and not (folder / "learning_curve.png").exists()


def test_a_picture_that_cannot_be_drawn_is_refused_before_any_work(folder, tiny_distilbert):
    done = review(folder, tiny_distilbert, "--learning-curve", "--curve-plot", "curve.txt", status=2)
    assert done.stderr.startswith("error: --curve-plot curve.txt: unsupported image type; use .png")
    done = review(folder, tiny_distilbert, "--learning-curve", "--curve-plot", "nowhere/curve.png", status=2)
    assert done.stderr == "error: --curve-plot nowhere/curve.png: no folder nowhere; create it, or choose another --curve-plot\n"


def test_a_review_can_be_reviewed_and_its_columns_are_not_doubled(four_prompts, tiny_distilbert):
    review(four_prompts, tiny_distilbert)
    done = review(four_prompts, tiny_distilbert, "--data", "review.csv", "--output", "second.csv")
    assert list(read_csv(four_prompts / "second.csv")[0]) == [*COLUMNS, "note", "reward", "predicted_rank", "dispute"]
    assert told(done, "train")[1:3] == ["--data", "review.csv"]


def test_an_edit_while_the_models_train_does_not_change_the_review(four_prompts, tiny_distilbert, monkeypatch):
    import preference.training.cross_validation as cross_validation

    real = cross_validation.train

    def edit(*arguments, **options):
        (four_prompts / "data.csv").write_text("prompt,answer,rank\np,a,1\np,b,2\n")
        return real(*arguments, **options)

    before = read_csv(four_prompts / "data.csv")
    monkeypatch.setattr(cross_validation, "train", edit)
    review(four_prompts, tiny_distilbert, "--seed", 10)
    assert sorted(row["note"] for row in read_csv(four_prompts / "review.csv")) == sorted(row["note"] for row in before)


def test_the_log_that_was_given_is_given_again(folder, tiny_distilbert):
    know_folds(folder / "data.csv", tiny_distilbert)
    done = review(folder, tiny_distilbert, "--log=-my log.jsonl")
    assert told(done, "look again")[1:] == ["--data", "data.csv", "--again", "review.csv", "--log=-my log.jsonl"]


def test_after_ranking_again_the_next_review_and_the_training_have_the_settings_of_the_review(folder, tiny_distilbert):
    know_folds(folder / "data.csv", tiny_distilbert)
    (folder / "other").mkdir()
    first = review(folder, tiny_distilbert, "--output", "other/review.csv")
    settings = ["--base-model", str(tiny_distilbert), "--max-steps", "6", "--max-length", "64", "--precision", "fp32"]

    def next_commands(cwd, review_csv) -> list[list[str]]:
        done = run_script("generate_data.py", "--data", folder / "data.csv", "--again", review_csv, cwd=cwd, stdin="4 3 2 1\n\nq\n")
        return [told(done, word)[1:] for word in ("review:", "train:")]

    data = ["--data", str(folder / "data.csv")]
    assert told(first, "train")[1:] == ["--data", "data.csv", *settings]
    assert next_commands(folder, "other/review.csv") == [[*data, "--output", "other/review.csv", *settings], [*data, *settings]]
    assert next_commands(folder / "other", "review.csv") == [[*data, *settings], [*data, *settings]]
    kept = max(cache_folder("reviews").glob("*.words.json"), key=lambda path: path.stat().st_mtime_ns)
    for damaged in (b"", b'["--max', b"[1]", b'{"a": 1}', b"\xff", b"[" * 100_000):
        kept.write_bytes(damaged)
        assert kept_words(folder / "other" / "review.csv") == []
    kept.unlink()
    assert next_commands(folder / "other", "review.csv") == [data, data]


def test_a_pipe_is_refused(folder, tiny_distilbert):
    os.mkfifo(folder / "pipe")
    done = review(folder, tiny_distilbert, "--data", "pipe", status=2)
    assert done.stderr == "error: pipe: not a file; save the rankings as a CSV first\n"


def test_every_setting_of_a_training_can_be_reviewed_and_reaches_the_command_that_trains():
    parser = reward_model_trainer.build_parser()
    words = shlex.split(
        "--data d.csv --base-model b --objective bradley-terry --max-length 7 --max-steps 5 --epochs 2.5 --min-steps 4 --batch-size 3"
        " --learning-rate 0.5 --head-learning-rate 0.25 --freeze-layers -1 --validation-fraction 0.5 --seed -3 --device mps --precision fp32"
    )
    settings = settings_from(TrainingSettings, review_rankings.build_parser().parse_args(words))
    flags = {action.dest for action in parser._actions}
    assert all(getattr(settings, field.name) != field.default for field in fields(TrainingSettings) if field.name in flags)
    again = parser.parse_args(training_words("b", settings))
    assert settings_from(TrainingSettings, again) == settings and again.base_model == "b"


def test_the_help_says_of_every_setting_what_the_trainer_says():
    said = [{action.dest: action.help for action in script.build_parser()._actions} for script in (review_rankings, reward_model_trainer)]
    names = [field.name for field in fields(TrainingSettings) if field.name in said[1] and field.name != "seed"]
    assert len(names) == 12 and all(said[0][name] == said[1][name] for name in ["base_model", *names])
    assert said[0]["seed"] == "random seed for the folds, the order and the new layer"
