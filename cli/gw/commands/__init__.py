"""The commands: options in, one operation awaited, one print, one exit. Everything heavy is imported inside of them."""
