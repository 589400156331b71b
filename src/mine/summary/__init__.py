"""What an analysis found on one page: for each subject, and across subjects."""
