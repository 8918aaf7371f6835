"""Saved models, exported models, and files of labels and memberships."""
