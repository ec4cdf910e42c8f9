"""What users write: lazy datasets, lowered to jobs."""
