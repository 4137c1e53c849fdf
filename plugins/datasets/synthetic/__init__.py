"""The synthetic dataset: dermoscopy-like pictures drawn by our own code, with the true region of every criterion."""
