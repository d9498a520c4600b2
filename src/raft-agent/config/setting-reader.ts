/** Settings by flag name, typed like the flag; an unset one has its default. */
import { type FlagValue, parseFlagValue } from "./flag-values.ts";
import { flagsByName } from "./flags.ts";
import { SettingsError } from "./read-settings.ts";

export class SettingReader {
  readonly #values: ReadonlyMap<string, FlagValue>;

  constructor(values: ReadonlyMap<string, FlagValue>) {
    this.#values = values;
  }

  text(name: string): string {
    return this.#read(name) as string;
  }

  number(name: string): number {
    return this.#read(name) as number;
  }

  atLeastOne(name: string): number {
    const value = this.number(name);
    if (value < 1) throw new SettingsError(`--${name}=${value} is wrong: expected an integer from 1`);
    return value;
  }

  /** For values that the protocol cannot express. */
  within(name: string, max: number): number {
    const value = this.atLeastOne(name);
    if (value > max) throw new SettingsError(`--${name}=${value} is wrong: expected at most ${max}`);
    return value;
  }

  flag(name: string): boolean {
    return this.#read(name) as boolean;
  }

  list(name: string): readonly string[] {
    return this.#read(name) as readonly string[];
  }

  /** An empty list means the default, as in etcd: a variable or template without a value. */
  urls(name: string): readonly URL[] {
    const given = this.#read(name) as readonly URL[];
    return given.length > 0 ? given : (this.#default(name) as readonly URL[]);
  }

  /** Empty means the default, as in a file that lists unset values. */
  oneOf<Choice extends string>(name: string, choices: readonly Choice[], letters?: "any-case"): Choice {
    const text = this.text(name) || flagsByName.get(name)?.defaultValue;
    const wanted = letters === undefined ? text : text?.toLowerCase();
    const choice = choices.find((candidate) => candidate === wanted);
    if (choice === undefined) throw new SettingsError(`--${name}="${text}" is wrong: expected ${choices.join(" or ")}`);
    return choice;
  }

  #read(name: string): FlagValue {
    return this.#values.get(name) ?? this.#default(name);
  }

  #default(name: string): FlagValue {
    const definition = flagsByName.get(name);
    if (definition === undefined) throw new SettingsError(`--${name} has no definition`);
    const parsed = parseFlagValue(definition.kind, definition.defaultValue);
    if ("expected" in parsed) throw new SettingsError(`--${name} has a wrong default`);
    return parsed.value;
  }
}
