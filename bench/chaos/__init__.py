"""`./gateway chaos`: jobs go in while things break; afterwards the log and REST are held against what was promised."""
