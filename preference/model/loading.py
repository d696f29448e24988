"""Pretrained models on their way into memory: read with plain messages, converted, and made ready to score."""

import contextlib
import copy
import hashlib
import io
import sys
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from preference.durable_files import name_folder
from preference.errors import InputError
from preference.machine import cache_folder
from preference.model.encoding import encode_pairs, pad_chunk, write_chats
from preference.model.layers import is_decoder, keep_head_in_fp32, output_layer
from preference.scripts import interrupt_in
from preference.wording import name_some

_LOAD_ERRORS = {  # a part of what Transformers says -> in plain words
    "contains custom code": "it needs its own code, which is never run",
    "backend tokenizer": "its tokenizer files are missing or damaged",
    "Unrecognized configuration class": "Transformers has no model of this architecture for this task",
}
# The chat of a model that has none: prompt, empty line, answer, end of text.
PLAIN_TEMPLATE = (
    "{bos}{{% for message in messages %}}{{% if not loop.first %}}{{{{ '\\n\\n' }}}}{{% endif %}}"
    "{{{{ message['content'] }}}}{{% endfor %}}"
    "{{% if add_generation_prompt %}}{{{{ '\\n\\n' }}}}{{% else %}}{{{{ eos_token }}}}{{% endif %}}"
)
# Some templates (Llama 3) write today's date into every chat: rewards would change from day to day.
FIXED_DATE = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
# What vocabularies call a token that was made for padding, or that no text contains.
PADDING = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>", "<pad>", "[PAD]", "<|pad|>")


@contextlib.contextmanager
def quiet_transformers():
    """Keep the load reports and progress bars of transformers from the user; errors still raise."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def loading(folder: str | Path, remedy: str):
    """Load a model or tokenizer within this, quietly: what goes wrong becomes an InputError that ends with `remedy`."""
    try:
        with quiet_transformers(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what goes wrong raises
            yield
    except Exception as error:
        if interrupt_in(error):
            raise KeyboardInterrupt from error
        kind, text = type(error).__name__, str(error).strip().partition("\n")[0][:200]
        if kind == "SafetensorError":
            text = f"its weights are damaged: {text}"
        elif kind == "UnpicklingError":
            text = "pytorch_model.bin holds more than weights, or is damaged; only weights are ever loaded from it"
        else:
            text = next((words for part, words in _LOAD_ERRORS.items() if part in str(error)), text or kind)
        raise InputError(f"{folder}: cannot be loaded ({text}); {remedy}") from error


def read_model(
    folder: str | Path, remedy: str, **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, set[str]]:
    """Read a sequence-classification model, its tokenizer, and which weights its folder lacks or has in another size.

    No code of the folder is run, and no pickle but one of tensors is read.
    """
    with loading(folder, remedy):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder, trust_remote_code=False, weights_only=True, ignore_mismatched_sizes=True, output_loading_info=True,
            **options,
        )  # fmt: skip
    return model, tokenizer, {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}


def check_loaded(folder: str | Path, model, tokenizer, missing: Iterable[str], remedy: str) -> None:
    """Raise InputError unless a model and a tokenizer, both from `folder`, are whole and fit together.

    `missing` are the weights that the folder should have, and lacks or has in another shape.
    """
    problem, missing = "", sorted(missing)
    files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    tokens, rows = max(tokenizer.get_vocab().values()) + 1, model.get_input_embeddings().num_embeddings
    if missing:
        problem = f"its weights do not fit its config.json ({name_some(missing)} missing or of another size)"
    elif not all(parameter.isfinite().all() for parameter in model.parameters()):
        problem = "some of its weights are not finite numbers"
    elif tokenizer.vocab_files_names and not any((Path(folder) / name).exists() for name in files):
        problem = f"it has no tokenizer (none of {', '.join(sorted(files))})"
    elif tokenizer.pad_token is None:
        problem = "its tokenizer has neither a padding token nor an end-of-text token to pad with"
    elif tokens > rows:
        problem = f"its tokenizer has {tokens} tokens, but the model only {rows}; they do not belong together"
    if problem:
        raise InputError(f"{folder}: {problem}; {remedy}")


def longest_input(model) -> int | None:
    """Return how many tokens `model` takes at most, if known; RoBERTa's positions are numbered from its padding on."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return module.num_embeddings - module.padding_idx - 1
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def converted_gguf(path: Path, remedy: str) -> Path:
    """Return a folder with the GGUF file's weights in fp32, converted once and kept in the cache folder."""
    with open(path, "rb") as file:
        folder = cache_folder("gguf") / hashlib.file_digest(file, "sha256").hexdigest()
    if (folder / "config.json").exists():
        return folder
    given = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    with (
        tempfile.TemporaryDirectory(dir=folder.parent) as temporary,
        quiet_transformers(),
        contextlib.redirect_stderr(io.StringIO()),  # a progress bar has no switch
    ):
        try:
            tokenizer, config = AutoTokenizer.from_pretrained(**given), AutoConfig.from_pretrained(**given)
            read = AutoModelForCausalLM.from_pretrained(**given, config=copy.deepcopy(config), dtype=torch.float32)
        except Exception as error:  # a damaged file can raise anything
            raise InputError(f"{path}: cannot be read as a GGUF model ({error}); {remedy}") from error
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # no marks of quantisation forbid saving
        model.load_state_dict(read.state_dict())
        model.generation_config = read.generation_config
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        name_folder(Path(temporary), folder)
    return folder


def load_base_model(path: str | Path, *, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, bool]:
    """Load a base model (a folder or a GGUF file) with one output, its tokenizer, and whether the output is pretrained.

    Dropout is 0: on a CPU it doubles the time of a step. A decoder's tokenizer has a chat template, an encoder's none.
    """
    remedy = "choose another --base-model"
    folder = converted_gguf(Path(path), remedy) if Path(path).is_file() else path
    with loading(folder, remedy):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        for name, value in config.to_dict().items():
            if isinstance(value, float) and ("dropout" in name or name.endswith("pdrop")):
                setattr(config, name, 0.0)
        config.num_labels, config.problem_type = 1, "regression"
        config.id2label, config.label2id = {0: "reward"}, {"reward": 0}
    torch.manual_seed(seed)  # the new output's weights
    model, tokenizer, missing = read_model(folder, remedy, config=config, dtype=torch.float32)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # What lies above the pretrained layers is new: the output layer, and the pooler that some models come without.
    pretrained = {name for name in missing if name.startswith(model.base_model_prefix + ".") and "pooler" not in name}
    check_loaded(folder, model, tokenizer, pretrained, remedy)
    with loading(folder, remedy), torch.no_grad():
        if is_decoder(config):
            give_chat_template(tokenizer)
            give_padding(model, tokenizer)
        else:
            tokenizer.chat_template = None
            model.config.pad_token_id = tokenizer.pad_token_id
        pairs, _ = encode_pairs(tokenizer, ["prompt"], ["answer"], sys.maxsize)
        model(**pad_chunk(tokenizer, pairs)).logits.view(1, 1)  # some architectures want more than text
    keep_head_in_fp32(model)
    # sentence_transformers.CrossEncoder applies a sigmoid to one output unless the config names this.
    model.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    output = next(name for name, module in model.named_modules() if module is output_layer(model))
    return model, tokenizer, not any(name.endswith(f"{output}.weight") for name in missing)


def give_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the tokenizer its own template for a prompt and an answer or `PLAIN_TEMPLATE`, or raise ValueError."""
    if tokenizer.chat_template:
        template = tokenizer.get_chat_template()  # of several the default
        dated = "strftime_now" in template and FIXED_DATE not in template
        tokenizer.chat_template = FIXED_DATE * dated + template
    elif tokenizer.eos_token is None:
        raise ValueError("its tokenizer has neither a chat template nor an end-of-text token")
    else:
        begins = tokenizer.bos_token is not None and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
        tokenizer.chat_template = PLAIN_TEMPLATE.format(bos="{{ bos_token }}" * begins)
    chat = write_chats(tokenizer, ["a question"], ["an answer"])[0]
    if not -1 < chat.find("a question") < chat.find("an answer"):
        raise ValueError("its chat template does not show a prompt and then an answer")


def give_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Pad on the right, with a token that no text has: the tokenizer's own, an unused one, or a new one.

    transformers reads the reward at the last token that is not padding, so with padding = end of text it would skip
    the end. No reward depends on the embedding of a new token.
    """
    used = {*tokenizer(write_chats(tokenizer, ["a"], ["b"])[0], add_special_tokens=False)["input_ids"]}
    used |= {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id}
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id in used:
        vocabulary = tokenizer.get_vocab()
        unused = [token for token in PADDING if token in vocabulary and vocabulary[token] not in used]
        tokenizer.add_special_tokens({"pad_token": unused[0] if unused else PADDING[-1]})
    if tokenizer.pad_token_id >= model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(tokenizer.pad_token_id + 1, mean_resizing=False)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    tokenizer.padding_side = "right"
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
