"""Grounded samples to dialogues: tasks, guardrails, wordings, the mix of them."""
