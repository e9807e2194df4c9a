"""Training of the network of regions."""
