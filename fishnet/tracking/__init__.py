"""Runs and their history: the only room that imports mlflow."""
