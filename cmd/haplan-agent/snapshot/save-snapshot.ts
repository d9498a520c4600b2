/** `snapshot save`: streams a member's snapshot into a file that gets its name only when it is complete. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir } from "../../../src/base/durable-file.ts";
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import type { CallOptions } from "../../../src/etcd-client/client-stream.ts";
import type { ClientTls } from "../../../src/etcd-client/endpoint.ts";
import { EtcdClient } from "../../../src/etcd-client/etcd-client.ts";
import { connect, type GrpcClient } from "../../../src/etcd-client/grpc-client.ts";
import { parseDurationMs } from "../../../src/raft-agent/config/flag-values.ts";
import { openSnapshotFile } from "../../../src/raft-agent/etcd-snapshot/snapshot-file.ts";

export type SaveFlags = {
  readonly endpoints: string;
  readonly cacert?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly user?: string;
  readonly password?: string;
  readonly dialTimeout: string;
  readonly commandTimeout?: string;
};

/** @throws HaplanError, GrpcError, or the system's error; an older file of that name is then untouched. */
export async function saveSnapshot(file: string, flags: SaveFlags): Promise<void> {
  if (flags.endpoints.includes(",")) {
    throw new HaplanError("snapshot/endpoints", "A snapshot is of one member: give --endpoints exactly one endpoint");
  }
  const tls = readTls(flags);
  const connectTimeoutMs = durationMs("dial-timeout", flags.dialTimeout);
  const timeoutMs = flags.commandTimeout === undefined ? null : durationMs("command-timeout", flags.commandTimeout);
  await using grpc = connect({ endpoints: [flags.endpoints], connectTimeoutMs, ...(tls === null ? {} : { tls }) });
  const token = await authenticate(grpc, flags);
  const options: CallOptions = {
    ...(timeoutMs === null ? {} : { timeoutMs }),
    ...(token === null ? {} : { metadata: { token } }),
  };
  const part = `${file}.part`;
  try {
    await writeAll(part, new EtcdClient(grpc, options).maintenance.snapshot());
    assertComplete(part);
    renameSync(part, file);
    syncDir(dirname(file));
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

async function writeAll(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const file = openSync(path, "w", 0o600);
  try {
    for await (const chunk of chunks) for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Verifies that the received file is what the member sent. */
function assertComplete(path: string): void {
  using file = openSnapshotFile(path, { skipHashCheck: false });
  if (file.hasHash) return;
  throw new HaplanError("snapshot/hash", "The snapshot ended without its SHA-256: it is incomplete; try again");
}

function readTls({ cacert, cert, key }: SaveFlags): ClientTls | null {
  if ((cert === undefined) !== (key === undefined)) {
    throw new HaplanError("snapshot/tls", "--cert and --key must be given together");
  }
  if (cacert === undefined && cert === undefined) return null;
  return {
    ...(cacert === undefined ? {} : { ca: readFileSync(cacert) }),
    ...(cert === undefined || key === undefined ? {} : { cert: readFileSync(cert), key: readFileSync(key) }),
  };
}

function durationMs(flag: string, text: string): number {
  const milliseconds = parseDurationMs(text);
  if (milliseconds !== null && milliseconds > 0) return milliseconds;
  throw new HaplanError("snapshot/duration", `--${flag}="${text}" is wrong: expected a duration such as "5s"`);
}

/** The token of the user in the flags; null without one. */
async function authenticate(grpc: GrpcClient, { user, password }: SaveFlags): Promise<string | null> {
  if (user === undefined) return null;
  const colon = user.indexOf(":");
  const name = colon < 0 || password !== undefined ? user : user.slice(0, colon);
  const secret = password ?? (colon < 0 ? null : user.slice(colon + 1));
  if (secret === null) {
    throw new HaplanError("snapshot/password", "--user needs a password: write --user=name:password or add --password");
  }
  try {
    return await new EtcdClient(grpc).auth.authenticate(name, secret);
  } catch (error) {
    throw new HaplanError("snapshot/authenticate", `Cannot log in as "${name}": ${errorText(error)}`, { cause: error });
  }
}
