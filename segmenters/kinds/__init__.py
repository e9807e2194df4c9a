"""Kinds of nuclei, at .5 um per pixel, by a network on an encoder trained on photographs."""
