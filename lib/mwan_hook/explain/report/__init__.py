"""What `mwan-hook report` says, and its three forms."""
