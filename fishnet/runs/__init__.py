"""One run: its folder, its records, its page, how it is measured and resumed; several runs on one page.

A run's status is set in tracking/session.py.
"""
