import { describe, expect, it } from "vitest";
import { createAgentConfig } from "./agent-config.ts";
import { readSettings } from "./read-settings.ts";

const config = (file: string) => createAgentConfig(readSettings(["--config-file=/f"], {}, () => file));

describe("the configuration file as parsed by etcd's YAML", () => {
  it.each([
    ["pre-vote: off", { preVote: false }],
    ["pre-vote: no", { preVote: false }],
    ["enable-pprof: yes", { enablePprof: true }],
    ["snapshot-count: 010", { snapshotCount: 8 }],
    ["snapshot-count: 1_000", { snapshotCount: 1000 }],
    ["snapshot-count: 18446744073709551615", { snapshotCount: Number.MAX_SAFE_INTEGER }],
    ["Snapshot-Count: 7", { snapshotCount: 7 }],
    ["snapshot-count: 7\nsnapshot-count: 8", { snapshotCount: 8 }],
    ["wal-dir: &a /w\ndata-dir: *a", { walDir: "/w", dataDir: "/w" }],
    ["experimental-corrupt-check-time: 5000000000", { corruptCheckMs: 5000 }],
    ["log-outputs: [stderr, /l]", { logOutputs: ["stderr", "/l"] }],
    ["name: yes", { name: "yes" }],
    ["name: 010", { name: "010" }],
    ["", { name: "default" }],
  ])("%j", (file, expected) => {
    expect(config(file)).toMatchObject(expected);
  });

  it.each([
    ["name: {a: 1}", "/f: name is wrong: expected a single value"],
    ["name: [a]", "/f: name is wrong: expected a single value"],
    ["log-outputs: [[a]]", "/f: log-outputs is wrong: expected a list of strings"],
    ["log-outputs: {a: 1}", "/f: log-outputs is wrong: expected a list of strings, or a comma-separated string"],
    ["client-transport-security: [a]", '/f: client-transport-security: expected keys such as "cert-file:" below it'],
    ["[a]", '/f: expected keys such as "name:" and "data-dir:"'],
  ])("%j is rejected", (file, message) => {
    expect(() => config(file)).toThrow(message);
  });
});
