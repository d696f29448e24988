"""What a decoder (Llama, Qwen, GPT-2 and their like) needs before it can score: a chat template, and padding that is not text."""

from collections.abc import Sequence

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

# The chat of a model that has none: prompt, empty line, answer, end of text.
PLAIN_TEMPLATE = (
    "{bos}{{% for message in messages %}}{{% if not loop.first %}}{{{{ '\\n\\n' }}}}{{% endif %}}{{{{ message['content'] }}}}{{% endfor %}}"
    "{{% if add_generation_prompt %}}{{{{ '\\n\\n' }}}}{{% else %}}{{{{ eos_token }}}}{{% endif %}}"
)
# Some templates (Llama 3) write today's date into every chat: rewards would change from day to day.
FIXED_DATE = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
# What vocabularies call a token that was made for padding, or that no text contains.
PADDING = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>", "<pad>", "[PAD]", "<|pad|>")


def is_decoder(config: PretrainedConfig) -> bool:
    """Return whether a model of this kind reads a text from left to right, so that only its last token has seen all of it."""
    return (
        type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
        and type(config) not in MODEL_FOR_MASKED_LM_MAPPING  # BERT and its like can be made decoders too
        and not config.is_encoder_decoder
        and config.model_type != "xlnet"
    )


def give_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the tokenizer the one template in which it writes a prompt and an answer: its own, or `PLAIN_TEMPLATE`.

    Raises:
        ValueError: the template is not for a prompt and an answer, or the tokenizer lacks what `PLAIN_TEMPLATE` needs.
    """
    if tokenizer.chat_template:
        template = tokenizer.get_chat_template()  # of several the default
        tokenizer.chat_template = (
            FIXED_DATE + template if "strftime_now" in template and FIXED_DATE not in template else template
        )
    elif tokenizer.eos_token is None:
        raise ValueError("its tokenizer has neither a chat template nor an end-of-text token")
    else:
        begins = tokenizer.bos_token is not None and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
        tokenizer.chat_template = PLAIN_TEMPLATE.format(bos="{{ bos_token }}" if begins else "")
    chat = write_chats(tokenizer, ["a question"], ["an answer"])[0]
    if not -1 < chat.find("a question") < chat.find("an answer"):
        raise ValueError("its chat template does not show a prompt and then an answer")


def write_chats(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str]) -> list[str]:
    """Write each prompt and answer as a chat of two messages, in the tokenizer's template."""
    return tokenizer.apply_chat_template(
        [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            for prompt, answer in zip(prompts, answers, strict=True)
        ],
        tokenize=False,
    )


def give_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Pad on the right, with a token that no text has: the one that the tokenizer has for it, an unused one, or a new one.

    transformers reads the reward at the last token that is not padding, so with padding = end of text it would skip the end.
    The embedding of a new token is the only weight that is added; no reward depends on it.
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
