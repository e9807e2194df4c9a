"""The reference pages, made from the models, schemas and dictionaries that the code itself uses.

    python -m miner.reference [FOLDER]     # docs/ when left out, as `make docs` does

What a setting means stands in the `Attributes:` of its model's docstring, what a column means in
the comment beside it in its schema, what a reason means in `miner/report/words.py`, what a field of
a JSON file means in `miner/core/layout.py`. A test compares the pages with what this would write.
"""
