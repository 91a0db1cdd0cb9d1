"""What is wrong with a folder before an hour is spent training on it: a list of checks, each a function of its own."""
