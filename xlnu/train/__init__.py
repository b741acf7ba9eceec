"""Training: chats as tokens, packs, the order they are seen in, and the loop on Ray Train and DeepSpeed."""
