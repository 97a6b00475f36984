"""Who may see what, and the record of it: consent, purposes, the ledger."""
