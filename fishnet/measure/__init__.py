"""Predictions → figures with their uncertainty."""
