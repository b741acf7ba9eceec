"""The page's parts in Jinja, one file a part; page.html puts them together."""
