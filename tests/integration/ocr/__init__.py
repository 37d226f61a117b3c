"""Tests of OCR engines that are not there from the beginning."""
