"""What several stages need: backbones, the lens, the encoder, integrated gradients."""
