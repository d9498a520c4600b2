/**
 * Compares planning with `terraform plan`: a control plane of 7 masters with 1,000 workers (2,000 resources and more),
 * and 1,000 `terraform_data`, which need no provider and no network. Once from scratch, and once without changes; in
 * the latter both trust the state (`-refresh=false`), since 1,000 workers would be 1,000 processes.
 *
 *   npm run build:tools && node build/bench/plan.js [--rounds 5]
 *
 * Needs GNU time; without terraform only haplan's rows are printed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { applyPlan } from "../src/apply/apply-plan.ts";

import { observeCluster } from "../src/apply/observe-cluster.ts";
import { planChanges } from "../src/plan/planner.ts";
import { specReader } from "../src/providers/spec-reader.ts";
import { renderState } from "../src/state/state-document.ts";
import { buildDir } from "../test/e2e/cluster-fixture.ts";
import { isInstalled } from "../test/e2e/run-program.ts";
import { FakeWorld } from "../test/support/fake-world.ts";
import { median } from "./report.ts";
import { type Cost, timeProgram } from "./timed-program.ts";

const workers = 1000;
const masters = 7;

function haplanSpec(): string {
  const machine = (letter: string, network: number) => (_: unknown, index: number) =>
    `      - { name: ${letter}${index + 1}, address: 127.${network + Math.floor(index / 200)}.77.${(index % 200) + 1} }\n`;
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: large }
spec:
  provider: { type: local }
  controlPlane:
    members: ${masters}
    masters:
${Array.from({ length: masters }, machine("m", 90)).join("")}  workers:
${Array.from({ length: workers }, machine("w", 100)).join("")}  loadBalancer: { type: embedded, address: 127.89.77.1, ports: [2379] }
`;
}

/** The state after an apply, created by the real engine with an in-memory world. */
async function settledState(specPath: string): Promise<string> {
  const { spec, sourceDigest } = specReader.load(specPath);
  if (spec === null) throw new Error("The bench's own spec is wrong");
  const world = new FakeWorld();
  const observed = await observeCluster(world.ports(), { spec, state: null });
  const made = {
    spec,
    specDigest: sourceDigest ?? "",
    state: null,
    observed,
    provider: world.model,
    mode: "apply",
    haplanVersion: "0.1.0",
    nowMs: Date.now(),
  } as const;
  const { plan } = planChanges(made);
  if (plan === undefined) throw new Error("The bench's own spec is rejected");
  await applyPlan(plan, world.ports());
  return renderState(world.facts.state!);
}

const terraformFiles = `resource "terraform_data" "worker" {
  for_each = toset([for i in range(${workers}) : "w\${i}"])
  input    = { name = each.key, address = "127.0.0.1" }
}
`;

type Case = {
  readonly name: string;
  readonly cwd: string;
  readonly command: readonly string[];
  readonly costs: Cost[];
};

async function casesIn(root: string): Promise<readonly Case[]> {
  const directory = (name: string): string => {
    mkdirSync(join(root, name), { recursive: true });
    return join(root, name);
  };
  const program = join(buildDir, "cmd/haplan/main.js");
  const haplan = (name: string, cwd: string, ...flags: string[]): Case => {
    writeFileSync(join(cwd, "cluster.yaml"), haplanSpec());
    return { name, cwd, command: [process.execPath, program, "plan", ...flags], costs: [] };
  };
  const fresh = haplan(`haplan, from scratch`, directory("fresh"));
  const settled = haplan("haplan, no changes", directory("settled"), "-refresh=false");
  const stateDir = join(settled.cwd, ".haplan/large");
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(join(stateDir, "state.json"), await settledState(join(settled.cwd, "cluster.yaml")));
  if (!isInstalled("terraform", "version")) return [fresh, settled];

  const terraform = (name: string, cwd: string, ...flags: string[]): Case => {
    writeFileSync(join(cwd, "main.tf"), terraformFiles);
    timeProgram(cwd, ["terraform", "init", "-no-color"]);
    return { name, cwd, command: ["terraform", "plan", "-no-color", "-input=false", ...flags], costs: [] };
  };
  const freshTerraform = terraform("terraform, from scratch", directory("terraform-fresh"));
  const settledTerraform = terraform("terraform, no changes", directory("terraform-settled"), "-refresh=false");
  timeProgram(settledTerraform.cwd, ["terraform", "apply", "-no-color", "-auto-approve"]);
  return [fresh, freshTerraform, settled, settledTerraform];
}

const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const root = mkdtempSync(join(tmpdir(), "haplan-bench-plan-"));
try {
  const cases = await casesIn(root);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const { cwd, command, costs } of cases) costs.push(timeProgram(cwd, command));
  console.log("| plan | wall s | user CPU s | resident MB |\n| --- | ---: | ---: | ---: |");
  for (const { name, costs } of cases) {
    const of = (pick: (cost: Cost) => number, digits: number): string => median(costs.map(pick)).toFixed(digits);
    console.log(`| ${name} | ${of((c) => c.wallS, 2)} | ${of((c) => c.userS, 2)} | ${of((c) => c.residentMb, 0)} |`);
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
