/** The checks of hosts for this machine: those that matter to processes that all run here. */
import { join } from "node:path";
import { execa } from "execa";
import { factsScript } from "../../host/facts-script.ts";
import { parseFacts } from "../../host/parse-facts.ts";
import { checkHosts, hostChecks } from "../host-checks.ts";
import type { CheckReport, PreflightRequest } from "../provider.ts";
import { type PreflightPlace, preflightLocal } from "./preflight.ts";

const factsMs = 60_000;
const name = "This machine";

/** Ports, programs and space are checked by the preflight; a process needs no systemd, root or clock of its own. */
const applicable: ReadonlySet<string> = new Set(["little-memory", "little-space", "slow-disk"]);

export async function checkThisMachine(place: PreflightPlace, request: PreflightRequest): Promise<CheckReport> {
  const { root, programsDir } = place;
  const nothing = { programs: [], paths: [], replaced: [] };
  const script = factsScript({ dataDirectory: join(root, "machines"), programsDirectory: programsDir, ...nothing });
  const { stdout } = await execa("sh", ["-c", script], { reject: false, timeout: factsMs });
  const facts = parseFacts(stdout ?? "");
  const machine = { name, address: null, units: request.units.map(({ unit }) => unit), bytes: 0 };
  const host = { host: name, machines: [machine], facts, notRoot: null, clock: null };
  const checks = hostChecks.filter(({ id }) => applicable.has(id));
  const found = checkHosts({ cluster: "", certificateAgeMs: null, hosts: [host], paths: [] }, checks);
  const machines = [...new Set(request.units.map((each) => each.machine))];
  return {
    hosts: [{ host: facts.hostname, machines, facts, clockOffsetMs: null }],
    diagnostics: [...(await preflightLocal(place, request)), ...found],
  };
}
