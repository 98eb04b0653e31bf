"""Proof: a deterministic simulator that drives the real engine and store through their seams, and its laws."""
