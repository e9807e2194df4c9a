"""Labelled tiles to the two data files of the filters: references and decision."""
