import { describe, expect, it } from "vitest";
import { addressAtStake, type BalancerState, inTheWayOf } from "./virtual-address.ts";

const letters = { h: "holder", b: "backup", f: "fault", "?": null } as const;

/** `hb`: lb1 has the address, and lb2 can take it. */
function balancers(text: string): readonly BalancerState[] {
  return [...text].map((letter, at) => ({ name: `lb${at + 1}`, state: letters[letter as keyof typeof letters] }));
}

describe("the guard of the virtual address", () => {
  it.each<[string, string | null]>([
    ["hb", null],
    ["bh", null],
    ["bhb", null],
    ["h", "there is no other load balancer"],
    ["bb", "no load balancer has the virtual address"],
    ["hh", "lb1, lb2 have the virtual address at once"],
    ["hf", "lb2 cannot take the virtual address"],
    ["h?b", "lb2 cannot take the virtual address"],
    ["?hf", "lb1, lb3 cannot take the virtual address"],
  ])("%s", (states, expected) => {
    expect(addressAtStake(balancers(states))).toBe(expected);
  });
});

describe("the load balancers that give way for one to get the address", () => {
  it.each<[string, string, readonly string[]]>([
    ["bh", "lb1", ["lb2"]],
    ["hb", "lb2", ["lb1"]],
    ["hbb", "lb3", ["lb2", "lb1"]],
    ["bbh", "lb2", ["lb1", "lb3"]],
    ["bbh", "lb1", ["lb3"]],
  ])("%s, for %s", (states, wanted, expected) => {
    expect(inTheWayOf(wanted, balancers(states))).toEqual(expected);
  });
});
