"""One look for every picture and page."""
