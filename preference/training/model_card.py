"""The model card: what a stranger should know of a model before using it. Ready to be published on the Hugging Face Hub."""

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from preference.evaluation.calibration import win_probability
from preference.evaluation.evaluation import GENERALISATION, Evaluation
from preference.evaluation.metrics import Metrics
from preference.evaluation.plots import plot_rewards
from preference.model.base_models import MINILM, REWARD_MODEL_DEFAULT, SMOLLM2, BaseModel
from preference.model.head import output_layer
from preference.training.evidence import Evidence, review_in_words, typical_pair
from preference.wording import counted, plain

# Of models whose files may come without a card; any other's licence stands in the card of its folder.
_LICENCES = dict.fromkeys((REWARD_MODEL_DEFAULT, MINILM.hub_name, SMOLLM2.hub_name), "apache-2.0")
_MARKDOWN = re.compile("[" + re.escape("\\`*_{}[]<>()#+|~&$:@!") + "]")  # what would format, link or embed
_LONGEST = 200  # characters of a quoted prompt or answer


@dataclass(frozen=True)
class Figures:
    """How well one part of unseen prompts was ordered, and what the two length rules get there."""

    part: str
    metrics: Metrics
    longest: float
    shortest: float

    @classmethod
    def of(cls, evaluation: Evaluation) -> "Figures":
        return cls(evaluation.part, evaluation.metrics, evaluation.longest.pairwise_accuracy, evaluation.shortest.pairwise_accuracy)

    @classmethod
    def of_review(cls, review: dict) -> "Figures":
        rules = (review[rule]["pairwise_accuracy"] for rule in ("longest", "shortest"))
        return cls("cross-validation", Metrics(**review["metrics"]), *rules)

    def cells(self) -> list[str]:
        (low, high), controlled = self.metrics.pairwise_accuracy_95, self.metrics.length_controlled_accuracy
        return [
            self.part, str(self.metrics.prompts), f"**{self.metrics.pairwise_accuracy:.3f}**",
            f"{low:.3f} to {high:.3f}" if self.metrics.prompts > 1 else "–", f"{self.longest:.3f}",
            f"{self.shortest:.3f}", "–" if controlled is None else f"{controlled:.3f}", f"{self.metrics.kendall_tau:.3f}",
        ]  # fmt: skip


@dataclass(frozen=True)
class Published:
    """What a model card names that no training knows.

    `dataset` is the name of the rankings on the Hugging Face Hub, if they are there; `picture` the file beside the card, if it was drawn.
    """

    folder: str
    dataset: str | None
    picture: str | None


def model_card(evidence: Evidence, record: dict, published: Published) -> str:
    """Return the model card, a README.md for the model's folder.

    Args:
        record: what `metrics.json` holds.
    """
    metadata = _metadata(evidence, published)
    sections = [
        _summary(evidence, published.folder),
        _facts(evidence, record, metadata),
        _evaluation(evidence, published.picture),
        _meaning(evidence, record["calibration"]),
        _limits(evidence),
        _use(evidence, published.folder),
        _files(evidence),
    ]
    return f"---\n{metadata.to_yaml()}\n---\n\n" + "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def draw_picture(evidence: Evidence, kind: str, *, on_message: Callable[[str], object] = lambda text: None) -> bytes:
    """Return the picture of the rewards as a file of a kind such as `.png`; empty, with a message, where no temporary file can be written."""
    trained, prompts = evidence.trained, len({ranking.key for ranking in evidence.training_part})
    title = plain(f"{trained.base.used}, {trained.settings.objective}, {counted(prompts, 'training prompt')}").replace("$", r"\$")
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


def _metadata(evidence: Evidence, published: Published) -> ModelCardData:
    base, results = evidence.trained.base, []
    for e in evidence.unseen:
        source = evidence.tests.path if evidence.tests and e.part == "test" else evidence.data.path
        results += _results(Figures.of(e), Path(source).name, published.dataset)
    if evidence.review:
        results += _results(Figures.of_review(evidence.review), Path(evidence.data.path).name, published.dataset)
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


def _results(figures: Figures, source: str, dataset: str | None) -> list[EvalResult]:
    metrics = figures.metrics
    about: dict[str, Any] = {
        "task_type": "text-classification", "task_name": "Ranking answers to a prompt", "dataset_type": dataset or "csv",
        "dataset_name": plain(f"{source}, {figures.part}, {counted(metrics.prompts, 'prompt')}"), "dataset_split": figures.part,
        "metric_type": "accuracy",
    }  # fmt: skip
    name = f"Pairwise accuracy (the longer answer is better: {figures.longest:.3f}; the shorter: {figures.shortest:.3f})"
    results = [EvalResult(**about, metric_value=round(metrics.pairwise_accuracy, 4), metric_name=name)]
    if metrics.length_controlled_accuracy is not None:
        name = "Length-controlled pairwise accuracy (either rule: 0.500)"
        results.append(EvalResult(**about, metric_value=round(metrics.length_controlled_accuracy, 4), metric_name=name))
    return results


def _summary(evidence: Evidence, folder: str) -> list[str]:
    return [
        f"# {text(folder)}: a reward model",
        "",
        "It scores an answer to a prompt by how much the people whose rankings it was trained on would prefer it. Higher is better.",
        "",
        f"> {evidence.first.verdict}",
    ]


def _facts(evidence: Evidence, record: dict, metadata: ModelCardData) -> list[str]:
    trained, data, machine = evidence.trained, evidence.data, record["machine"]
    base, settings = trained.base, trained.settings
    if base.source == "folder":
        made_from = " and ".join(map(text, _base_names(base)))
        name = f"{text(base.path.name)}, a local folder" + (f" made from {made_from}" if made_from else "")
    else:
        name = f"[{text(base.used)}](https://huggingface.co/{base.used})" + (f", in place of {text(base.asked)}" if base.used != base.asked else "")
    raters, bf16 = record["data"]["raters"], {True: ", with bf16 instructions", False: ", without bf16 instructions"}
    rows = {
        "Base model": name,
        "Its licence": text(metadata.get("license") or "unknown"),
        "Rankings": f"{counted(len(data.prompts), 'prompt')}, {counted(sum(len(r.answers) for r in data.rankings), 'ranked answer')}"
        + (f", {raters} raters who ranked the same answers" if raters > 1 else "")
        + f"; trained on {record['data']['training_prompts']} of the prompts",
        "SHA-256 of the CSV": data.sha256,
        "Training": f"{settings.objective}, {counted(trained.steps, 'step')}, weights of step {trained.best_step}, {trained.precision}",
        "Machine": text(machine["processor"]) + bf16.get(machine["bf16_instructions"], ""),
        "Input": f"a prompt and an answer, together at most {settings.max_length} tokens; the longer of the two is cut first",
    }
    return [
        *_table(["", ""], [[f"**{name}**", value] for name, value in rows.items()]),
        "",
        "The same rankings and seed give the same model on the same machine. Another kind of processor or another precision rounds differently,"
        " and training ends with slightly other weights. These weights give the same rewards everywhere, within 0.0001 in fp32.",
    ]


def _evaluation(evidence: Evidence, picture: str | None) -> list[str]:
    parts = [Figures.of(e) for e in evidence.unseen]
    if evidence.review:
        parts.append(Figures.of_review(evidence.review))
    lines = ["## Evaluation", ""]
    if not parts:
        lines.append("None: every ranking was trained on, and nothing shows how the model does on other prompts.")
    else:
        header = ["unseen prompts", "number", "pairwise accuracy", "95 % interval", "longest is best", "shortest is best"]
        lines += _table([*header, "length-controlled", "Kendall tau"], [figures.cells() for figures in parts])
        lines += [
            "",
            "Pairwise accuracy is the share of pairs of answers to one prompt that the rewards order as the rankings do; guessing gives 0.5."
            " Beside it stand two rules that read nothing. Length-controlled accuracy is the mean of the accuracy on pairs whose better answer"
            " is the longer one and of that on pairs whose better answer is the shorter one: either rule gets 0.5.",
        ]
    if any(e.part == "validation" for e in evidence.unseen):
        lines += ["", "The validation prompts chose the best weights, so their figures are a little too good."]
    if evidence.review:
        lines += ["", f"Cross-validation: {review_in_words(evidence.review)}."]
    for e in evidence.evaluations:
        if e.raters:
            (low, high), alpha = e.raters.interval, e.raters.alpha
            lines += [
                "",
                f"People who ranked the same answers of the {e.part} part order {e.raters.share:.3f} [{low:.3f}, {high:.3f}] of the pairs alike"
                f" ({counted(e.raters.prompts, 'prompt')}" + ("" if alpha is None else f", Krippendorff's alpha {alpha:.3f}") + "):"
                " a model that is as good as another rater has this accuracy.",
            ]
    if evidence.first.checks:
        lines += ["", *(f"- {check.name}: {check.result}; {check.evidence}" for check in evidence.first.checks)]
    if picture:
        lines += ["", f"![Rewards of the {evidence.first.part} answers, and their distribution by true rank]({picture})"]
    return lines


def _meaning(evidence: Evidence, calibration: dict | None) -> list[str]:
    centred = output_layer(evidence.trained.reward_model.model).bias is not None  # that of most decoders has none
    lines = [
        "## What a reward means",
        "",
        f"{'0 is the mean and 1' if centred else '1 is'} the standard deviation of the rewards of {evidence.trained.scaled_on_answers} ranked"
        f" answers{'' if centred else '; 0 means nothing'}. Only differences"
        " between answers to the same prompt mean something: a reward says little across prompts.",
        "",
    ]
    if not calibration:
        return [
            *lines,
            "How likely a person prefers the answer with the higher reward is not known: there were too few unseen prompts to tell, and no"
            " review of these very rankings (review_rankings.py) that could.",
        ]
    prompt, higher, lower, difference = typical_pair(evidence.first)
    probability, temperature = win_probability(difference, calibration["temperature"]), calibration["temperature"]
    seen = "to an unseen prompt" if evidence.unseen else "to a prompt that it was trained on"
    after = calibration["error_after"]
    return [
        *lines,
        f"A person prefers answer A to answer B with probability sigmoid((reward of A − reward of B) / {temperature:.2f}). Two answers {seen}:",
        "",
        *_table(["", text(prompt)], [["A", text(higher)], ["B", text(lower)]]),
        "",
        f"A beats B with {probability:.0%}: its reward is higher by {difference:.2f}. The temperature {temperature:.2f} was fitted on"
        f" {counted(calibration['pairs'], 'pair')} of {counted(calibration['prompts'], 'prompt')} ({calibration['fitted_on']}). Expected calibration"
        f" error: {calibration['error_before']:.3f} without it"
        + (f", {after:.3f} with it, on prompts that it was not fitted on." if after is not None else "."),
    ]


def _limits(evidence: Evidence) -> list[str]:
    trained = evidence.trained
    lines = [
        "## What not to use it for",
        "",
        f"- Prompts unlike the {counted(len(evidence.data.prompts), 'prompt')} of its rankings: other languages, topics or kinds of answers.",
        "- Comparing answers to different prompts, or a fixed threshold for good answers.",
        "- Judging truth or safety: it learned what a few people preferred, with their tastes and mistakes, and nothing else.",
        "- Training a policy for long without reading what it writes: a policy finds what a reward model rewards wrongly.",
    ]
    if not any(check.name == GENERALISATION and check.passed for check in evidence.first.checks):
        lines.append("- Anything that a length rule would not do as well: nothing shows yet that it learned more than length.")
    if trained.truncated_answers:
        lines.append(f"- Longer texts: {trained.truncated_answers} of the ranked answers were cut at {trained.settings.max_length} tokens.")
    return lines


_PAIR_AS_CHAT = """\

def pair(prompt, answer):
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]

"""


def _use(evidence: Evidence, folder: str) -> list[str]:
    model = f'"{folder}"' if re.fullmatch(r"[\w.-]+", folder) else repr(folder)
    reads_chats = bool(evidence.trained.reward_model.tokenizer.chat_template)  # a decoder
    pair = '{"text": "Name a prime number", "text_pair": "7"}'
    chat = '[{"role": "user", "content": "Name a prime number"}, {"role": "assistant", "content": "7"}]'
    if reads_chats:
        ask = f"chat = reward.tokenizer.apply_chat_template({chat}, tokenize=False)\n"
        ask += 'print(reward(chat, add_special_tokens=False, truncation=True)[0]["score"])'
    else:
        ask = f'print(reward({pair}, truncation=True)["score"])'
    transformers = f"""\
from transformers import pipeline

MODEL = {model}  # this folder, or the model's name on the Hub
reward = pipeline("text-classification", model=MODEL)
{ask}"""
    if reads_chats:  # of a pair of texts CrossEncoder would leave out the chat template
        helper, pair, rank = _PAIR_AS_CHAT, "pair", ""
    else:
        helper, pair, rank = "", "", '\nprint(model.rank("Name a prime number", ["Bananas are yellow.", "7"]))'
    sentence_transformers = f"""\
from sentence_transformers import CrossEncoder
{helper}
MODEL = {model}  # this folder, or the model's name on the Hub
model = CrossEncoder(MODEL)
print(model.predict([{pair}("Name a prime number", "7"), {pair}("Name a prime number", "Bananas are yellow.")])){rank}"""
    texts = f"""\
def reward(prompts, completions, **kwargs):
    return model.predict([{pair}(prompt, answer) for prompt, answer in zip(prompts, completions)]).tolist()

# trainer = GRPOTrainer(…, reward_funcs=[reward])"""
    project = f"""\
from preference.model.reward_model import RewardModel

reward = RewardModel.load({model}).reward_function()
# trainer = GRPOTrainer(…, reward_funcs=[reward])"""
    if reads_chats:
        warning = (
            "Where prompts and completions are chats, TRL also takes the folder itself, as `reward_funcs`. Where they are texts it would join them"
            " without the chat template, and get other rewards without a word."
        )
    else:
        warning = (
            "Do not give TRL the folder itself as `reward_funcs`: it joins prompt and answer to one text, without the special tokens that this"
            " model knows, and gets other rewards without a word."
        )
    return [
        "## Use", "",
        "Transformers:", "", *_python(transformers), "",
        "sentence-transformers:", "", *_python(sentence_transformers), "",
        "TRL, where prompts and completions are texts, with the CrossEncoder as a reward function:", "", *_python(texts), "",
        "TRL, also where they are chats, beside the scripts that trained this model:", "", *_python(project), "",
        warning,
    ]  # fmt: skip


def _files(evidence: Evidence) -> list[str]:
    parts = " and ".join(e.part for e in evidence.evaluations)
    return [
        "## Files",
        "",
        "`metrics.json` holds every figure above, the settings, and the versions of the packages. `rewards.csv` holds the prompts and answers of the"
        f" {parts} part, with their rewards.",
    ]


def _python(code: str) -> list[str]:
    return ["```python", code, "```"]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
