import { describe, expect, it } from "vitest";
import { fixtureSpec, settledState } from "../../test/support/planned-cluster.ts";
import { findResource, moveMaster, moveResource, removeResources, selectResources } from "./edit-resources.ts";

const state = settledState(fixtureSpec(["m1", "m2", "m3"]));
const addresses = (of: { readonly resources: readonly { readonly address: string }[] }): readonly string[] =>
  of.resources.map(({ address }) => address);

describe("resources of a state", () => {
  it("are chosen by address, by type, or all", () => {
    expect(selectResources(state, [])).toHaveLength(state.resources.length);
    expect(selectResources(state, ["haplan_agent"]).map(({ name }) => name)).toEqual(["m1", "m2", "m3"]);
    expect(selectResources(state, ["haplan_agent.m2", "haplan_agent"])).toHaveLength(3);
  });

  it("one that moves keeps everything but its name, and what depends on it follows", () => {
    const moved = moveResource(state, "haplan_machine.w1", "haplan_machine.w9");
    expect(findResource(moved, "haplan_machine.w9")).toEqual({
      ...findResource(state, "haplan_machine.w1"),
      address: "haplan_machine.w9",
      name: "w9",
    });
    expect(findResource(moved, "haplan_worker.w1").dependsOn).toContain("haplan_machine.w9");
    expect(moveResource(moved, "haplan_machine.w9", "haplan_machine.w1")).toEqual(state);
  });

  it.each(["haplan_machine", "haplan_agent", "haplan_raft_member", "haplan_lb_backend"])(
    "B6: a master's %s does not move alone, and one that is alone moves back",
    (type) => {
      expect(() => moveResource(state, `${type}.m1`, `${type}.m8`)).toThrow(
        expect.objectContaining({
          code: "state/bad-move",
          message: expect.stringContaining("it is one of the resources of master m1"),
          commands: [["state", "mv", "m1", "m8"]],
        }),
      );
      const address = `${type}.m8` as const;
      const alone = state.resources.map((each) =>
        each.address === `${type}.m1` ? { ...each, address: address as typeof each.address, name: "m8" } : each,
      );
      const back = moveResource({ ...state, resources: alone }, address, `${type}.m1`);
      expect(findResource(back, `${type}.m1`)).toEqual(findResource(state, `${type}.m1`));
    },
  );

  it("T2: a master moves with all that belongs to it, and its agent finds itself among those that it was started with", () => {
    const joined = state.resources.map((resource) =>
      resource.address === "haplan_agent.m1"
        ? {
            ...resource,
            attributes: {
              ...resource.attributes,
              join: {
                clusterState: "new",
                initialCluster: [
                  { name: "m1", peerUrl: "u1" },
                  { name: "m2", peerUrl: "u2" },
                ],
              },
            },
          }
        : resource,
    );
    const moved = moveMaster({ ...state, resources: joined }, "m1", "m9");
    const had = addresses(state).filter(
      (address) => /\.m1$/.test(address) && !address.startsWith("haplan_certificate"),
    );
    expect(had).toHaveLength(4);
    for (const address of had) expect(addresses(moved)).toContain(address.replace(".m1", ".m9"));
    expect(findResource(moved, "haplan_agent.m9").attributes["join"]).toMatchObject({
      initialCluster: [{ name: "m9" }, { name: "m2" }],
    });
    expect(findResource(moved, "haplan_raft_member.m9").dependsOn).toEqual(["haplan_agent.m9"]);
    expect(moveMaster(moveMaster(state, "m1", "m9"), "m9", "m1")).toEqual(state);
  });

  it.each([
    ["m8", "m9", "the state has no master m8\nIts masters are m1, m2, m3."],
    ["w1", "m9", "the state has no master w1"],
    ["m1", "m2", "m2 exists already"],
    ["m1", "w1", "w1 exists already"],
    ["m1", "M 9", '"M 9" is not a valid name'],
    ["m1", "load-balancer", '"load-balancer" is the name of the load balancer'],
  ])("T2: moving master %s to %s is refused", (from, to, text) => {
    expect(() => moveMaster(state, from, to)).toThrow(text);
  });

  it.each(["load-balancer", "admin", "ca", "root"])("B7: nothing that a spec lists is given the name %s", (name) => {
    const reserved = expect.objectContaining({
      code: "state/bad-move",
      message: expect.stringContaining(`"${name}" is the name of `),
    });
    expect(() => moveMaster(state, "m1", name)).toThrow(reserved);
    expect(() => moveResource(state, "haplan_worker.w1", `haplan_worker.${name}`)).toThrow(reserved);
  });

  it("those that are removed are gone, also from what depended on them", () => {
    const left = removeResources(state, ["haplan_agent.m1", "haplan_worker.w1"]);
    expect(addresses(left)).toEqual(
      addresses(state).filter((address) => !["haplan_agent.m1", "haplan_worker.w1"].includes(address)),
    );
    expect(findResource(left, "haplan_raft_member.m1").dependsOn).toEqual([]);
  });

  it.each([
    ["haplan_worker.w1", "haplan_machine.w9", "state/bad-move"],
    ["haplan_worker.w1", "haplan_worker.w2", "state/bad-move"],
    ["haplan_worker.w1", "haplan_worker.", "state/bad-move"],
    ["haplan_worker.w1", "haplan_worker.M 9", "state/bad-move"],
    ["haplan_agent.m8", "haplan_agent.m9", "state/no-resource"],
  ])("moving %s to %s is refused", (from, to, code) => {
    expect(() => moveResource(state, from, to)).toThrow(expect.objectContaining({ code }));
  });

  it("one that is not there is answered with the nearest that is", () => {
    expect(() => removeResources(state, ["haplan_agnet.m1"])).toThrow('Did you mean "haplan_agent.m1"?');
    expect(() => selectResources(state, ["haplan_nothing"])).toThrow(
      expect.objectContaining({ commands: [["state", "list"]] }),
    );
  });
});
