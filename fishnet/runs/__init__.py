"""One run: its folder, session, records, resume and final status."""
