"""The routes, one file a concern. Each adds its own to an application."""
