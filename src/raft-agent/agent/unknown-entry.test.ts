/**
 * A member whose log contains an entry of a newer release: it stops and reports it. Skipping the entry would fork its
 * data.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type AgentConfig, createAgentConfig } from "../config/agent-config.ts";
import { readSettings } from "../config/read-settings.ts";
import { EntryKind } from "../raft/entry.ts";
import { type CommandKind, createCommandCodec } from "../state-machine/command.ts";
import { createNodeFileSystem } from "../wal/node-file-system.ts";
import { openWal } from "../wal/open-wal.ts";
import { type Agent, startAgent } from "./agent.ts";
import { bootstrapCluster, encodeIdentity } from "./disk/member-identity.ts";

const host = "127.77.42.9";
let directory: string;
let config: AgentConfig;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-unknown-entry-"));
  config = createAgentConfig(
    readSettings(
      [
        "--name=m1",
        `--data-dir=${directory}/m1`,
        `--listen-client-urls=http://${host}:2379`,
        `--advertise-client-urls=http://${host}:2379`,
        `--listen-peer-urls=http://${host}:2380`,
        `--initial-advertise-peer-urls=http://${host}:2380`,
        `--initial-cluster=m1=http://${host}:2380`,
        "--heartbeat-interval=10",
        "--election-timeout=100",
      ],
      {},
      () => "",
    ),
  );
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function start(onStopped: (reason: string) => void): Promise<Agent> {
  return startAgent({ config, logger: pino({ level: "silent" }), onStopped });
}

it("stops with an error that names the kind, and again when it is restarted", async () => {
  const first = await start(() => {});
  const self = first.memberId;
  // Once it is healthy it is the leader, and its log has entries.
  await vi.waitFor(async () => expect((await fetch(`http://${host}:2379/health`)).status).toBe(200), 5_000);
  await first.close();
  const metadata = encodeIdentity(bootstrapCluster(config).identity);
  const { wal, recovered } = await openWal({
    fileSystem: createNodeFileSystem(config.walDir),
    directory: ".",
    metadata,
  });
  const last = recovered.entries.at(-1)!;
  const index = last.index + 1;
  const data = createCommandCodec(self).encode(99 as CommandKind, 1, new Uint8Array(0));
  const hardState = { ...recovered.hardState!, commitIndex: index };
  await wal.append({
    hardState,
    entries: [{ term: last.term, index, kind: EntryKind.normal, data }],
    snapshot: null,
  });
  await wal.close();
  for (let attempt = 0; attempt < 2; attempt++) {
    let report: (reason: string) => void = () => {};
    const stopped = new Promise<string>((resolve) => {
      report = resolve;
    });
    const agent = await start(report);
    expect(await stopped).toMatch(/Cannot read log entry of kind 99 .*written by a newer haplan-agent/);
    await agent.close();
  }
});
