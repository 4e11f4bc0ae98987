"""The reading side of the house: whatever holds the rows, one scan of them leaves a tally."""
