"""The trainer. transformers' Trainer imports torchvision, which has to be mended first on some machines."""

from gallery_store.torchvision_mend import mend_torchvision

mend_torchvision()
