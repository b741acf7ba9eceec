"""What runs a model, one file an engine. They know models, not jobs: each can be opened and called alone."""
