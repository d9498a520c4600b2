/**
 * One member with the certificates that haplan creates for a cluster, and callers with any of these certificates.
 * Beside the running member there are `m2` and `m3`, which were added and never started, and `m4`, which was added and
 * removed again. The name server resolves every name to the caller's address, like one controlled by an attacker.
 */

import { promises as dns } from "node:dns";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:https";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { createRandom } from "../../src/base/random.ts";
import { connect, type GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { certificatePath, keyPath } from "../../src/pki/certificate-directory.ts";
import type { TlsMaterial } from "../../src/pki/tls-material.ts";
import { type Agent, startAgent } from "../../src/raft-agent/agent/agent.ts";
import type { ChangeMembersResponse } from "../../src/raft-agent/api/gen/haplan/v1/haplan_pb.ts";
import { decodeHaplan, encodeHaplan, haplanMethods, haplanPath } from "../../src/raft-agent/api/haplan-messages.ts";
import { createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { readSettings } from "../../src/raft-agent/config/read-settings.ts";
import { PeerTransport } from "../../src/raft-agent/transport/peer-transport.ts";
import type { TlsMaterial as TransportMaterial } from "../../src/raft-agent/transport/transport-types.ts";
import { freePorts } from "../compatibility/member-processes.ts";

/** With the names that haplan gives them. */
const certificates = {
  m1: { profile: "member", names: ["127.77.61.1", "m1", "localhost", "127.0.0.1"] },
  m2: { profile: "member", names: ["127.77.61.2", "m2", "localhost", "127.0.0.1"] },
  m3: { profile: "member", names: ["127.77.61.3", "m3", "localhost", "127.0.0.1"] },
  m4: { profile: "member", names: ["127.77.61.4", "m4", "localhost", "127.0.0.1"] },
  worker: { profile: "client", names: ["worker-1"] },
  balancer: { profile: "client", names: ["load-balancer"] },
  admin: { profile: "client", names: ["admin"] },
} as const;
/** `none` presents no certificate. */
export type Holder = keyof typeof certificates | "none";

export type PeerCaller = {
  /** Null when it was accepted. */
  readonly refusal: string | null;
  readonly transport: PeerTransport;
};

const host = "127.77.61.1";
const neverStarted = ["https://127.77.61.2:2380", "https://127.77.61.3:2380"] as const;
const removed = "https://127.77.61.4:2380";

export class GuardedMember {
  readonly clientUrl: string;
  readonly peerUrl: string;
  /** The member's log lines. */
  readonly logs: string[] = [];
  readonly #directory: string;
  readonly #agent: Agent;
  readonly #material: ReadonlyMap<Holder, TlsMaterial>;
  readonly #closing: (() => Promise<void>)[] = [];
  /** Ids by member. */
  readonly ids: { readonly m1: string; readonly m2: string; readonly m3: string; readonly m4: string };

  /** `flags` are added to those for the member's addresses and certificates. */
  static async start(flags: readonly string[] = []): Promise<GuardedMember> {
    const directory = mkdtempSync(join(tmpdir(), "haplan-guarded-"));
    const material = await issueAll(join(directory, "pki"));
    const [clientPort = 0, peerPort = 0] = await freePorts(host, 2);
    const [clientUrl, peerUrl] = [`https://${host}:${clientPort}`, `https://${host}:${peerPort}`];
    const words = [
      "--name=m1",
      `--data-dir=${join(directory, "data")}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=m1=${peerUrl}`,
      "--max-learners=7",
      "--bcrypt-cost=4",
      ...tlsFlags(join(directory, "pki")),
      ...flags,
    ];
    const config = createAgentConfig(readSettings(words, {}, () => ""));
    const logs: string[] = [];
    const logger = pino({ level: "info" }, { write: (line: string) => void logs.push(line) });
    const agent = await startAgent({ config, logger, onStopped: () => {} });
    const member = new GuardedMember({ directory, material, agent, clientUrl, peerUrl, logs });
    await member.#makeMembership();
    return member;
  }

  private constructor(parts: {
    readonly directory: string;
    readonly material: ReadonlyMap<Holder, TlsMaterial>;
    readonly agent: Agent;
    readonly clientUrl: string;
    readonly peerUrl: string;
    readonly logs: string[];
  }) {
    this.#directory = parts.directory;
    this.#material = parts.material;
    this.#agent = parts.agent;
    this.clientUrl = parts.clientUrl;
    this.peerUrl = parts.peerUrl;
    this.logs = parts.logs;
    this.ids = { m1: parts.agent.memberId, m2: "", m3: "", m4: "" };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#closing.splice(0).map((close) => close()));
    await this.#agent.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** A client of the client port. */
  client(holder: Holder): GrpcClient {
    const client = connect({ endpoints: [this.clientUrl], tls: this.#shownBy(holder) });
    this.#closing.push(() => client.close());
    return client;
  }

  /** Calls the peer port as if it were member `self`. */
  async callAs(holder: Holder, self: string): Promise<PeerCaller> {
    const shown = { ...this.#shownBy(holder), rejectUnauthorized: true };
    let tell: (refusal: string | null) => void = () => {};
    const told = new Promise<string | null>((resolve) => {
      tell = resolve;
    });
    const transport = new PeerTransport({
      self,
      clusterId: this.#agent.clusterId,
      advertisedUrls: [],
      random: createRandom(1),
      // A caller without a certificate has neither of the two properties required by the type.
      tls: {
        requireClientCertificate: false,
        material: () => this.pem("m1"),
        clientMaterial: () => shown as TransportMaterial,
      },
      handlers: { onMessage: () => {}, onLog: (_, text) => tell(text.startsWith("connected to") ? null : text) },
    });
    this.#closing.push(() => transport.close());
    transport.setPeer(this.ids.m1, [this.peerUrl]);
    return { refusal: await told, transport };
  }

  /** The response to a request over HTTP on the peer port; null when the connection is rejected. */
  askOverHttp(holder: Holder, path: string): Promise<string | null> {
    const options = { ...this.#shownBy(holder), agent: false };
    return new Promise((resolve) => {
      const request = get(new URL(path, this.peerUrl), options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("end", () => resolve(text)).on("error", () => resolve(null));
      });
      request.on("error", () => resolve(null));
    });
  }

  async #makeMembership(): Promise<void> {
    const client = this.client("admin");
    await until(() => this.logs.some((line) => line.includes("ready to serve client requests")));
    const { changeMembers } = haplanMethods;
    const change = async (request: MessageInitShape<typeof changeMembers.input>): Promise<ChangeMembersResponse> => {
      const bytes = encodeHaplan(changeMembers.input, { voters: [this.ids.m1], ...request }, "protobuf");
      return decodeHaplan(changeMembers.output, await client.unary(haplanPath(changeMembers), bytes));
    };
    const { members } = await change({ add: [...neverStarted, removed].map((url) => ({ peerUrls: [url] })) });
    const idAt = (url: string): string => members.find(({ peerUrls }) => peerUrls.includes(url))!.id;
    Object.assign(this.ids, { m2: idAt(neverStarted[0]), m3: idAt(neverStarted[1]), m4: idAt(removed) });
    await change({ learners: [this.ids.m2, this.ids.m3] });
  }

  #shownBy(holder: Holder): { readonly ca: string; readonly cert?: string; readonly key?: string } {
    if (holder === "none") return { ca: this.pem("m1").ca };
    return this.pem(holder);
  }

  /** PEM of a holder's certificate. */
  pem(holder: Holder): { readonly ca: string; readonly cert: string; readonly key: string } {
    const { caPem, certificatePem, keyPem } = this.#material.get(holder)!;
    return { ca: caPem, cert: certificatePem, key: keyPem };
  }
}

/** Resolves every name to the requesting address, in both directions, until the returned function is called. */
export function resolveEveryName(): () => void {
  const { lookup, reverse } = dns;
  Object.assign(dns, {
    lookup: async () => [{ address: "127.0.0.1", family: 4 }],
    reverse: async () => ["worker-1", "load-balancer", "admin", "m1", "m2", "m4"],
  });
  syncBuiltinESMExports();
  return () => {
    Object.assign(dns, { lookup, reverse });
    syncBuiltinESMExports();
  };
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function issueAll(directory: string): Promise<ReadonlyMap<Holder, TlsMaterial>> {
  const authority = openAuthority({ directory });
  await authority.createAuthority("guarded haplan CA");
  const material = new Map<Holder, TlsMaterial>();
  for (const [name, { profile, names }] of Object.entries(certificates)) {
    await authority.issue({ name, profile, commonName: name, subjectAltNames: names });
    material.set(name as Holder, await authority.material(name));
  }
  return material;
}

function tlsFlags(directory: string): string[] {
  return ["", "peer-"].flatMap((prefix) => [
    `--${prefix}cert-file=${certificatePath(directory, "m1")}`,
    `--${prefix}key-file=${keyPath(directory, "m1")}`,
    `--${prefix}trusted-ca-file=${certificatePath(directory, "ca")}`,
    `--${prefix}client-cert-auth=true`,
  ]);
}
