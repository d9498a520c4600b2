/** A member as a separate process, observed from outside: its resources, its log, whether it still serves. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionOptions } from "node:tls";
import { fromBinary } from "@bufbuild/protobuf";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { certificatePath, keyPath } from "../../src/pki/certificate-directory.ts";
import { LeaseLeasesResponseSchema } from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { agentMain, freePorts } from "../compatibility/member-processes.ts";
import type { PeerPlace } from "./peer-conversations.ts";
import type { Target } from "./play.ts";

/** The resources of a process, according to `/proc`. */
export type Footprint = {
  /** Open sockets, and how often each file is open. Short-lived threads have pipes of their own: those do not count. */
  readonly descriptors: Readonly<Record<string, number>>;
  /** Private memory only: without database pages that happen to be resident. */
  readonly residentBytes: number;
};

const startMs = 20_000;
const logLinesKept = 60;

type ClientTls = { readonly ca: string; readonly cert: string; readonly key: string };

export class FuzzedMember {
  readonly client: Target;
  readonly peer: Target;
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #tls: ClientTls | null;
  readonly #log: string[] = [];
  #place: PeerPlace | null = null;

  static async start(host: string, withTls: boolean): Promise<FuzzedMember> {
    const directory = mkdtempSync(join(tmpdir(), "haplan-fuzz-"));
    const tls = withTls ? await issueCertificate(join(directory, "pki"), host) : null;
    const [clientPort = 0, peerPort = 0] = await freePorts(host, 2);
    const member = new FuzzedMember(directory, host, [clientPort, peerPort], tls);
    const deadlineMs = Date.now() + startMs;
    for (;;) {
      try {
        await member.putAndGet("ready");
        return member;
      } catch (error) {
        if (Date.now() < deadlineMs) await sleep(50);
        else throw await member.stop().then(() => error);
      }
    }
  }

  private constructor(
    directory: string,
    host: string,
    [clientPort, peerPort]: [number, number],
    tls: ClientTls | null,
  ) {
    const options: { tls?: ConnectionOptions } = tls === null ? {} : { tls: { ...tls, host } };
    this.client = { host, port: clientPort, ...options };
    this.peer = { host, port: peerPort, ...options };
    this.#directory = directory;
    this.#tls = tls;
    const scheme = tls === null ? "http" : "https";
    const [clientUrl, peerUrl] = [`${scheme}://${host}:${clientPort}`, `${scheme}://${host}:${peerPort}`];
    const flags = {
      name: "fuzzed",
      "data-dir": join(directory, "data"),
      "listen-client-urls": clientUrl,
      "advertise-client-urls": clientUrl,
      "listen-peer-urls": peerUrl,
      "initial-advertise-peer-urls": peerUrl,
      "initial-cluster": `fuzzed=${peerUrl}`,
      "bcrypt-cost": "4",
      "log-level": "warn",
      ...(tls === null ? {} : tlsFlags(join(directory, "pki"))),
    };
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    this.#process = spawn(process.execPath, [agentMain, ...words], { stdio: ["ignore", "ignore", "pipe"], env: {} });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => this.#keepLog(text));
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** The last lines of the member's log, and those that report a bug. */
  get log(): string {
    return this.#log.join("\n");
  }

  readonly reportedBugs: string[] = [];

  footprint(): Footprint {
    const directory = `/proc/${this.#process.pid}`;
    const status = readFileSync(`${directory}/status`, "utf8");
    const descriptors: Record<string, number> = {};
    for (const name of readdirSync(`${directory}/fd`)) {
      const kind = linkOf(`${directory}/fd/${name}`).replace(/:.*/, "");
      // Log segments are created and removed with the writes.
      if ((kind === "socket" || kind.startsWith("/")) && !kind.includes("/wal/"))
        descriptors[kind] = (descriptors[kind] ?? 0) + 1;
    }
    const residentBytes = Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) * 1024;
    return { descriptors, residentBytes };
  }

  /** The TCP connections of the process: local and remote port, in hexadecimal, the state, and the queued bytes. */
  connections(): readonly string[] {
    const directory = `/proc/${this.#process.pid}`;
    const links = readdirSync(`${directory}/fd`).map((name) => linkOf(`${directory}/fd/${name}`));
    const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
    const rows = readFileSync(`${directory}/net/tcp`, "utf8").split("\n").slice(1);
    return rows
      .map((row) => row.trim().split(/\s+/))
      .filter(({ 9: inode }) => inode !== undefined && inodes.has(inode))
      .map(([, local, remote, state, queued]) => `${local} ${remote} state ${state} queued ${queued}`);
  }

  /** The requests of a well-behaved client, and their duration. @throws when one fails or reads another value. */
  async putAndGet(value: string): Promise<number> {
    const start = performance.now();
    await using grpc = this.#connect();
    const client = new EtcdClient(grpc, { timeoutMs: 5_000 });
    await client.put("well-behaved", value);
    const { kvs, header } = await client.range("well-behaved");
    const read = Buffer.from(decodeKeyValue(kvs[0]!).value).toString();
    if (read !== value) throw new Error(`read ${read} after writing ${value}`);
    this.#place = { clusterId: hex(header!.clusterId), memberId: hex(header!.memberId) };
    return performance.now() - start;
  }

  get place(): PeerPlace {
    if (this.#place === null) throw new Error("the member has not been queried yet");
    return this.#place;
  }

  /** Removes what the fuzzing clients legitimately left: history, keys, leases. */
  async tidy(): Promise<void> {
    await using grpc = this.#connect();
    const client = new EtcdClient(grpc, { timeoutMs: 5_000 });
    const answer = await grpc.unary("/etcdserverpb.Lease/LeaseLeases", Buffer.of(), { timeoutMs: 5_000 });
    const { leases } = fromBinary(LeaseLeasesResponseSchema, answer);
    // A lease that expires meanwhile is gone as well.
    for (const { ID } of leases) await client.leaseRevoke(ID).catch(() => {});
    await client.deleteRange(Buffer.of(0), Buffer.of(0));
    const { header } = await client.put("well-behaved", "tidy");
    await client.compact(header!.revision, true);
  }

  async stop(): Promise<void> {
    if (this.isAlive) {
      const gone = new Promise((resolve) => this.#process.once("exit", resolve));
      this.#process.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #connect(): ReturnType<typeof connect> {
    const endpoint = `${this.#tls === null ? "http" : "https"}://${this.client.host}:${this.client.port}`;
    return connect({ endpoints: [endpoint], ...(this.#tls === null ? {} : { tls: this.#tls }) });
  }

  #keepLog(text: string): void {
    for (const line of text.split("\n").filter((one) => one !== "")) {
      this.#log.push(line);
      if (this.#log.length > logLinesKept) this.#log.shift();
      if (line.includes("because of a bug")) this.reportedBugs.push(line);
    }
  }
}

async function issueCertificate(directory: string, host: string): Promise<ClientTls> {
  const authority = openAuthority({ directory });
  await authority.createAuthority("fuzz");
  await authority.issue({
    name: "member",
    profile: "member",
    commonName: "member",
    subjectAltNames: [host, "127.0.0.1"],
  });
  const { caPem, certificatePem, keyPem } = await authority.material("member");
  return { ca: caPem, cert: certificatePem, key: keyPem };
}

function tlsFlags(directory: string): Record<string, string> {
  const [cert, key, ca] = [
    certificatePath(directory, "member"),
    keyPath(directory, "member"),
    certificatePath(directory, "ca"),
  ];
  return {
    "cert-file": cert,
    "key-file": key,
    "trusted-ca-file": ca,
    "peer-cert-file": cert,
    "peer-key-file": key,
    "peer-trusted-ca-file": ca,
    "peer-client-cert-auth": "true",
  };
}

/** Empty for a descriptor that was closed since it was listed. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function hex(id: bigint): string {
  return id.toString(16).padStart(16, "0");
}
