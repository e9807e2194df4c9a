"""Runs on clusters: whose OUT it is, what is submitted, what is measured."""
