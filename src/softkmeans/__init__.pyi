from .errors import FitInterrupted as FitInterrupted
