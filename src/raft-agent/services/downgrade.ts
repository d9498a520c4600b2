/**
 * etcdserverpb.Maintenance/Downgrade: whether the cluster may be downgraded by one minor version, and the cluster-wide
 * record of a downgrade in progress (etcd server/etcdserver/v3_server.go). The operator replaces the binaries.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DowngradeRequest_DowngradeAction as Action,
  DowngradeRequestSchema,
  DowngradeResponseSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import type { ServerCall } from "../grpc/call.ts";
import { CommandKind } from "../state-machine/command.ts";
import { type DowngradeBody, encodeJson } from "../state-machine/command-body.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { answerBytes, failCall, guarded, unary } from "./answer.ts";
import { generatedHeader } from "./generated-header.ts";
import type { UnaryMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

export function createDowngradeMethod(context: ServiceContext): UnaryMethod {
  return unary(context, { path: "/etcdserverpb.Maintenance/Downgrade", access: "root" }, (bytes, call) => {
    const { action, version } = fromBinary(DowngradeRequestSchema, bytes);
    context.reads.request((error) => {
      if (!call.open) return;
      if (error !== null) failCall(call, error);
      else guarded(call, () => downgrade(context, call, action, version));
    });
  });
}

function downgrade(context: ServiceContext, call: ServerCall, action: Action, version: string): void {
  const { membership } = context.machine;
  const error =
    action === Action.CANCEL
      ? membership.downgradeTarget === ""
        ? EtcdErrors.noInflightDowngrade
        : null
      : checkDowngrade(membership.clusterVersion, membership.downgradeTarget, version);
  if (error !== null) {
    failCall(call, error);
    return;
  }
  const reply = (): void => {
    const header = generatedHeader(context, context.machine.store.revision);
    const message = create(DowngradeResponseSchema, { header, version: membership.clusterVersion });
    answerBytes(call, toBinary(DowngradeResponseSchema, message));
  };
  if (action === Action.VALIDATE) {
    reply();
    return;
  }
  const body: DowngradeBody = { target: action === Action.ENABLE ? minorOf(version)!.join(".").concat(".0") : "" };
  context.proposer.propose(CommandKind.downgrade, encodeJson(body), (result) => {
    if (!call.open) return;
    if (isEtcdError(result)) failCall(call, result);
    else reply();
  });
}

/** One minor version below the cluster's, and nothing else. */
export function checkDowngrade(clusterVersion: string, inProgress: string, wanted: string): EtcdError | null {
  const target = minorOf(wanted);
  if (target === null) return EtcdErrors.wrongDowngradeVersionFormat;
  const current = minorOf(clusterVersion);
  if (current === null) return EtcdErrors.clusterVersionUnavailable;
  if (target[0] !== current[0] || target[1] !== current[1] - 1) return EtcdErrors.invalidDowngradeTarget;
  return inProgress === "" ? null : EtcdErrors.downgradeInProgress;
}

/** Major and minor of `3.5` or `3.5.0`; null for anything else. */
function minorOf(version: string): readonly [number, number] | null {
  const match = /^(\d+)\.(\d+)(\.\d+(-[0-9A-Za-z.-]+)?)?$/.exec(version);
  return match === null ? null : [Number(match[1]), Number(match[2])];
}
