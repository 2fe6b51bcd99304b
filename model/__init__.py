"""The 2K2K networks: samples, parts, encoding, losses, training, prediction, meshing."""
