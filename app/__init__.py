"""Shows: the command, the dashboard, the report. Stands above engine and store."""
