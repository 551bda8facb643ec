"""The study's report, and what a finished run says."""
