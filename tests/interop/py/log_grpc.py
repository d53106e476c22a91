"""A log's gRPC services, asked by grpcio without any generated code.

What a message looks like is learned from the server's own reflection. Arguments: address, and a
file with two requests in protojson: a good one, and one that is refused. Prints one JSON object:
what was answered to each call.
"""

import json
import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

REKOR = "dev.sigstore.rekor.v2.Rekor"


def main(address, file):
    with open(file, encoding="utf-8") as opened:
        good, bad = json.load(opened)
    with grpc.insecure_channel(address) as channel:
        print(json.dumps(answers(channel, good, bad)))


def answers(channel, good, bad):
    database = ProtoReflectionDescriptorDatabase(channel)
    rekor = DescriptorPool(database).FindServiceByName(REKOR)

    def call(name, message):
        method = rekor.FindMethodByName(name)
        request = message_factory.GetMessageClass(method.input_type)()
        json_format.ParseDict(message, request)
        answer = message_factory.GetMessageClass(method.output_type)
        unary = channel.unary_unary(
            f"/{REKOR}/{name}",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return outcome(lambda: unary.with_call(request, timeout=60))

    health = health_pb2_grpc.HealthStub(channel)

    def status(service):
        request = health_pb2.HealthCheckRequest(service=service)
        return outcome(lambda: health.Check.with_call(request, timeout=10))

    return {
        "services": sorted(database.get_services()),
        "methods": sorted(method.name for method in rekor.methods),
        "created": call("CreateEntry", good),
        "duplicate": call("CreateEntry", good),
        "refused": call("CreateEntry", bad),
        "empty": call("CreateEntry", {}),
        "checkpoint": call("GetCheckpoint", {}),
        "tile": call("GetTile", {"L": 0, "N": "000.p/1"}),
        "bundle": call("GetEntryBundle", {"N": "000.p/1"}),
        "healthServer": status(""),
        "healthLog": status(REKOR),
        "healthNobody": status("nobody"),
    }


def outcome(call):
    try:
        message, made = call()
    except grpc.RpcError as error:
        trailing = dict(error.trailing_metadata())
        leading = dict(error.initial_metadata())
        return {
            "code": error.code().name,
            "message": error.details(),
            "index": leading.get("x-log-index"),
            "hasDetails": "grpc-status-details-bin" in trailing,
        }
    return {
        "code": made.code().name,
        "message": json_format.MessageToDict(message),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
