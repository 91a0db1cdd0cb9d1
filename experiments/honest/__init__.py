"""Proofs that figures and their intervals mean what they say."""
