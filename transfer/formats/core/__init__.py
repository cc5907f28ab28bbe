"""What the formats share: rows out of files, expected answers, and the files that an import writes."""
