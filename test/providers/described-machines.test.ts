/** Machines of a provider that describes them: what the plan shows of them, and how they change with what they are made of. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Attributes } from "../../src/plan/resource.ts";
import { type CliFixture, createCliFixture } from "../support/command-line.ts";
import { fakeRemoteModel } from "../support/fake-remote-model.ts";

const small: Attributes = { type: "small", image: "debian-13", diskGb: 20 };

type PlanDocument = {
  readonly resource_changes: readonly {
    readonly address: string;
    readonly change: {
      readonly actions: readonly string[];
      readonly after: Attributes | null;
      readonly after_unknown: Attributes;
      readonly replace_paths?: readonly (readonly string[])[];
    };
  }[];
};

/** The lines of one resource in a plan's text. */
function blockOf(text: string, address: string): string {
  return text.split("\n\n").find((block) => block.includes(`# ${address} `)) ?? "";
}

describe("machines that a provider describes", () => {
  let cli: CliFixture;
  beforeEach(() => {
    cli = createCliFixture();
    cli.world.model = fakeRemoteModel(small);
  });
  afterEach(() => cli.remove());

  const describedAs = async (attributes: Attributes): Promise<void> => {
    expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
    cli.world.model = fakeRemoteModel(attributes);
  };
  const changeOf = async (address: string): Promise<PlanDocument["resource_changes"][number]["change"]> => {
    const { resource_changes } = await cli.planDocument<PlanDocument>("three.yaml");
    return resource_changes.find((each) => each.address === address)!.change;
  };
  const recorded = (name: string): Attributes | undefined => cli.world.facts.machines.get(name)?.attributes;

  it("show their attributes in the plan, and what is known after apply as that", async () => {
    const { out } = await cli.haplan("plan three.yaml");
    const block = blockOf(out, "haplan_machine.m1");
    expect(block).toMatch(/\+ type +\S? *= "small"/);
    expect(block).toMatch(/\+ disk_gb +\S? *= 20/);
    expect(block).toMatch(/\+ instance_id +\S? *= \(known after apply\)/);
    expect(await changeOf("haplan_machine.m1")).toMatchObject({
      actions: ["create"],
      after: { type: "small", image: "debian-13", disk_gb: 20 },
      after_unknown: { instance_id: true },
    });
  });

  it("are made with them, and the state has what only making them could tell", async () => {
    await describedAs(small);
    expect(recorded("m1")).toEqual(small);
    expect((await cli.haplan("state show haplan_machine.m1")).out).toContain('"i-m1-1"');
    expect((await cli.haplan("plan -detailed-exitcode three.yaml")).code).toBe(0);
  });

  it("are changed in place for what can be changed so, masters one after the other", async () => {
    await describedAs({ ...small, diskGb: 40 });
    const { out } = await cli.haplan("plan three.yaml");
    expect(blockOf(out, "haplan_machine.m1")).toMatch(/~ disk_gb += 20 -> 40/);
    expect(out).toContain("update machine m1");
    expect(out).not.toContain("destroy machine");
    expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
    for (const name of ["m1", "m2", "m3", "w1", "load-balancer"]) expect(recorded(name)).toMatchObject({ diskGb: 40 });
    expect(cli.world.violations).toEqual([]);
    expect((await cli.haplan("plan -detailed-exitcode three.yaml")).code).toBe(0);
  });

  it("are replaced for the rest, one master at a time and the leader last, and the plan says what forces it", async () => {
    await describedAs({ ...small, type: "large" });
    const leader = cli.world.facts.members.find(({ id }) => id === cli.world.facts.leader)?.name;
    const { out } = await cli.haplan("plan three.yaml");
    const block = blockOf(out, "haplan_machine.m1");
    expect(block).toContain("its type has changed");
    expect(block).toMatch(/~ type +\S? *= "small" -> "large" # forces replacement/);
    expect(await changeOf("haplan_machine.m1")).toMatchObject({
      actions: ["delete", "create"],
      replace_paths: [["type"]],
    });
    expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
    expect(cli.world.violations).toEqual([]);
    for (const name of ["m1", "m2", "m3", "w1", "load-balancer"])
      expect(recorded(name)).toMatchObject({ type: "large" });
    const order = cli.world.made.filter((name) => name.startsWith("m"));
    expect(order.slice(3)).toHaveLength(3);
    expect(order.at(-1)).toBe(leader);
    expect((await cli.haplan("plan -detailed-exitcode three.yaml")).code).toBe(0);
  });

  it("A3: are changed with their agents stopped for the rest that keeps the data, one at a time and the leader last", async () => {
    cli.world.model = fakeRemoteModel({ ...small, size: "s" });
    await describedAs({ ...small, size: "l" });
    const ids = cli.world.facts.members.map(({ id }) => id);
    const leader = cli.world.facts.members.find(({ id }) => id === cli.world.facts.leader)?.name;
    const { out } = await cli.haplan("plan three.yaml");
    const block = blockOf(out, "haplan_machine.m1");
    expect(block).toContain("its size has changed, with its data kept");
    expect(block).toMatch(/~ size += "s" -> "l"/);
    expect(block).toMatch(/~ instance_id += "i-m1-1" -> \(known after apply\)/);
    const applied = await cli.haplan("apply -auto-approve three.yaml");
    expect(applied).toMatchObject({ code: 0 });
    const acts = [...applied.out.matchAll(/\] ((?:stop|restart|update) (?:agent|machine) m\d) \.\.\./g)].map(
      ([, act]) => act,
    );
    const others = ["m1", "m2", "m3"].filter((name) => name !== leader);
    const each = (name: string | undefined): string[] => [
      `stop agent ${name}`,
      `update machine ${name}`,
      `restart agent ${name}`,
    ];
    expect(acts).toEqual([...others.flatMap(each), ...each(leader)]);
    expect(cli.world.violations).toEqual([]);
    for (const name of ["m1", "m2", "m3", "w1"]) expect(recorded(name)).toMatchObject({ size: "l" });
    expect(cli.world.facts.members.map(({ id }) => id)).toEqual(ids);
    expect((await cli.haplan("plan -detailed-exitcode three.yaml")).code).toBe(0);
  });

  it.each([
    ["type", { replaces: true, stops: true }],
    ["size", { replaces: false, stops: true }],
    ["diskGb", { replaces: false, stops: false }],
  ])(
    "are changed by an attribute that they did not have before, or no longer have, as by any other: %s",
    async (name, { replaces, stops }) => {
      const { [name]: _, ...others } = small;
      const withValue = (value: string | null): void => {
        cli.world.model = fakeRemoteModel({ ...others, [name]: value }, [name]);
      };
      // The state of a version that did not write the attributes that the spec did not have.
      cli.world.model = fakeRemoteModel(others);
      expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
      withValue(null);
      expect((await cli.haplan("plan -detailed-exitcode three.yaml")).code).toBe(0);
      for (const value of ["some", null]) {
        withValue(value);
        for (const words of ["plan three.yaml", "plan -refresh=false three.yaml"]) {
          const { out } = await cli.haplan(words);
          expect(out.includes("destroy machine m1"), words).toBe(replaces);
          expect(out.includes("stop agent m1"), words).toBe(stops);
          expect(out.includes("update machine m1"), words).toBe(!replaces);
        }
        expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
        expect(cli.world.violations).toEqual([]);
        for (const machine of ["m1", "m2", "m3", "w1"]) expect(recorded(machine)).toMatchObject({ [name]: value });
        expect((await cli.haplan("plan -detailed-exitcode three.yaml")).code).toBe(0);
      }
    },
  );

  it("are told of as drift when they were changed outside of haplan, and put right", async () => {
    await describedAs(small);
    cli.world.facts.machines.get("w1")!.attributes = { ...small, diskGb: 10 };
    const { out } = await cli.haplan("plan three.yaml");
    expect(out).toContain("its disk_gb was changed outside of haplan");
    expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
    expect(recorded("w1")).toEqual(small);
  });
});
