/** Programs of other projects that a host lacks: what to install, or that haplan installs it. Pure. */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";

/** Packages by program, where they have other names. */
const packages: { readonly [program: string]: string } = {
  etcd: "etcd-server with apt, etcd with dnf",
};

/** What to do about a missing program of the host's own. */
export function installAdvice(program: string): string {
  if (program.startsWith("/")) return "Put it there, or write the path of another one.";
  const name = packages[program] ?? `${program} with apt or dnf`;
  return `Install its package on that host (${name}), or write "packages: install" in spec.provider: then haplan installs it, and removes it with the cluster.`;
}

/** The programs that units need on a host, without those that haplan installs there. */
export function neededPrograms(units: readonly UnitDefinition[], installed: readonly string[]): readonly string[] {
  const programs = units.flatMap(({ program }) => (program.kind === "system" ? [program.command] : []));
  return [...new Set(programs)].filter((program) => !installed.includes(program));
}

/** The findings of a host, without programs that haplan installs there before it needs them. */
export function withoutInstalled(found: readonly Diagnostic[], installed: readonly string[]): readonly Diagnostic[] {
  const summaries = installed.map((program) => `Program "${program}" does not exist`);
  return found.filter(({ code, summary }) => code !== "preflight/program-missing" || !summaries.includes(summary));
}
