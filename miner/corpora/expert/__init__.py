"""Sets that experts annotated, as published: a module per layout, one reader for all of them."""
