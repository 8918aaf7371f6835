"""The soft k-means model: parameters, assignment rules, and sufficient statistics."""
