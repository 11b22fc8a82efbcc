"""What `clvsync check` looks at beside credentials: tables, audiences, labels. Nothing is changed anywhere."""
