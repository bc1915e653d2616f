"""A checkpoint's confidences: fitted on searches for some people, measured on searches for others, and kept in its
manifest. `python -m training calibrate` does it for people of any data; training.demo for the drawn ones that ship."""
