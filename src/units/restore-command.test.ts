import { describe, expect, it } from "vitest";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { InitialCluster } from "./initial-cluster.ts";
import { restoreCommand, restoreTools } from "./restore-command.ts";

const three = fixtureSpec(["m1", "m2", "m3"], { workers: 0, tls: false });

function withEtcd(etcd?: { version: string; binary: string }): ClusterSpec {
  const { etcd: _, ...controlPlane } = three.controlPlane;
  return { ...three, controlPlane: { ...controlPlane, engine: "etcd", ...(etcd === undefined ? {} : { etcd }) } };
}

const join: InitialCluster = {
  clusterState: "new",
  initialCluster: [1, 2, 3].map((n) => ({ name: `m${n}`, peerUrl: `http://127.0.1.${n}:2380` })),
};

describe("the command that restores a member", () => {
  it("of haplan's agent raises the revision itself", () => {
    const command = restoreCommand(three, {
      member: "m2",
      join,
      token: "t-1",
      bumpRevision: 5,
      replacesCluster: "0a1b2c3d4e5f6071",
    });
    expect(command).toEqual({
      programs: [{ kind: "haplan", command: "haplan-agent" }],
      arguments: [
        "snapshot",
        "restore",
        "@SNAPSHOT@",
        "--data-dir=@DATA@",
        "--name=m2",
        "--initial-cluster=m1=http://127.0.1.1:2380,m2=http://127.0.1.2:2380,m3=http://127.0.1.3:2380",
        "--initial-cluster-token=t-1",
        "--initial-advertise-peer-urls=http://127.0.1.2:2380",
        "--bump-revision=5",
        "--mark-compacted",
        "--replaces-cluster=0a1b2c3d4e5f6071",
      ],
      environment: {},
    });
  });

  it("of a real etcd gets a snapshot whose revision was raised before", () => {
    const command = restoreCommand(withEtcd(), {
      member: "m1",
      join,
      token: "t",
      bumpRevision: 5,
      replacesCluster: "0a1b2c3d4e5f6071",
    });
    expect(command.arguments.some((word) => word.includes("bump"))).toBe(false);
    expect(command.environment).toEqual({ ETCDCTL_API: "3" });
  });

  it.each<[string, ClusterSpec, readonly string[]]>([
    ["of haplan's agent: its own", three, []],
    ["of an etcd on the path: either", withEtcd(), ["etcdutl", "etcdctl"]],
    ["of etcd 3.4", withEtcd({ version: "3.4.23", binary: "/usr/bin/etcd" }), ["/usr/bin/etcdctl"]],
    ["of etcd 3.5", withEtcd({ version: "3.5.0", binary: "/opt/etcd" }), ["/opt/etcdutl"]],
    ["of etcd 3.6 on the path", withEtcd({ version: "3.6.14", binary: "etcd" }), ["etcdutl"]],
  ])("has the program %s", (_, spec, tools) => {
    expect(restoreTools(spec)).toEqual(tools);
  });
});
