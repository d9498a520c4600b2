/** Compares the clocks of hosts with each other, and with the clock of this machine, which issues certificates. Pure. */
import { type Finding, type HostsToCheck, type HostToCheck, labelOf } from "./hosts-to-check.ts";

const skewMsMax = 500;

type Clock = { readonly label: string; readonly offsetMs: number; readonly uncertaintyMs: number };

/** Clocks that differ for certain: by more than the readings may be wrong. */
export function clockFindings({ hosts }: HostsToCheck): readonly Finding[] {
  const clocks = clocksOf(hosts);
  const [first, last] = [clocks[0], clocks.at(-1)];
  if (first === undefined || last === undefined) return [];
  const skewMs = last.offsetMs - first.offsetMs;
  if (skewMs - first.uncertaintyMs - last.uncertaintyMs <= skewMsMax) return [];
  const lines = clocks.map(({ label, offsetMs }) => `  ${label}: ${signed(offsetMs)}`);
  return [
    {
      summary: `The clocks of ${first.label} and ${last.label} differ by ${duration(skewMs)}`,
      detail: [
        "Times in logs and in certificates are compared between hosts. Synchronize the clocks of all hosts, such as with chrony or systemd-timesyncd. Compared with the clock of this machine:",
        ...lines,
      ].join("\n"),
    },
  ];
}

/** A certificate that is issued now would not be valid yet. */
export function staleClockFindings({ hosts, certificateAgeMs }: HostsToCheck): readonly Finding[] {
  if (certificateAgeMs === null) return [];
  return clocksOf(hosts)
    .filter(({ offsetMs, uncertaintyMs }) => offsetMs + uncertaintyMs < -certificateAgeMs)
    .map(({ label, offsetMs }) => ({
      summary: `The clock of ${label} is ${duration(-offsetMs)} behind the clock of this machine`,
      detail: `The certificates of a new authority begin ${duration(certificateAgeMs)} before they are issued: they would not be valid on that host yet. Set its clock, or that of this machine.`,
    }));
}

/** The slowest first. */
function clocksOf(hosts: readonly HostToCheck[]): readonly Clock[] {
  return hosts
    .flatMap((host) => (host.clock === null ? [] : [{ label: labelOf(host), ...host.clock }]))
    .sort((a, b) => a.offsetMs - b.offsetMs);
}

function signed(ms: number): string {
  const isBehind = Math.round(ms / 10) < 0;
  return `${isBehind ? "-" : "+"}${duration(Math.abs(ms))}`;
}

function duration(ms: number): string {
  const seconds = ms / 1000;
  if (Math.round(seconds) < 120) return `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(seconds / 3600);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
