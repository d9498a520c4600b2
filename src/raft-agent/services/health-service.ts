/** grpc.health.v1.Health, for the whole server (service ""), as served by etcd. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../api/gen/health/health_pb.ts";
import { StatusCode } from "../api/status-code.ts";
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import { answerBytes, guarded } from "./answer.ts";
import type { ServedMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

const serving = toBinary(
  HealthCheckResponseSchema,
  create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVING }),
);
const notServing = toBinary(
  HealthCheckResponseSchema,
  create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.NOT_SERVING }),
);
const serviceUnknown = toBinary(
  HealthCheckResponseSchema,
  create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN }),
);

/** A stopping member does not serve any more; watches of its health end then. */
export function createHealthMethods(context: ServiceContext): ServedMethod[] {
  const access = "checkedByMethod";
  const status = (): Uint8Array => (context.shutdown.begun ? notServing : serving);
  return [
    {
      kind: "unary",
      path: "/grpc.health.v1.Health/Check",
      access,
      handle: (request, call) => check(status(), request, call),
    },
    { kind: "stream", path: "/grpc.health.v1.Health/Watch", access, open: (call) => watch(status, call) },
  ];
}

function check(status: Uint8Array, request: Uint8Array, call: ServerCall): void {
  guarded(call, () => {
    if (isWholeServer(request)) answerBytes(call, status);
    else call.finish(StatusCode.notFound, "unknown service");
  });
}

/** The stream stays open; the protocol requires one message at once and one for each change. */
function watch(status: () => Uint8Array, call: ServerCall): StreamHandler {
  return {
    onMessage: (request) => {
      guarded(call, () => {
        call.send(isWholeServer(request) ? status() : serviceUnknown);
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
