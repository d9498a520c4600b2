/** grpc.health.v1.Health, for the whole server (service ""), as etcd serves it. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../api/gen/health/health_pb.ts";
import { type Method, type ServerCall, StatusCode, type StreamHandler } from "../grpc/call.ts";
import { answerBytes, guarded } from "./answer.ts";

const SERVING = toBinary(
  HealthCheckResponseSchema,
  create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVING }),
);
const SERVICE_UNKNOWN = toBinary(
  HealthCheckResponseSchema,
  create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN }),
);

/** The server serves from its first accepted call to its last: the process is gone before its state would change. */
export function createHealthMethods(): Method[] {
  return [
    { kind: "unary", path: "/grpc.health.v1.Health/Check", handle: (request, call) => check(request, call) },
    { kind: "stream", path: "/grpc.health.v1.Health/Watch", open: (call) => watch(call) },
  ];
}

function check(request: Uint8Array, call: ServerCall): void {
  guarded(call, () => {
    if (isWholeServer(request)) answerBytes(call, SERVING);
    else call.finish(StatusCode.notFound, "unknown service");
  });
}

/** The stream stays open; the protocol asks for one message at once and one for each change. */
function watch(call: ServerCall): StreamHandler {
  return {
    onMessage: (request) => {
      guarded(call, () => {
        call.send(isWholeServer(request) ? SERVING : SERVICE_UNKNOWN);
      });
    },
    onHalfClose: () => {},
    onClose: () => {},
    onDrain: () => {},
  };
}

function isWholeServer(request: Uint8Array): boolean {
  return fromBinary(HealthCheckRequestSchema, request).service === "";
}
