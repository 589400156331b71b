"""Readers of datasets: each turns files as their authors published them into a Recording."""
