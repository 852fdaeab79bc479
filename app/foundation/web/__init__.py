"""HTTP at the doors: the Flask application, cookies, headers, static files, error pages."""
