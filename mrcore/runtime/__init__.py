"""Where time passes: runs a job from its inputs to its committed output."""
