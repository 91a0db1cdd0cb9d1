"""Protocols → trials → the next stage."""
