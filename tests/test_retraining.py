"""Training where something was there before: an earlier model, a reward model as base, a review of the same rankings."""

import json
import subprocess

from conftest import join_sample, read_csv, train

from preference.training.seen_prompts import prompt_digest


def test_a_retraining_says_what_changed_and_keeps_the_previous_model(folder, tiny_distilbert):
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 3]
    first = train(folder, *arguments)
    assert "previous" not in first.stdout and not (folder / "reward_model_final.previous").exists()
    weights = (folder / "reward_model_final" / "model.safetensors").read_bytes()
    second = train(folder, *arguments, "--max-steps", 6)
    printed = " ".join(second.stdout.split())
    assert (
        "Too few prompts to tell the new model from the previous one: " in printed
        and " of the pairs of 4 prompts that neither was trained on" in printed
    )
    assert "; the validation prompts among them chose the new weights, which flatters it a little." in printed
    assert max(map(len, second.stdout.split("Too few prompts")[1].splitlines()[:3])) <= 118
    assert (folder / "reward_model_final.previous" / "model.safetensors").read_bytes() == weights
    command = "rm -r -- reward_model_final && mv -- reward_model_final.previous reward_model_final"
    assert f"The previous model is kept until the next training; to restore it:\n  {command}\n" in second.stdout
    subprocess.run(command, shell=True, cwd=folder, check=True)
    assert (folder / "reward_model_final" / "model.safetensors").read_bytes() == weights


def test_only_prompts_that_neither_model_was_trained_on_are_compared(folder, tiny_distilbert):
    rows = (folder / "training_data.csv").read_text().splitlines(keepends=True)
    extra = (folder / "test_data.csv").read_text().splitlines(keepends=True)[1:]
    (folder / "training_data.csv").write_text("".join(rows + extra[:8]))  # two of the three later test prompts
    (folder / "test_data.csv").rename(folder / "later.csv")
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 2, "--validation-fraction", 0]
    train(folder, *arguments)
    done = train(folder, *arguments, "--test-data", "later.csv")
    assert "of the pairs of 1 prompt that neither was trained on" in " ".join(done.stdout.split())


def test_a_retraining_that_cannot_be_compared_says_why(folder, tiny_distilbert):
    (folder / "test_data.csv").unlink()
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 2, "--validation-fraction", 0]
    assert "Not compared" not in train(folder, *arguments).stdout
    said = "Not compared with the previous model: there is no prompt that neither was trained on; keep some aside in test_data.csv"
    assert said in " ".join(train(folder, *arguments).stdout.split())


def test_what_the_base_model_was_trained_on_is_not_unseen(folder, tiny_distilbert):
    train(folder, "--base-model", tiny_distilbert, "--max-steps", 2, "--output-dir", "first")
    seen = json.loads((folder / "first" / "metrics.json").read_text())["seen_prompts"]
    join_sample(folder)
    done = train(folder, "--data", "both.csv", "--base-model", "first", "--max-steps", 2, "--validation-fraction", 0.8, "--output-dir", "second")
    assert "warning: first was trained on 4 of these prompts already: none of them counts as unseen\n" in done.stdout
    prompts = {row["prompt"] for row in read_csv(folder / "second" / "rewards.csv") if row["part"] == "validation"}
    assert 0 < len(prompts) <= 4 and not {prompt_digest(prompt) for prompt in prompts} & {*seen}
    everything = {prompt_digest(row["prompt"]) for row in read_csv(folder / "both.csv")}
    assert {*json.loads((folder / "second" / "metrics.json").read_text())["seen_prompts"]} == everything - {
        prompt_digest(prompt) for prompt in prompts
    }
    (folder / "training_data.csv").rename(folder / "later.csv")
    done = train(folder, "--data", "both.csv", "--test-data", "later.csv", "--base-model", "first", "--max-steps", 2, "--output-dir", "third")
    assert json.loads((folder / "third" / "metrics.json").read_text())["test"]["prompts"] == 1


def test_a_damaged_record_of_the_earlier_model_does_not_cost_the_new_one(folder, tiny_distilbert):
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 2]
    train(folder, *arguments)
    (folder / "reward_model_final" / "metrics.json").write_text('{"cut')
    done = train(folder, *arguments)
    assert "Not compared with the previous model: its metrics.json does not say what it was trained on.\n" in done.stdout
    assert "to restore it:\n" in done.stdout
    assert json.loads((folder / "reward_model_final" / "metrics.json").read_text())["training"]["steps"] == 2


def test_a_review_of_the_same_rankings_stands_for_a_model_that_no_prompt_was_kept_from(folder, tiny_distilbert):
    from preference.data.rankings import read_rankings
    from preference.model.base_models import find_base_model
    from preference.training.cross_validation import save_outcome
    from preference.training.settings import TrainingSettings

    (folder / "test_data.csv").unlink()
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 7]
    settings = TrainingSettings(max_length=64, learning_rate=1e-3, head_learning_rate=1e-2, max_steps=7)
    metrics = {"prompts": 5, "answers": 20, "pairs": 30, "pairwise_accuracy": 0.8, "pairwise_accuracy_95": [0.7, 0.9],
               "accuracy_where_longer_is_better": 0.9, "accuracy_where_shorter_is_better": 0.5, "length_controlled_accuracy": 0.7,
               "kendall_tau": 0.6, "spearman_rho": 0.7, "best_of_n_hit_rate": 0.8}  # fmt: skip
    outcome = {"metrics": metrics, "longest": metrics | {"pairwise_accuracy": 0.75}, "shortest": metrics | {"pairwise_accuracy": 0.25}}
    outcome |= {"temperature": 0.9, "error_before": 0.1, "error_after": 0.05, "pairs": 30, "prompts": 10, "folds": 5}
    save_outcome(read_rankings(folder / "training_data.csv").rankings, find_base_model(str(tiny_distilbert)), settings, outcome)
    found = (
        "5 models, each trained without some of the prompts, ordered 0.800 [0.700, 0.900] of the pairs of all 5 prompts correctly"
        " (longest answer 0.750, shortest 0.250); trained on fewer prompts than this one, they are if anything worse."
    )
    done = train(folder, *arguments, "--validation-fraction", 0)
    assert f"No prompt was kept from this model; the cross-validation stands for it: {found}" in " ".join(done.stdout.split())
    done = train(folder, *arguments)
    assert f"Cross-validation of the same rankings: {found}" in " ".join(done.stdout.split()) and "validation (1 prompt)" in done.stdout
    record = json.loads((folder / "reward_model_final" / "metrics.json").read_text())
    assert record["calibration"]["temperature"] == 0.9 and record["cross_validation"]["pairwise_accuracy"] == 0.8
    assert "Cross-validation" not in train(folder, *arguments, "--seed", 1).stdout  # another training, so another review
    header, *rows = (folder / "training_data.csv").read_text().splitlines(keepends=True)
    (folder / "training_data.csv").write_text("".join([header, *sorted(rows)]))
    assert "Cross-validation of the same rankings: " in train(folder, *arguments).stdout  # they are the same in another order
