"""A small made world: languages, models and data, in the file formats of the real ones."""
