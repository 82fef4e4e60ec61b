"""The benchmark of micro-expression spotting on landmark tracks."""
