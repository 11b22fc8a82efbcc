"""The Google connector over its real SDKs."""
