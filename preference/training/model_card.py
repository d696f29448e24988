"""The model card: what a stranger should know of a model before using it, as the Hugging Face Hub reads it."""

import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from preference.evaluation.evaluation import GENERALISATION, Evaluation
from preference.evaluation.record import Record
from preference.model.base_models import MINILM, REWARD_MODEL_DEFAULT, SMOLLM2, BaseModel
from preference.model.layers import output_layer
from preference.training.report import Report, judged_by, typical_pair
from preference.wording import counted, plain

TEMPLATE = Path(__file__).with_suffix(".md")
# Of models whose files may come without a card; any other's licence stands in the card of its folder.
_LICENCES = dict.fromkeys((REWARD_MODEL_DEFAULT, MINILM.hub_name, SMOLLM2.hub_name), "apache-2.0")
_MARKDOWN = re.compile("[" + re.escape("\\`*_{}[]<>()#+|~&$:@!") + "]")  # what would format, link or embed


def model_card(report: Report, record: Record, *, folder: str, dataset: str | None, picture: str | None) -> str:
    """Return the model card, a README.md for the model's folder: `TEMPLATE`, filled.

    Args:
        record: what `metrics.json` holds.
        folder: the name that the model goes by.
        dataset: the name of the rankings on the Hugging Face Hub, if they are there.
        picture: the file beside the card, if it was drawn.
    """
    base, results = report.trained.base, [r for e in report.unseen for r in _results(e, report.source(e), dataset)]
    card = _card_of(base)
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
        metadata, str(TEMPLATE), text=text, counted=counted, report=report, trained=report.trained, record=record,
        judged_by=judged_by(report), made_from=" and ".join(map(text, names)),
        licence=licence.get("license", "unknown"),
        centred=output_layer(report.trained.reward_model.model).bias is not None,  # that of most decoders has none
        pair=typical_pair(report.evaluations[0]) if record.calibration else None,
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
    found = {name: card.get(name) for name in ("license", "license_name", "license_link")}
    if not isinstance(found["license"], str):
        found = {"license": _LICENCES.get(base.used)}
    return {name: plain(value) for name, value in found.items() if isinstance(value, str)}


def _card_of(base: BaseModel) -> dict:
    folder = base.path if base.path.is_dir() else base.path.parent
    try:
        return ModelCard((folder / "README.md").read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict()
    except Exception:  # none, or whatever a stranger's YAML may raise: no reason to lose the model
        return {}


def _results(e: Evaluation, source: str, dataset: str | None) -> list[EvalResult]:
    about: dict[str, Any] = {
        "task_type": "text-classification", "task_name": "Ranking answers to a prompt",
        "dataset_type": dataset or "csv",
        "dataset_name": plain(f"{source}, {e.part}, {counted(e.metrics.prompts, 'prompt')}"), "dataset_split": e.part,
        "metric_type": "accuracy",
    }  # fmt: skip
    m, longest, shortest = e.metrics, e.longest.pairwise_accuracy, e.shortest.pairwise_accuracy
    rules = f"the longer answer is better: {longest:.3f}; the shorter: {shortest:.3f}"
    values = {
        f"Pairwise accuracy ({rules})": m.pairwise_accuracy,
        "Length-controlled pairwise accuracy (either rule: 0.500)": m.length_controlled_accuracy,
    }
    return [EvalResult(**about, metric_value=round(v, 4), metric_name=n) for n, v in values.items() if v is not None]
