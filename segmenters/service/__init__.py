"""A segmenter in an environment of its own, asked through a process's lines or over HTTP."""
