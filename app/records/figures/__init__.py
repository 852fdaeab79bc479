"""How often things happened, by the hour: counted once from what was written down, so that looking costs little."""
