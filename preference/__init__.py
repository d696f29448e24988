"""What the scripts share: the CSV contract, base models, objectives, batching, metrics, plots, the reward model."""
