"""Trains what the filters ship; nothing here runs in a mining job."""
