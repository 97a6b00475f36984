"""One self-contained HTML file from the results of a study."""

from personare.report.writer import write_report

__all__ = ["write_report"]
