"""Hydra: how a verb starts, what its keys may hold, how values are quoted."""
