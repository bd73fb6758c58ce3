"""The walls around a candidate: kernel features that refuse what its limits alone would let it do."""
