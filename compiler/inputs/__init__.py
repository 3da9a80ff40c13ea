"""What users and clusters may write: one pydantic model a kind, exactly as the YAML spells it.

Shape only. Addresses, prefixes and names stay text here; `validate` gives them meaning and says what is wrong in
sentences of its own.
"""
