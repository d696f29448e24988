#!/usr/bin/env python3
"""The whole pipeline in one go: sample data, training, evaluation, plot, scoring.

    python run_demo.py

Chains the scripts as you would type them, printing each command, and runs them in this process, so that the heavy
packages are imported once. Writes training_data.csv and test_data.csv (kept
where you have your own), reward_model_final/, reward_scores_plot.png and logs/.
"""

import argparse
import importlib
import sys
import time

from preference.arguments import Parser
from preference.scripts import run_script
from preference.wording import as_command

PROMPT = "Explain what a reward model is"
ANSWERS = ["It scores answers: the higher the score, the more people would like the answer.", "Model reward."]

NEXT = """\
What next:
  rank your own answers    python generate_data.py --data my_rankings.csv
  edit and retrain         open training_data.csv in a spreadsheet, then: python reward_model_trainer.py
  score answers            python score_answers.py answers.csv --output scored.csv
  watch the training       tensorboard --logdir logs"""


def demo_commands() -> list[list[str]]:
    """Return the demo's commands, each a script's file name and its arguments."""
    by_hand = ["score_answers.py", "--prompt", PROMPT]
    for answer in ANSWERS:
        by_hand += ["--answer", answer]
    return [["create_sample_data.py", "--keep-existing"], ["reward_model_trainer.py"], by_hand]


def run(command: list[str]) -> int:
    """Print one command and run its script's `main`; return its exit status. What the script expects to go wrong is raised."""
    print(f"\n$ python {as_command(command)}", flush=True)
    script, *arguments = command
    return importlib.import_module(script.removesuffix(".py")).main(arguments)


def build_parser() -> argparse.ArgumentParser:
    return Parser(
        prog="run_demo.py", description="Run the whole pipeline: sample data, training, evaluation, plot, scoring. Your own CSV files are kept."
    )


def main(argv: list[str] | None = None) -> int:
    build_parser().parse_args(argv)
    start = time.perf_counter()
    for command in demo_commands():
        if status := run(command):
            print(f"error: {command[0]} ended with status {status}; the demo stops here", file=sys.stderr)
            return status
    print(f"\nDone in {time.perf_counter() - start:.0f} s. The model is in reward_model_final/, the picture is reward_scores_plot.png.\n")
    print(NEXT)
    return 0


if __name__ == "__main__":
    run_script(main)
