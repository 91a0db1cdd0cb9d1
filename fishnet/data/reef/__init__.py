"""A data set of drawn fish, embedded in the package."""
