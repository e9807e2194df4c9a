"""Mitotic figures: the darkest things in a picture, told apart one by one."""

FIGURES = ("mitotic figure", "apoptotic body")
