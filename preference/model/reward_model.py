"""The trained reward model: load it, score answers, put its rewards on a scale."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from preference.data.dialogues import ASSISTANT, as_text, read_messages
from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.machine import check_device, choose_precision, one_thread
from preference.model.base_models import (
    LOAD_SAFELY,
    check_files,
    check_loaded,
    loading,
    longest_input,
    what_lacks_config,
)
from preference.model.encoding import chunk_cost_of, encode_pairs, pad_chunk, plan_chunks, rewards_of_chunks
from preference.model.head import keep_head_in_fp32, output_layer
from preference.model.unpadding import unpad_layers

_TEXTS_AT_ONCE = 1024


class RewardModel:
    """A reward model and its tokenizer on a device.

    Example:
        >>> model = RewardModel.load("reward_model_final")  # doctest: +SKIP
        >>> model.score(["Name a prime number"] * 2, ["7", "Bananas are yellow."])  # doctest: +SKIP
        array([ 0.61, -1.2 ], dtype=float32)  # shape (2,)
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        device: str = "cpu",
        precision: str = "fp32",
    ):
        self.model, self.tokenizer = model.to(device).eval(), tokenizer
        self.device, self.precision = device, precision

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", precision: str = "fp32") -> "RewardModel":
        """Load a folder that `reward_model_trainer.py` wrote, or any sequence-classification model with one output.

        Raises:
            InputError: the folder is not such a model.
        """
        check_reward_model_folder(folder)
        check_device(device)
        with one_thread():
            with loading(folder, remedy := "train it again"):
                tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
                model, report = AutoModelForSequenceClassification.from_pretrained(folder, **LOAD_SAFELY)
            missing = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
            check_loaded(folder, model, tokenizer, missing, remedy)
            tokenizer.model_max_length = min(tokenizer.model_max_length, longest_input(model) or sys.maxsize)
        unpad_layers(model)
        keep_head_in_fp32(model)
        return cls(
            model,
            tokenizer,
            device=device,
            precision=choose_precision(precision, device, model.config.get_text_config().hidden_size),
        )

    def score(
        self,
        prompts: Sequence[str],
        answers: Sequence[str],
        *,
        one_by_one: bool = False,
        on_progress: Callable[[int], object] = lambda scored: None,
        cut: dict[int, tuple[int, ...]] | None = None,
    ) -> np.ndarray:
        """Return the reward of each answer to its prompt: shape (answers,), float32, in the order given.

        Texts are sorted by length and encoded in chunks of like length, so padding costs next to nothing.

        Args:
            one_by_one: encode every text alone.
            on_progress: called with the number of answers scored since the last call.
            cut: gets the token ids that are left of each pair that was cut, by its position.
        """
        if len(prompts) != len(answers):
            raise ValueError(f"{len(prompts)} prompts for {len(answers)} answers")
        rewards = np.empty(len(answers), dtype=np.float32)
        # As in training, white space around a text does not count.
        prompts, answers = [p.strip() for p in prompts], [a.strip() for a in answers]
        order = sorted(range(len(answers)), key=lambda i: len(prompts[i]) + len(answers[i]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            some = order[start : start + _TEXTS_AT_ONCE]
            pairs, were_cut = encode_pairs(
                self.tokenizer, [prompts[i] for i in some], [answers[i] for i in some], self.tokenizer.model_max_length
            )
            if cut is not None:
                cut.update(
                    (i, tuple(pair["input_ids"]))
                    for i, pair, was_cut in zip(some, pairs, were_cut, strict=True)
                    if was_cut
                )
            values = score_encoded(
                self.model, self.tokenizer, pairs, device=self.device, precision=self.precision,
                one_by_one=one_by_one, on_progress=on_progress,
            )  # fmt: skip
            rewards[some] = values
        return rewards

    def score_rankings(self, rankings: Sequence[Ranking]) -> np.ndarray:
        """Return the rewards of all answers to `rankings`, in order: shape (answers,), float32."""
        return self.score(
            [r.prompt for r in rankings for _ in r.answers], [answer for r in rankings for answer in r.answers]
        )

    def reward_function(self) -> Callable[..., list[float]]:
        """Return `preference_reward(prompts, completions, **columns)`, as TRL's trainers take it for `reward_funcs`.

        Prompts and completions are texts, or chats: lists of messages, which become texts by the rule of `preference.data.dialogues`.
        """

        def preference_reward(prompts: Sequence, completions: Sequence, **columns) -> list[float]:
            prompts = [prompt if isinstance(prompt, str) else as_text(read_messages(prompt)) for prompt in prompts]
            answers = [
                answer if isinstance(answer, str) else as_text(read_messages(answer), ASSISTANT)
                for answer in completions
            ]
            return self.score(prompts, answers).tolist()

        return preference_reward


def score_encoded(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[dict],
    *,
    device: str,
    precision: str = "fp32",
    one_by_one: bool = False,
    on_progress: Callable[[int], object] = lambda scored: None,
) -> np.ndarray:
    """Return the rewards of encoded pairs, shape (pairs,), in the order given. Leaves the model in evaluation mode."""
    rewards = np.empty(len(pairs), dtype=np.float32)
    for chunk, inputs in _in_chunks(model, tokenizer, pairs, device, precision, one_by_one):
        rewards[chunk] = rewards_of_chunks(model, [inputs]).cpu().numpy()
        on_progress(len(chunk))
    return rewards


def read_states(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[dict],
    *,
    device: str,
    precision: str = "fp32",
    on_progress: Callable[[int], object] = lambda read: None,
) -> np.ndarray:
    """Return what the output layer reads of each encoded pair: shape (pairs, width), float32, in the order given."""
    layer, read = output_layer(model), []
    states = np.empty((len(pairs), layer.in_features), dtype=np.float32)
    hook = layer.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    try:
        for chunk, inputs in _in_chunks(model, tokenizer, pairs, device, precision):
            read.clear()
            model(**inputs)
            found = read[0]
            if found.ndim == 3:  # a decoder's head reads every token; the last one of the text counts
                found = found[torch.arange(len(found)), inputs["attention_mask"].sum(dim=1) - 1]
            states[chunk] = found.float().cpu().numpy()
            on_progress(len(chunk))
    finally:
        hook.remove()
    return states


def _in_chunks(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[dict],
    device: str,
    precision: str,
    one_by_one: bool = False,
) -> Iterator[tuple[list[int], dict[str, torch.Tensor]]]:
    """Give the positions of pairs of like length, and their inputs on the device, in evaluation mode and without gradients."""
    model.eval()
    lengths = [len(pair["input_ids"]) for pair in pairs]
    chunks = [[i] for i in range(len(pairs))] if one_by_one else plan_chunks(lengths, chunk_cost_of(model, device))
    autocast = torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), autocast:
        for chunk in chunks:
            inputs = pad_chunk(tokenizer, [pairs[i] for i in chunk])
            yield chunk, {name: tensor.to(device) for name, tensor in inputs.items()}


def check_reward_model_folder(folder: str | Path) -> None:
    """Raise InputError unless `folder` holds a sequence-classification model with one output."""
    path = Path(folder)
    train = "train one with `python reward_model_trainer.py`"
    if not path.is_dir():
        raise InputError(f"{folder}: no such folder; {train}")
    check_files(path, train)
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: {what_lacks_config(path) or f'this folder is not a reward model (no config.json); {train}'}"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: config.json cannot be read ({error}); {train}") from None
    architecture = (config.get("architectures") or ["unknown"])[0]
    labels = config.get("num_labels", len(config.get("id2label") or {0: "", 1: ""}))
    if not architecture.endswith("ForSequenceClassification") or labels != 1:
        raise InputError(
            f"{folder}: this folder is not a reward model ({architecture} with {labels} outputs, not a sequence-classification model with 1); {train}"
        )
