"""Running a plan: cohorts on Ray Train workers, scheduled by Ray Tune, resumable throughout."""
