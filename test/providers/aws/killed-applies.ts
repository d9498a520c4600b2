/** Applies that end at a call to AWS, before or after it has had its effect, and are run again. */
import { HaplanError } from "../../../src/base/haplan-error.ts";
import type { EmulatedCluster } from "./emulated-cluster.ts";

const changesNothing = /^(Describe|Get)/;

/**
 * Ends the next run at the call number `at` of those that change something: nothing is called any more from there on, as
 * after a SIGKILL. Returns whether there were so many.
 */
export async function killAt(cluster: EmulatedCluster, at: number, when: "before" | "after"): Promise<boolean> {
  let count = 0;
  let dead = false;
  cluster.onCall = (call, now) => {
    if (!dead && !changesNothing.test(call) && now === "before") count += 1;
    if (!changesNothing.test(call) && now === when && count >= at) dead = true;
    if (dead) throw new HaplanError("test/killed", `killed ${when} ${call}`);
  };
  try {
    await cluster.cli.haplan("apply -auto-approve cloud.yaml");
  } finally {
    cluster.onCall = () => undefined;
  }
  return dead;
}
