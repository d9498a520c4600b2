/** Verifies the tables of docs/security.md against a member with users. */
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { HaplanError } from "../../src/base/haplan-error.ts";
import type { GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import * as rpc from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import type { FactsResponse } from "../../src/raft-agent/api/gen/haplan/v1/haplan_pb.ts";
import { decodeHaplan, haplanMethods } from "../../src/raft-agent/api/haplan-messages.ts";
import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import { decodePeerResponse, encodePeerRequest, PeerRequestKind } from "../../src/raft-agent/consensus/peer-request.ts";
import { CommandKind, createCommandCodec } from "../../src/raft-agent/state-machine/command.ts";
import type { AccessRow, Outcome } from "./access-tables.ts";
import { exampleRequest, plainUser, secretLease, spareUser } from "./example-requests.ts";
import type { GuardedMember, Holder, PeerCaller } from "./guarded-member.ts";

const requestTimeoutMs = 8_000;
const userTexts = /permission denied|user name is empty|user name not found/;
const services: Readonly<Record<string, string>> = {
  Health: "/grpc.health.v1.",
  Haplan: "/haplan.v1.",
  Peer: "/haplan.",
};

/** The path of a method as named in the tables. */
export function pathOf(method: string): string {
  return `${services[method.split("/")[0]!] ?? "/etcdserverpb."}${method}`;
}

export class AccessTrial {
  readonly #member: GuardedMember;
  readonly #tokens = new Map<string, string>();
  readonly #clients = new Map<Holder, GrpcClient>();
  readonly #callers = new Map<Holder, Promise<PeerCaller>>();

  constructor(member: GuardedMember) {
    this.#member = member;
  }

  /** Creates the users, logs them in, and creates a lease with a key. */
  async enableUsers(): Promise<void> {
    for (const name of ["root", plainUser, spareUser]) {
      await this.#ask("Auth/UserAdd", rpc.AuthUserAddRequestSchema, { name, password: name });
    }
    await this.#ask("Auth/UserGrantRole", rpc.AuthUserGrantRoleRequestSchema, { user: "root", role: "root" });
    await this.#ask("Lease/LeaseGrant", rpc.LeaseGrantRequestSchema, { ID: secretLease, TTL: 600n });
    await this.#ask("KV/Put", rpc.PutRequestSchema, { key: Buffer.from("leased"), lease: secretLease });
    await this.#logIn();
  }

  /** A call of the client port. */
  async overClientPort(holder: Holder, { what, methods, condition, user }: AccessRow): Promise<Outcome> {
    const [method] = methods;
    if (method === undefined) throw new Error(`the row of ${what} names no method`);
    const token = this.#tokens.get(user);
    const request = exampleRequest(this.#member, `Haplan/${method}`, condition);
    try {
      await this.#client(holder).unary(pathOf(`Haplan/${method}`), request, {
        timeoutMs: requestTimeoutMs,
        ...(token === undefined ? {} : { metadata: { token } }),
      });
      return "yes";
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (error.code === StatusCode.unavailable) return "-";
      return outcomeOf(error.code, error.message);
    }
  }

  /** Any row of the peer port's table. */
  async overPeerPort(holder: Holder, row: AccessRow): Promise<Outcome> {
    const { what, methods, condition, user } = row;
    if (what.startsWith("`GET ")) {
      const path = what.slice("`GET ".length, -1);
      return (await this.#member.askOverHttp(holder, path)) === null ? "-" : "yes";
    }
    if (what === "greeting") return (await this.#caller(holder)).refusal === null ? "yes" : "-";
    if (what === "messages of Raft") return this.#sendRaftMessage(holder);
    if (what === "forwarded proposals") return this.#forwardProposal(holder, user);
    if (what === "snapshot") return this.#sendSnapshot(holder);
    if (methods.length === 0) throw new Error(`the row of ${what} names no method`);
    const outcomes: Outcome[] = [];
    for (const method of methods) {
      const request = exampleRequest(this.#member, method, condition);
      outcomes.push((await this.askAsPeer(holder, method, user, request)).outcome);
    }
    const differing = outcomes.findIndex((outcome) => outcome !== outcomes[0]);
    if (differing > 0) throw new Error(`${methods[differing]} is "${outcomes[differing]}", ${methods[0]} is not`);
    return outcomes[0]!;
  }

  /** A request for a method, in the name of a user, as forwarded by members. */
  async askAsPeer(holder: Holder, method: string, user: string, message: Uint8Array): Promise<Answer> {
    const { transport, refusal } = await this.#caller(holder);
    const isChange = method === "Peer/Change";
    const kind = PeerRequestKind.protobuf;
    const request = encodePeerRequest(kind, {
      path: pathOf(isChange ? "Haplan/ChangeMembers" : method),
      caller: { user, authRevision: refusal === null ? await this.#authRevision() : 1 },
      changeId: isChange ? "01".repeat(16) : null,
      message,
    });
    try {
      const answer = await transport.request(this.#member.ids.m1, kind, request, requestTimeoutMs);
      const { code, text } = decodePeerResponse(kind, answer);
      if (method === "Auth/AuthDisable" && code === StatusCode.ok) await this.#logIn();
      return { code, text, outcome: outcomeOf(code, text) };
    } catch (error) {
      return { code: null, text: "", outcome: refusalOf(error) };
    }
  }

  /** As the member itself: reports the end of its log to the leader, which shows it. */
  async #sendRaftMessage(holder: Holder): Promise<Outcome> {
    const { transport } = await this.#caller(holder);
    const { m1, m2 } = this.#member.ids;
    const { term } = await this.#facts();
    const body = { kind: "appendResponse", accepted: true, index: 1, hintIndex: 0, hintTerm: 0 } as const;
    transport.send({ from: m2, to: m1, term, ...body });
    await this.#settle(holder);
    const { progress } = await this.#facts();
    return progress.find(({ member }) => member === m2)?.matchIndex === 1n ? "yes" : "-";
  }

  async #forwardProposal(holder: Holder, user: string): Promise<Outcome> {
    const { transport, refusal } = await this.#caller(holder);
    const { m1, m2 } = this.#member.ids;
    const { term } = await this.#facts();
    const key = Buffer.from(`proposed by ${holder} for ${user}`);
    const body = toBinary(rpc.PutRequestSchema, create(rpc.PutRequestSchema, { key }));
    const caller = { user, authRevision: await this.#authRevision() };
    const proposal = createCommandCodec(m2).encode(CommandKind.put, 1, body, caller);
    transport.send({ from: m2, to: m1, term, kind: "forwardedProposals", proposals: [proposal] });
    await this.#settle(holder);
    const bytes = await this.#ask("KV/Range", rpc.RangeRequestSchema, { key });
    if (fromBinary(rpc.RangeResponseSchema, bytes).kvs.length === 1) return "yes";
    return refusal === null ? "no" : "-";
  }

  /** Of an old entry: a member that takes part receives it and does not need it. */
  async #sendSnapshot(holder: Holder): Promise<Outcome> {
    const { transport } = await this.#caller(holder);
    const { m1 } = this.#member.ids;
    const metadata = { index: 1, term: 1, configuration: { voters: [m1], votersOutgoing: [], learners: [] } };
    try {
      await transport.sendSnapshot(m1, metadata, termOnly());
      return "yes";
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** What the caller has sent so far has been processed, and all its effects are applied. */
  async #settle(holder: Holder): Promise<void> {
    await this.askAsPeer(holder, "Health/Check", "", new Uint8Array(0));
    await this.#ask("KV/Put", rpc.PutRequestSchema, { key: Buffer.from("settled") });
  }

  #client(holder: Holder): GrpcClient {
    const client = this.#clients.get(holder) ?? this.#member.client(holder);
    this.#clients.set(holder, client);
    return client;
  }

  #caller(holder: Holder): Promise<PeerCaller> {
    const { m2 } = this.#member.ids;
    const claimed = holder === "m4" ? this.#member.ids.m4 : m2;
    const caller = this.#callers.get(holder) ?? this.#member.callAs(holder, claimed);
    this.#callers.set(holder, caller);
    return caller;
  }

  async #facts(): Promise<{ readonly term: number; readonly progress: FactsResponse["progress"] }> {
    const { term, progress } = decodeHaplan(
      haplanMethods.facts.output,
      await this.#askBytes("Haplan/Facts", new Uint8Array(0)),
    );
    return { term: Number(term), progress };
  }

  async #authRevision(): Promise<number> {
    const bytes = await this.#ask("Auth/AuthStatus", rpc.AuthStatusRequestSchema, {});
    return Number(fromBinary(rpc.AuthStatusResponseSchema, bytes).authRevision);
  }

  async #logIn(): Promise<void> {
    await this.#ask("Auth/AuthEnable", rpc.AuthEnableRequestSchema, {});
    for (const name of ["root", plainUser]) {
      const bytes = await this.#ask("Auth/Authenticate", rpc.AuthenticateRequestSchema, { name, password: name });
      this.#tokens.set(name, fromBinary(rpc.AuthenticateResponseSchema, bytes).token);
    }
  }

  #ask<Schema extends DescMessage>(method: string, schema: Schema, fields: MessageInitShape<Schema>): Promise<Buffer> {
    return this.#askBytes(method, toBinary(schema, create(schema, fields)));
  }

  /** As root, once there is one. */
  #askBytes(method: string, request: Uint8Array): Promise<Buffer> {
    const token = this.#tokens.get("root");
    const options = token === undefined ? {} : { metadata: { token } };
    return this.#client("admin").unary(pathOf(method), request, options);
  }
}

/** `code`: null when there was no connection. */
type Answer = { readonly code: StatusCode | null; readonly text: string; readonly outcome: Outcome };

function outcomeOf(code: StatusCode, text: string): Outcome {
  return code !== StatusCode.ok && userTexts.test(text) ? "no" : "yes";
}

/** @throws Error when it failed for a reason other than a rejected connection. */
function refusalOf(error: unknown): Outcome {
  if (!(error instanceof HaplanError)) throw error;
  const isRefused = ["transport/unavailable", "transport/unreachable", "transport/refused", "transport/removed"];
  if (isRefused.includes(error.code)) return "-";
  // The snapshot was inspected, and is useless to the member.
  if (error.message.includes("the received state ends at entry 1,")) return "yes";
  throw error;
}

async function* termOnly(): AsyncGenerator<Uint8Array> {
  const term = Buffer.alloc(8);
  term.writeBigUInt64BE(1n);
  yield term;
}
