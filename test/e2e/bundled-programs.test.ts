import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it } from "vitest";
import type { ProbeReport } from "../../cmd/haplan/probe-in-thread.ts";
import type { WriteAvailability } from "../../src/apply/apply-event.ts";
import type { ProbeClientRequest, ProbeRequest } from "../../src/apply/ports.ts";
import type { MembersRequest } from "../../src/control-plane/control-plane.ts";
import { listenForTestClients } from "../support/listening-clients.ts";
import { buildDir } from "./cluster-fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-bundled-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Prints where a file is read from, and then fails to read it. */
const readHook = `
  const fs = require("node:fs");
  const { readFileSync } = fs;
  fs.readFileSync = (path, ...rest) => {
    if (!String(path).endsWith("package.json") || !new Error().stack.includes("ownVersion")) return readFileSync(path, ...rest);
    process.stderr.write(new Error("here").stack + "\\n");
    throw new Error("refused");
  };
  require("node:module").syncBuiltinESMExports();
`;

/** Files and packages that a file imports before it runs, by whatever chain. */
function importedFrom(file: string): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [file];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    if (!path.startsWith("/")) continue;
    for (const [, from, alone] of readFileSync(path, "utf8").matchAll(
      /^(?:import|export)\b[^;\n]*?\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"/gm,
    )) {
      const name = from ?? alone ?? "";
      open.push(name.startsWith(".") ? join(dirname(path), name) : name);
    }
  }
  return found;
}

describe("the bundled programs", () => {
  it("A18: name the sources in a stack trace", async () => {
    const hook = join(directory, "hook.cjs");
    writeFileSync(hook, readHook);
    const argv = ["--require", hook, join(buildDir, "cmd/haplan/main.js"), "version"];
    const { stderr, stdout } = await promisify(execFile)(process.execPath, argv);
    expect(stderr).toMatch(/at ownVersion \(.*\/cmd\/haplan\/main\.ts:\d+:\d+\)/);
    expect(stdout).toContain("haplan vunknown");
  });

  it("have the client of S3 in a chunk that no member loads at its start, and that needs no package", () => {
    const programs = join(buildDir, "cmd");
    const client = readdirSync(join(programs, "chunks")).filter((name) => /^s3-sdk-.*\.js$/.test(name));
    expect(client).toHaveLength(1);
    const started = importedFrom(join(programs, "haplan-agent/program.js"));
    expect(started.size).toBeGreaterThan(5);
    expect([...started].filter((path) => /\/s3-|aws-sdk|smithy/.test(path))).toEqual([]);
    const ofClient = [...importedFrom(join(programs, "chunks", client[0]!))];
    expect(ofClient.filter((path) => !path.startsWith("/") && !path.startsWith("node:"))).toEqual([]);
  });

  it("T10: have the write probe in a thread of its own", async () => {
    const url = "http://127.77.42.6:2379";
    const front = await listenForTestClients([`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`]);
    front.serve();
    const clients: ProbeClientRequest[] = [true, false].map((connects) => ({ connects, endpoints: [url], tls: null }));
    const away: MembersRequest = { endpoints: ["http://127.77.42.6:2399"], tls: null };
    const workerData: ProbeRequest = { clients, endpoint: away };
    const probe = new Worker(join(buildDir, "cmd/haplan/write-probe.js"), { workerData });
    try {
      expect(await once(probe, "message")).toEqual([{ kind: "writing" }]);
      const result = new Promise<WriteAvailability>((resolve) => {
        probe.on("message", (report: ProbeReport) => {
          if (report.kind === "result") resolve(report.availability!);
        });
      });
      // What this thread does meanwhile is none of the probe's business.
      await new Promise((resolve) => setTimeout(resolve, 300));
      probe.postMessage({ kind: "moveEndpoint", endpoint: { endpoints: [url], tls: null } });
      await new Promise((resolve) => setTimeout(resolve, 300));
      probe.postMessage({ kind: "stop" });
      const availability = await result;
      expect(availability.firstFailure).toContain("ECONNREFUSED");
      // It began to write through the endpoint that is away, and does so no more.
      expect(availability.unavailableMs).toBeGreaterThan(200);
      expect(availability.unavailableMs).toBeLessThan(availability.measuredMs);
    } finally {
      await probe.terminate();
      await front.close();
    }
  });
});
