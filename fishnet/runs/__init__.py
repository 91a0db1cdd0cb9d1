"""One run: its folder, its records, how it is measured and resumed. Its status is set in tracking/session.py."""
