"""Sampling candidate answers from a causal language model."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList
from transformers.generation import TemperatureLogitsWarper, TopPLogitsWarper

from preference.data.candidates import SamplingSettings, cut_at_sentence, distinct, folded
from preference.errors import InputError
from preference.model.base_models import BaseModel
from preference.model.loading import converted_gguf, loading, quiet_transformers

ROUNDS = 4  # tries to sample distinct candidates: the first, and three more where some were empty or repeated another
SEQUENCES_AT_ONCE = 32


class Generator:
    """A causal language model that samples candidates.

    A prompt's candidates depend on the prompt, the settings and the seed, but not on the other prompts of the batch:
    every sequence has its own random numbers.
    """

    def __init__(self, base: BaseModel, device: str = "cpu"):
        remedy = "choose another --generator"
        folder = converted_gguf(base.path, remedy) if base.path.is_file() else base.path
        with loading(base.used, remedy):
            self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False, weights_only=True
            )
        self.model = model.to(device).eval()
        ends = model.generation_config.eos_token_id
        ends = self.tokenizer.eos_token_id if ends is None else ends
        self.end_tokens = set(ends if isinstance(ends, list) else [ends]) - {None}
        if self.tokenizer.pad_token is None:  # GPT-2 and DialoGPT have none; any will do, as padding is masked
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.name, self.device = base.used, device

    def encode(self, prompt: str) -> list[int]:
        """Return the token ids of a prompt: in the model's chat template, else followed by the end-of-text token."""
        if self.tokenizer.chat_template:
            messages = [{"role": "user", "content": prompt}]
            return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        return self.tokenizer(prompt + (self.tokenizer.eos_token or ""))["input_ids"]

    def sample(
        self, prompts: Sequence[str], settings: SamplingSettings, *, attempt: int = 0,
        on_token: Callable[[], object] = lambda: None,
    ) -> list[list[str]]:  # fmt: skip
        """Return up to `settings.num_candidates` distinct, non-empty candidates for each prompt.

        Empty and repeated ones are sampled again a few times; a prompt may still end up with fewer. Another `attempt`
        gives other candidates; `on_token` is called after each step of the model.
        """
        found: list[list[str]] = [[] for _ in prompts]
        for round_number in range(ROUNDS):
            wanted = [
                (i, f"{settings.seed}/{attempt}/{round_number}/{n}/{prompts[i]}")
                for i in range(len(prompts))
                for n in range(settings.num_candidates - len(found[i]))
            ]
            for start in range(0, len(wanted), SEQUENCES_AT_ONCE):
                at_once = wanted[start : start + SEQUENCES_AT_ONCE]
                encoded, names = [self.encode(prompts[i]) for i, _ in at_once], [name for _, name in at_once]
                for (i, _), text in zip(at_once, self._sample(encoded, names, settings, on_token), strict=True):
                    found[i] = distinct([*found[i], text], folded)
        return found

    @torch.inference_mode()
    def _sample(
        self, prompts: list[list[int]], names: list[str], settings: SamplingSettings, on_token: Callable
    ) -> list[str]:
        if longest := getattr(self.model.config, "max_position_embeddings", None):
            if (room := longest - settings.max_new_tokens) < 1:
                most = f"{self.name} takes at most {longest} tokens with the prompt"
                raise InputError(f"--max-new-tokens {settings.max_new_tokens}: {most}")
            prompts = [ids[-room:] for ids in prompts]
        with quiet_transformers():
            inputs = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(self.device)
            temperature, top_p = TemperatureLogitsWarper(float(settings.temperature)), TopPLogitsWarper(settings.top_p)
            sequences = self.model.generate(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                max_new_tokens=settings.max_new_tokens, pad_token_id=self.tokenizer.pad_token_id,
                do_sample=False,  # with the noise added, the most likely token is a sample
                logits_processor=LogitsProcessorList([temperature, top_p, _GumbelNoise(names, on_token)]),
            )  # fmt: skip
        texts = []
        for ids in sequences[:, inputs["input_ids"].shape[1] :].tolist():
            finished = any(token in self.end_tokens for token in ids)
            text = self.tokenizer.decode(ids, skip_special_tokens=True).replace("\0", "").strip()  # no CSV can hold NUL
            texts.append(text if finished else cut_at_sentence(text))
        return texts


class _GumbelNoise(LogitsProcessor):
    """Adds Gumbel noise to the scores, one generator per sequence: the largest sum is a sample of the softmax."""

    def __init__(self, names: Sequence[str], on_token: Callable[[], object]):
        seeds = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True) for name in names]
        self.generators, self.on_token = [torch.Generator().manual_seed(seed) for seed in seeds], on_token

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.on_token()
        uniform = torch.stack([torch.rand(scores.shape[1], generator=generator) for generator in self.generators])
        return scores - torch.log(-torch.log(uniform.clamp_(1e-20, 1 - 1e-7))).to(scores)
