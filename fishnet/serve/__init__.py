"""A model bundle → answers over HTTP, and a page on them."""
