"""How the small CLIP is trained; nothing here is needed to run it."""
