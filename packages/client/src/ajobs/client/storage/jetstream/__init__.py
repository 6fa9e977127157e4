"""Access to JetStream: the API, publishing, pulling, scanning and key-value buckets."""
