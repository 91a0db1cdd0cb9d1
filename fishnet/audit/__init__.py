"""Whether a class rests on the animal or on what comes with it: tests, prices and repairs of learned shortcuts."""
