"""Training where something was there before: an earlier model, a reward model as base."""

import json
import subprocess

import pytest
from conftest import join_sample, read_csv, run_script, train

from preference.data.splits import prompt_digest


def test_a_retraining_says_what_changed_and_keeps_the_previous_model(folder, tiny_distilbert):
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 3]
    first = train(folder, *arguments)
    assert "previous" not in first.stdout and not (folder / "reward_model_final.previous").exists()
    weights = (folder / "reward_model_final" / "model.safetensors").read_bytes()
    second = train(folder, *arguments, "--max-steps", 6)
    printed = " ".join(second.stdout.split())
    assert "The new model is " in printed and " of the pairs of 8 prompts in order, against " in printed
    assert "flatters" not in printed
    assert max(map(len, second.stdout.split("The new model is ")[1].splitlines()[:3])) <= 118
    assert (folder / "reward_model_final.previous" / "model.safetensors").read_bytes() == weights
    command = "rm -r -- reward_model_final && mv -- reward_model_final.previous reward_model_final"
    assert f"The previous model is kept until the next training; to restore it:\n  {command}\n" in second.stdout
    subprocess.run(command, shell=True, cwd=folder, check=True)
    assert (folder / "reward_model_final" / "model.safetensors").read_bytes() == weights


def test_only_prompts_that_were_unseen_both_times_are_compared(folder, tiny_distilbert):
    rows = (folder / "training_data.csv").read_text().splitlines(keepends=True)
    extra = (folder / "test_data.csv").read_text().splitlines(keepends=True)[1:]
    (folder / "training_data.csv").write_text("".join(rows + extra[:8]))  # two of the three later test prompts
    (folder / "test_data.csv").rename(folder / "later.csv")
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 2, "--validation-fraction", 0, "--freeze-layers", 0]
    train(folder, *arguments, "--test-data", "later.csv")
    (folder / "later.csv").write_text("".join([rows[0], *extra[8:], *rows[1:5]]))
    done = train(folder, *arguments, "--test-data", "later.csv")
    assert "of the pairs of 1 prompt in order, against" in " ".join(done.stdout.split())


def test_cross_validations_are_compared_by_the_rewards_that_were_kept(folder, tiny_distilbert):
    (folder / "test_data.csv").unlink()
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 1]
    train(folder, *arguments)
    before = read_csv(folder / "reward_model_final" / "rewards.csv")
    assert {row["part"] for row in before} == {"cross-validation"} and len(before) == 20
    same = " ".join(train(folder, *arguments).stdout.split())
    assert "of the pairs of 5 prompts in order, against" in same
    # what counts is what stands there: the best answer's reward, turned
    rewards = folder / "reward_model_final" / "rewards.csv"
    rewards.write_text("".join([*rewards.read_text().splitlines(keepends=True)[:1], *(
        f"cross-validation,{row['prompt']},\"{row['answer']}\",{row['rank']},{row['rank']},1\n" for row in before
    )]))  # fmt: skip
    worst = " ".join(train(folder, *arguments).stdout.split())
    assert "in order, against 0.000 before, each scored by models that had not seen it (" in worst


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"part,prompt,answer,rank,reward\ntest,p,a,1,high\n"])
def test_a_retraining_that_cannot_be_compared_says_why(folder, tiny_distilbert, damage):
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 1]
    assert "Not compared" not in train(folder, *arguments).stdout
    (folder / "reward_model_final" / "rewards.csv").write_bytes(damage)
    done = train(folder, *arguments)
    said = "Not compared with the previous model: no prompt with the same answers was unseen in both trainings."
    assert said in " ".join(done.stdout.split()) and "to restore it:\n" in done.stdout


@pytest.mark.parametrize("layers", [[], ["--freeze-layers", 0]])
def test_what_the_base_model_was_trained_on_is_not_unseen(folder, tiny_distilbert, layers):
    train(folder, "--base-model", tiny_distilbert, "--max-steps", 2, "--output-dir", "first")
    seen = {*json.loads((folder / "first" / "metrics.json").read_text())["seen_prompts"]}
    assert len(seen) == 5
    join_sample(folder)
    arguments = ["--base-model", "first", "--max-steps", 2, *layers]
    done = train(folder, "--data", "both.csv", *arguments, "--validation-fraction", 0.8, "--output-dir", "second")
    assert "warning: first was trained on 5 of these prompts already: they are not used as evidence\n" in done.stdout
    unseen = {
        row["prompt"]
        for row in read_csv(folder / "second" / "rewards.csv")
        if row["part"] in ("validation", "cross-validation")
    }
    assert 0 < len(unseen) <= 3 and not {prompt_digest(prompt) for prompt in unseen} & seen
    learned = {prompt_digest(row["prompt"]) for row in read_csv(folder / "both.csv")} - {
        prompt_digest(p) for p in unseen if layers
    }
    assert {*json.loads((folder / "second" / "metrics.json").read_text())["seen_prompts"]} == learned
    (folder / "later.csv").write_text(
        "".join((folder / "both.csv").read_text().splitlines(keepends=True)[i] for i in (0, *range(17, 25)))
    )
    train(folder, "--data", "both.csv", "--test-data", "later.csv", *arguments, "--output-dir", "third")
    assert json.loads((folder / "third" / "metrics.json").read_text())["test"]["prompts"] == 1


def test_without_test_data_a_cross_validation_judges_the_model(folder, tiny_distilbert):
    join_sample(folder)
    done = train(folder, "--data", "both.csv", "--base-model", tiny_distilbert, "--max-steps", 7)
    printed, metrics = (
        " ".join(done.stdout.split()),
        json.loads((folder / "reward_model_final" / "metrics.json").read_text()),
    )
    assert (
        "Judged by the 8 prompts of both.csv, such as 'Tell me a funny joke about programming', in a cross-validation: "
        "this model has" in printed
    )
    assert (
        "Rewards of the cross-validation answers (unseen prompts)" in printed
        and "training samples 32 ranked answers to 8 prompts" in printed
    )
    assert metrics["cross_validation"]["prompts"] == metrics["cross_validation"]["folds"] == 8
    assert metrics["validation"] is None and len(metrics["seen_prompts"]) == metrics["data"]["training_prompts"] == 8
    assert (
        metrics["verdict"] in printed
        and f"> {metrics['verdict']}" in (folder / "reward_model_final" / "README.md").read_text()
    )
    assert metrics["no_odds"] == "need at least 10 prompts, have 8" and metrics["training"]["scaled_on_answers"] == 32
    reviewed = run_script("review_rankings.py", "--data", "both.csv", "--base-model", tiny_distilbert,
                          "--precision", "fp32", "--max-length", 64, cwd=folder).stdout  # fmt: skip
    assert metrics["verdict"] in " ".join(reviewed.split())  # the same cross-validation
    kept = {(row["prompt"], row["answer"]): row["reward"] for row in read_csv(folder / "review.csv")}
    for row in read_csv(folder / "reward_model_final" / "rewards.csv"):
        assert float(row["reward"]) == pytest.approx(float(kept[row["prompt"], row["answer"]]), abs=1e-4)


def test_the_sample_s_test_prompts_do_not_judge_somebody_s_own_rankings(folder, tiny_distilbert):
    pairs = ((1, "reading books is a good friend"), (2, "coffee water code"))
    own = "prompt,answer,rank\n" + "".join(
        f"My own question {i},{answer} {i},{rank}\n" for i in range(5) for rank, answer in pairs
    )
    (folder / "mine.csv").write_text(own)
    (folder / "copy.csv").write_text((folder / "training_data.csv").read_text().replace("Tell me", "TELL  ME"))
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 1]
    done = train(folder, *arguments, "--data", "mine.csv", "--test-data", "test_data.csv")
    assert "Judged by the 3 test prompts of test_data.csv, such as 'Explain why the sky is blue'." in done.stdout
    done = train(folder, *arguments, "--data", "copy.csv")  # the sample's prompts, whatever the file's name
    assert "Judged by the 3 test prompts of test_data.csv" in done.stdout and "not used" not in done.stdout
    (folder / "training_data.csv").write_text(own)  # somebody's own, whatever the file's name
    for data in ("mine.csv", "training_data.csv"):
        printed = " ".join(train(folder, *arguments, "--data", data).stdout.split())
        assert (
            f"test_data.csv is not used: {data} is not the sample; to judge the model by it, "
            "give --test-data test_data.csv" in printed
        )
        assert f"Judged by the 5 prompts of {data}, such as 'My own question 0', in a cross-validation" in printed
        card = (folder / "reward_model_final" / "README.md").read_text()
        record = json.loads((folder / "reward_model_final" / "metrics.json").read_text())
        assert "sky" not in printed + card and record["test"] is None and record["data"]["test_path"] is None
        assert {row["part"] for row in read_csv(folder / "reward_model_final" / "rewards.csv")} == {"cross-validation"}


def test_prompts_that_were_typed_otherwise_are_no_test_of_the_model(folder, tiny_distilbert):
    header, *rows = (folder / "training_data.csv").read_text().splitlines(keepends=True)
    others = (folder / "test_data.csv").read_text().splitlines(keepends=True)[1:]
    (folder / "capital.csv").write_text("".join([header, *(row.upper() for row in rows), *others]))
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 2, "--validation-fraction", 0]
    done = train(folder, *arguments, "--data", "capital.csv", "--test-data", "training_data.csv")
    assert "shares 5 prompts with training_data.csv: left out of training" in " ".join(done.stdout.split())
    scored = run_script(
        "score_answers.py", "test_data.csv", "--model", "reward_model_final", "--output", "scored.csv", cwd=folder
    )
    assert "not judged: 3 prompts that the model was trained on" in scored.stdout
