"""What the tissue is, at 1 um per pixel, by a network on an encoder trained on photographs."""
