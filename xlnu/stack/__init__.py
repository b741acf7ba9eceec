"""MT-LLM: an MT encoder in front of an LLM. Plain torch + transformers, with no Ray and no DeepSpeed."""
