from . import callbacks as callbacks
from . import data as data
from . import functional as functional
from .errors import FitInterrupted as FitInterrupted
from .errors import InputError as InputError
from .errors import MissingExtraError as MissingExtraError
from .fit import Result as Result
