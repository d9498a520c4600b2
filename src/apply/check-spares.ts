/** Checks of spare hosts as of hosts that become masters. Pure; no apply needs them, so that nothing found is an error. */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { CheckReport, PreflightRequest } from "../providers/provider.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";

/** The spec with its spare hosts as further masters, under their own names. */
export function withSparesAsMasters(spec: ClusterSpec): ClusterSpec {
  const { controlPlane } = spec;
  return { ...spec, controlPlane: { ...controlPlane, masters: [...controlPlane.masters, ...sparesOf(spec)] } };
}

/** The part of a request for that spec that is about the spare hosts. */
export function spareRequest(request: PreflightRequest, spec: ClusterSpec): PreflightRequest {
  const names = new Set(sparesOf(spec).map(({ name }) => name));
  const { machines, units, space, network, certificateAgeMs } = request;
  return {
    machines: machines.filter(({ name }) => names.has(name)),
    units: units.filter(({ machine }) => names.has(machine)),
    space: space.filter(({ machine }) => names.has(machine)),
    // Spare hosts never work together before one of them has a master's place.
    network: network.filter(({ from, to }) => names.has(to) !== (from !== null && names.has(from))),
    certificateAgeMs,
  };
}

/** What was found about the spare hosts alone, beside what was found about all others. */
export function withSpareReport(report: CheckReport, spares: CheckReport, spec: ClusterSpec): CheckReport {
  const names = new Set(sparesOf(spec).map(({ name }) => name));
  const known = new Set(report.diagnostics.map(({ code, summary }) => `${code} ${summary}`));
  return {
    ...report,
    hosts: [...report.hosts, ...spares.hosts.filter(({ machines }) => machines.some((name) => names.has(name)))],
    diagnostics: [
      ...report.diagnostics,
      ...spares.diagnostics.filter(({ code, summary }) => !known.has(`${code} ${summary}`)).map(asWarning),
    ],
  };
}

export function sparesOf({ repair }: Pick<ClusterSpec, "repair">): ClusterSpec["controlPlane"]["masters"] {
  return repair?.replace?.spares ?? [];
}

function asWarning({ detail, ...found }: Diagnostic): Diagnostic {
  const about = "This is about spare hosts: no apply needs them, but haplan watch puts masters there.";
  return { ...found, severity: "warning", detail: detail === undefined ? about : `${detail}\n${about}` };
}
