"""Mail through SMTP: retried when it may help, the same message in every try."""
