"""Training where something was there before: an earlier model, a reward model as base, a review of the same rankings."""

import json
import subprocess

import numpy as np
from conftest import join_sample, read_csv, run_script, train

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
    said = "Not compared with the previous model: there is no prompt that neither was trained on; keep some aside for --test-data FILE."
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
    metrics = folder / "reward_model_final" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"seen_prompts": "cut"}))
    done = train(folder, *arguments)
    assert "Not compared with the previous model: its metrics.json does not say what it was trained on.\n" in done.stdout
    assert "to restore it:\n" in done.stdout
    assert json.loads((folder / "reward_model_final" / "metrics.json").read_text())["training"]["steps"] == 2


def test_a_review_of_the_same_rankings_stands_for_a_model_that_no_prompt_was_kept_from(folder, tiny_distilbert):
    from preference.data.rankings import read_rankings
    from preference.model.base_models import find_base_model
    from preference.training.review import keep_review
    from preference.training.settings import TrainingSettings

    join_sample(folder)
    arguments = ["--data", "both.csv", "--base-model", tiny_distilbert, "--max-steps", 7]
    settings = TrainingSettings(max_length=64, learning_rate=1e-3, head_learning_rate=1e-2, max_steps=7)
    rewards = np.tile(np.array([0.0, 1.0, 2.0, 3.0], dtype=np.float32), 8)  # the wrong way round
    rankings, base = read_rankings(folder / "both.csv").rankings, find_base_model(str(tiny_distilbert))
    keep_review(rankings, base, settings, rewards, [[i, i + 1] for i in range(0, 8, 2)])
    found = (
        "Cross-validation of the same rankings: 4 models, each trained without some of the prompts, ordered 0.000 [0.000, 0.138] of the pairs of"
        " all 8 prompts correctly (longest answer 0.771, shortest 0.229); trained on fewer prompts than this one, they are if anything worse."
    )
    seen = "models that had not seen the prompts ordered 0% of the pairs of 8 prompts correctly (95 % interval 0% to 14%)"
    verdict = f"Do not trust a model of these rankings: {seen}."
    printed = " ".join(train(folder, *arguments, "--validation-fraction", 0).stdout.split())
    assert "Judged by the 8 prompts of both.csv, such as 'Tell me a funny joke about programming', in a cross-validation: this model" in printed
    assert "Rewards of the cross-validation answers (unseen prompts)" in printed and verdict in printed and found in printed
    assert f"> {verdict} Your ranks look reversed" in (folder / "reward_model_final" / "README.md").read_text()
    record = json.loads((folder / "reward_model_final" / "metrics.json").read_text())
    assert record["verdict"].startswith(verdict) and record["cross_validation"]["pairwise_accuracy"] == 0
    assert record["calibration"] is None and record["no_odds"] == "at least 10 prompts are needed, and there were 8"
    done = train(folder, *arguments)
    printed = " ".join(done.stdout.split())
    assert "Judged by the 2 validation prompts of both.csv" in printed and found in printed and "Rewards of the validation answers" in printed
    assert "Cross-validation" not in train(folder, *arguments, "--seed", 1).stdout  # another training, so another review
    header, *rows = (folder / "both.csv").read_text().splitlines(keepends=True)
    (folder / "both.csv").write_text("".join([header, *sorted(rows)]))
    assert "Cross-validation of the same rankings: " in train(folder, *arguments).stdout  # they are the same in another order
    rows[0], rows[1] = rows[0][:-2] + "2\n", rows[1][:-2] + "1\n"
    (folder / "both.csv").write_text("".join([header, *rows]))
    assert "Cross-validation" not in train(folder, *arguments, "--max-steps", 7).stdout
    record = json.loads((folder / "reward_model_final" / "metrics.json").read_text())
    assert record["no_odds"].endswith("2 were unseen, and the ranks were changed since their review (review_rankings.py)")


def test_the_sample_s_test_prompts_do_not_judge_somebody_s_own_rankings(folder, tiny_distilbert):
    own = "prompt,answer,rank\n" + "".join(
        f"My own question {i},{answer} {i},{rank}\n" for i in range(5) for rank, answer in ((1, "good"), (2, "bad"))
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
        assert f"test_data.csv is not used: {data} is not the sample; to judge the model by it, give --test-data test_data.csv" in printed
        assert f"Judged by the 1 validation prompt of {data}, such as 'My own question " in printed
        card = (folder / "reward_model_final" / "README.md").read_text()
        record = json.loads((folder / "reward_model_final" / "metrics.json").read_text())
        assert "sky" not in printed + card and record["test"] is None and record["data"]["test_path"] is None
        assert {row["part"] for row in read_csv(folder / "reward_model_final" / "rewards.csv")} == {"validation"}


def test_prompts_that_were_typed_otherwise_are_no_test_of_the_model(folder, tiny_distilbert):
    header, *rows = (folder / "training_data.csv").read_text().splitlines(keepends=True)
    others = (folder / "test_data.csv").read_text().splitlines(keepends=True)[1:]
    (folder / "capital.csv").write_text("".join([header, *(row.upper() for row in rows), *others]))
    arguments = ["--base-model", tiny_distilbert, "--max-steps", 2, "--validation-fraction", 0]
    done = train(folder, *arguments, "--data", "capital.csv", "--test-data", "training_data.csv")
    assert "shares 5 prompts with training_data.csv: left out of training" in " ".join(done.stdout.split())
    scored = run_script("score_answers.py", "test_data.csv", "--model", "reward_model_final", "--output", "scored.csv", cwd=folder)
    assert "left out: 3 prompts that the model was trained on" in scored.stdout
