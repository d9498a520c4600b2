/** Which instance is the machine, of those that have its tags. */
import { describe, expect, it } from "vitest";
import type { RecordedMachine } from "../provider-options.ts";
import { clientToken } from "./aws-names.ts";
import type { FoundInstance } from "./instances.ts";
import { refuseAlike, tellApart } from "./told-apart.ts";

const own = clientToken("l", "m1", 1, 3);
const instance = (id: string, address: string, token = "", state = "running"): FoundInstance =>
  ({ id, address, token, state, machine: "m1", generation: 1, lineage: "l", tags: [] }) as unknown as FoundInstance;
const record = (instanceId: string | null, address = "10.0.0.1", generation = 1): RecordedMachine => ({
  name: "m1",
  generation,
  attributes: { address, ...(instanceId === null ? {} : { instance_id: instanceId }) },
});

const cases: readonly [string, readonly RecordedMachine[], readonly FoundInstance[], readonly string[]][] = [
  [
    "the recorded one, beside a copy",
    [record("i-1")],
    [instance("i-2", "10.0.0.2"), instance("i-1", "10.0.0.1")],
    ["i-1"],
  ],
  ["none, where the recorded one is gone and a copy runs", [record("i-1")], [instance("i-2", "10.0.0.2")], []],
  ["none, where a copy has taken the address", [record("i-1")], [instance("i-2", "10.0.0.1")], []],
  ["the one that an apply has created and not recorded", [record("i-1")], [instance("i-2", "10.0.0.1", own)], ["i-2"]],
  ["a recorded one that is gone", [record("i-1")], [instance("i-1", "", "", "terminated")], ["i-1"]],
  ["the one at the address, without a record", [], [instance("i-2", "10.0.0.2"), instance("i-1", "10.0.0.1")], ["i-1"]],
  ["the one at the address, of a record without an id", [record(null)], [instance("i-1", "10.0.0.1")], ["i-1"]],
  [
    "one of a former generation at its recorded address",
    [record("i-9", "10.0.0.7", 2)],
    [instance("i-1", "10.0.0.7")],
    ["i-1"],
  ],
  ["one elsewhere that haplan has created", [], [instance("i-1", "10.0.0.9", own)], ["i-1"]],
  ["none that only has the tags, without a record", [], [instance("i-1", "10.0.0.9")], []],
];

describe("the machine is", () => {
  const addresses = new Map([["m1", "10.0.0.1"]]);
  it.each(cases)("%s", (_, recorded, instances, ids) => {
    const { machines, copies, alike } = tellApart({ recorded, addresses }, instances);
    expect(machines.map(({ id }) => id)).toEqual(ids);
    expect(copies.map(({ id }) => id)).toEqual(instances.map(({ id }) => id).filter((id) => !ids.includes(id)));
    expect(alike).toEqual([]);
  });

  it("not known where nothing tells two instances apart: the error has both", () => {
    const both = [instance("i-1", "10.0.0.8"), instance("i-2", "10.0.0.9")];
    const { alike } = tellApart({ recorded: [], addresses: new Map() }, both);
    expect(() => refuseAlike(alike)).toThrow(/i-1 \(10\.0\.0\.8\) and i-2 \(10\.0\.0\.9\).*tags of m1, generation 1/);
  });
});
