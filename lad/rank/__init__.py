"""Ranking: a model's choice among candidates, corrected, in one call."""
