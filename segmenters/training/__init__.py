"""Trains and fits what the embedded segmenter ships; nothing here runs in a mining job."""
