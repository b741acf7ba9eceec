"""What a job found: report.json for tools, report.html for people."""
