"""How new programs come: every operator proposes one program from its parents."""
