"""Do the tests notice? Small faults, planted one at a time; see `tests.mutants.__main__`."""
