"""Photos as points: laid out on a plane, measured for whether their classes can be told apart, searched for errors."""
