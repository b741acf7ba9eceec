"""Task data in its official files, a file a format: for training in one language, and for tests in all."""
