"""Protocols → trials → the next stage.

protocol (what is to be tried) → planning, trials (settings and names) → engine (stage by stage) → pool
→ supervisor, which starts the training → outcome, scoring → selection → the next stage; table and page show it.
"""
