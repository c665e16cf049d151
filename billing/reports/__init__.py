"""Reports for finance: pure folds over the books, and the writers that print them."""
