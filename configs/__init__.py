"""Configurations that ship with the package (YAML files beside this module)."""
