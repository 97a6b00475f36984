"""A press of Ctrl-C is never lost: what a library swallows inside a callback of its own is raised again."""

import signal
from types import FrameType


class Interrupt:
    """Raises KeyboardInterrupt, as Python does by itself, and remembers that it did."""

    pressed = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Stop what runs now."""
        self.pressed = True
        raise KeyboardInterrupt


def remember_interrupts() -> None:
    """Listen to Ctrl-C, unless whoever started this process wants it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, Interrupt())


def check_interrupt() -> None:
    """Raise KeyboardInterrupt if the key was pressed and the program still runs; for loops, once an item."""
    if getattr(signal.getsignal(signal.SIGINT), "pressed", False):
        raise KeyboardInterrupt
