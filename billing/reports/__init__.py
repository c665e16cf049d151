"""Reports for finance: functions from the books to tables, and their printed forms."""
