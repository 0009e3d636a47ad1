"""What a trained model is worth: likelihood, information, disentanglement, sample quality, latent space."""
