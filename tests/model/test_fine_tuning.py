import pytest
import torch
import transformers
from torch import nn

from preference.errors import InputError
from preference.model.fine_tuning import freeze_lower_layers, layer_stack

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "vocab_size": 20,
    "pad_token_id": 0,
}


def model_of(kind: str, **settings):
    config = transformers.AutoConfig.for_model(kind, num_labels=1, **SMALL, **settings)
    return transformers.AutoModelForSequenceClassification.from_config(config)


def test_the_layers_are_the_list_that_the_config_counts_not_the_longest():
    model = model_of("bert")
    model.bert.experts = nn.ModuleList(nn.Linear(2, 2) for _ in range(8))
    assert layer_stack(model) is model.bert.encoder.layer
    model.config.num_hidden_layers = 5
    assert layer_stack(model) is model.bert.experts


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("mpnet", {}),
        ("deberta-v2", {"relative_attention": True, "norm_rel_ebd": "layer_norm", "pos_att_type": ["p2c"]}),
    ],
)
def test_embeddings_that_are_defined_after_the_layers_are_frozen_too(kind, settings):
    model = model_of(kind, **settings)
    assert freeze_lower_layers(model) == 1
    outputs = []
    layer_stack(model)[0].register_forward_hook(lambda module, inputs, output: outputs.append(output[0].requires_grad))
    model(input_ids=torch.randint(3, 20, (2, 6))).logits.sum().backward()
    assert outputs == [False]
    assert all(parameter.grad is not None for parameter in layer_stack(model)[1:].parameters())


def test_minus_one_trains_everything_and_at_least_one_layer_is_left():
    model = model_of("deberta-v2", relative_attention=True)
    assert freeze_lower_layers(model, -1) == -1 and all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(InputError, match="--freeze-layers 3: the base model has 3 layers; leave at least one to train"):
        freeze_lower_layers(model, 3)
