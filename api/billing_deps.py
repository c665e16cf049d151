"""What the routes about money need: the books, the directory and the services over them."""

from dataclasses import dataclass

from billing.board import BalanceBoard
from billing.charger import Charger
from billing.model import Directory
from domain.books import Books


@dataclass(frozen=True, slots=True)
class BillingDeps:
    """The services of billing; one that a station does not run is None, and its routes say so."""

    books: Books
    directory: Directory
    board: BalanceBoard | None = None
    charger: Charger | None = None
