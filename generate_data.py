#!/usr/bin/env python3
"""Sample candidate answers from a language model and rank them at the terminal.

    python generate_data.py
    python generate_data.py --prompts my_prompts.txt --data my_rankings.csv
    python generate_data.py --data my_rankings.csv --again review.csv

Reads prompts (default: the sample's five). Writes candidates.jsonl (the sampled answers), training_data.csv (your
rankings: prompt, answer, rank; 1 is best) and ranking_log.jsonl (what was shown, and when). Stop at any time: every
ranking that you confirmed is saved, and the next start continues from there. With --again, reads what
review_rankings.py wrote and shows the rankings again that models dispute; a new ranking replaces the earlier one.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from preference.arguments import (
    HelpFormatter,
    Parser,
    above,
    at_least,
    command_line,
    from_to,
    random_seed,
    settings_from,
)
from preference.console import say
from preference.data.candidates import DEFAULT_CANDIDATES, SamplingSettings
from preference.errors import InputError
from preference.model.base_models import GENERATOR_DEFAULT
from preference.scripts import run_script
from preference.wording import flag_with

if TYPE_CHECKING:
    from preference.ranking.job import NextSteps

AGAIN_FLAGS = ["data", "again", "top", "log", "guidelines", "seed"]  # those that say what --again does
OTHER_JOBS = ["--prompts", "--candidates", "--recheck", "--generate-only"]  # that do not go with it


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        description="Sample candidate answers from a language model and rank them at the terminal.",
        formatter_class=HelpFormatter,
    )
    default = SamplingSettings()
    files = parser.add_argument_group("files")
    files.add_argument(
        "--prompts", type=Path,
        help="one prompt per line, or a CSV or JSONL file with a prompt column (default: the sample's five prompts)",
    )  # fmt: skip
    files.add_argument(
        "--data",
        type=Path,
        default=Path("training_data.csv"),
        help="the CSV that the rankings go to; existing rows are kept",
    )
    files.add_argument(
        "--candidates", type=Path,
        help="sampled answers, a JSONL file with prompt and answers; one that another program wrote is ranked as it is"
        f" (default: {DEFAULT_CANDIDATES})",
    )  # fmt: skip
    files.add_argument(
        "--log", type=Path, help="log of what was shown, and when (default: ranking_log.jsonl beside --data)"
    )
    files.add_argument(
        "--again", type=Path, metavar="REVIEW",
        help="what review_rankings.py wrote: show the rankings of --data again that models dispute, most disputed first",
    )  # fmt: skip
    files.add_argument(
        "--top", type=at_least(1), metavar="N", help="with --again: only the N most disputed rankings (default: all)"
    )
    sampling = parser.add_argument_group("sampling candidates")
    sampling.add_argument(
        "--generator",
        default=GENERATOR_DEFAULT,
        help="a causal language model: a folder, a GGUF file, or a name on the Hugging Face Hub",
    )
    sampling.add_argument(
        "--num-candidates", type=at_least(2), default=default.num_candidates, help="answers per prompt"
    )
    sampling.add_argument(
        "--max-new-tokens", type=at_least(1), default=default.max_new_tokens, help="maximum answer length in tokens"
    )
    sampling.add_argument(
        "--temperature", type=above(0), default=default.temperature, help="higher values give more varied answers"
    )
    sampling.add_argument(
        "--top-p",
        type=from_to(1e-6, 1),
        default=default.top_p,
        help="sample from the most likely tokens, whose probabilities add up to this",
    )
    sampling.add_argument(
        "--seed",
        type=random_seed,
        default=default.seed,
        help="random seed for sampling, and for the order of the answers on the screen",
    )
    sampling.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    sampling.add_argument("--generate-only", action="store_true", help="stop after sampling; rank later")
    ranking = parser.add_argument_group("ranking")
    ranking.add_argument("--guidelines", type=Path, help="a text file that ? shows instead of the built-in guidelines")
    ranking.add_argument(
        "--recheck",
        type=from_to(0, 1),
        default=0.0,
        help="show this share of the prompts a second time, reshuffled, to measure agreement",
    )
    ranking.add_argument(
        "--model", action=argparse.BooleanOptionalAction, default=True,
        help="train a model in the background as you rank; m shows how well it does",
    )  # fmt: skip
    return parser


def given(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Return every argument of `names` that differs from its default, as words of a command."""
    parser, words = build_parser(), []
    for name in names:
        flag, value = "--" + name.replace("_", "-"), getattr(args, name)
        if value == parser.get_default(name):
            continue
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += flag_with(flag, value)
    return words


def next_steps(args: argparse.Namespace) -> "NextSteps":
    """Return the commands to type next, with the arguments of this one."""
    from preference.ranking.job import NextSteps

    names = AGAIN_FLAGS if args.again else [name for name in vars(args) if name != "generate_only"]
    output = flag_with("--output", args.again) if args.again and args.again != Path("review.csv") else []
    return NextSteps(
        rank=command_line("generate_data.py", given(args, names)),
        train=command_line("reward_model_trainer.py", given(args, ["data"])),
        review=command_line("review_rankings.py", [*given(args, ["data"]), *output, *given(args, ["log"])]),
    )


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)

    from preference.ranking.job import Files, find_prompts, rank, rank_again

    files = settings_from(Files, args)
    if args.again and (
        others := [flag for flag in OTHER_JOBS if getattr(args, flag[2:].replace("-", "_")) not in (None, False, 0.0)]
    ):
        raise InputError(f"--again shows rankings of --data again; leave out {' and '.join(others)}")
    if args.top and not args.again:
        raise InputError(f"--top {args.top}: says how many rankings --again shows; also give --again REVIEW")
    files.check()
    if args.again:
        return rank_again(files, args.again, next_steps(args), seed=args.seed, top=args.top)

    from preference.model.sampling import LazyGenerator

    generator = LazyGenerator(args.generator, args.device, settings_from(SamplingSettings, args))
    try:
        if not args.generate_only:
            steps = next_steps(args)
            return rank(
                files,
                generator.candidates,
                generator.sample_again,
                steps,
                seed=args.seed,
                recheck=args.recheck,
                model=args.model,
            )
        generator.candidates(find_prompts(files), set(), files.candidates_path)
        say(f"rank them:  {next_steps(args).rank}", wrap=False)
        return 0
    except KeyboardInterrupt:  # while candidates were sampled: those of finished batches are saved
        again = command_line("generate_data.py", given(args, vars(args)))
        raise KeyboardInterrupt(f"what was done so far is saved\ncontinue:  {again}") from None


if __name__ == "__main__":
    run_script(main)
