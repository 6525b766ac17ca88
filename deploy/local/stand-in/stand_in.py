"""Stands in for what receives traces, metrics, logs or alerts: writes each message as one line of JSON.

OTLP over gRPC on port 4317, logs of OTLP over HTTP on port 3100, and any POST of JSON on port 8080.
"""

import gzip
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

output = threading.Lock()


def write(kind, body):
    with output:
        print(json.dumps({"received": kind, "body": body}, separators=(",", ":")), flush=True)


def exports(base, kind, answer):
    """A service of OTLP that writes what it is sent."""

    class Service(base):
        def Export(self, request, context):
            write(kind, MessageToDict(request))
            return answer()

    return Service()


class Posts(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            self.take(body)
            self.send_response(200)
        except ValueError:
            self.send_response(400)
        self.end_headers()

    def take(self, body):
        write("post", {"path": self.path, "json": json.loads(body)})

    def log_message(self, *_):
        pass


class Logs(Posts):
    def take(self, body):
        if self.path != "/otlp/v1/logs":
            raise ValueError(self.path)
        try:
            request = logs_service_pb2.ExportLogsServiceRequest.FromString(body)
        except DecodeError as error:
            raise ValueError from error
        write("logs", MessageToDict(request))


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
    exports(
        trace_service_pb2_grpc.TraceServiceServicer, "traces", trace_service_pb2.ExportTraceServiceResponse
    ),
    server,
)
metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
    exports(
        metrics_service_pb2_grpc.MetricsServiceServicer,
        "metrics",
        metrics_service_pb2.ExportMetricsServiceResponse,
    ),
    server,
)
logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
    exports(logs_service_pb2_grpc.LogsServiceServicer, "logs", logs_service_pb2.ExportLogsServiceResponse),
    server,
)
server.add_insecure_port("0.0.0.0:4317")
server.start()
loki = ThreadingHTTPServer(("0.0.0.0", 3100), Logs)
threading.Thread(target=loki.serve_forever, daemon=True).start()
ThreadingHTTPServer(("0.0.0.0", 8080), Posts).serve_forever()
