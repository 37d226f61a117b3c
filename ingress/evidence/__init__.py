"""The evidence page: a job's values beside the pages that they were read from. Pure, but for the pictures' pixels."""
