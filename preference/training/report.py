"""What is known of a trained model, for programs (metrics.json, rewards.csv) and for strangers (the model card)."""

import csv
import importlib.metadata
import platform
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from preference.data.rankings import Ranking, Rankings
from preference.data.splits import prompt_digest, prompt_key
from preference.data.table_writing import format_rows
from preference.evaluation.evaluation import GENERALISATION, UNSEEN, Evaluation, compare
from preference.evaluation.metrics import by_ranking, pair_margins, predicted_ranks
from preference.evaluation.odds import calibrate
from preference.evaluation.record import MIN_PROMPTS, Calibration, Record, read_record, why_no_odds
from preference.model.base_models import MINILM, REWARD_MODEL_DEFAULT, SMOLLM2, BaseModel
from preference.training.probe import Review
from preference.training.train import Trained
from preference.wording import counted, plain, shorten

CARD = Path(__file__).with_name("model_card.md")  # its template
REWARDS = "rewards.csv"
REWARD_COLUMNS = ["part", "prompt", "answer", "rank", "reward", "predicted_rank"]
_PARTS = 10  # the prompts are dealt to so many parts, each judged by the temperature of the others
_PACKAGES = ("torch", "transformers", "datasets", "accelerate", "pandas", "numpy", "scipy")
# Of models whose files may come without a card; any other's licence stands in the card of its folder.
_LICENCES = dict.fromkeys((REWARD_MODEL_DEFAULT, MINILM.hub_name, SMOLLM2.hub_name), "apache-2.0")
_MARKDOWN = re.compile("[" + re.escape("\\`*_{}[]<>()#+|~&$:@!") + "]")  # what would format, link or embed


@dataclass(frozen=True)
class Report:
    """A trained model, and all that is known of it.

    `evaluations` are of the rewards that it gave to the unseen parts, the one to judge by first, or else to the
    training part. `review` is a cross-validation of its rankings, where its head alone was trained.
    """

    data: Rankings
    tests: Rankings | None
    training_part: list[Ranking]
    trained: Trained
    evaluations: list[Evaluation]
    review: Review | None

    @property
    def unseen(self) -> list[Evaluation]:
        """The evaluations of prompts that the model, or in the review the models that scored them, had not seen."""
        return [e for e in self.evaluations if e.unseen] + ([self.review.evaluation] if self.review else [])

    @property
    def shown(self) -> list[Evaluation]:
        """What is shown to people, the one to judge by first: what is unseen, or else the training part."""
        return self.unseen or self.evaluations

    @property
    def first(self) -> Evaluation:
        """What the model is judged by."""
        return self.shown[0]

    def source(self, evaluation: Evaluation) -> str:
        """Return the name of the file that an evaluation's rankings are from."""
        return Path((self.tests if self.tests and evaluation.part == "test" else self.data).table.source).name

    def judged_by(self) -> str:
        """Return in one sentence whose prompts the model is judged by, and name one of them."""
        first, prompts = self.first, self.first.metrics.prompts
        example = f"of {self.source(first)}, such as {shorten(first.rankings[0].prompt)}"
        if first.part == "training":
            trained_on = counted(len({ranking.key for ranking in self.training_part}), "prompt")
            return f"Not tested: the model was trained on the {trained_on} {example}."
        if self.review and first is self.review.evaluation:
            others = f"{self.review.models} models each learned without some, and scored those"
            how = f"in a cross-validation: this model has learned from all of them, but {others}"
            return f"Judged by the {counted(prompts, 'prompt')} {example}, {how}."
        return f"Judged by the {counted(prompts, f'{first.part} prompt')} {example}."


def _by_ranking(evaluations: Sequence[Evaluation]) -> list[tuple[str, Ranking, np.ndarray]]:
    """Return each ranking with its part and the rewards of its answers."""
    return [(e.part, *both) for e in evaluations for both in by_ranking(e.rankings, e.rewards)]


def find_calibration(report: Report) -> tuple[Calibration | None, str]:
    """Return the odds, of the review or of unseen parts where these have more prompts; or None and why."""
    review, kept = report.review, [e for e in report.evaluations if e.unseen]
    if review and review.evaluation.metrics.prompts >= sum(e.metrics.prompts for e in kept):
        fitted, prompts, fitted_on = review.calibration, review.evaluation.metrics.prompts, "cross-validation"
    else:
        margins = defaultdict[str, list[float]](list)  # of each prompt
        for _, ranking, rewards in _by_ranking(kept):
            margins[ranking.key] += pair_margins(ranking, rewards).tolist()
        prompts, fitted_on = len(margins), " and ".join(e.part for e in kept)
        if prompts < MIN_PROMPTS:
            return None, why_no_odds(1.0, prompts)
        fitted = calibrate([np.concatenate([*margins.values()][number::_PARTS]) for number in range(_PARTS)])
    why = why_no_odds(fitted.temperature, prompts)
    return (None, why) if why else (replace(fitted, prompts=prompts, fitted_on=fitted_on), "")


def make_record(report: Report) -> Record:
    """Return what `metrics.json` is to hold; of the prompts that the model was trained on it keeps digests."""
    data, tests, review = report.data, report.tests, report.review
    trained, base = report.trained, report.trained.start.base
    metrics = {e.part: asdict(e.metrics) | e.spread for e in report.unseen}
    shared = {r.key for r in data.rankings} & {r.key for r in tests.rankings} if tests else set()
    training = {prompt_digest(ranking.prompt) for ranking in report.training_part}
    odds, no_odds = find_calibration(report)
    return Record(
        data=dict(
            path=data.table.source, rows=len(data.table.records), sha256=data.table.sha256, prompts=len(data.prompts),
            training_prompts=len(training), raters=len({r.rater for r in data.rankings if r.rater}) or 1,
            left_out=len(data.left_out_prompts) + len(shared), duplicate_rows=len(data.duplicate_rows),
            test_path=tests.table.source if tests else None, test_sha256=tests.table.sha256 if tests else None,
        ),
        base_model={"asked": base.asked, "used": base.used, "source": base.source},
        training=trained.record(),
        validation=metrics.get("validation"), test=metrics.get("test"),
        cross_validation=asdict(review.evaluation.metrics) | {"folds": review.models} if review else None,
        baselines={
            e.part.replace("-", "_"): {"longest_answer": asdict(e.longest), "shortest_answer": asdict(e.shortest)}
            for e in report.unseen
        },
        rater_agreement={e.part: asdict(e.raters) for e in report.evaluations if e.raters},
        checks=[asdict(check) | {"result": check.result} for check in report.first.checks],
        verdict=report.first.verdict, calibration=odds, no_odds=no_odds or None,
        reward_quantiles=np.percentile(trained.rewards, range(101)).round(6).tolist(),
        machine=machine_record(trained.start.settings.device),
        seen_prompts=sorted(training | set(read_record(base.path).seen_prompts or ())),
        versions={"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES},
    )  # fmt: skip


def machine_record(device: str) -> dict:
    """Return the kind of processor that computes on `device`: rewards differ in their last digits between kinds.

    `bf16_instructions` is None where the system does not tell.
    """
    if device == "cuda":
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return {"processor": torch.cuda.get_device_name(), "bf16_instructions": bf16}
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = (facts.get("flags") or facts.get("Features") or "").split()  # x86, ARM
    return {
        "processor": facts.get("model name") or platform.processor() or platform.machine(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16_instructions": bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags)) if flags else None,
    }


def rewards_csv(evaluations: Sequence[Evaluation]) -> str:
    """Return the rewards of all answers of the evaluated parts as CSV text, with the columns `REWARD_COLUMNS`."""
    rows: list[list] = [REWARD_COLUMNS]
    for part, ranking, rewards in _by_ranking(evaluations):
        of_answers = zip(ranking.answers, ranking.ranks, map("{:.6f}".format, rewards), predicted_ranks(rewards))
        rows += [[part, ranking.prompt, *of_answer] for of_answer in of_answers]
    return format_rows(rows)


def compare_with_earlier(report: Report, output_dir: Path) -> str:
    """Say how the rewards of unseen prompts compare with those that the model before, in `output_dir`, gave them."""
    path, before = output_dir / REWARDS, {}
    if not path.exists():
        return ""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["part"] in UNSEEN:
                    before[prompt_key(row["prompt"]), row["answer"].strip()] = float(row["reward"])
    except (OSError, ValueError, KeyError, csv.Error):  # a damaged file is no reason to lose the new model
        before = {}
    both = [
        (part, ranking, rewards)
        for part, ranking, rewards in _by_ranking(report.unseen)
        if all((ranking.key, answer) in before for answer in ranking.answers)
    ]
    if not both:
        return "Not compared with the previous model: no prompt with the same answers was unseen in both trainings."
    return compare(
        [ranking for _, ranking, _ in both],
        np.array([before[ranking.key, answer] for _, ranking, _ in both for answer in ranking.answers]),
        np.concatenate([rewards for *_, rewards in both]),
        validation_prompts=len({ranking.key for part, ranking, _ in both if part == "validation"}),
    )


def model_card(report: Report, record: Record, *, folder: str, dataset: str | None, picture: str | None) -> str:
    """Return the model card, a README.md for the model's folder: `CARD`, filled.

    Args:
        folder: the name that the model goes by.
        dataset: the name of the rankings on the Hugging Face Hub, if they are there.
        picture: the file beside the card, if it was drawn.
    """
    base, card = report.trained.start.base, _card_of(report.trained.start.base)
    results = [result for e in report.unseen for result in _results(e, report.source(e), dataset)]
    names = card.get("base_model") if base.source == "folder" else base.used  # a folder has no name on the Hub
    names = [name for name in (names if isinstance(names, list) else [names]) if isinstance(name, str)]
    licence = licence_of(base)
    metadata = ModelCardData(
        base_model=names[0] if len(names) == 1 else names or None, **licence,
        library_name="transformers", pipeline_tag="text-classification", tags=["reward-model", "preference", "rlhf"],
        datasets=[dataset] if dataset else None, metrics=["accuracy"] if results else None,
        model_name=plain(folder) if results else None, eval_results=results or None,
    )  # fmt: skip
    return ModelCard.from_template(
        metadata, str(CARD), text=text, counted=counted, report=report, trained=report.trained, record=record,
        start=report.trained.start,
        made_from=" and ".join(map(text, names)),
        licence=licence.get("license", "unknown"),
        generalises=any(check.name == GENERALISATION and check.passed for check in report.first.checks),
        chats=bool(report.trained.reward_model.tokenizer.chat_template),  # a decoder
        folder=folder, folder_quoted=f'"{folder}"' if re.fullmatch(r"[\w.-]+", folder) else repr(folder),
        picture=picture,
    ).content + "\n"  # fmt: skip


def text(words: str, most: int = 200) -> str:
    """Return text of unknown origin as Markdown that shows just it, on one line: nothing formats, links or embeds.

    >>> text("*not* a [link](x) | nor a cell")
    '\\\\*not\\\\* a \\\\[link\\\\]\\\\(x\\\\) \\\\| nor a cell'
    """
    line = " ".join(plain(words).split())
    return _MARKDOWN.sub(r"\\\g<0>", line if len(line) <= most else line[: most - 2] + " …")


def licence_of(base: BaseModel) -> dict[str, str]:
    """Return what the base model's own card says of its `license`, for some also `license_name` and `license_link`."""
    card = _card_of(base)
    if not isinstance(card.get("license"), str):
        card = {"license": _LICENCES.get(base.used)}
    names = ("license", "license_name", "license_link")
    return {name: plain(card[name]) for name in names if isinstance(card.get(name), str)}


def _card_of(base: BaseModel) -> dict:
    folder = base.path if base.path.is_dir() else base.path.parent
    try:
        return ModelCard((folder / "README.md").read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict()
    except Exception:  # none, or whatever a stranger's YAML may raise: no reason to lose the model
        return {}


def _results(e: Evaluation, source: str, dataset: str | None) -> list[EvalResult]:
    about: dict[str, Any] = {
        "task_type": "text-classification", "task_name": "Ranking answers to a prompt", "metric_type": "accuracy",
        "dataset_type": dataset or "csv", "dataset_split": e.part,
        "dataset_name": plain(f"{source}, {e.part}, {counted(e.metrics.prompts, 'prompt')}"),
    }  # fmt: skip
    m, longest, shortest = e.metrics, e.longest.pairwise_accuracy, e.shortest.pairwise_accuracy
    rules = f"the longer answer is better: {longest:.3f}; the shorter: {shortest:.3f}"
    values = {
        f"Pairwise accuracy ({rules})": m.pairwise_accuracy,
        "Length-controlled pairwise accuracy (either rule: 0.500)": m.length_controlled_accuracy,
    }
    return [EvalResult(**about, metric_value=round(v, 4), metric_name=n) for n, v in values.items() if v is not None]
