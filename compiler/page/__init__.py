"""Page: a bundle as one page to look at in a browser, which holds all that it shows and needs no network."""
