"""The words that mark the places of an English letter: references, subject, salutation, close, enclosures, copies."""

import re

OUR_REF = re.compile(r"(?:^|\s)(?:Our\s+ref(?:erence)?|Our\s+no)(?![A-Za-z])\s?\.?(?:\s?no\.?)?\s*[:.;]?\s*", re.I)
REF = re.compile(
    r"(?:^|\s{2})(?:Ref(?:erence)?\s?\.?(?:\s?(?:no|number)(?![A-Za-z])\.?)?|Letter\s+no\.?|Document\s+no\.?|"
    r"File\s+(?:no|ref)\.?)(?![A-Za-z])\s*[:;]?\s*",
    re.I,
)
BARE_NUMBER = re.compile(r"(?:^|\s{2})No\.\s*[:;]?\s*", re.I)
"""Before a number with letters or a year; `No. 7 Harbour Road` is where somebody lives."""
YOUR_REF = re.compile(r"\byour\s+ref", re.I)
SUBJECT = re.compile(r"^\s*(?:Subject|Subj\.?|RE|Re|Regarding|Title)\s*[:;.]\s*")
SALUTATION = re.compile(r"^\s*(?:Dear\b|To whom it may concern|Ladies and Gentlemen)", re.I)
CLOSE = re.compile(
    r"^\s*(?:Yours\s+(?:(?:very|most)\s+)?(?:sincerely|faithfully|truly|respectfully)|Faithfully(?=\s*,|\s+yours)|Sincerely|(?:Best|Kind|Warm|With\s+(?:best|kind|"
    r"warm))\s+regards|Respectfully|Very\s+truly|Regards|Cordially|With\s+thanks)\b",
    re.I,
)
ENCLOSURES = re.compile(
    r"^\s*(?:Enclosures?|Encls?|Enc|Attachments?)\s?(?:\(s\))?\s?(?:\(\d+\))?\s?[.:;]{0,2}(?=\s|$)\s*:?\s*", re.I
)
COPY = re.compile(r"^\s*(?:c\s?c|copy(?:\s+to)?|copies\s+to)\s*[.:;]?\s*:?\s+", re.I)
