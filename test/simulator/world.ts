/** Shared by the parts of a simulation. */
import type { Random } from "../../src/base/random.ts";
import type { Host } from "./host.ts";
import type { Mutations } from "./mutations.ts";
import type { Network } from "./network.ts";
import type { Observer } from "./observer.ts";
import type { Profile } from "./profile.ts";
import type { SimulatedTime } from "./simulated-time.ts";
import type { Statistics } from "./statistics.ts";
import type { Trace } from "./trace.ts";

export type World = {
  readonly time: SimulatedTime;
  readonly random: Random;
  readonly trace: Trace;
  readonly network: Network;
  readonly profile: Profile;
  readonly mutations: Mutations;
  readonly observer: Observer;
  readonly statistics: Statistics;
  /** A process reports that it cannot continue. */
  memberFailed(host: Host, error: unknown): void;
  /** A member has learned that it was removed. */
  removed(host: Host): void;
};
