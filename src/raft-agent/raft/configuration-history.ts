/**
 * Maps log positions to configurations. A configuration is in force from the moment its entry is appended, committed
 * or not (Raft §6), so truncating the entry reverts its configuration. The first element is the configuration at the
 * compaction point and is never removed.
 */
import { assert } from "../../base/assert.ts";
import { type Configuration, membersOf } from "./configuration.ts";
import type { LogIndex, MemberId } from "./entry.ts";
import type { VoterGroups } from "./quorum.ts";

export type ConfigurationInForce = {
  readonly index: LogIndex;
  readonly configuration: Configuration;
  readonly voterGroups: VoterGroups;
  readonly members: readonly MemberId[];
};

export class ConfigurationHistory {
  readonly #voterGroupsOf: (configuration: Configuration) => VoterGroups;
  #history: ConfigurationInForce[];
  #current: ConfigurationInForce;

  constructor(index: LogIndex, configuration: Configuration, voterGroupsOf: (c: Configuration) => VoterGroups) {
    this.#voterGroupsOf = voterGroupsOf;
    this.#current = this.#inForce(index, configuration);
    this.#history = [this.#current];
  }

  get current(): ConfigurationInForce {
    return this.#current;
  }

  append(index: LogIndex, configuration: Configuration): void {
    assert(index > this.#current.index, "configurations are appended in log order");
    this.#current = this.#inForce(index, configuration);
    this.#history.push(this.#current);
  }

  /** Reverts every configuration at or after `index`. */
  truncateFrom(index: LogIndex): void {
    while (this.#history.length > 1 && this.#current.index >= index) {
      this.#history.pop();
      this.#current = this.#history.at(-1) ?? this.#current;
    }
  }

  /** The configuration in force at `index`, which is not before the compaction point. */
  at(index: LogIndex): Configuration {
    const found = this.#history.findLast((inForce) => inForce.index <= index) ?? this.#history[0];
    assert(found !== undefined, "every index has a configuration in force");
    return found.configuration;
  }

  /** Drops configurations older than the one in force at `index`. */
  compact(index: LogIndex): void {
    const keepFrom = this.#history.findLastIndex((inForce) => inForce.index <= index);
    if (keepFrom > 0) this.#history = this.#history.slice(keepFrom);
  }

  reset(index: LogIndex, configuration: Configuration): void {
    this.#current = this.#inForce(index, configuration);
    this.#history = [this.#current];
  }

  #inForce(index: LogIndex, configuration: Configuration): ConfigurationInForce {
    const voterGroups = this.#voterGroupsOf(configuration);
    return { index, configuration, voterGroups, members: membersOf(configuration) };
  }
}
