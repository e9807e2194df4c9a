"""Parts for Histomine, as another package brings them: one module each, named in pyproject.toml."""
