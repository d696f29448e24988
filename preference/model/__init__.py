"""Text to reward: pretrained models, token ids, the layers, the scores."""
