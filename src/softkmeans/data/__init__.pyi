from .arrays import as_source as as_source
from .blobs import make_blobs as make_blobs
from .files import Table as Table
from .files import read_table as read_table
from .scanning import scan as scan
from .source import Source as Source
from .writing import table_writer as table_writer
from .writing import write_table as write_table
