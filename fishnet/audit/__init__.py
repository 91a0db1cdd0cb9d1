"""The shortcut audit: maps and answers over a data set → verdicts → fixes."""
