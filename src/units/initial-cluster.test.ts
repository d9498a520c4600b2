/** The initial cluster of an agent, read from what it was started with. */
import { describe, expect, it } from "vitest";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import { agentBlueprint } from "./agent-unit.ts";
import { type InitialCluster, initialClusterIn } from "./initial-cluster.ts";

const member = (name: string, peerUrl: string): InitialCluster["initialCluster"][number] => ({ name, peerUrl });

describe("initialClusterIn", () => {
  it.each<InitialCluster>([
    { clusterState: "new", initialCluster: [member("m1", "https://127.0.1.1:2380")] },
    {
      clusterState: "existing",
      // The name of a member that a new one replaces; an IPv6 address.
      initialCluster: [member("m1@8e9e05c52164694d", "http://[fd00::1]:2380"), member("m2", "http://h2.example:2380")],
    },
  ])("reads what the unit of an agent is written with ($clusterState)", (join) => {
    const spec = fixtureSpec(["m1", "m2", "m3"]);
    const { definition } = agentBlueprint(spec, "m1", { ...join, token: "token" });
    expect(initialClusterIn(definition.arguments)).toEqual(join);
  });

  it.each([[[]], [["--name=m1"]], [["--initial-cluster=m1=http://127.0.1.1:2380", "--initial-cluster-state=old"]]])(
    "is null where %j does not tell it",
    (given) => expect(initialClusterIn(given)).toBeNull(),
  );
});
