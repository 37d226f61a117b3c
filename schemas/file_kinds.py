"""The kinds of files that official letters enclose, as their names end."""

ENCLOSED = ("hwpx", "hwp", "pdf", "docx", "doc", "xlsx", "xls", "pptx", "ppt", "zip", "jpg", "png", "txt", "csv")
