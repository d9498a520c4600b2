/** The text of `haplan-agent --help`. */
import { type FlagDefinition, flagDefinitions } from "./flags.ts";

export function agentUsage(): string {
  const groups = new Map<string, FlagDefinition[]>();
  for (const flag of flagDefinitions) groups.set(flag.group, [...(groups.get(flag.group) ?? []), flag]);
  const sections = [...groups].map(([group, flags]) => `${group}:\n${flags.map(describe).join("")}`);
  return `Usage: haplan-agent [flags]
       haplan-agent snapshot save|status|restore FILE [flags]
       haplan-agent data show|export --data-dir=DIRECTORY [flags]

A Raft member that serves etcd's v3 API. Flags and defaults are etcd's except for those under "Not etcd's"; each can also be given as ETCD_<NAME>, or all
of them together in a YAML file named by --config-file.

${sections.join("\n")}`;
}

function describe({ name, kind, defaultValue, help }: FlagDefinition): string {
  const flag = kind === "boolean" ? `--${name}` : `--${name} '${defaultValue}'`;
  return `  ${flag}\n      ${help}\n`;
}
