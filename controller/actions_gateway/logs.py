"""Logging: one JSON line per decision, a constant message with key-value fields."""

import logging
import sys

import structlog


def configure_logging(level: str) -> None:
    """Writes everything at or above `level` (info or debug) to standard error as JSON lines."""
    threshold = logging.DEBUG if level == "debug" else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
