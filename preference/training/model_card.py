"""The model card: what a stranger should know of a model before using it. Ready to be published on the Hugging Face Hub."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from preference.evaluation.evaluation import GENERALISATION, Evaluation
from preference.evaluation.plots import plot_rewards
from preference.evaluation.record import Record
from preference.model.base_models import MINILM, REWARD_MODEL_DEFAULT, SMOLLM2, BaseModel
from preference.model.layers import output_layer
from preference.training.evidence import Evidence, judged_by, typical_pair
from preference.wording import counted, plain

TEMPLATE = Path(__file__).with_suffix(".md")
# Of models whose files may come without a card; any other's licence stands in the card of its folder.
_LICENCES = dict.fromkeys((REWARD_MODEL_DEFAULT, MINILM.hub_name, SMOLLM2.hub_name), "apache-2.0")
_MARKDOWN = re.compile("[" + re.escape("\\`*_{}[]<>()#+|~&$:@!") + "]")  # what would format, link or embed
_LONGEST = 200  # characters of a quoted prompt or answer


@dataclass(frozen=True)
class Published:
    """What a model card names that no training knows.

    `dataset` is the name of the rankings on the Hugging Face Hub, if they are there; `picture` the file beside the card, if it was drawn.
    """

    folder: str
    dataset: str | None
    picture: str | None


def model_card(evidence: Evidence, record: Record, published: Published) -> str:
    """Return the model card, a README.md for the model's folder: `TEMPLATE`, filled.

    Args:
        record: what `metrics.json` holds.
    """
    trained, folder = evidence.trained, published.folder
    metadata = _metadata(evidence, published)
    return (
        ModelCard.from_template(
            metadata,
            str(TEMPLATE),
            text=text,
            counted=counted,
            evidence=evidence,
            trained=trained,
            record=record,
            unseen=_unseen(evidence),
            judged_by=judged_by(evidence),
            base=_base_in_words(trained.base),
            licence=metadata.get("license") or "unknown",
            ranked_answers=sum(len(ranking.answers) for ranking in evidence.data.rankings),
            centred=output_layer(trained.reward_model.model).bias is not None,  # that of most decoders has none
            pair=typical_pair(evidence.evaluations[0], record.calibration.temperature) if record.calibration else None,
            generalises=any(check.name == GENERALISATION and check.passed for check in evidence.first.checks),
            chats=bool(trained.reward_model.tokenizer.chat_template),  # a decoder
            folder=folder,
            folder_quoted=f'"{folder}"' if re.fullmatch(r"[\w.-]+", folder) else repr(folder),
            picture=published.picture,
            shown_parts=" and ".join(e.part for e in evidence.shown),
        ).content
        + "\n"
    )


def draw_picture(evidence: Evidence, kind: str, *, on_message: Callable[[str], object] = lambda text: None) -> bytes:
    """Return the picture of the rewards as a file of a kind such as `.png`; empty, with a message, where no temporary file can be written."""
    trained, prompts = evidence.trained, len({ranking.key for ranking in evidence.training_part})
    title = plain(f"{trained.base.used}, {trained.settings.objective}, {counted(prompts, 'training prompt')}").replace(
        "$", r"\$"
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder, f"plot{kind}")
            plot_rewards(evidence.first, drawn, title=title)
            return drawn.read_bytes()
    except OSError as error:
        on_message(f"warning: the picture could not be drawn ({error.strerror})")
        return b""


def text(words: str, most: int = _LONGEST) -> str:
    """Return text of unknown origin as Markdown that shows just it: on one line, with nothing that formats, links or embeds.

    >>> text("*not* a [link](x) | nor a cell")
    '\\\\*not\\\\* a \\\\[link\\\\]\\\\(x\\\\) \\\\| nor a cell'
    """
    line = " ".join(plain(words).split())
    return _MARKDOWN.sub(r"\\\g<0>", line if len(line) <= most else line[: most - 2] + " …")


def licence_of(base: BaseModel) -> dict[str, str]:
    """Return what the base model's own card says of its licence: `license`, for some also `license_name` and `license_link`; else {}."""
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


def _base_names(base: BaseModel) -> list[str]:
    """Return the base model's name on the Hub; of a folder, which has none, what its card says that it was made from."""
    if base.source != "folder":
        return [base.used]
    names = _card_of(base).get("base_model")
    return [name for name in (names if isinstance(names, list) else [names]) if isinstance(name, str)]


def _base_in_words(base: BaseModel) -> str:
    if base.source == "folder":
        made_from = " and ".join(map(text, _base_names(base)))
        return f"{text(base.path.name)}, a local folder" + (f" made from {made_from}" if made_from else "")
    in_place_of = f", in place of {text(base.asked)}" if base.used != base.asked else ""
    return f"[{text(base.used)}](https://huggingface.co/{base.used}){in_place_of}"


def _unseen(evidence: Evidence) -> list[Evaluation]:
    return [*evidence.unseen, *([evidence.review.evaluation] if evidence.review else [])]


def _metadata(evidence: Evidence, published: Published) -> ModelCardData:
    base, results = evidence.trained.base, []
    for e in _unseen(evidence):
        source = evidence.tests.path if evidence.tests and e.part == "test" else evidence.data.path
        results += _results(e, Path(source).name, published.dataset)
    names = _base_names(base)
    return ModelCardData(
        base_model=names[0] if len(names) == 1 else names or None,
        **licence_of(base),
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["reward-model", "preference", "rlhf"],
        datasets=[published.dataset] if published.dataset else None,
        metrics=["accuracy"] if results else None,
        model_name=plain(published.folder) if results else None,
        eval_results=results or None,
    )


def _results(e: Evaluation, source: str, dataset: str | None) -> list[EvalResult]:
    metrics = e.metrics
    about: dict[str, Any] = {
        "task_type": "text-classification", "task_name": "Ranking answers to a prompt", "dataset_type": dataset or "csv",
        "dataset_name": plain(f"{source}, {e.part}, {counted(metrics.prompts, 'prompt')}"), "dataset_split": e.part,
        "metric_type": "accuracy",
    }  # fmt: skip
    rules = e.longest.pairwise_accuracy, e.shortest.pairwise_accuracy
    name = "Pairwise accuracy (the longer answer is better: {:.3f}; the shorter: {:.3f})".format(*rules)
    results = [EvalResult(**about, metric_value=round(metrics.pairwise_accuracy, 4), metric_name=name)]
    if metrics.length_controlled_accuracy is not None:
        name = "Length-controlled pairwise accuracy (either rule: 0.500)"
        results.append(EvalResult(**about, metric_value=round(metrics.length_controlled_accuracy, 4), metric_name=name))
    return results
