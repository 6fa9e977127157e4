"""Mail through SMTP: retried where it can help, with the same message in every try."""
