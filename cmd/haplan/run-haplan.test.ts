import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type CliFixture,
  type CliRun,
  createCliFixture,
  exampleSpec as example,
} from "../../test/support/command-line.ts";
import type { FakeWorld } from "../../test/support/fake-world.ts";

let cli: CliFixture;
let cwd: string;
let world: FakeWorld;
beforeEach(() => {
  cli = createCliFixture();
  ({ cwd, world } = cli);
});
afterEach(() => cli.remove());

const haplan = (line: string, answers: readonly string[] | null = null): Promise<CliRun> => cli.haplan(line, answers);

const stateFile = (): string => join(cwd, ".haplan/demo/state.json");

describe("plan", () => {
  it("shows the changes, changes nothing, and records its spec", async () => {
    const { code, out, err } = await haplan("plan three.yaml");
    expect(code).toBe(0);
    expect(out).toMatch(/\nPlan: \d+ to add, 0 to change, 0 to destroy\.\n/);
    expect(out).toContain("Quorum timeline");
    expect(err).toContain("Spec: three.yaml");
    expect(world.acts).toBe(0);
    expect(existsSync(stateFile())).toBe(false);
    expect((await haplan("plan")).err).toContain("Spec: three.yaml (of the newest plan made here)");
  });

  it("reports with its exit code whether there are changes", async () => {
    expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(2);
    await haplan("apply three.yaml -auto-approve");
    const { code, out } = await haplan("plan --detailed-exitcode");
    expect(out).toContain("No changes. Your infrastructure matches the configuration.");
    expect(code).toBe(0);
  });

  it("T low: -json streams as Terraform's plan does, and show -json prints the document", async () => {
    const { code, out } = await haplan("plan three.yaml -json -detailed-exitcode");
    expect(code).toBe(2);
    const lines = out
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly type: string; readonly "@level": string });
    expect(lines[0]).toMatchObject({ type: "version", ui: "1.2", "@level": "info" });
    expect(lines.filter(({ type }) => type === "planned_change").length).toBeGreaterThan(20);
    expect(lines.at(-1)).toMatchObject({ type: "change_summary", changes: { add: 26, operation: "plan" } });
    expect(await cli.planDocument("three.yaml")).toMatchObject({
      format_version: "1.2",
      applyable: true,
      haplan: { format_version: "2.0", mode: "apply" },
    });
  });

  it("prefers cluster.yaml to the spec of the newest plan", async () => {
    await haplan("plan three.yaml");
    cpSync(example, join(cwd, "cluster.yaml"));
    expect((await haplan("plan")).err).toContain("Spec: cluster.yaml");
  });

  it("explains what to pass if no spec is found", async () => {
    expect(await haplan("plan")).toMatchObject({ code: 1, err: expect.stringContaining("No spec was given") });
  });
});

describe("apply", () => {
  it("creates the cluster, and has nothing to do the second time", async () => {
    const first = await haplan("apply three.yaml -auto-approve");
    expect(first.err).not.toContain("Error");
    expect(first.code).toBe(0);
    expect(first.out).toMatch(/Apply complete! Resources: \d\d added, 0 changed, 0 destroyed\./);
    expect(first.out).toMatch(/\[ ?\d+\/\d+\] start agent m1: done after/);
    expect(first.out).toMatch(/\nOutputs:\n\nendpoint = "https:\/\/127\.0\.1\.100:\d+"\n/);
    expect(first.out).toContain('\n    eval "$(haplan output -raw env three.yaml)"');
    expect(world.voters()).toHaveLength(3);
    expect(statSync(stateFile()).mode & 0o777).toBe(0o600);
    expect(statSync(join(cwd, ".haplan/demo")).mode & 0o777).toBe(0o700);
    const state = readFileSync(stateFile(), "utf8");

    const second = await haplan("apply three.yaml -auto-approve");
    expect(second.code).toBe(0);
    expect(second.out).toContain("Apply complete! Resources: 0 added, 0 changed, 0 destroyed.");
    expect(second.out).toContain("\nOutputs:\n\nendpoint = ");
    expect(second.out).not.toContain("eval");
    expect(readFileSync(stateFile(), "utf8")).toBe(state);
  });

  it.each([["apply"], ["destroy"]])("%s refuses before it plans if it cannot ask", async (verb) => {
    const { code, out, err } = await haplan(`${verb} three.yaml`);
    expect(code).toBe(1);
    // Without a state, destroy is approved in a terminal alone.
    expect(err).toContain(verb === "destroy" ? "or in a terminal:" : `haplan ${verb} three.yaml -auto-approve`);
    expect(out).toBe("");
    expect(existsSync(join(cwd, ".haplan"))).toBe(false);
  });

  it.each(["no", "y", "YES", "yes please", ""])("the answer %j is not yes", async (answer) => {
    const { code, terminal, err } = await haplan("apply three.yaml", [answer]);
    expect(terminal.questions).toHaveLength(1);
    expect(code).toBe(1);
    expect(err).toContain("Apply cancelled.");
    expect(world.acts).toBe(0);
  });

  it("the answer yes is", async () => {
    expect(await haplan("apply three.yaml", ["yes"])).toMatchObject({ code: 0 });
  });

  it("streams events as JSON lines", async () => {
    const { out, code } = await haplan("apply three.yaml -auto-approve -json");
    expect(code).toBe(0);
    const lines = out.split("\n").map((line) => JSON.parse(line) as { type: string; changes?: unknown });
    expect(lines[0]).toMatchObject({ type: "version", ui: "1.2" });
    const types = new Set(lines.map(({ type }) => type));
    for (const type of ["planned_change", "change_summary", "steps", "step_start", "step_complete"]) {
      expect(types).toContain(type);
    }
    expect(lines.at(-2)).toMatchObject({ type: "change_summary", changes: { operation: "apply", remove: 0 } });
  });

  it("reports the failed step and how to resume, and resumes", async () => {
    world.failing = (act) => (act === "startUnit m3" ? "the port is taken" : null);
    const failed = await haplan("apply three.yaml -auto-approve");
    expect(failed.code).toBe(1);
    expect(failed.err).toContain("Step failed: start agent m3");
    expect(failed.err).toContain("the port is taken");
    expect(failed.err).toContain("    haplan apply three.yaml -auto-approve");
    world.failing = () => null;
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect(world.voters()).toHaveLength(3);
  });

  it("T low: a failed preflight changes nothing", async () => {
    world.failing = (act) => (act === "preflight" ? "127.0.1.1:2379 is taken" : null);
    const { code, err } = await haplan("apply three.yaml -auto-approve");
    expect(code).toBe(1);
    expect(err).toContain("127.0.1.1:2379 is taken");
    expect(world.facts.machines.size).toBe(0);
    expect(readdirSync(cwd)).toEqual(["three.yaml"]);
    // Existing files are kept.
    await haplan("plan three.yaml");
    expect((await haplan("apply -auto-approve")).code).toBe(1);
    expect(readdirSync(join(cwd, ".haplan/demo"))).toContain("newest-plan.json");
  });

  it("T low: a declined apply leaves no files", async () => {
    expect((await haplan("apply three.yaml", ["no"])).code).toBe(1);
    expect(readdirSync(cwd)).toEqual(["three.yaml"]);
  });

  it("an unwritable directory is reported before anything is done", async () => {
    writeFileSync(join(cwd, ".haplan"), "in the way");
    const { code, err } = await haplan("apply three.yaml -auto-approve");
    expect(code).toBe(1);
    expect(err).toContain("Cannot write to");
    expect(world.acts).toBe(0);
  });
});

describe("saved plans", () => {
  it("are applied without asking, once", async () => {
    expect((await haplan("plan three.yaml -out saved.plan")).out).toContain("    haplan apply saved.plan");
    expect(statSync(join(cwd, "saved.plan")).mode & 0o777).toBe(0o600);
    expect((await haplan("show saved.plan")).out).toContain("Plan:");
    const applied = await haplan("apply saved.plan");
    expect(applied.code).toBe(0);
    expect(applied.terminal.questions).toEqual([]);
    const again = await haplan("apply saved.plan");
    expect(again.code).toBe(1);
    expect(again.err).toContain("Saved plan is stale");
  });

  it("are stale if their spec was edited, and valid if only the plan was passed on", async () => {
    await haplan("plan three.yaml -out saved.plan");
    const text = readFileSync(join(cwd, "three.yaml"), "utf8");
    writeFileSync(join(cwd, "three.yaml"), `${text}# a word more\n`);
    const stale = await haplan("apply saved.plan");
    expect(stale.code).toBe(1);
    expect(stale.err).toContain("the spec: it was edited");
    expect(world.acts).toBe(0);
    rmSync(join(cwd, "three.yaml"));
    expect((await haplan("apply saved.plan")).code).toBe(0);
  });

  it.each([
    ["-target=haplan_machine.w1", "-target"],
    ["-replace=haplan_machine.m2", "-replace"],
    ["-refresh-only", "-refresh-only"],
    ["-var COUNT=3", "-var"],
    ["-refresh-only -target=haplan_machine.w1", "-target, -refresh-only"],
  ])("R2 T14: refuse %s, which would change them", async (flags, named) => {
    await haplan("plan three.yaml -out saved.plan");
    const { code, err } = await haplan(`apply ${flags} saved.plan`);
    expect(code).toBe(1);
    expect(err).toContain(`${named} cannot change a saved plan`);
    expect(world.acts).toBe(0);
    expect((await haplan("apply -auto-approve saved.plan")).code).toBe(0);
  });

  it("are refused if damaged", async () => {
    await haplan("plan three.yaml -out saved.plan");
    const text = readFileSync(join(cwd, "saved.plan"), "utf8");
    writeFileSync(join(cwd, "saved.plan"), text.replace("127.0.1.3", "127.0.1.4"));
    expect(await haplan("apply saved.plan")).toMatchObject({ code: 1 });
    expect(world.acts).toBe(0);
  });
});

describe("destroy", () => {
  it("removes everything of haplan's, and nothing else", async () => {
    await haplan("apply three.yaml -auto-approve");
    writeFileSync(join(cwd, ".haplan", "mine.txt"), "the user's");
    const { code, out } = await haplan("destroy three.yaml -auto-approve");
    expect(code).toBe(0);
    expect(out).toMatch(/Destroy complete! Resources: \d\d destroyed\./);
    expect(world.facts.machines.size).toBe(0);
    expect(readdirSync(join(cwd, ".haplan"))).toEqual(["mine.txt"]);
    rmSync(join(cwd, ".haplan", "mine.txt"));
    await haplan("apply three.yaml -auto-approve");
    await haplan("destroy three.yaml -auto-approve");
    expect(readdirSync(cwd)).toEqual(["three.yaml"]);
  });

  it("asks with a stronger warning", async () => {
    await haplan("apply three.yaml -auto-approve");
    const { code, out, err } = await haplan("destroy three.yaml", ["no"]);
    expect(code).toBe(1);
    expect(out).toContain("There is no undo.");
    expect(err).toContain("Destroy cancelled.");
    expect(world.voters()).toHaveLength(3);
  });

  it("does nothing if nothing was created", async () => {
    expect(await haplan("destroy three.yaml -auto-approve")).toMatchObject({ code: 0 });
    expect(readdirSync(cwd)).toEqual(["three.yaml"]);
  });
});

describe("status and output", () => {
  it("T low: status has the documented JSON shape, in snake case as in Terraform", async () => {
    await haplan("apply three.yaml -auto-approve");
    const { out, code } = await haplan("status -json");
    expect(code).toBe(0);
    const status = JSON.parse(out) as { members: object[]; workers: object[] };
    expect(status).toMatchObject({
      voters: 3,
      quorum: 2,
      format_version: "2.0",
      fault_tolerance: 1,
      has_leader: true,
      healthy_voters: 3,
      can_lose: 1,
    });
    expect(Object.keys(status.members[0] ?? {})).toEqual(
      "name zone version lag alarms id role client_url peer_url pid free_bytes unreachable raft_term raft_index db_size_bytes read_latency_ms healthy".split(
        " ",
      ),
    );
    expect(status.members.map((member) => (member as { role: string }).role).toSorted()).toEqual([
      "follower",
      "follower",
      "leader",
    ]);
    expect(status).toHaveProperty("load_balancer.endpoint", "https://127.0.1.100:2379");
    expect(status.workers).toMatchObject([
      { name: "w1", reporting: true },
      { name: "w2", reporting: false },
    ]);
    expect((await haplan("status")).out).toContain("3 of 3 voters healthy, quorum 2; survives 1 more failure.");
  });

  it("T low: status reports a missing cluster and exits with 4", async () => {
    const { out, code } = await haplan("status three.yaml");
    expect(code).toBe(4);
    expect(out).toContain('There is no cluster "demo"');
  });

  it("output prints values, and shell lines for etcdctl", async () => {
    expect((await haplan("output three.yaml")).code).toBe(1);
    await haplan("apply three.yaml -auto-approve");
    expect((await haplan("output -raw endpoint")).out).toBe("https://127.0.1.100:2379");
    expect((await haplan("output -raw endpoints")).out.split(",")).toHaveLength(3);
    const pki = join(cwd, ".haplan/demo/pki");
    expect((await haplan("output -raw env")).out.split("\n")).toEqual([
      "export ETCDCTL_API=3",
      "export ETCDCTL_ENDPOINTS='https://127.0.1.100:2379'",
      `export ETCDCTL_CACERT='${pki}/ca.crt'`,
      `export ETCDCTL_CERT='${pki}/admin.crt'`,
      `export ETCDCTL_KEY='${pki}/admin.key'`,
    ]);
    expect(JSON.parse((await haplan("output -json")).out)).toMatchObject({
      endpoint: { sensitive: false, type: "string", value: "https://127.0.1.100:2379" },
    });
    expect(await haplan("output -raw endpiont")).toMatchObject({
      code: 1,
      err: expect.stringContaining('Did you mean "endpoint"?'),
    });
  });
});

describe("T6: output and status of a spec that was edited", () => {
  const edits: readonly (readonly [string, string])[] = [
    ["127.0.1.100", "127.0.1.101"],
    ["ports: [2379]", "ports: [2479]"],
    ["clientPort: 2379", "clientPort: 2479"],
    ["127.0.1.3", "127.0.1.33"],
    ["enabled: true", "enabled: false"],
  ];

  it.each(edits)("are those of the applied cluster, after an edit of %s to %s", async (from, to) => {
    await haplan("apply three.yaml -auto-approve");
    const told = async (): Promise<readonly string[]> => [
      (await haplan("output -json three.yaml")).out,
      (await haplan("output -raw env three.yaml")).out,
      (JSON.parse((await haplan("status -json three.yaml")).out) as { load_balancer: { endpoint: string } })
        .load_balancer.endpoint,
    ];
    const before = await told();
    const text = readFileSync(join(cwd, "three.yaml"), "utf8");
    writeFileSync(join(cwd, "three.yaml"), text.replace(from, to));
    expect(await told()).toEqual(before);
    // A change that can be applied shows up once it is applied.
    if (from === "enabled: true") return;
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect(await told()).not.toEqual(before);
  });

  it("have no endpoint before there is one", async () => {
    world.failing = (act) => (act.startsWith("startUnit load-balancer") ? "it broke" : null);
    await haplan("apply three.yaml -auto-approve");
    expect(await haplan("output three.yaml")).toMatchObject({
      code: 1,
      err: expect.stringContaining("has not been applied"),
    });
  });
});

describe("mistakes", () => {
  it.each([
    ["plna", "(Did you mean plan?)"],
    ["plna -h", "(Did you mean plan?)"],
    ["--help plna", "(Did you mean plan?)"],
    ["-var plan=1 plna -h", "(Did you mean plan?)"],
    ["state lst -h", "(Did you mean list?)"],
    ["plan --jsno", "(Did you mean --json?)"],
    ["plan a b", "too many arguments"],
    ["plan -out", "argument missing"],
    ["quorum zero", "Write a whole number"],
    ["quorum 0", "Write a whole number"],
    ["quorum 5 -domains 3,3", "does not add up"],
    ["show", "No spec was given"],
    ["show -markdown", "No plan was given"],
    ["show three.yaml", "not a plan file"],
    ["apply three.yaml -auto-approve -lock-timeout soon", "Write a number with a unit of ms, s, m or h"],
    ["validate none.yaml", "There is no file none.yaml"],
    ["apply none.yaml -auto-approve", "There is no file none.yaml"],
    ["apply none.plan", "Pass the path of a spec, or of a plan that `haplan plan -out=FILE`"],
    ["", "Usage: haplan"],
  ])("T low: %s: exits with 1 and a hint", async (line, help) => {
    const { code, err } = await haplan(line);
    expect(code).toBe(1);
    expect(err).toContain(help);
    expect(existsSync(join(cwd, ".haplan"))).toBe(false);
  });

  it.each([0, 1, 2, 4, 6, 8])("every command refuses a spec of %i members and creates nothing", async (members) => {
    const masters = /\n {4}masters:[\s\S]*?(?=\n {2}workers:)/;
    const text = readFileSync(example, "utf8").replace("members: 3", `members: ${members}`).replace(masters, "");
    writeFileSync(join(cwd, "bad.yaml"), text);
    for (const line of ["validate bad.yaml", "plan bad.yaml", "apply bad.yaml -auto-approve"]) {
      const { code, err, out } = await haplan(line);
      expect(code).toBe(1);
      expect(err).toMatch(/on bad.yaml:\d+:\d+, in spec.controlPlane.members[\s\S]*fault tolerance/);
      expect(out).toBe("");
    }
    expect(readdirSync(cwd).sort()).toEqual(["bad.yaml", "three.yaml"]);
  });

  it("a refusal is JSON if JSON was requested", async () => {
    writeFileSync(join(cwd, "bad.yaml"), "kind: Cluster\n");
    const validated = await haplan("validate bad.yaml -json");
    expect(validated.code).toBe(1);
    expect(JSON.parse(validated.out)).toMatchObject({ valid: false, diagnostics: [{ severity: "error" }, {}, {}] });
    for (const line of ["plan bad.yaml -json", "apply bad.yaml -auto-approve -json"]) {
      const { out, code } = await haplan(line);
      expect(code).toBe(1);
      for (const each of out.split("\n").slice(1))
        expect(JSON.parse(each)).toMatchObject({ type: "diagnostic", "@level": "error" });
    }
  });
});

describe("small commands", () => {
  it("T low: version, schema, graph, quorum and help succeed, including help for each command", async () => {
    expect((await haplan("version")).out).toContain("haplan v9.9.9");
    expect((await haplan("--version")).out).toContain("haplan v9.9.9");
    expect(JSON.parse((await haplan("schema")).out)).toHaveProperty("$schema");
    const graph = await haplan("graph three.yaml");
    expect(graph.out).toContain('"haplan_raft_member.m1" -> "haplan_agent.m1";');
    const mermaid = (await haplan("graph three.yaml -format=mermaid")).out.split("\n");
    expect(mermaid[0]).toBe("flowchart RL");
    const node = (address: string): string =>
      /n\d+/.exec(mermaid.find((line) => line.includes(`"${address}"`)) ?? "")?.[0] ?? "";
    expect(mermaid).toContain(`  ${node("haplan_raft_member.m1")} --> ${node("haplan_agent.m1")}`);
    expect((await haplan("graph three.yaml -format=svg")).err).toContain("Write -format=dot or -format=mermaid");
    expect((await haplan("quorum 6 -domains 3,3")).out).toContain("3|3        no quorum");
    expect(JSON.parse((await haplan("quorum 5 -json")).out)).toMatchObject({ quorum: 3, fault_tolerance: 2 });
    expect(await haplan("help")).toMatchObject({ code: 0 });
    expect((await haplan("plan -h")).out).toContain("--detailed-exitcode");
    for (const line of ["-h", "help plan", "state -h", "state list -h", "-var A=1 plan -h", "help"]) {
      expect({ line, code: (await haplan(line)).code }).toEqual({ line, code: 0 });
    }
  });
});
