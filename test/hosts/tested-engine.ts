/** The engine of clusters in tests that hold for both: the agent, or by hand also the etcd of the hosts' distribution. */
import type { HostsSpec } from "./cluster-on-hosts.ts";

const isEtcd = process.env["HAPLAN_TEST_ENGINE"] === "etcd";

export const testedEngine: Pick<HostsSpec, "engine" | "policy"> = isEtcd
  ? { engine: "etcd", policy: "{ allowEvenSteps: true }" }
  : { engine: "agent" };
