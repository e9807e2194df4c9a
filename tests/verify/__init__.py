"""What Histomine promises, measured on phantoms that nobody has seen before."""
