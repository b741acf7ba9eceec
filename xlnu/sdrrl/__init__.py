"""SDRRL as an experiment: the method, what it is held against, and what that says of its claims."""
