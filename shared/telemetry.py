"""Logs, trace context and metrics: one set-up for every service."""

import logging
import sys
from contextvars import ContextVar

import orjson
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

Origin = tuple[str | None, str | None]
"""What a change comes from: a trace context, and the id of the event that was handled, if any."""

_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
_cause: ContextVar[str | None] = ContextVar("cause", default=None)
_ids = RandomIdGenerator()
_propagator = TraceContextTextMapPropagator()

COMMITS = Counter("jinguo_commits_total", "Documents committed", ["service"])
COMMIT_GROUP = Histogram(
    "jinguo_commit_group_size", "Commits that went together", buckets=(1, 2, 5, 10, 50, 200, 500)
)
RELAYED = Counter("jinguo_relayed_events_total", "Events archived by the relay", ["service"])
RELAY_LAG = Gauge("jinguo_relay_lag_events", "Events committed and not yet archived", ["service"])
RELAY_LAG_SECONDS = Gauge("jinguo_relay_lag_seconds", "Age of the oldest event not yet archived", ["service"])
PUBLISH_LAG = Gauge(
    "jinguo_publish_lag_events", "Events archived and not yet acknowledged by Kafka", ["service"]
)
CONSUMER_LAG = Gauge(
    "jinguo_consumer_lag_events", "Events archived and not yet consumed", ["group", "source"]
)
CONSUMER_STANDS = Gauge(
    "jinguo_consumer_stands_still_seconds",
    "For how long a group has not got on although it has something to read",
    ["group", "source"],
)
CONSUMED = Counter("jinguo_consumed_events_total", "Events whose effects were committed", ["group", "source"])
FOREIGN = Counter(
    "jinguo_foreign_records_total",
    "Records that are no events of ours, or not as the archive has them",
    ["group", "source"],
)
PARKED = Gauge("jinguo_parked_events", "Events parked", ["group"])
DEADLINES = Counter("jinguo_deadlines_total", "Deadlines acted upon, or failed", ["service", "outcome"])
HANDLER_TIME = Histogram("jinguo_batch_seconds", "From a batch's arrival to its commit", ["group"])
PROOFS = Counter("jinguo_proofs_demanded_total", "Requests that were asked for a proof of work", ["brake"])
LOOP_LAG = Gauge("jinguo_event_loop_lag_seconds", "How late the event loop woke up last")


def new_traceparent() -> str:
    """A fresh W3C trace context header value."""
    return f"00-{_ids.generate_trace_id():032x}-{_ids.generate_span_id():016x}-01"


def accepted_traceparent(header: str | None) -> str:
    """The caller's trace context when it is valid, else a new one."""
    if header:
        context = _propagator.extract({"traceparent": header})
        span = trace.get_current_span(context).get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{_ids.generate_span_id():016x}-{span.trace_flags:02x}"
    return new_traceparent()


def current_traceparent() -> str | None:
    """The trace context that this task works under."""
    return _traceparent.get()


def trace_id(traceparent: str | None) -> str | None:
    """The trace id inside a traceparent."""
    return traceparent.split("-")[1] if traceparent else None


def current_origin() -> Origin:
    """What this task works for."""
    return _traceparent.get(), _cause.get()


class traced:  # reads as a function
    """Work under a trace context (and on behalf of an event): logs and committed events carry it on.

    A class because it stands around every event: a generator costs twice as much.
    """

    __slots__ = ("_cause", "_tokens", "_traceparent")

    def __init__(self, traceparent: str | None, cause: str | None = None) -> None:
        self._traceparent = traceparent
        self._cause = cause

    def __enter__(self) -> None:
        self._tokens = _traceparent.set(self._traceparent), _cause.set(self._cause)

    def __exit__(self, *_: object) -> None:
        _traceparent.reset(self._tokens[0])
        _cause.reset(self._tokens[1])


def _with_trace(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if (current := _traceparent.get()) is not None:
        event["trace_id"] = trace_id(current)
    return event


def configure_logging(level: str = "INFO") -> None:
    """JSON lines on stderr with time, level, trace id; the standard library's loggers join in."""
    known: list[structlog.typing.Processor] = [
        _with_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    as_json = structlog.processors.JSONRenderer(
        serializer=lambda value, **_: orjson.dumps(value, default=str).decode()
    )
    structlog.configure(
        processors=[*known, as_json],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    library = logging.StreamHandler(sys.stderr)
    library.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *known],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    logging.basicConfig(level=level, force=True, handlers=[library])
    _as_they_are("jinguo.security")
    for chatty in ("aiokafka", "pymongo", "httpx", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.ERROR if chatty == "aiokafka" else logging.WARNING)


def _as_they_are(name: str) -> None:
    """The lines of this logger are JSON already, and are written at any level."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger(name)
    logger.handlers, logger.propagate = [lines], False
    logger.setLevel(logging.INFO)
