/**
 * Which configuration is in force where in the log. A configuration counts from the moment its entry is appended,
 * committed or not (Raft §6), so an entry that is truncated takes its configuration back with it. The first element
 * is the one in force at the compaction point and never goes away.
 */
import { assert } from "../../base/assert.ts";
import { type Configuration, membersOf } from "./configuration.ts";
import type { LogIndex, MemberId } from "./entry.ts";
import type { Electorate } from "./quorum.ts";

export type ConfigurationInForce = {
  readonly index: LogIndex;
  readonly configuration: Configuration;
  readonly electorate: Electorate;
  readonly members: readonly MemberId[];
};

export class ConfigurationHistory {
  readonly #electorateOf: (configuration: Configuration) => Electorate;
  #history: ConfigurationInForce[];
  #current: ConfigurationInForce;

  constructor(index: LogIndex, configuration: Configuration, electorateOf: (c: Configuration) => Electorate) {
    this.#electorateOf = electorateOf;
    this.#current = this.#inForce(index, configuration);
    this.#history = [this.#current];
  }

  get current(): ConfigurationInForce {
    return this.#current;
  }

  append(index: LogIndex, configuration: Configuration): void {
    assert(index > this.#current.index, "configurations are appended in the order of the log");
    this.#current = this.#inForce(index, configuration);
    this.#history.push(this.#current);
  }

  /** Takes back every configuration at `index` or behind. */
  truncateFrom(index: LogIndex): void {
    while (this.#history.length > 1 && this.#current.index >= index) {
      this.#history.pop();
      this.#current = this.#history.at(-1) ?? this.#current;
    }
  }

  /** The configuration in force at `index`, which is not before the compaction point. */
  at(index: LogIndex): Configuration {
    const found = this.#history.findLast((inForce) => inForce.index <= index) ?? this.#history[0];
    assert(found !== undefined, "a configuration is in force everywhere");
    return found.configuration;
  }

  /** Forgets what is older than the configuration in force at `index`. */
  compact(index: LogIndex): void {
    const keepFrom = this.#history.findLastIndex((inForce) => inForce.index <= index);
    if (keepFrom > 0) this.#history = this.#history.slice(keepFrom);
  }

  reset(index: LogIndex, configuration: Configuration): void {
    this.#current = this.#inForce(index, configuration);
    this.#history = [this.#current];
  }

  #inForce(index: LogIndex, configuration: Configuration): ConfigurationInForce {
    const electorate = this.#electorateOf(configuration);
    return { index, configuration, electorate, members: membersOf(configuration) };
  }
}
