/** What `haplan watch` tells and replaces: a mistake there would be noticed only when something is wrong. */
import type { LocatedPart, SpecDraft } from "../draft.ts";
import { findingAt, formatPointer, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

export const checkRepair: SpecRule = (draft) => {
  const entries = draft.repair?.entries;
  const notify = entries?.notify?.entries;
  return [
    ...(notify?.webhook == null ? [] : checkWebhook(notify.webhook)),
    ...(notify?.command == null ? [] : checkCommand(notify.command.items)),
    ...(entries?.replace == null ? [] : checkReplace(entries.replace, draft)),
  ];
};

function checkWebhook({ pointer, value }: LocatedValue<string>): readonly SpecFinding[] {
  const say = (summary: string, detail: string): readonly SpecFinding[] => [
    findingAt(pointer, { code: "spec/webhook", summary, detail }),
  ];
  const url = URL.canParse(value) ? new URL(value) : null;
  const shown = JSON.stringify(value);
  if (url === null) return say(`${shown} is not a URL`, "Write one such as https://alerts.example.com/haplan.");
  if (url.protocol !== "https:" && url.protocol !== "http:")
    return say(`${shown} is not a URL of HTTP`, "haplan posts to it: write one that begins with https:// or http://.");
  if (url.username !== "" || url.password !== "")
    return say(
      "The webhook's URL contains a name or a password",
      "haplan sends neither. Write a secret as a part of the path or the query, from a variable, or use `command`.",
    );
  return [];
}

/** There is no shell that would split a word. */
function checkCommand(words: readonly (LocatedValue<string> | null)[]): readonly SpecFinding[] {
  const findings = words.flatMap((word): readonly SpecFinding[] => {
    if (!word?.value.includes("\0")) return [];
    const summary = "A word of the command contains a NUL character";
    return [findingAt(word.pointer, { code: "spec/command", summary, detail: "No program can get it. Remove it." })];
  });
  const [program] = words;
  if (program == null) return findings;
  const detail = "There is no shell: write the program and each argument as a word of its own, such as [curl, -d, @-].";
  const say = (summary: string): readonly SpecFinding[] => [
    findingAt(program.pointer, { code: "spec/command", summary, detail }),
    ...findings,
  ];
  if (program.value.trim() === "") return say("The command names no program");
  return holdsArguments(program.value)
    ? say(`${JSON.stringify(program.value)} is not the name of a program`)
    : findings;
}

/** A path may contain spaces. */
function holdsArguments(program: string): boolean {
  return /\s-/.test(program) || /^[^/\s]+\s/.test(program);
}

function checkReplace(
  { pointer, entries }: LocatedPart<"repairReplace">,
  { kubernetes, hosts }: SpecDraft,
): readonly SpecFinding[] {
  const balancers = hosts.filter(({ kind }) => kind === "load balancer");
  const shared = (entries.spares?.items ?? []).flatMap((spare): readonly SpecFinding[] => {
    const address = spare?.entries.address ?? null;
    const other = balancers.find((each) => address !== null && each.address?.value === address.value);
    if (address === null || other?.address == null) return [];
    const summary = `The address ${address.value} is already used by the load balancer at ${formatPointer(other.address.pointer)}`;
    const detail = "A spare host runs nothing until it takes a master's place: write a host of its own.";
    return [findingAt(address.pointer, { code: "spec/duplicate-address", summary, detail })];
  });
  if (kubernetes === null) return shared;
  const detail =
    "The node on the dead host has to leave Kubernetes, which haplan watch does not do. Remove `replace`, and replace a dead master with haplan apply -replace.";
  const summary = "haplan watch does not replace masters that are nodes of Kubernetes";
  return [...shared, findingAt(pointer, { code: "spec/spares-with-kubernetes", summary, detail })];
}
