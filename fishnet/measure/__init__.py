"""Predictions → metrics with their uncertainty."""
