/**
 * Upgrades the members of a cluster one at a time, at random times, and takes some back to the older release until the
 * cluster has agreed on a version that only the newer one supports.
 */
import type { Cluster } from "./cluster.ts";
import type { Host } from "./host.ts";
import { newerVersion, olderVersion } from "./releases.ts";

const periodMs = 1_200;
const downMsMax = 1_500;
/** One change in so many is back to the older release. */
const backOneIn = 3;
/** In this last part of a run nothing goes back, so that most clusters are upgraded in the end. */
const onwardsFrom = 0.6;

export class Upgrader {
  readonly #cluster: Cluster;
  #isStopped = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    if (cluster.profile.mixesReleases) this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #schedule(): void {
    const { random, time } = this.#cluster;
    time.after(random.next() * 2 * periodMs, () => {
      if (this.#isStopped) return;
      this.#changeOne();
      this.#schedule();
    });
  }

  #changeOne(): void {
    const { hosts, observer, profile, random, time } = this.#cluster;
    const goesBack =
      random.below(backOneIn) === 0 && time.nowMs < onwardsFrom * profile.durationMs && !observer.readable.isRaised;
    const [from, to] = goesBack ? [newerVersion, olderVersion] : [olderVersion, newerVersion];
    const candidates = [...hosts.values()].filter(({ state, version }) => state === "up" && version === from);
    const host = candidates[random.below(Math.max(1, candidates.length))];
    if (host === undefined) return;
    this.#exchange(host, to);
  }

  #exchange(host: Host, version: number): void {
    const { random, statistics } = this.#cluster;
    this.#cluster.note([version], `${host.id.slice(0, 4)} gets the release of version ${version}`);
    if (random.below(2) === 0) this.#cluster.losePower(host);
    else this.#cluster.kill(host);
    host.version = version;
    if (version === newerVersion) statistics.upgrades++;
    else statistics.downgrades++;
    this.#cluster.startLater(host, random.next() * downMsMax);
  }
}
