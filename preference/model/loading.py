"""A pretrained model made ready to score: one output, no dropout, a decoder's chat template and padding."""

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from preference.model.base_models import check_loaded, loading
from preference.model.encoding import encode_pairs, pad_chunk, write_chats
from preference.model.generator import converted_gguf
from preference.model.layers import is_decoder, keep_head_in_fp32, output_layer

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


def load_base_model(path: str | Path, *, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, bool]:
    """Load a base model (a folder or a GGUF file) with one output, its tokenizer, and whether the output is pretrained.

    Dropout is 0: on a CPU it doubles the time of a step, since its random numbers are drawn on one core and it forces
    attention off the fused path. A decoder's tokenizer gets a chat template, where it has none; an encoder's has none.
    """
    remedy = "choose another --base-model"
    folder = converted_gguf(Path(path), remedy) if Path(path).is_file() else path
    with loading(folder, remedy):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        for name, value in config.to_dict().items():
            if isinstance(value, float) and ("dropout" in name or name.endswith("pdrop")):
                setattr(config, name, 0.0)
        config.num_labels = 1
        config.problem_type = "regression"
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
    """Give the tokenizer the one template in which it writes a prompt and an answer: its own, or `PLAIN_TEMPLATE`.

    Raises:
        ValueError: the template is not for a prompt and an answer, or the tokenizer lacks what `PLAIN_TEMPLATE` needs.
    """
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
