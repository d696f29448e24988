#!/usr/bin/env python3
"""The whole pipeline in one go: sample data, training, evaluation, plot, scoring.

    python run_demo.py

Chains the scripts as you would type them, printing each command, and runs them in this process, so that the heavy
packages are imported once. Writes training_data.csv and test_data.csv (kept where you have your own),
reward_model_final/, reward_scores_plot.png and logs/.
"""

import argparse
import importlib
import time

from preference.console import say
from preference.scripts import Parser, command_line, fail, run_script

PROMPT = "Explain what a reward model is"
ANSWERS = ["It scores answers: the higher the score, the more people would like the answer.", "Model reward."]

STEPS = {  # script -> what is announced before it and after it, each with its sign
    "create_sample_data.py": ("📝 Step 1: Creating sample training data...", "✅ Sample data created successfully!"),
    "reward_model_trainer.py": ("🚀 Step 2: Training the reward model...", "✅ Model training completed successfully!"),
}

NEXT = {  # what -> the command for it
    "rank your own answers": ["generate_data.py", "--data", "my_rankings.csv"],
    "retrain on an edited training_data.csv": ["reward_model_trainer.py"],
    "score answers": ["score_answers.py", "answers.csv", "--output", "scored.csv"],
}


def demo_commands() -> list[list[str]]:
    """Return the demo's commands, each a script's file name and its arguments."""
    by_hand = ["score_answers.py", "--prompt", PROMPT]
    for answer in ANSWERS:
        by_hand += ["--answer", answer]
    return [["create_sample_data.py"], ["reward_model_trainer.py"], by_hand]


def run(command: list[str]) -> int:
    """Announce and print one command, and run its script's `main`; return its exit status. What the script expects to
    go wrong is raised."""
    script, *arguments = command
    before, after = STEPS.get(script, ("", ""))
    if before:
        say(f"\n{before}")
    say(f"\n$ {command_line(script, arguments)}", wrap=False)
    status = importlib.import_module(script.removesuffix(".py")).main(arguments)
    if after and status == 0:
        say(f"\n{after}")
    return status


def build_parser() -> argparse.ArgumentParser:
    return Parser(
        "run_demo.py",
        "Run the whole pipeline: sample data, training, evaluation, plot, scoring. Your files are kept.",
    )


def main(argv: list[str] | None = None) -> int:
    build_parser().parse_args(argv)
    start = time.perf_counter()
    for command in demo_commands():
        if status := run(command):
            return fail(f"error: {command[0]} ended with status {status}; the demo stops here", status)
    say("\n🎉 Demo completed successfully!")
    say(
        f"Done in {time.perf_counter() - start:.0f} s. The model is in reward_model_final/,"
        " the picture is reward_scores_plot.png.\n"
    )
    say("What next:")
    for what, (script, *words) in NEXT.items():
        say(f"  {what}:\n    {command_line(script, words)}", wrap=False)
    say("  watch the training:\n    tensorboard --logdir logs")
    return 0


if __name__ == "__main__":
    run_script(main)
