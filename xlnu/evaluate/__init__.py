"""How good a model is: benchmarks in their official files, what a model says to them, and the numbers of that."""
