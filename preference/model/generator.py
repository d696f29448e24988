"""Sampling candidate answers from a causal language model."""

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList
from transformers.generation import TemperatureLogitsWarper, TopPLogitsWarper

from preference.data.candidates import cut_at_sentence, distinct
from preference.errors import InputError
from preference.machine import cache_folder
from preference.model.base_models import BaseModel, quiet_transformers

ROUNDS = 4  # candidates that are empty or repeat another are drawn again so many times, less one
SEQUENCES_AT_ONCE = 32


@dataclass(frozen=True)
class SamplingSettings:
    """How candidates are drawn; the same settings and seed draw the same ones."""

    num_candidates: int = 4
    max_new_tokens: int = 80
    temperature: float = 0.9
    top_p: float = 0.95
    seed: int = 42


class Generator:
    """A causal language model that draws candidates.

    What is drawn for a prompt depends on the prompt, the settings and the seed, not on what shares its batch: every
    sequence has random numbers of its own.
    """

    def __init__(self, base: BaseModel, device: str = "cpu"):
        folder = converted_gguf(base.path) if base.path.is_file() else base.path
        with quiet_transformers():
            try:
                self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
                self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device).eval()
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"{base.used}: cannot be loaded as a causal language model ({error}); choose another --generator") from error
        ends = self.model.generation_config.eos_token_id
        if ends is None:
            ends = self.tokenizer.eos_token_id
        self.end_tokens = set(ends if isinstance(ends, list) else [ends]) - {None}
        if self.tokenizer.pad_token is None:  # GPT-2 and DialoGPT have none; what it is does not matter under the mask
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.name, self.device = base.used, device

    def encode(self, prompt: str) -> list[int]:
        """Return the token ids that the model is to answer: its chat template, else the prompt and the end-of-text token."""
        if self.tokenizer.chat_template:
            messages = [{"role": "user", "content": prompt}]
            return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        return self.tokenizer(prompt + (self.tokenizer.eos_token or ""))["input_ids"]

    def sample(
        self,
        prompts: Sequence[str],
        settings: SamplingSettings,
        *,
        attempt: int = 0,
        on_token: Callable[[], object] = lambda: None,
    ) -> list[list[str]]:
        """Return up to `settings.num_candidates` distinct, non-empty candidates for each prompt.

        What fails is drawn again a few times; a prompt may end with fewer.

        Args:
            attempt: another number draws other candidates.
            on_token: called after each step of the model.
        """
        found: list[list[str]] = [[] for _ in prompts]
        for round_number in range(ROUNDS):
            wanted = [
                (i, f"{settings.seed}/{attempt}/{round_number}/{n}/{prompts[i]}")
                for i in range(len(prompts))
                for n in range(settings.num_candidates - len(found[i]))
            ]
            if not wanted:
                break
            for start in range(0, len(wanted), SEQUENCES_AT_ONCE):
                some = wanted[start : start + SEQUENCES_AT_ONCE]
                texts = self._draw([self.encode(prompts[i]) for i, _ in some], [name for _, name in some], settings, on_token)
                for (i, _), text in zip(some, texts, strict=True):
                    found[i] = distinct([*found[i], text])
        return found

    @torch.inference_mode()
    def _draw(self, prompts: list[list[int]], names: list[str], settings: SamplingSettings, on_token: Callable) -> list[str]:
        longest = getattr(self.model.config, "max_position_embeddings", None)
        if longest:
            room = longest - settings.max_new_tokens
            if room < 1:
                raise InputError(f"--max-new-tokens {settings.max_new_tokens}: {self.name} takes at most {longest} tokens with the prompt")
            prompts = [ids[-room:] for ids in prompts]
        with quiet_transformers():
            inputs = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(self.device)
            drawn = self.model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=settings.max_new_tokens,
                do_sample=False,  # the warpers and the noise below make the most likely token a sampled one
                logits_processor=LogitsProcessorList([
                    TemperatureLogitsWarper(float(settings.temperature)),
                    TopPLogitsWarper(settings.top_p),
                    _GumbelNoise(names, on_token),
                ]),
                pad_token_id=self.tokenizer.pad_token_id,
            )  # fmt: skip
        texts = []
        for ids in drawn[:, inputs["input_ids"].shape[1] :].tolist():
            finished = any(token in self.end_tokens for token in ids)
            text = self.tokenizer.decode(ids, skip_special_tokens=True).strip()
            texts.append(text if finished else cut_at_sentence(text))
        return texts


class _GumbelNoise(LogitsProcessor):
    """Adds Gumbel noise, each sequence's from a generator of its own: the largest sum is a sample of the softmax (Gumbel 1954)."""

    def __init__(self, names: Sequence[str], on_token: Callable[[], object]):
        seeds = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True) for name in names]
        self.generators, self.on_token = [torch.Generator().manual_seed(seed) for seed in seeds], on_token

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.on_token()
        uniform = torch.stack([torch.rand(scores.shape[1], generator=generator) for generator in self.generators])
        return scores - torch.log(-torch.log(uniform.clamp_(1e-20, 1 - 1e-7))).to(scores)


def as_record(settings: SamplingSettings) -> dict:
    """Return the settings as the candidates file keeps them: `settings` and `seed`."""
    values = asdict(settings)
    return {"settings": {key: value for key, value in values.items() if key != "seed"}, "seed": values["seed"]}


def converted_gguf(path: Path) -> Path:
    """Return a folder with the GGUF file's weights in fp32, converted once and kept in the cache folder."""
    with open(path, "rb") as file:
        folder = cache_folder() / "gguf" / hashlib.file_digest(file, "sha256").hexdigest()
    if (folder / "config.json").exists():
        return folder
    folder.parent.mkdir(exist_ok=True)
    temporary = tempfile.mkdtemp(dir=folder.parent)
    try:
        with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):  # a progress bar that has no switch
            try:
                tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
                read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
                config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
            except Exception as error:  # a damaged file makes the parser fail in any way
                raise InputError(f"{path}: cannot be read as a GGUF model ({error}); choose another --generator") from error
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # free of the marks of quantisation, which forbid saving
            model.load_state_dict(read.state_dict())
            model.generation_config = read.generation_config
            model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return folder
