"""Loops with a name and a run(): deliver, probe, sweep, watch."""
