"""What absorption is of words: SAEs of MiniLM's word embeddings, and the tokens on which absorbed latents speak."""
