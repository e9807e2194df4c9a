"""Audits: a sample of masks, a page to judge them on, and the precision that follows."""
