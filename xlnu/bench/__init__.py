"""Benches: ours against a named baseline, measured in pairs, with what limits ours."""
