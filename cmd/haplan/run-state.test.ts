/** Commands that inspect the state, locks, encryption, variables: whole command lines. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how specs refer to variables
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { acquireLock } from "../../src/state/lock.ts";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const haplan = (line: string, answers: readonly string[] | null = null): Promise<CliRun> => cli.haplan(line, answers);
const file = (name: string): string => join(cli.cwd, name);
const readText = (name: string): string => readFileSync(file(name), "utf8");
/** The spec with one line added or replaced. */
function editSpec(from: string | RegExp, to: string): void {
  writeFileSync(file("three.yaml"), readText("three.yaml").replace(from, to));
}

describe("state commands", () => {
  beforeEach(async () => {
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
  });

  it("list and show print existing resources", async () => {
    const all = (await haplan("state list")).out.split("\n");
    expect(all).toContain("haplan_raft_member.m1");
    expect((await haplan("state list haplan_worker haplan_ca.demo")).out).toBe(
      "haplan_ca.demo\nhaplan_worker.w1\nhaplan_worker.w2",
    );
    const shown = await haplan("state show haplan_certificate.m1");
    expect(shown.out).toContain('resource "haplan_certificate" "m1" {');
    expect(shown.out).toMatch(/private_key +\S* *= \(sensitive value\)/);
    expect(await haplan("state show haplan_agent.m4")).toMatchObject({
      code: 1,
      err: expect.stringContaining('Did you mean "haplan_agent.m1"?'),
    });
  });

  it("show without a plan prints the state, also as Terraform's JSON", async () => {
    expect((await haplan("show")).out).toContain("# haplan_machine.m1:");
    expect(JSON.parse((await haplan("show -json")).out)).toMatchObject({
      format_version: "1.0",
      values: { root_module: { resources: expect.arrayContaining([expect.objectContaining({ type: "haplan_ca" })]) } },
    });
  });

  it("mv and rm print what they would do, do it, and the next plan repairs it", async () => {
    const before = readText(".haplan/demo/state.json");
    const dry = await haplan("state mv -dry-run haplan_worker.w1 haplan_worker.w9");
    expect(dry.out).toBe('Would move "haplan_worker.w1" to "haplan_worker.w9"');
    expect((await haplan("state rm -dry-run haplan_worker.w1")).out).toBe("Would remove haplan_worker.w1");
    expect(readText(".haplan/demo/state.json")).toBe(before);

    await haplan("state mv haplan_worker.w1 haplan_worker.w9");
    expect((await haplan("state list haplan_worker")).out).toBe("haplan_worker.w9\nhaplan_worker.w2");
    expect(readText(".haplan/demo/state.json.backup")).toBe(before);
    await haplan("state rm haplan_worker.w9 haplan_worker.w2");
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect((await haplan("state list haplan_worker")).out).toBe("haplan_worker.w1\nhaplan_worker.w2");
    expect(cli.world.violations).toEqual([]);
  });

  it("T2: mv renames a master, which the next plan applies, keeping its data", async () => {
    expect((await haplan("state mv m1 m8")).out).toMatch(
      /^Moved "m1" to "m8"\nThe spec does not list m8 yet. Replace `name: m1` with `name: m8` in it/,
    );
    expect(await haplan("state mv m7 m9")).toMatchObject({ code: 1, err: expect.stringContaining("no master m7") });
    expect((await haplan("state list haplan_raft_member")).out).toContain("haplan_raft_member.m8");
    editSpec(/name: m1\b/, "name: m8");
    const plan = await haplan("plan three.yaml");
    expect(plan.out).toContain("# haplan_machine.m1 has moved to haplan_machine.m8");
    expect(plan.out).toMatch(/# haplan_agent.m8 will be updated in-place\n.*\n *# \(moved from haplan_agent.m1\)/);
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect(cli.world.facts.members.find(({ name }) => name === "m8")?.id).toBe("boot-m1");
    expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
    expect(cli.world.violations).toEqual([]);
  });

  it("F6: mv warns that a plan of the former spec restores the former name, unless the spec has the new one", async () => {
    const moved = await haplan("state mv -dry-run m1 m8");
    expect(moved.out).toMatch(
      /^Would move "m1" to "m8"\n[\s\S]*With the current spec, a plan renames the master back to m1\.$/,
    );
    await haplan("state mv m1 m8");
    const back = await haplan("plan three.yaml");
    expect(back.out).toContain("# haplan_machine.m8 has moved to haplan_machine.m1");
    await haplan("state mv m8 m1");
    editSpec(/name: m1\b/, "name: m8");
    expect((await haplan("state mv m1 m8")).out).toBe(
      'Moved "m1" to "m8"\nThe next plan renames its machine and restarts its agent; data is kept.',
    );
  });

  it("F8: a plan that replaces a renamed master suggests moved, and one with the move does not", async () => {
    editSpec(/name: m1\b/, "name: m8");
    const plan = await haplan("plan three.yaml");
    expect(plan.err).toContain("m8 replaces m1, which has the same address");
    expect(plan.err.replace(/\n│? */g, " ")).toContain("moved: [{ from: m1, to: m8 }]");
    editSpec("    masters:", "    moved: [{ from: m1, to: m8 }]\n    masters:");
    expect((await haplan("plan three.yaml")).err).not.toContain("replaces m1");
  });

  it("B8: a plan's stream has each moved resource, as in Terraform", async () => {
    editSpec(/name: m1\b/, "name: m8");
    editSpec("    masters:", "    moved: [{ from: m1, to: m8 }]\n    masters:");
    const { out } = await haplan("plan three.yaml -json");
    type Line = {
      readonly type: string;
      readonly "@message": string;
      readonly change?: {
        readonly action: string;
        readonly resource: { readonly addr: string };
        readonly previous_resource?: { readonly addr: string; readonly resource_name: string };
      };
    };
    const lines = out.split("\n").map((line) => JSON.parse(line) as Line);
    const moves = lines.filter(
      ({ type, change }) => type === "planned_change" && change?.previous_resource !== undefined,
    );
    expect(moves.map(({ change }) => [change?.previous_resource?.addr, change?.resource.addr, change?.action])).toEqual(
      [
        ["haplan_machine.m1", "haplan_machine.m8", "move"],
        ["haplan_agent.m1", "haplan_agent.m8", "update"],
        ["haplan_raft_member.m1", "haplan_raft_member.m8", "move"],
        ["haplan_lb_backend.m1", "haplan_lb_backend.m8", "move"],
      ],
    );
    expect(moves[0]?.change?.previous_resource?.resource_name).toBe("m1");
    expect(moves[0]?.["@message"]).toBe("haplan_machine.m8: Plan to move");
    const applied = (await haplan("apply three.yaml -auto-approve -json")).out;
    const started = applied.split("\n").filter((line) => line.includes('"apply_start"'));
    expect(started.length).toBeGreaterThan(0);
    expect(started.filter((line) => line.includes('"move"'))).toEqual([]);
  });

  it("T2: moved in the spec does the same as mv, with the previous address in JSON", async () => {
    editSpec(/name: m1\b/, "name: m8");
    editSpec("    masters:", "    moved: [{ from: m1, to: m8 }]\n    masters:");
    await haplan("plan three.yaml -out saved.plan");
    const { resource_changes: changes } = JSON.parse((await haplan("show -json saved.plan")).out) as {
      resource_changes: readonly {
        address: string;
        previous_address?: string;
        change: { actions: readonly string[] };
      }[];
    };
    expect(
      changes.flatMap(({ address, previous_address: before, change }) =>
        before ? [[before, address, ...change.actions]] : [],
      ),
    ).toEqual([
      ["haplan_machine.m1", "haplan_machine.m8", "no-op"],
      ["haplan_agent.m1", "haplan_agent.m8", "update"],
      ["haplan_raft_member.m1", "haplan_raft_member.m8", "no-op"],
      ["haplan_lb_backend.m1", "haplan_lb_backend.m8", "no-op"],
    ]);
    expect((await haplan("apply saved.plan")).code).toBe(0);
    expect(cli.world.facts.members.map(({ id }) => id)).toEqual(["boot-m1", "boot-m2", "boot-m3"]);
  });

  it("a saved plan is stale after a manual edit of the state", async () => {
    cli.world.facts.machines.delete("w1");
    await haplan("plan three.yaml -out saved.plan");
    await haplan("state rm haplan_worker.w1");
    expect(await haplan("apply saved.plan")).toMatchObject({ code: 1, err: expect.stringContaining("its serial is") });
  });

  it("a pulled state can be pushed with a later serial, another lineage only with -force", async () => {
    const pulled = (await haplan("state pull")).out;
    const state = JSON.parse(pulled) as { serial: number; lineage: string };
    const push = (changes: object, more = ""): Promise<CliRun> => {
      writeFileSync(file("pushed.json"), JSON.stringify({ ...state, ...changes }));
      return haplan(`state push pushed.json${more}`);
    };
    expect((await push({})).code).toBe(0);
    expect(JSON.parse((await haplan("state pull")).out)).toEqual(state);
    expect((await push({ serial: state.serial + 5 })).out).toContain(`serial ${state.serial + 5}`);
    expect((await push({ serial: state.serial + 1 })).err).toContain("its serial is");
    expect((await push({ serial: state.serial + 9, lineage: "other" })).err).toContain("it has lineage");
    expect((await push({ clusterName: "other" })).err).toContain('the state of "other"');
    expect((await push({ resources: 1 })).err).toContain("pushed.json is not a haplan state");
    expect(JSON.parse((await haplan("state pull")).out)).toEqual({ ...state, serial: state.serial + 5 });
    expect((await push({ serial: 1, lineage: "other" }, " -force")).code).toBe(0);
    expect(JSON.parse((await haplan("state pull")).out)).toMatchObject({ serial: 1, lineage: "other" });
  });
});

describe("locks", () => {
  it("names the holder of a lock, force-unlock asks and breaks it, -lock=false ignores it", async () => {
    const directory = file(".haplan/demo/lock");
    const lock = await acquireLock({ directory, operation: "apply", timeoutMs: 0, clock: systemClock });
    const held = await haplan("apply three.yaml -auto-approve");
    expect(held.code).toBe(1);
    const id = /Lock ID: +(\S+)/.exec(held.err)?.[1] ?? "";
    expect(held.err).toContain(`    haplan force-unlock -spec=three.yaml ${id}`);
    expect((await haplan("apply three.yaml -auto-approve -lock-timeout=300ms")).code).toBe(1);
    expect((await haplan("apply three.yaml -auto-approve -lock=maybe")).err).toContain(
      "Write -lock=true or -lock=false",
    );
    expect((await haplan("apply three.yaml -auto-approve -lock=false")).code).toBe(0);

    expect((await haplan(`force-unlock ${id}`)).err).toContain(`haplan force-unlock ${id} -force`);
    expect((await haplan(`force-unlock ${id}`, ["no"])).err).toContain("force-unlock cancelled");
    expect((await haplan("force-unlock 123 -force")).err).toContain("The lock has another ID");
    expect((await haplan(`force-unlock ${id}`, ["yes"])).out).toContain(`pid ${process.pid} (apply)`);
    await expect(lock.assertHeld()).rejects.toThrow("was force-unlocked");
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
    lock.release();
  });
});

describe("encryption", () => {
  beforeEach(() => {
    editSpec("spec:\n", "spec:\n  state: { encryption: { passphraseEnv: DEMO_PASS } }\n");
    cli.environment["DEMO_PASS"] = "a passphrase of some length";
  });

  it("state and saved plans reveal nothing without the passphrase, and work with it", async () => {
    expect((await haplan("plan three.yaml -out saved.plan")).code).toBe(0);
    expect(readText("saved.plan")).not.toMatch(/haplan_machine|127\.0\.1/);
    expect((await haplan("show saved.plan")).out).toContain("Plan:");
    expect((await haplan("apply saved.plan")).code).toBe(0);
    for (const name of readdirSync(file(".haplan/demo")).filter((entry) => entry.startsWith("state"))) {
      expect(readText(`.haplan/demo/${name}`)).not.toMatch(/haplan_machine|127\.0\.1/);
    }
    expect((await haplan("state list haplan_ca")).out).toBe("haplan_ca.demo");
    expect((await haplan("state pull")).out).toContain('"clusterName": "demo"');

    cli.environment["DEMO_PASS"] = "another passphrase, as long";
    for (const line of ["plan three.yaml", "show saved.plan", "apply three.yaml -auto-approve", "state list"]) {
      const { code, err } = await haplan(line);
      expect(code).toBe(1);
      expect(err).toContain("the passphrase in DEMO_PASS is not the one");
    }
    delete cli.environment["DEMO_PASS"];
    expect((await haplan("plan three.yaml")).err).toContain("DEMO_PASS is not set");
  });
});

it.each(["", "  state: { encryption: { passphraseEnv: DEMO_PASS } }\n"])(
  "R11: reads a state that was saved with a byte order mark, encrypted or not (%j)",
  async (state) => {
    cli.environment["DEMO_PASS"] = "a passphrase of some length";
    editSpec("spec:\n", `spec:\n${state}`);
    await haplan("apply three.yaml -auto-approve");
    writeFileSync(file(".haplan/demo/state.json"), `\uFEFF${readText(".haplan/demo/state.json")}`);
    expect(await haplan("plan three.yaml -detailed-exitcode")).toMatchObject({ code: 0 });
    expect((await haplan("state list haplan_ca")).out).toBe("haplan_ca.demo");
  },
);

it("T low: the next plan imports resources that the state has lost, and restarts nothing", async () => {
  await haplan("apply three.yaml -auto-approve");
  const pids = (): readonly unknown[] =>
    [...cli.world.facts.machines.values()].map(({ units }) => [...units.values()].map(({ pid }) => pid));
  const before = pids();
  await haplan("state rm haplan_worker.w1 haplan_load_balancer.load-balancer haplan_agent.m1");
  const { out } = await haplan("plan three.yaml");
  expect(out).toContain("Plan: 3 to import, 0 to add, 0 to change, 0 to destroy.");
  expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
  expect(pids()).toEqual(before);
  expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
});

describe("state push", () => {
  it.each([
    ["a file", "state push later.json", (text: string) => text],
    ["R11: standard input", "state push -", (text: string) => text],
    ["R11: a file that begins with a byte order mark", "state push later.json", (text: string) => `\uFEFF${text}`],
    ["R11: standard input with a byte order mark", "state push -", (text: string) => `\uFEFF${text}`],
  ])("accepts %s", async (_, line, change) => {
    await haplan("apply three.yaml -auto-approve");
    const state = JSON.parse((await haplan("state pull")).out) as { serial: number };
    const text = change(JSON.stringify({ ...state, serial: state.serial + 1 }));
    cli.input = text;
    writeFileSync(file("later.json"), text);
    expect(await haplan(line)).toMatchObject({ code: 0, out: `The state of demo is now serial ${state.serial + 1}.` });
  });
});

describe("variables", () => {
  beforeEach(() => editSpec("address: 127.0.1.100", "address: 127.0.1.${LB_HOST:-100}"));

  it("come from the environment, or before it from -var", async () => {
    const endpoint = async (more = ""): Promise<string> => {
      type Document = { haplan: { spec: { loadBalancer: { address: string } } } };
      return (await cli.planDocument<Document>(`three.yaml${more}`)).haplan.spec.loadBalancer.address;
    };
    expect(await endpoint()).toBe("127.0.1.100");
    cli.environment["LB_HOST"] = "101";
    expect(await endpoint()).toBe("127.0.1.101");
    expect(await endpoint(" -var LB_HOST=102")).toBe("127.0.1.102");
    expect(await endpoint(" -var=LB_HOST=103")).toBe("127.0.1.103");
  });

  it.each([
    ["plan three.yaml -var LB_HSOT=1", 'Did you mean "LB_HOST"?'],
    ["plan three.yaml -var LB_HOST", "Write -var NAME=VALUE"],
    ["validate three.yaml -var LB_HOST=x", "not an address"],
  ])("%s is refused", async (line, help) => {
    expect(await haplan(line)).toMatchObject({ code: 1, err: expect.stringContaining(help) });
  });

  it("another value makes another spec, and none changes a saved plan", async () => {
    const digest = async (more: string): Promise<string> =>
      (await cli.planDocument<{ haplan: { binding: { spec_digest: string } } }>(`three.yaml${more}`)).haplan.binding
        .spec_digest;
    expect(await digest("")).toBe(await digest(" -var LB_HOST=100"));
    expect(await digest("")).not.toBe(await digest(" -var LB_HOST=104"));
    await haplan("plan three.yaml -out saved.plan");
    const refused = await haplan("apply saved.plan -var LB_HOST=104");
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringContaining("The flag -var cannot change a saved plan"),
    });
  });
});
