"""Histomine, images and phrases to candidate masks."""
