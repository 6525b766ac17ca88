"""A Flask application with OpenTelemetry's own SDK: `traced.py PORT`.

`GET /ask/NAME` asks BACKEND_URL over HTTP, which its SDK traces, and the database, which it does not. `GET /flush` exports what
there is. The standard variables say where the SDK exports to; OTEL_EXPORTER_OTLP_PROTOCOL chooses the exporter.
"""

import os
import sys

import psycopg2
import requests
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)
RequestsInstrumentor().instrument()


@app.get("/ask/<name>")
def ask(name):
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 AS r_{name}")
        cursor.fetchall()
    connection.close()
    return requests.get(f"{os.environ['BACKEND_URL']}/items/{name}", timeout=10).json()


@app.get("/flush")
def flush():
    provider.force_flush()
    return "flushed"


app.run(port=int(sys.argv[1]))
