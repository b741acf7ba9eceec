"""What is minimised: a loss for each answer token, never their mean. Plain torch, with no Ray and no DeepSpeed."""
