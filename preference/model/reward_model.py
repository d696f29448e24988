"""The trained reward model: load it, score answers, read what its output layer reads, and keep that."""

import contextlib
import hashlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from preference.data.dialogues import ASSISTANT, as_text, read_messages
from preference.data.rankings import Ranking
from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.machine import cache_folder, check_device, choose_precision, one_thread
from preference.model.base_models import check_folder
from preference.model.encoding import chunk_cost_of, encode_pairs, pad_chunk, plan_chunks, rewards_of_chunks
from preference.model.layers import keep_head_in_fp32, output_layer, spare_last_layer
from preference.model.loading import check_loaded, longest_input, read_model

CACHE_DAYS = 30  # a file of states that was not used for so long is removed
MOST_STATES = 20_000  # kept of one model: 30 MB at a width of 384
_TEXTS_AT_ONCE = 1024

Progress = Callable[[int], object]  # gets the number of texts done since the last call


class RewardModel:
    """A reward model and its tokenizer on a device.

    Example:
        >>> model = RewardModel.load("reward_model_final")  # doctest: +SKIP
        >>> model.score(["Name a prime number"] * 2, ["7", "Bananas are yellow."])  # doctest: +SKIP
        array([ 0.61, -1.2 ], dtype=float32)  # shape (2,)
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *,
        device: str = "cpu", precision: str = "fp32",
    ):  # fmt: skip
        self.model, self.tokenizer = model.to(device).eval(), tokenizer
        self.device, self.precision = device, precision
        spare_last_layer(model)

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", precision: str = "fp32") -> "RewardModel":
        """Load a folder that `reward_model_trainer.py` wrote, or any sequence-classification model with one output."""
        check_device(device)
        path, train = Path(folder), "train one with `python reward_model_trainer.py`"
        if not path.is_dir():
            raise InputError(f"{folder}: no such folder; check the name, or {train}")
        check_folder(folder, path, "reward model", train)
        with one_thread():
            model, tokenizer, missing = read_model(folder, "train it again")
            architecture, outputs = (model.config.architectures or ["unknown"])[0], model.config.num_labels
            if not architecture.endswith("ForSequenceClassification") or outputs != 1:
                found = f"{architecture} with {outputs} outputs, not a sequence-classification model with 1"
                raise InputError(f"{folder}: this folder is not a reward model ({found}); {train}")
            check_loaded(folder, model, tokenizer, missing, "train it again")
        tokenizer.model_max_length = min(tokenizer.model_max_length, longest_input(model) or sys.maxsize)
        keep_head_in_fp32(model)
        width = model.config.get_text_config().hidden_size
        return cls(model, tokenizer, device=device, precision=choose_precision(precision, device, width))

    def score(
        self, prompts: Sequence[str], answers: Sequence[str], *, on_progress: Progress = lambda done: None,
        cut: dict[tuple[int, ...], list[int]] | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return the reward of each answer to its prompt, white space around both left out: shape (answers,), float32.

        `cut` gets the positions of the pairs that were cut, by the token ids that are left of them.
        """
        if len(prompts) != len(answers):
            raise ValueError(f"{len(prompts)} prompts for {len(answers)} answers")
        rewards = np.empty(len(answers), dtype=np.float32)
        prompts, answers = [p.strip() for p in prompts], [a.strip() for a in answers]
        order = sorted(range(len(answers)), key=lambda i: len(prompts[i]) + len(answers[i]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            part = order[start : start + _TEXTS_AT_ONCE]
            texts = [prompts[i] for i in part], [answers[i] for i in part]
            pairs, were_cut = encode_pairs(self.tokenizer, *texts, self.tokenizer.model_max_length)
            for i, pair, was_cut in zip(part, pairs, were_cut, strict=True):
                if was_cut and cut is not None:
                    cut.setdefault(tuple(pair["input_ids"]), []).append(i)
            rewards[part] = self.score_encoded(pairs, on_progress)
        return rewards

    def score_rankings(self, rankings: Sequence[Ranking]) -> np.ndarray:
        """Return the rewards of all answers to `rankings`, in order: shape (answers,), float32."""
        prompts = [ranking.prompt for ranking in rankings for _ in ranking.answers]
        return self.score(prompts, [answer for ranking in rankings for answer in ranking.answers])

    def reward_function(self) -> Callable[..., list[float]]:
        """Return `preference_reward(prompts, completions, **columns)`, as TRL's trainers take it for `reward_funcs`.

        Prompts and completions are texts, or chats, which become texts by the rule of `preference.data.dialogues`.
        """

        def preference_reward(prompts: Sequence, completions: Sequence, **columns) -> list[float]:
            asked = [prompt if isinstance(prompt, str) else as_text(read_messages(prompt)) for prompt in prompts]
            said = [text if isinstance(text, str) else as_text(read_messages(text), ASSISTANT) for text in completions]
            return self.score(asked, said).tolist()

        return preference_reward

    def score_encoded(self, pairs: Sequence[dict], on_progress: Progress = lambda done: None) -> np.ndarray:
        """Return the rewards of encoded pairs: shape (pairs,), float32, in the order given."""
        rewards = np.empty(len(pairs), dtype=np.float32)
        for chunk, inputs in self._chunks(pairs):
            rewards[chunk] = rewards_of_chunks(self.model, [inputs]).cpu().numpy()
            on_progress(len(chunk))
        return rewards

    def read_states(self, pairs: Sequence[dict], *, on_progress: Progress = lambda done: None) -> np.ndarray:
        """Return what the output layer reads of each encoded pair, in order: shape (pairs, width), float32."""
        layer, read = output_layer(self.model), []
        states = np.empty((len(pairs), layer.in_features), dtype=np.float32)
        with layer.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0])):
            for chunk, inputs in self._chunks(pairs):
                self.model(**inputs)
                found = read.pop()
                if found.ndim == 3:  # a decoder's head reads every token; the last one of the text counts
                    found = found[torch.arange(len(found)), inputs["attention_mask"].sum(dim=1) - 1]
                states[chunk] = found.float().cpu().numpy()
                on_progress(len(chunk))
        return states

    def _chunks(self, pairs: Sequence[dict]) -> Iterator[tuple[list[int], dict]]:
        """Give the positions of pairs of like length, and their inputs, in evaluation mode and without gradients."""
        self.model.eval()
        chunks = plan_chunks([len(pair["input_ids"]) for pair in pairs], chunk_cost_of(self.device))
        kind, in_bf16 = torch.device(self.device).type, self.precision == "bf16"
        with torch.inference_mode(), torch.autocast(kind, dtype=torch.bfloat16, enabled=in_bf16):
            for chunk in chunks:
                inputs = pad_chunk(self.tokenizer, [pairs[i] for i in chunk])
                yield chunk, {name: tensor.to(self.device) for name, tensor in inputs.items()}


def states_of(
    model: RewardModel, pairs: Sequence[dict], *, key: str, on_progress: Progress = lambda done: None
) -> np.ndarray:
    """Return the states of encoded pairs, see `RewardModel.read_states`; only what the cache folder lacks is computed.

    `key` stands for the model's weights.
    """
    name = hashlib.sha256(f"{key} {model.precision}".encode()).hexdigest()[:32]
    path, known = cache_folder("states") / f"{name}.npz", dict[str, np.ndarray]()
    with contextlib.suppress(OSError):  # another process may have moved or removed one
        for other in path.parent.iterdir():
            if other.stat().st_mtime < time.time() - CACHE_DAYS * 86_400:
                other.unlink()
    with contextlib.suppress(Exception), open(path, "rb") as file, np.load(file) as kept:  # none yet, or damaged
        known = dict(zip(kept["digests"].tolist(), kept["states"], strict=True))
        os.utime(path)  # it was used
    digests = [hashlib.blake2b(repr(sorted(pair.items())).encode(), digest_size=16).hexdigest() for pair in pairs]
    missing = {digest: pair for digest, pair in zip(digests, pairs, strict=True) if digest not in known}
    on_progress(sum(digest in known for digest in digests))
    if missing:
        found = model.read_states(list(missing.values()), on_progress=on_progress)
        known |= dict(zip(missing, found, strict=True))
        newest, buffer = list(known)[-MOST_STATES:], io.BytesIO()
        np.savez(buffer, digests=np.array(newest), states=np.stack([known[digest] for digest in newest]))
        with contextlib.suppress(OSError):  # a full disk is no reason to stop
            write_atomically(path, buffer.getvalue())
    return np.stack([known[digest] for digest in digests])
