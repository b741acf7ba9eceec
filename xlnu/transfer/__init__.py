"""From instructions to a transfer set: SDRRL's data side, a file a stage."""
