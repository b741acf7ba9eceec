"""Merging: two experts of one architecture become one model, without training and without a GPU."""
