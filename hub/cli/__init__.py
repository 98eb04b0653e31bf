"""Thin: commands of at most ten lines, each calling one function of hub.app (or starting twins and the simulator)."""
