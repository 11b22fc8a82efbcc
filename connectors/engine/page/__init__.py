"""The report page: figures, words and the template; nothing here knows a platform."""
