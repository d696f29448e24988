#!/usr/bin/env python3
"""Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.

    python reward_model_trainer.py
    python reward_model_trainer.py --data my_rankings.csv --objective bradley-terry

Reads training_data.csv (columns prompt, answer, rank; 1 is best), and judges the model by test_data.csv where the
training prompts are the sample's; your own rankings are judged by models that have not seen them, or by --test-data.
Writes reward_model_final/ (model, tokenizer, model card, metrics.json, rewards.csv), reward_scores_plot.png and logs/
for TensorBoard. Several processes: torchrun --nproc-per-node 2 reward_model_trainer.py …
"""

import argparse
import os

from preference.jobs.settings import TrainingFiles
from preference.machine import avoid_busy_waiting
from preference.scripts import Parser, add_settings, run_script, settings_from
from preference.training.settings import TrainingSettings


def build_parser() -> argparse.ArgumentParser:
    parser = Parser("reward_model_trainer.py", __doc__.partition("\n")[0])
    add_settings(parser, TrainingFiles, TrainingSettings)
    parser.add_argument("--no-plot", dest="plot", action="store_const", const=None, help="draw no picture")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    avoid_busy_waiting()
    from preference.jobs.material import read_material

    files, settings = settings_from(TrainingFiles, args), settings_from(TrainingSettings, args)
    material = read_material(files, settings)  # a wrong CSV is told before the heavy imports
    from preference.jobs.training import train_and_report

    train_and_report(files, material, settings)
    return 0


if __name__ == "__main__":
    run_script(main)
