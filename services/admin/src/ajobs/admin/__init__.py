"""The admin service: what an operator does, and the local development stack."""
