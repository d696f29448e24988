"""Ranks to weights: settings, objectives, the trainer, the saved folder."""
