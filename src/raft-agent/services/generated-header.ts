/** The response header as a generated message, for responses off the hot path. */
import { create } from "@bufbuild/protobuf";
import { type ResponseHeader, ResponseHeaderSchema } from "../api/gen/etcdserverpb/rpc_pb.ts";
import type { ResponseHeader as DecodedHeader } from "../api/response-header.ts";
import type { ServiceContext } from "./service-context.ts";

/** `revision` 0 omits it. */
export function generatedHeader(context: ServiceContext, revision: number): ResponseHeader {
  return create(ResponseHeaderSchema, {
    clusterId: context.identity.clusterId,
    memberId: context.identity.memberId,
    revision: BigInt(revision),
    raftTerm: BigInt(context.consensus.term()),
  });
}

/** A header decoded from one of our own responses. */
export function generatedFrom(header: DecodedHeader): ResponseHeader {
  const { clusterId, memberId, revision, raftTerm } = header;
  const numbers = { revision: BigInt(revision), raftTerm: BigInt(raftTerm) };
  return create(ResponseHeaderSchema, { clusterId, memberId, ...numbers });
}
