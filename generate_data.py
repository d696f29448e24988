#!/usr/bin/env python3
"""Sample candidate answers from a language model and rank them at the terminal.

    python generate_data.py
    python generate_data.py --prompts my_prompts.txt --data my_rankings.csv
    python generate_data.py --data my_rankings.csv --again review.csv

Reads prompts (default: the sample's five). Writes candidates.jsonl (the sampled answers), training_data.csv (your
rankings: prompt, answer, rank; 1 is best) and ranking_log.jsonl (what was shown, and when). Stop at any time: what you
confirmed is saved. With --again, shows what models dispute, by a review; a new ranking replaces the earlier one.
"""

import argparse
from pathlib import Path

from preference.console import say
from preference.data.candidates import DEFAULT_CANDIDATES, SamplingSettings
from preference.errors import InputError
from preference.model.base_models import GENERATOR_DEFAULT
from preference.scripts import (
    Parser,
    above,
    at_least,
    command_line,
    from_to,
    random_seed,
    run_script,
    settings_from,
)
from preference.wording import flag_with


def build_parser() -> Parser:
    parser = Parser("generate_data.py", __doc__.partition("\n")[0])
    default = SamplingSettings()
    # fmt: off
    add = parser.add_argument_group("files").add_argument
    add("--prompts", type=Path, help="one prompt per line, or a table with a prompt column (default: the sample's)")
    add("--data", type=Path, default=Path("training_data.csv"), help="the table for the rankings; its rows are kept")
    add("--candidates", type=Path, help=f"sampled answers, or another program's (default: {DEFAULT_CANDIDATES})")
    add("--log", type=Path, help="log of what was shown, and when (default: ranking_log.jsonl beside --data)")
    add("--again", type=Path, metavar="REVIEW",
        help="what review_rankings.py wrote: show what models dispute in --data again, most disputed first")
    add("--top", type=at_least(1), metavar="N", help="with --again: only the N most disputed rankings (default: all)")
    add = parser.add_argument_group("sampling candidates").add_argument
    add("--generator", default=GENERATOR_DEFAULT, help="a causal language model: a folder, a GGUF file or a Hub name")
    add("--num-candidates", type=at_least(2), default=default.num_candidates, help="answers per prompt")
    add("--max-new-tokens", type=at_least(1), default=default.max_new_tokens, help="maximum answer length in tokens")
    add("--temperature", type=above(0), default=default.temperature, help="higher values give more varied answers")
    add("--top-p", type=from_to(1e-6, 1), default=default.top_p, help="sample from tokens that add up to this")
    add("--seed", type=random_seed, default=default.seed, help="for sampling, and the order on the screen")
    add("--device", default="cpu", help="cpu, cuda or mps")
    add("--generate-only", action="store_true", help="stop after sampling; rank later")
    add = parser.add_argument_group("ranking").add_argument
    add("--guidelines", type=Path, help="a text file that ? shows instead of the built-in guidelines")
    add("--recheck", type=from_to(0, 1), default=0.0, help="show this share of the prompts twice, to measure agreement")
    add("--model", action=argparse.BooleanOptionalAction, default=True, help="let a model learn as you rank; m asks it")
    # fmt: on
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    words = parser.given(args, "prompts", "candidates", "recheck", "generate_only")
    others = [word.partition("=")[0] for word in words if word.startswith("--")]
    if args.again and others:
        raise InputError(f"--again shows rankings of --data again; leave out {' and '.join(others)}")
    if args.top and not args.again:
        raise InputError(f"--top {args.top}: says how many rankings --again shows; also give --again REVIEW")

    from preference.jobs.ranking import Files, Sampler, rank, rank_again

    of_again = ["data", "again", "top", "log", "guidelines", "seed"]
    names = of_again if args.again else [name for name in vars(args) if name != "generate_only"]
    output = flag_with("--output", args.again) if args.again and args.again != Path("review.csv") else []
    data = parser.given(args, "data")
    steps = {
        "rank": command_line("generate_data.py", parser.given(args, *names)),
        "train": command_line("reward_model_trainer.py", data),
        "review": command_line("review_rankings.py", [*data, *output, *parser.given(args, "log")]),
    }
    files = settings_from(Files, args)
    if args.again:
        return rank_again(files, args.again, steps, seed=args.seed, top=args.top)
    sampler = Sampler(args.generator, args.device, settings_from(SamplingSettings, args))
    try:
        if not args.generate_only:
            return rank(files, sampler, steps, seed=args.seed, recheck=args.recheck, model=args.model)
        sampler.candidates(files.find_prompts(), set(), files.candidates_path)
    except KeyboardInterrupt:  # while candidates were sampled: those of finished batches are saved
        again = command_line("generate_data.py", parser.given(args, *vars(args)))
        raise KeyboardInterrupt(f"what was done so far is saved\ncontinue:  {again}") from None
    say(f"rank them:  {steps['rank']}", wrap=False)
    return 0


if __name__ == "__main__":
    run_script(main)
