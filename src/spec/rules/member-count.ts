/** 3, 5 or 7 members, and no other number; the error explains the arithmetic. */
import { findingAt, type SpecFinding } from "../finding.ts";
import {
  faultToleranceOf,
  isSupportedMemberCount,
  membersMax,
  membersMin,
  quorumOf,
  quorumTable,
  renderQuorumTable,
} from "../quorum-table.ts";
import type { SpecRule } from "./rule.ts";

export const checkMemberCount: SpecRule = ({ controlPlane, masters, derivesMasters }) => {
  if (controlPlane === null) return [];
  const { members } = controlPlane.entries;
  if (members === null) {
    if (controlPlane.written.includes("members")) return [];
    // If masters have to be listed, the schema reports it.
    if (masters === null) {
      return controlPlane.written.includes("masters") || !derivesMasters ? [] : [missing(controlPlane.pointer)];
    }
    return isSupportedMemberCount(masters.hosts.length) ? [] : [refused(masters.pointer, masters.hosts.length)];
  }
  const findings = isSupportedMemberCount(members.value) ? [] : [refused(members.pointer, members.value)];
  if (masters === null || masters.hosts.length === members.value) return findings;
  const mismatch: SpecFinding = {
    place: { pointer: members.pointer, part: "value" },
    related: masters.pointer,
    code: "spec/members-mismatch",
    summary: `members is ${members.value}, but ${masters.hosts.length} masters are listed`,
    detail: "Make the two equal, or omit `members`: then the list counts.",
  };
  return [...findings, mismatch];
};

function missing(pointer: string): SpecFinding {
  return {
    place: { pointer, part: "key" },
    code: "spec/missing-key",
    summary: 'spec.controlPlane has neither "members" nor "masters"',
    detail: "Add `members: 3`: the masters are then m1, m2 and m3.",
  };
}

function refused(pointer: string, members: number): SpecFinding {
  const table = renderQuorumTable(quorumTable(Math.max(membersMax, Math.min(members, 9))), members);
  return findingAt(pointer, {
    code: codeFor(members),
    summary: `A control plane of ${members} ${members === 1 ? "member" : "members"} is not allowed`,
    detail: [reasonFor(members), "", ...table, "", `Write ${adviceFor(members)}.`].join("\n"),
  });
}

function codeFor(members: number): string {
  if (members < membersMin) return "spec/too-few-members";
  return members > membersMax ? "spec/too-many-members" : "spec/even-members";
}

/** On one line: where it is shown, it is wrapped to the width there. */
function reasonFor(members: number): string {
  return `A write counts once a majority of the members has it on disk. ${consequenceFor(members)}`;
}

function consequenceFor(members: number): string {
  if (members < 1) return "Without members there is none to write to.";
  if (members === 1) return "A single member is that majority: if it fails, everything stops.";
  if (members === 2) {
    return "Of 2 members that is both: if either fails, writes stop. Two are not safer than one; there is merely one more machine that can fail.";
  }
  if (members > membersMax) {
    return `With ${members} members each write waits for ${quorumOf(members)} disks, and the leader sends it ${members - 1} times. Beyond ${membersMax} members the cost outweighs the additional failures that it tolerates.`;
  }
  return `Of ${members} members that is ${quorumOf(members)}: they tolerate ${faultToleranceOf(members)} failed, just as ${members - 1} members do, but there is one more machine that can fail, and a network partition ${members / 2}|${members / 2} stops both halves.`;
}

function adviceFor(members: number): string {
  if (members < membersMin) return "3, which tolerates one failure";
  if (members > membersMax) return "7, 5 or 3";
  return `${members - 1} or ${members + 1}`;
}
