/**
 * Gathers settings like etcd: from flags, from `ETCD_*` variables, or, with --config-file, from that YAML file alone.
 * Keeps the source of each value, so that an error can name it.
 */
import { type FileEntry, mapEntries, parseConfigFile, textInFile } from "./config-file.ts";
import { gateOfFlag } from "./experiment-gates.ts";
import { type FlagValue, parseFlagValue, splitList } from "./flag-values.ts";
import { flagsByName } from "./flags.ts";

export type Settings = {
  readonly values: ReadonlyMap<string, FlagValue>;
  /** Warnings for the log: flags without effect, unknown variables. */
  readonly notices: readonly string[];
};

/** A setting that cannot be used: the message names the flag, variable or key and says what to write instead. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

type Raw = { readonly text: string; readonly source: string };

/** @throws SettingsError */
export function readSettings(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): Settings {
  const notices: string[] = [];
  const flags = readArguments(argv);
  const configFile = flags.get("config-file")?.text ?? environment["ETCD_CONFIG_FILE"];
  if (configFile !== undefined && configFile !== "") {
    noticeShadowed(configFile, flags, environment, notices);
    return toSettings(readConfigFile(configFile, readFile, notices), notices);
  }
  flags.delete("config-file");
  for (const [name, raw] of readEnvironment(environment, notices)) {
    const flag = flags.get(name);
    if (flag !== undefined)
      throw new SettingsError(`${flag.source} and ${raw.source} are both set; remove one of them`);
    flags.set(name, raw);
  }
  return toSettings(flags, notices);
}

/** Only the file counts, as in etcd, which does not warn about it. */
function noticeShadowed(
  configFile: string,
  flags: ReadonlyMap<string, Raw>,
  environment: Readonly<Record<string, string | undefined>>,
  notices: string[],
): void {
  const variables = readEnvironment(environment, []);
  const shadowed = [...flags, ...variables].filter(([name]) => name !== "config-file").map(([, { source }]) => source);
  if (shadowed.length > 0) notices.push(`${shadowed.join(", ")}: without effect, because only ${configFile} counts`);
}

/** Parses `--name value`, `--name=value` and bare booleans, with one dash or two. */
function readArguments(argv: readonly string[]): Map<string, Raw> {
  const found = new Map<string, Raw>();
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? "";
    const match = /^--?([A-Za-z][A-Za-z0-9-]*)(?:=(.*))?$/s.exec(argument);
    if (match === null) throw new SettingsError(`"${argument}" is not a flag; flags have the form --name=value`);
    const name = match[1] ?? "";
    let text = match[2];
    if (text === undefined) {
      const isBoolean = gateOfFlag.has(name) || flagsByName.get(currentFlag(name))?.kind === "boolean";
      if (isBoolean) text = "true";
      else if (at + 1 < argv.length) text = argv[++at] ?? "";
      else if (flagsByName.has(currentFlag(name))) throw new SettingsError(`--${name} needs a value: --${name}=VALUE`);
      else throw new SettingsError(`--${name} is not a known flag${suggestion(name)}`);
    }
    found.set(name, { text, source: `--${name}` });
  }
  return found;
}

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  notices: string[],
): Map<string, Raw> {
  const found = new Map<string, Raw>();
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith("ETCD_") || variable === "ETCD_CONFIG_FILE") continue;
    // As in etcd, an empty variable is unset: environment files list unset variables.
    if (text === undefined || text === "") continue;
    const name = variable.slice("ETCD_".length).toLowerCase().replaceAll("_", "-");
    const isKnown = flagsByName.has(currentFlag(name));
    if (isKnown) found.set(name, { text, source: variable });
    else notices.push(`unrecognized environment variable ${variable}`);
  }
  return found;
}

/**
 * YAML keys are flag names; the two transport-security blocks hold the certificate flags. etcd ignores unknown keys;
 * so do we, with a warning. Inside the two blocks they are rejected later: a security setting was intended.
 */
function readConfigFile(path: string, readFile: (path: string) => string, notices: string[]): Map<string, Raw> {
  const found = new Map<string, Raw>();
  for (const { key, value } of fileEntries(path, readFile)) {
    if (key === "client-transport-security" || key === "peer-transport-security") {
      const prefix = key.startsWith("peer") ? "peer-" : "";
      for (const inner of blockEntries(path, key, value)) {
        const name = securityFlag(prefix, inner.key);
        readEntry(found, name, inner.value, `${path}: ${key}.${inner.key}`);
      }
    } else if (!flagsByName.has(currentFlag(key))) {
      notices.push(`${path}: ${key} has no effect: there is no such setting${suggestion(key)}`);
    } else readEntry(found, key, value, `${path}: ${key}`);
  }
  return found;
}

function blockEntries(path: string, key: string, value: FileEntry["value"]): readonly FileEntry[] {
  const entries = mapEntries(value);
  if (entries === null) throw new SettingsError(`${path}: ${key}: expected keys such as "cert-file:" below it`);
  return entries;
}

function readEntry(found: Map<string, Raw>, name: string, value: FileEntry["value"], source: string): void {
  const text = textInFile(flagsByName.get(currentFlag(name))?.kind ?? "string", value);
  if (text === null) return;
  if (typeof text !== "string") throw new SettingsError(`${source} is wrong: expected ${text.expected}`);
  found.set(name, { text, source });
}

/** Most keys are the flag without its prefix; those of the allowed names are not (etcd's securityConfig). */
function securityFlag(prefix: "" | "peer-", key: string): string {
  const isAllowed = key === "allowed-cn" || key === "allowed-hostname";
  return isAllowed ? `${prefix === "" ? "client-" : prefix}cert-${key}` : `${prefix}${key}`;
}

function fileEntries(path: string, readFile: (path: string) => string): readonly FileEntry[] {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    throw new SettingsError(`Cannot read the configuration file "${path}"`, { cause: error });
  }
  const entries = parseConfigFile(text);
  if ("problem" in entries) throw new SettingsError(`${path}: ${entries.problem}`);
  return entries;
}

function toSettings(raws: ReadonlyMap<string, Raw>, notices: string[]): Settings {
  rejectTwins(raws);
  const values = new Map<string, FlagValue>();
  for (const [name, { text, source }] of raws) {
    const flag = currentFlag(name);
    const definition = flagsByName.get(flag);
    if (definition === undefined) {
      if (name !== flag) {
        notices.push(`${source} has no effect: this experimental flag of etcd does not exist`);
        continue;
      }
      throw new SettingsError(`${source} is not a known flag${suggestion(flag)}`);
    }
    if (definition.effect === "unsupported") {
      if (text === "" || text === definition.defaultValue) continue;
      throw new SettingsError(`${source}="${text}" is not supported: ${definition.help}`);
    }
    const parsed = parseFlagValue(definition.kind, text);
    if ("expected" in parsed) throw new SettingsError(`${source}="${text}" is wrong: expected ${parsed.expected}`);
    if (definition.effect === "ignored") notices.push(`${source} has no effect: ${definition.help}`);
    values.set(flag, parsed.value);
  }
  return { values, notices };
}

/** The current flag: etcd has turned many of its experimental flags into ordinary ones. */
function currentFlag(name: string): string {
  return name.replace(/^experimental-/, "");
}

/**
 * A flag has one name: a former experimental flag of etcd may be given by its old name, but not by both (etcd's
 * texts).
 */
function rejectTwins(raws: ReadonlyMap<string, Raw>): void {
  for (const [name, older] of raws) {
    const plain = currentFlag(name);
    const newer = raws.get(plain);
    if (newer !== undefined && plain !== name) {
      const [both, one] = [`${older.source} and ${newer.source}`, newer.source];
      throw new SettingsError(`cannot set ${both} at the same time, please use ${one} only`);
    }
    const gate = gateOfFlag.get(name);
    const gates = raws.get("feature-gates");
    if (gate === undefined || gates === undefined || !splitList(gates.text).some((one) => one.startsWith(`${gate}=`))) {
      continue;
    }
    const both = `${older.source} and ${gates.source}=${gate}`;
    throw new SettingsError(`cannot set ${both} at the same time, please use ${gates.source}=${gate} only`);
  }
}

function suggestion(unknown: string): string {
  const near = [...flagsByName.keys()].find((name) => name.startsWith(unknown) || unknown.startsWith(name));
  return near === undefined ? "; --help lists them" : `; did you mean --${near}?`;
}
