"""Operators that ask a language model: providers, budgets, prompts, replies."""
