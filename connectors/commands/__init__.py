"""The commands of `clvsync`, a module per room; heavy packages are imported when a command runs, not before."""
