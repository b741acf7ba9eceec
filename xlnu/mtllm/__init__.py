"""MT-LLM end to end: the steps from text and task data to a stack, what it is held against, and what it scores."""
