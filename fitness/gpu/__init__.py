"""The part of judging that needs a GPU: a bench that runs machine code, a referee that holds the truth, a clock."""
