"""Rewards to evidence: metrics, baselines, checks, tables, pictures."""
