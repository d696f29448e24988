import re
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_eval_result
from markdown_it import MarkdownIt

from preference.data.rankings import Ranking, Rankings
from preference.data.tables import Table
from preference.evaluation.evaluation import evaluate
from preference.evaluation.record import Calibration
from preference.jobs.training import draw_picture
from preference.model.base_models import BaseModel
from preference.model.loading import load_base_model
from preference.model.reward_model import RewardModel
from preference.training.probe import Review, Start
from preference.training.report import Report, licence_of, make_record, model_card, rewards_csv, text
from preference.training.settings import TrainingSettings
from preference.training.train import Trained
from preference.wording import plain

SEEN = [
    Ranking("make coffee", ["water", "beans", "coffee hot"], [2, 1, 3]),
    Ranking("read books", ["yes", "no"], [1, 2]),
]
UNSEEN = [
    Ranking(f"why is the sky blue {i}", ["light scatters", "well well well well", "blue"], [1, 2, 3]) for i in range(12)
]
REWARDS = np.random.default_rng(0).normal([1.0, 0.0, -1.0], 0.7, size=(12, 3)).astype(np.float32).ravel()
REVIEWED = [Ranking(f"make coffee {i}", ["water", "a bean or two"], [1, 2]) for i in range(12)]
REVIEW = Review(
    evaluate("cross-validation", REVIEWED, np.tile(np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0], dtype=np.float32), 4)),
    Calibration(temperature=0.8, error_before=0.1, error_after=0.05, pairs=12), models=5,
)  # fmt: skip
FEW = replace(REVIEW, evaluation=evaluate("cross-validation", REVIEWED[:9], REVIEW.evaluation.rewards[:18]))


@pytest.fixture(scope="module")
def reward_model(tiny_distilbert):
    return RewardModel(*load_base_model(tiny_distilbert, seed=0)[:2])


@pytest.fixture
def report_of(reward_model, tiny_distilbert):
    """Return a function that makes the report of a model."""

    def make(unseen=UNSEEN, rewards=REWARDS, *, base=None, review=None, seen=SEEN, path="mine.csv") -> Report:
        base = base or BaseModel(
            "distilbert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2", "package", tiny_distilbert
        )
        trained = Trained(
            Start(reward_model, base, TrainingSettings(max_length=64), 2, 0, True, None, ""), reward_model,
            steps=60, best_step=40, epochs=30.0, truncated_answers=0, seconds=1.0,
            ranked_answers_per_second=5.0, processes=1, training_loss=0.5, history=[], rewards=np.arange(5.0),
        )  # fmt: skip
        data = Rankings(Table(path, "csv", [], [{}] * 5, [], sha256="0" * 64), seen)
        tests = Rankings(Table("test.csv", "csv", [], [{}] * 36, [], sha256="1" * 64), unseen)
        evaluations = (
            [evaluate("test", unseen, rewards)]
            if unseen
            else [evaluate("training", SEEN, np.arange(5, dtype=np.float32))]
        )
        return Report(data, tests, SEEN, trained, evaluations, review)

    return make


def card_of(report, tmp_path, *, folder="my_model", dataset=None, picture=None) -> tuple[str, ModelCard]:
    content = model_card(report, make_record(report), folder=folder, dataset=dataset, picture=picture)
    (tmp_path / "README.md").write_text(content, encoding="utf-8")
    card = ModelCard.load(tmp_path / "README.md")
    return card.text, card


def cells(markdown: str) -> list[str]:
    """The text of every cell of every table, as a browser shows it."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    inside = [tokens[i + 1] for i, token in enumerate(tokens) if token.type in ("td_open", "th_open")]
    return ["".join(child.content for child in token.children) for token in inside]


def test_the_hub_reads_the_metadata(report_of, tmp_path):
    _, card = card_of(report_of(), tmp_path)
    data = card.data.to_dict()
    assert data["base_model"] == "sentence-transformers/all-MiniLM-L6-v2" and data["license"] == "apache-2.0"
    assert (
        data["library_name"] == "transformers"
        and data["pipeline_tag"] == "text-classification"
        and "datasets" not in data
    )
    results = card.data.eval_results
    assert [result.dataset_name for result in results] == ["test.csv, test, 12 prompts"] * 2
    assert results[0].metric_value == pytest.approx(report_of().first.metrics.pairwise_accuracy, abs=1e-4)
    assert results[0].metric_name == "Pairwise accuracy (the longer answer is better: 0.667; the shorter: 0.333)"
    other = metadata_eval_result(
        model_pretty_name=data["model-index"][0]["name"], task_pretty_name=results[0].task_name,
        task_id=results[0].task_type,
        metrics_pretty_name=results[0].metric_name, metrics_id="accuracy", metrics_value=results[0].metric_value,
        dataset_pretty_name=results[0].dataset_name, dataset_id="csv", dataset_split="test",
    )["model-index"]  # fmt: skip
    ours = data["model-index"]
    ours[0]["results"][0]["metrics"] = [ours[0]["results"][0]["metrics"][0] | {"verified": False}]
    assert ours == other


def test_a_data_set_is_named_only_if_it_is_on_the_hub(report_of, tmp_path):
    _, card = card_of(report_of(), tmp_path, dataset="someone/rankings")
    assert card.data.datasets == ["someone/rankings"] and card.data.eval_results[0].dataset_type == "someone/rankings"


def test_the_licence_is_what_the_card_of_the_base_model_says(tiny_distilbert, tmp_path):
    folder = shutil.copytree(tiny_distilbert, tmp_path / "base")
    base = BaseModel("base", str(folder), "folder", folder)
    assert licence_of(base) == {}
    (folder / "README.md").write_text(
        "---\nlicense: other\nlicense_name: mine\nlicense_link: LICENSE\nbase_model: a/b\n---\n"
    )
    assert licence_of(base) == {"license": "other", "license_name": "mine", "license_link": "LICENSE"}
    for damaged in ("---\nlicense: [\n---\n", "---\n- a\n- b\n---\n", "---\nlicense: [mit, 3]\n---\n", "\xff", ""):
        (folder / "README.md").write_bytes(damaged.encode("latin-1"))
        assert licence_of(base) == {}
    assert licence_of(BaseModel("x", "distilbert-base-uncased", "hub", folder)) == {"license": "apache-2.0"}


def test_a_base_model_of_a_folder_gives_no_path_of_this_machine_away(report_of, tiny_distilbert, tmp_path):
    folder = shutil.copytree(tiny_distilbert, tmp_path / "ann's secret" / "base")
    report = report_of(base=BaseModel(str(folder), str(folder), "folder", folder))
    content, card = card_of(report, tmp_path)
    assert "secret" not in content and "base, a local folder" in content and card.data.base_model is None
    (folder / "README.md").write_text("---\nbase_model: someone/encoder\n---\n")
    content, card = card_of(report, tmp_path)
    assert "base, a local folder made from someone/encoder" in content and card.data.base_model == "someone/encoder"


def test_the_card_says_what_the_odds_were_fitted_on(report_of, tmp_path):
    report = report_of()
    calibration = make_record(report).calibration
    assert calibration.fitted_on == "test" and calibration.prompts == 12 and calibration.pairs == 36
    stated = f"{calibration.temperature:.2f}). The temperature {calibration.temperature:.2f} was fitted on 36 pairs of"
    assert stated in card_of(report, tmp_path)[0]


def test_answers_whose_rewards_are_all_equal_have_a_card_too(report_of, tmp_path):
    report = report_of([], None, review=REVIEW)
    report = replace(report, evaluations=[evaluate("training", SEEN, np.zeros(5, dtype=np.float32))])
    assert "sigmoid(" in card_of(report, tmp_path)[0]


def test_too_few_unseen_prompts_give_no_odds(report_of, tmp_path):
    report = report_of(UNSEEN[:9], REWARDS[:27])
    record = make_record(report)
    assert record.calibration is None
    assert record.no_odds == "need at least 10 prompts, have 9"
    assert f"the answer with the higher reward is not known: {record.no_odds}." in card_of(report, tmp_path)[0]


def test_no_odds_are_made_of_pairs_that_are_all_ordered_right(report_of):
    record = make_record(report_of(rewards=np.tile(np.array([1, 0, -1], dtype=np.float32), 12)))
    assert record.calibration is None and "too few pairs are in the wrong order to fit a temperature" in record.no_odds


def test_a_review_gives_the_odds_and_a_row_of_the_table(report_of, tmp_path):
    report = report_of([], None, review=REVIEW)
    record = make_record(report)
    assert record.calibration == Calibration(0.8, 0.1, 0.05, 12, 12, "cross-validation") and record.no_odds is None
    assert record.cross_validation == asdict(REVIEW.evaluation.metrics) | {"folds": 5}
    assert record.baselines["cross_validation"]["shortest_answer"]["pairwise_accuracy"] == 1
    content, card = card_of(report, tmp_path)
    low, high = REVIEW.evaluation.metrics.pairwise_accuracy_95
    assert f"| cross-validation | 12 | **0.667** | {low:.3f} to {high:.3f} | 0.000 | 1.000 |" in content
    assert card.data.eval_results[0].dataset_name == "mine.csv, cross-validation, 12 prompts"
    assert "sigmoid((reward of A − reward of B) / 0.80). The temperature 0.80 was fitted on 12 pairs of" in content


def test_where_no_prompt_was_kept_from_the_model_the_review_speaks(report_of, tmp_path):
    report = report_of([], None, review=REVIEW)
    content, _ = card_of(report, tmp_path)
    assert report.first is REVIEW.evaluation and make_record(report).verdict == REVIEW.evaluation.verdict
    assert f"> {REVIEW.evaluation.verdict}\n" in content and REVIEW.evaluation.verdict.startswith(
        "Do not trust a model of these rankings: models that had not seen the prompts ordered 67%"
    )
    said = (
        "Judged by the 12 prompts of mine.csv, such as 'make coffee 0', in a cross-validation: "
        "this model has learned from all of them, but 5"
        " models each learned without some, and scored those."
    )
    assert report.judged_by() == said and text(said, 400) in content
    assert [line.split(",")[0] for line in rewards_csv(report.shown).splitlines()[1:]] == ["cross-validation"] * 24
    assert draw_picture(report, "png") != draw_picture(report_of([], None), "png")


def test_it_is_said_whose_prompts_judge(report_of):
    assert (
        report_of(review=REVIEW).judged_by()
        == "Judged by the 12 test prompts of test.csv, such as 'why is the sky blue 0'."
    )
    assert (
        report_of([], None).judged_by()
        == "Not tested: the model was trained on the 2 prompts of mine.csv, such as 'make coffee'."
    )
    mine = report_of(path="folder/mine.csv")
    mine = replace(mine, tests=None, evaluations=[replace(mine.first, part="validation")])
    assert mine.judged_by() == "Judged by the 12 validation prompts of mine.csv, such as 'why is the sky blue 0'."


@pytest.mark.parametrize(
    "review, why",
    [
        (FEW, "need at least 10 prompts, have 9"),
        (
            replace(REVIEW, calibration=replace(REVIEW.calibration, temperature=0.0101)),
            "too few pairs are in the wrong order to fit a temperature",
        ),
        (
            replace(REVIEW, calibration=replace(REVIEW.calibration, temperature=99.9)),
            "too many pairs are in the wrong order to fit a temperature",
        ),
    ],
)
def test_a_review_that_tells_no_temperature_gives_no_odds_and_the_reason(report_of, tmp_path, review, why):
    report = report_of([], None, review=review)
    record = make_record(report)
    assert record.calibration is None and record.no_odds.startswith(why)
    assert (
        f"How likely a person prefers the answer with the higher reward is not known: {why}"
        in card_of(report, tmp_path)[0]
    )


def test_many_unseen_prompts_give_the_odds_where_the_review_has_too_few(report_of):
    calibration = make_record(report_of(review=FEW)).calibration
    assert calibration.fitted_on == "test" and calibration.prompts == 12


def test_without_unseen_prompts_the_card_claims_nothing(report_of, tmp_path):
    content, card = card_of(report_of([], None), tmp_path)
    assert "nothing shows how the model does on other prompts" in content and card.data.eval_results is None
    assert "model-index" not in content and "Anything that a length rule would not do as well" in content


def test_raters_are_counted(report_of, tmp_path):
    groups = [
        Ranking("p", ["a", "b"], [1, 2], rater="Ann"),
        Ranking("p", ["a", "b"], [2, 1], rater="Bo"),
        Ranking("q", ["a", "b"], [1, 2], rater="Cy"),
    ]
    assert ", 3 raters; trained on" in card_of(report_of(seen=groups), tmp_path)[0]
    assert "raters" not in card_of(report_of(), tmp_path)[0]


def test_the_agreement_of_raters_stands_beside_the_accuracy(report_of, tmp_path):
    unseen = [
        Ranking(r.prompt, r.answers, ranks, rater=rater)
        for r in UNSEEN
        for rater, ranks in (("Ann", [1, 2, 3]), ("Bo", [1, 3, 2]))
    ]
    report = report_of(unseen, np.repeat(REWARDS.reshape(12, 3), 2, axis=0).ravel())
    assert make_record(report).rater_agreement["test"]["share"] == pytest.approx(2 / 3)
    assert (
        "People who ranked the same answers of the test part order 0.667 [0.467, 0.820] of the pairs alike"
        in card_of(report, tmp_path)[0]
    )


def test_the_quantiles_are_of_the_answers_that_the_scale_is_of(report_of):
    record = make_record(report_of())
    assert len(record.reward_quantiles) == 101 and record.training["scaled_on_answers"] == 5
    assert record.reward_quantiles[::25] == [0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A GPT-2 of two layers with random weights and a chat template, whose tokens are single letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("gpt2")
    letters = Tokenizer(
        models.BPE(
            {letter: i for i, letter in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|end|>"])}, []
        )
    )
    letters.pre_tokenizer, letters.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="<|end|>", model_max_length=64)
    tokenizer.chat_template = "{% for m in messages %}<{{ m['role'][0] }}>{{ m['content'] }}{% endfor %}<|end|>"
    tokenizer.save_pretrained(folder)
    sizes = {
        "n_positions": 64,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 2,
        "bos_token_id": 256,
        "eos_token_id": 256,
        "initializer_range": 0.3,
    }
    GPT2Model(GPT2Config(vocab_size=257, **sizes)).save_pretrained(folder)
    return RewardModel(*load_base_model(folder, seed=0)[:2])


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_the_recipes_of_the_card_give_our_rewards(
    report_of, reward_model, decoder, tmp_path, monkeypatch, capsys, kind
):
    model = {"encoder": reward_model, "decoder": decoder}[kind]
    for part in (model.model, model.tokenizer):
        part.save_pretrained(tmp_path / "my_model")
    report = report_of()
    start = replace(report.trained.start, reward_model=model)
    report = replace(report, trained=replace(report.trained, start=start, reward_model=model))
    content, _ = card_of(report, tmp_path)
    recipes = [token.content for token in MarkdownIt().parse(content) if token.type == "fence"]
    monkeypatch.chdir(tmp_path)
    prompts, answers = ["Name a prime number"] * 2, ["7", "Bananas are yellow."]
    ours = model.score(prompts, answers)
    found: dict = {}
    for recipe in recipes[:3]:  # the last is held by tests/test_peers.py
        exec(recipe, found)
    printed = capsys.readouterr().out.splitlines()
    assert float(printed[0]) == pytest.approx(ours[0], abs=1e-4)
    assert [float(x) for x in printed[1].strip("[]").split()] == pytest.approx(ours, abs=1e-4)
    assert found["reward"](prompts, answers) == pytest.approx(ours, abs=1e-4)
    assert ("takes the folder itself" in content) == (kind == "decoder")
    assert ("0 is the mean and 1 the standard deviation" in content) == (
        kind == "encoder"
    )  # this decoder has no bias to centre with


HOSTILE = [
    "| cell | *bold* | [link](https://evil.example) ![x](https://evil.example/pixel.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)> &lt;b&gt; &#x1b;",
    "line\r\n# heading\n---\nlicense: stolen\n---\n```python\nimport os",
    "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe \u2028 \x00 \udcff",
    "`code` ``more`` $x$ ~~gone~~ __init__ :smile: @someone https://evil.example",
    "'\"{}: [a, b] !!python/object:os.system %s {0} - ? #",
]


def full_of(words: str, report_of, folder) -> tuple[str, ModelCard]:
    """A card with `words` in every place that texts and names of unknown origin come to."""
    unseen = [Ranking(f"{words} {i}", [f"{words} good", f"{words} bad"], [1, 2]) for i in range(12)]
    rewards = np.tile(np.array([1.0, 0.0], dtype=np.float32), 12)
    rewards[:4] = rewards[:4][::-1]
    name = words.replace("/", "∕").replace("\x00", "")
    report = report_of(unseen, rewards, base=BaseModel(name, name, "folder", folder / name), path=f"{name}.csv")
    return card_of(report, folder, folder=name, picture="reward_scores_plot.png")


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_texts_and_names_stay_text(report_of, tmp_path, words):
    content, card = full_of(words, report_of, tmp_path)
    assert card.data.to_dict().keys() == {"library_name", "metrics", "pipeline_tag", "tags", "model-index"}
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f\u202e\u2028\udcff]", (tmp_path / "README.md").read_text(encoding="utf-8")
    )
    reader = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    structures = []
    for markdown in (content, full_of("harmless words", report_of, tmp_path)[0]):
        tokens = [token for outer in reader.parse(markdown) for token in (outer, *(outer.children or []))]
        structures.append([(token.type, token.attrs) for token in tokens if token.type not in ("text", "text_special")])
    assert structures[0] == structures[1]
    name = words.replace("/", "∕").replace("\x00", "")
    assert any(" ".join(plain(name).split()) in cell for cell in cells(content))  # that of the base model
    for token in reader.parse(content):
        if token.type == "fence":
            compile(token.content, "card", "exec")


def test_text_is_shown_as_it_was_typed():
    for words in ("*not* [a](b) | cell", "1 < 2 && $x$", "`a` <b>", r"\n \| \\"):
        assert cells(f"| x |\n|---|\n| {text(words)} |")[1] == words


def test_the_picture_has_a_hostile_title(report_of, tmp_path):
    name = "$\\frac{ \x1b[31m $x_"
    picture = draw_picture(report_of(base=BaseModel(name, name, "hub", tmp_path)), "png")
    assert picture.startswith(b"\x89PNG")
