"""An OTLP receiver on OpenTelemetry's own Python stubs: says on stdout what arrives, one JSON object a request.

    collector.py grpc|http PORT
"""

import gzip
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

TEMPORALITIES = {0: "", 1: "delta", 2: "cumulative"}
printing = Lock()


def say(what):
    with printing:
        print(json.dumps(what), flush=True)


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def exemplars(point):
    return [[one.trace_id.hex(), one.span_id.hex()] for one in point.exemplars]


def point(metric, kind, data, one):
    said = {
        "metric": metric.name,
        "unit": metric.unit,
        "kind": kind,
        "temporality": TEMPORALITIES[getattr(data, "aggregation_temporality", 0)],
        "monotonic": getattr(data, "is_monotonic", False),
        "start": one.start_time_unix_nano,
        "time": one.time_unix_nano,
        "attributes": attributes(one.attributes),
        "exemplars": exemplars(one),
    }
    if kind in ("gauge", "sum"):
        said["value"] = getattr(one, one.WhichOneof("value"))
    else:
        said["count"], said["sum"] = one.count, one.sum
    if kind == "histogram":
        said["buckets"] = list(one.bucket_counts)
        assert len(one.bucket_counts) == len(one.explicit_bounds) + 1
    if kind == "exponential_histogram":
        said["scale"] = one.scale
        said["buckets"] = [one.zero_count, *one.positive.bucket_counts]
    return said


def metrics(request):
    for resource in request.resource_metrics:
        points = []
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                points += [point(metric, kind, data, one) for one in data.data_points]
        scopes = sorted({scope.scope.name for scope in resource.scope_metrics})
        say({"resource": attributes(resource.resource.attributes), "scopes": scopes, "points": points})


def traces(request):
    scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
    say({"spans": [[span.trace_id.hex(), span.span_id.hex()] for scope in scopes for span in scope.spans]})


class Metrics(metrics_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        metrics(request)
        return metrics_service.ExportMetricsServiceResponse()


class Traces(trace_grpc.TraceServiceServicer):
    def Export(self, request, context):
        traces(request)
        return trace_service.ExportTraceServiceResponse()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.headers["content-type"] == "application/x-protobuf"
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/metrics":
            metrics(metrics_service.ExportMetricsServiceRequest.FromString(body))
            answer = metrics_service.ExportMetricsServiceResponse()
        elif self.path == "/v1/traces":
            traces(trace_service.ExportTraceServiceRequest.FromString(body))
            answer = trace_service.ExportTraceServiceResponse()
        else:
            self.send_error(404)
            return
        answer = answer.SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def main():
    protocol, port = sys.argv[1], int(sys.argv[2])
    if protocol == "grpc":
        server = grpc.server(ThreadPoolExecutor(max_workers=4))
        metrics_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
        trace_grpc.add_TraceServiceServicer_to_server(Traces(), server)
        assert server.add_insecure_port(f"127.0.0.1:{port}") == port
        server.start()
        server.wait_for_termination()
    else:
        Server(("127.0.0.1", port), Handler).serve_forever()


main()
